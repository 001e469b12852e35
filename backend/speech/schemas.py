"""Bodies of the speech contract, and what the page gets."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from backend.jobs.states import JobStatus
from backend.speech.states import SpeechStatus

JobId = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=190, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]


_JOB_ID = TypeAdapter(JobId)


def is_job_id(text: str) -> bool:
    """Whether there may be a job of this id: what a database cannot store it is not asked for."""
    try:
        _JOB_ID.validate_python(text)
    except ValidationError:
        return False
    return True


def _storable(text: str) -> str:
    return text.replace("\x00", "")  # no database takes it


def _json(value: dict[str, Any]) -> dict[str, Any]:
    json.dumps(value, allow_nan=False)  # 1e999 is JSON, and infinite by the time it is read
    return value


Sentence = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_storable)]


class ProcessVideo(BaseModel):
    """`POST /api/upload-video/process-video`; fields that nobody named are ignored."""

    model_config = ConfigDict(strict=True)
    job_id: JobId
    video_url: Annotated[str, StringConstraints(min_length=1, max_length=8000)]


class Accepted(BaseModel):
    """The answer of the contract; `estimated_time` in seconds."""

    job_id: str
    status: SpeechStatus = SpeechStatus.ACCEPTED
    message: str = "Processing started"
    estimated_time: int


class MlResult(BaseModel):
    """A callback, as the receiving side takes it."""

    model_config = ConfigDict(extra="ignore")
    job_id: JobId
    status: SpeechStatus
    progress: Annotated[float, Field(strict=True, ge=0, le=100)] = 0
    message: Sentence | None = None
    result: Annotated[dict[str, Any], AfterValidator(_json)] | None = None
    error_message: Sentence | None = None
    error_code: (
        Annotated[str, StringConstraints(max_length=64), AfterValidator(_storable)] | None
    ) = None


class MlReceipt(BaseModel):
    """What the receiving side answers; `applied` is false for what came late or twice."""

    job_id: str
    status: SpeechStatus
    progress: int
    applied: bool


class JobStatusView(BaseModel):
    """Where a job stands at the receiving side."""

    model_config = ConfigDict(from_attributes=True)
    job_id: str
    status: SpeechStatus
    progress: int
    message: str | None
    result: dict[str, Any] | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime


class NewSpeechJob(BaseModel):
    """A video by its address, from the page."""

    model_config = ConfigDict(extra="forbid")
    video_url: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8000)
    ]


class SpeechJobSummary(BaseModel):
    """A speech job in a list."""

    job_id: str
    queue_job_id: int
    filename: str
    status: JobStatus
    progress: int
    stage: str | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    completed_at: datetime | None
    has_video: bool


class SpeechJobView(SpeechJobSummary):
    """A speech job with what was heard."""

    result: dict[str, Any] | None
