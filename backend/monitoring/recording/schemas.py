"""What a client gets of recordings: segments with what was found in them, and gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from backend.jobs.states import JobStatus
from backend.monitoring.incidents.schemas import IncidentView


class SegmentView(BaseModel):
    """An archive file; one that is still being written has state `recording` and no id."""

    id: int | None
    camera_id: str
    state: Literal["recording", "finished"]
    started_at: datetime
    ended_at: datetime
    size_bytes: int
    video_url: str
    job_id: int | None
    job_status: JobStatus | None
    safety_score: int | None
    incident_count: int | None
    incidents: list[IncidentView]


class GapView(BaseModel):
    """A stretch of time of which nothing was recorded."""

    camera_id: str
    started_at: datetime
    ended_at: datetime
    seconds: float


class StorageView(BaseModel):
    """How much a camera's archives take."""

    camera_id: str
    segments: int
    size_bytes: int
    oldest: datetime | None
