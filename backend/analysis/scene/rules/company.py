"""Who stands with whom: groups of people whose feet are within reach of the next one's."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from backend.analysis.scene.tracks import Point, Track, feet

_KNOWN_WITHIN_S = 1.5

Standing = tuple[Track, Point]


def present(people: Sequence[Track], t: float) -> list[Standing]:
    """Where everybody is at that moment, as far as known."""
    found = []
    for track in people:
        if track.t_start - _KNOWN_WITHIN_S <= t <= track.t_end + _KNOWN_WITHIN_S:
            point = track.at(t, within_s=_KNOWN_WITHIN_S)
            if point is not None:
                found.append((track, point))
    return found


def groups(standing: Sequence[Standing], *, reach: float) -> list[list[Standing]]:
    """People connected by steps of at most `reach` body heights."""
    left = list(standing)
    found = []
    while left:
        group = [left.pop()]
        for one in group:  # grows while it is walked through
            near = [other for other in left if _within(one[1], other[1], reach)]
            group += near
            left = [other for other in left if other not in near]
        found.append(group)
    return found


def _within(one: Point, other: Point, reach: float) -> bool:
    here, there = feet(one.box), feet(other.box)
    body = (one.box.height + other.box.height) / 2
    return hypot(here[0] - there[0], here[1] - there[1]) <= reach * body
