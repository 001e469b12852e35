"""The thresholds of all rules. Lengths are in body heights, speeds in body heights a second.

A body height (h) is the typical height of a person's own box, about 1.7 m: walking is about
0.8 h/s, running 1.8 h/s and more, seen from the side.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FallSettings:
    """Somebody who was upright lies on the ground."""

    upright_aspect: float = 1.3
    """Height / width of somebody who stands or walks, at least."""
    low_aspect: float = 0.95
    """Height / width of somebody who lies, at most."""
    low_height: float = 0.75
    """Height of the box afterwards, in heights before, at most."""
    wider: float = 1.2
    """Width afterwards, in widths before, at least: somebody half hidden does not get wider."""
    flat_height: float = 0.45
    """Who falls towards the camera or away from it does not get wider. They are told by a height,
    in heights before, that is less than of somebody who sits on the ground (0.52)..."""
    flat_aspect: float = 0.7
    """...by a height / width that is less than of legs under something that hides the rest..."""
    flat_raised: float = 0.15
    """...and by a lower edge that hardly rises: who stoops behind a counter loses their legs."""
    raised: float = 0.4
    """How far the lower edge may rise, in heights before: who lies is where they stood."""
    lowered_if_cut: float = 0.1
    """How far it may come down where it ends at the edge of the picture."""
    upright_before_s: float = 3.0
    """How far back is looked for being upright."""
    stay_low_s: float = 2.0
    """Less is stumbling, stooping or doing push-ups."""
    sure_after_s: float = 6.0
    """Lying so long takes nothing off the confidence."""
    up_again_s: float = 0.5
    """Upright for so long is up again."""


@dataclass(frozen=True, slots=True)
class NearMissSettings:
    """A moving vehicle comes very close to somebody on foot, on the same piece of ground."""

    distance: float = 0.5
    """Between the sides of the two boxes, in h."""
    reached_in_s: float = 0.4
    """Further away counts too if the vehicle comes and would need no longer than this."""
    sure_distance: float = 0.0
    """So close takes nothing off the confidence."""
    ground_above: float = 0.75
    """The ground that a vehicle takes up reaches so far up from its lower edge, in h..."""
    ground_below: float = 0.15
    """...and so far below it."""
    vehicle_speed: float = 0.8
    """Slower is standing or parking, in h/s."""
    least_looks: int = 2
    """Pictures in a row that show it."""


@dataclass(frozen=True, slots=True)
class RunningSettings:
    """Somebody on foot moves much faster than walking."""

    speed: float = 1.6
    """In h/s, at least."""
    sure_speed: float = 2.4
    """So fast takes nothing off the confidence."""
    window_s: float = 0.8
    """Speed is measured over so long."""
    least_s: float = 1.2
    """And is held for so long."""


@dataclass(frozen=True, slots=True)
class LoiteringSettings:
    """Somebody stays in one place, alone or with few others."""

    least_s: float = 20.0
    """Staying so long."""
    sure_s: float = 60.0
    """So long takes nothing off the confidence."""
    radius: float = 0.8
    """In h."""
    least_spread: float = 0.05
    """In h; what does not move at all is not a person but looks like one."""
    company: int = 4
    """With so many persons together they wait, meet or queue: that is a crowd, not loitering."""
    company_part: float = 0.5
    """For this part of the time."""


@dataclass(frozen=True, slots=True)
class CrowdingSettings:
    """Many people close together."""

    people: int = 5
    sure_people: int = 8
    """So many take nothing off the confidence."""
    reach: float = 1.2
    """From one to the next, feet to feet, in h."""
    least_s: float = 5.0
    hole_s: float = 2.0
    """Shorter gaps in what the camera sees are bridged."""


@dataclass(frozen=True, slots=True)
class ObstructionSettings:
    """The camera is covered, blinded or dark."""

    dark_brightness: float = 20.0
    """Mean (0..255) at most, with..."""
    dark_contrast: float = 8.0
    """...a standard deviation at most: night with a lamp in it is not dark."""
    flat_contrast: float = 6.0
    """A standard deviation at most: a cover, fog on the lens, a light into the lens."""
    lost_detail: float = 0.2
    """Part of the usual strength of edges that is left when something is held before the lens."""
    usual_least_detail: float = 2.0
    """Scenes with less detail than this are not judged by it."""
    least_s: float = 5.0
    sure_s: float = 15.0
    """So long takes nothing off the confidence."""
    hole_s: float = 1.5


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """All thresholds."""

    fall: FallSettings = FallSettings()
    near_miss: NearMissSettings = NearMissSettings()
    running: RunningSettings = RunningSettings()
    loitering: LoiteringSettings = LoiteringSettings()
    crowding: CrowdingSettings = CrowdingSettings()
    obstruction: ObstructionSettings = ObstructionSettings()
    merge_within_s: float = 5.0
    """Incidents of one category with the same people no further apart are one."""
