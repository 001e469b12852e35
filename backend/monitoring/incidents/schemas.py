"""What clients send and get of incidents, and what an analysis leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from backend.findings.incident import Incident
from backend.monitoring.incidents.states import IncidentState


@dataclass(frozen=True, slots=True)
class FoundIncidents:
    """What one analysis found in one archive; `snapshots` are positions that have a picture."""

    job_id: int
    camera_id: str
    video_path: str
    segment_start: datetime
    backend: str
    model: str | None
    incidents: tuple[Incident, ...]
    snapshots: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents a list shows; None means any."""

    camera_id: str | None = None
    category: tuple[str, ...] | None = None
    state: tuple[str, ...] | None = None
    least_severity: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


class EvidenceView(BaseModel):
    """One thing seen that supports an incident; `t` in seconds from the start of the archive."""

    t: float
    note: str
    track_id: int | None = None
    box: tuple[float, float, float, float] | None = None


class IncidentView(BaseModel):
    """An incident; `t_start` and `t_end` in seconds from the start of its archive."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    job_id: int
    camera_id: str
    starts_at: datetime
    ends_at: datetime
    t_start: float
    t_end: float
    category: str
    severity: int
    confidence: float
    evidence: list[EvidenceView]
    backend: str
    model: str | None
    state: IncidentState
    reviewed_at: datetime | None
    reviewed_by: str | None
    video_url: str | None = Field(description="The archive; null when it is deleted.")
    snapshot_url: str | None = Field(description="A picture; null when there is none.")


class Verdict(StrEnum):
    """What a person makes of an incident; `open` takes a verdict back."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    OPEN = "open"


class VerdictRequest(BaseModel):
    """A person's verdict."""

    model_config = ConfigDict(extra="forbid")
    verdict: Verdict


class PrecisionView(BaseModel):
    """Of a camera's incidents of one category, how many a person found to be right.

    `precision` is confirmed / (confirmed + rejected), null while none is reviewed.
    """

    camera_id: str
    category: str
    confirmed: int
    rejected: int
    open: int
    precision: float | None
