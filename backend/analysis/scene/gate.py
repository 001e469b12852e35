"""Which pictures are worth a detection: those with motion, and now and then one without.

Still people must stay known (somebody lying on the ground does not move), and what never moved is
seen at least now and then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from backend.analysis.scene.motion import Look

_EPSILON_S = 0.01


@dataclass(frozen=True, slots=True)
class GateSettings:
    """When a picture without motion is looked at all the same."""

    after_motion_s: float = 0.6
    """So long after the last motion every sampled picture still is."""
    still_tracks_s: float = 1.0
    """Between two looks while somebody who was seen stands or lies still."""
    idle_s: float = 10.0
    """Between two looks at a scene in which nothing moves."""
    dark_below: float = 12.0
    """A mean brightness (0..255) under which a detector sees nothing."""


class Why(StrEnum):
    """Reason to look, or not to."""

    MOTION = "motion"
    STILL = "still"
    IDLE = "idle"
    NO_MOTION = "no motion"
    DARK = "dark"

    @property
    def detect(self) -> bool:
        """Whether a detection is worth it."""
        return self in (Why.MOTION, Why.STILL, Why.IDLE)


@dataclass(slots=True)
class DetectionGate:
    """Decides picture by picture, in order of time."""

    settings: GateSettings = field(default_factory=GateSettings)
    _moved: float | None = None
    _looked: float | None = None

    def decide(self, look: Look, *, tracks_alive: bool) -> Why:
        """Whether to detect in this picture, and why."""
        if look.moving:
            self._moved = look.t
        why = self._reason(look, tracks_alive=tracks_alive)
        if why.detect:
            self._looked = look.t
        return why

    def _reason(self, look: Look, *, tracks_alive: bool) -> Why:
        wanted = self.settings
        if look.brightness < wanted.dark_below and look.contrast < wanted.dark_below:
            return Why.DARK
        if self._moved is not None and look.t - self._moved <= wanted.after_motion_s:
            return Why.MOTION
        ago = None if self._looked is None else look.t - self._looked
        if tracks_alive and (ago is None or ago >= wanted.still_tracks_s - _EPSILON_S):
            return Why.STILL
        if ago is None or ago >= wanted.idle_s - _EPSILON_S:
            return Why.IDLE
        return Why.NO_MOTION
