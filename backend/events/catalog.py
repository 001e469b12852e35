"""Every event that VAP can say: its type, the key that orders it, and its payload.

Events of one key are delivered in the order of their causes. Times are UTC in ISO 8601; payloads
hold what a reader needs to act, never a credential.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Parent of all events; `type` is their public name."""

    model_config = ConfigDict(frozen=True)
    type: ClassVar[str]

    @property
    def key(self) -> str:
        """What the event is about; events of one key keep their order."""
        raise NotImplementedError


class CameraEvent(Event):
    """Something about one camera."""

    camera_id: str

    @property
    def key(self) -> str:
        """The camera."""
        return f"camera:{self.camera_id}"


class CameraChanged(CameraEvent):
    """A camera was created or its settings were changed."""

    type: ClassVar[str] = "camera.changed"


class CameraDeleted(CameraEvent):
    """A camera is gone."""

    type: ClassVar[str] = "camera.deleted"


class CameraStateChanged(CameraEvent):
    """A camera's stream came, went, or changed its mind."""

    type: ClassVar[str] = "camera.state_changed"
    state: str
    reason: str | None
    since: datetime


class SegmentRecorded(CameraEvent):
    """An archive file is finished and has its analysis job."""

    type: ClassVar[str] = "segment.recorded"
    segment_id: int
    job_id: int
    started_at: datetime
    ended_at: datetime
    size_bytes: int


class SegmentDeleted(CameraEvent):
    """Retention took an archive file away."""

    type: ClassVar[str] = "segment.deleted"
    segment_id: int
    reason: str


class IncidentFound(CameraEvent):
    """An analysis found something to look at."""

    type: ClassVar[str] = "incident.found"
    incident_id: int
    job_id: int
    category: str
    severity: int
    confidence: float
    starts_at: datetime


class IncidentReviewed(CameraEvent):
    """A person confirmed or rejected an incident, or took that back."""

    type: ClassVar[str] = "incident.reviewed"
    incident_id: int
    job_id: int
    state: str


class JobEvent(Event):
    """Something about one job of the queue."""

    job_id: int
    kind: str
    camera_id: str | None
    status: str

    @property
    def key(self) -> str:
        """The job."""
        return f"job:{self.job_id}"


class JobQueued(JobEvent):
    """A job waits: it is new, asked for again, or a worker gave it back."""

    type: ClassVar[str] = "job.queued"
    reason: str | None = None


class JobStarted(JobEvent):
    """A worker took the job."""

    type: ClassVar[str] = "job.started"
    worker_id: str
    attempt: int


class JobProgress(JobEvent):
    """How far a job is."""

    type: ClassVar[str] = "job.progress"
    progress: int
    message: str


class JobCompleted(JobEvent):
    """A job is done and its result is stored."""

    type: ClassVar[str] = "job.completed"
    safety_score: int | None
    incident_count: int | None


class JobFailed(JobEvent):
    """A job ended without a result."""

    type: ClassVar[str] = "job.failed"
    error_code: str
    error_message: str


class JobCancelled(JobEvent):
    """A job was called off."""

    type: ClassVar[str] = "job.cancelled"


class WorkerChanged(Event):
    """A worker process came, began to drain, stopped, or was given up."""

    type: ClassVar[str] = "worker.changed"
    worker_id: str
    state: str

    @property
    def key(self) -> str:
        """The worker."""
        return f"worker:{self.worker_id}"


CATALOG: dict[str, type[Event]] = {
    event.type: event
    for event in (
        CameraChanged,
        CameraDeleted,
        CameraStateChanged,
        SegmentRecorded,
        SegmentDeleted,
        IncidentFound,
        IncidentReviewed,
        JobQueued,
        JobStarted,
        JobProgress,
        JobCompleted,
        JobFailed,
        JobCancelled,
        WorkerChanged,
    )
}
