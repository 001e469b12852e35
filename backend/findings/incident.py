"""Something in a video that a person should look at, and the pictures that show it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IncidentCategory(StrEnum):
    """What happened, in one vocabulary for every scene analyser."""

    FALL = "fall"
    NEAR_MISS = "near_miss"
    LOITERING = "loitering"
    CROWDING = "crowding"
    RUNNING = "running"
    INTRUSION = "intrusion"
    VIOLENCE = "violence"
    FIRE_SMOKE = "fire_smoke"
    ABANDONED_OBJECT = "abandoned_object"
    UNSAFE_BEHAVIOUR = "unsafe_behaviour"
    CAMERA_OBSTRUCTED = "camera_obstructed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing seen that supports an incident: when, what, and where when that is known."""

    t: float
    note: str
    track_id: int | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """Something to look at, in seconds from the start of the video.

    Severity is 0 (worth a note) to 4 (danger to life), confidence 0 to 1.
    """

    category: IncidentCategory
    t_start: float
    t_end: float
    severity: int
    confidence: float
    evidence: tuple[Evidence, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an incident that could not be shown on a timeline or scored."""
        if not 0 <= self.severity <= 4:
            raise ValueError(f"severity must be 0..4, not {self.severity}")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be 0..1, not {self.confidence}")
        if not 0.0 <= self.t_start <= self.t_end:
            raise ValueError(
                f"times must be 0 <= t_start <= t_end, not {self.t_start}..{self.t_end}"
            )
