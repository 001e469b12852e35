"""What the queue takes and tells: jobs, workers and counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from backend.jobs.states import JobStatus, Priority, WorkerState


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be added. `video_path` is relative to DATA_DIR; times are aware UTC."""

    kind: str
    camera_id: str | None = None
    video_path: str | None = None
    segment_start: datetime | None = None
    segment_end: datetime | None = None
    payload: dict[str, Any] | None = None
    priority: Priority = Priority.NORMAL
    dedup_key: str | None = None
    max_retries: int = 3
    callback_url: str | None = None
    callback_id: str | None = None


Store = Callable[[AsyncSession], Awaitable[None]]
"""Writes what belongs to the end of an attempt, in its transaction, so only for whom the job still
is; it may be called more than once, each time in a new one."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What a finished job leaves behind; `store` writes what else belongs to the result."""

    result: dict[str, Any]
    safety_score: int | None = None
    incident_count: int | None = None
    store: Store | None = None


class JobSummary(BaseModel):
    """A job in a list; the contract's column names."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    kind: str
    camera_id: str | None
    video_path: str | None
    segment_start: datetime | None
    segment_end: datetime | None
    status: JobStatus
    priority: int
    progress: int
    stage: str | None
    safety_score: int | None
    incident_count: int | None
    error_code: str | None
    error_message: str | None
    retry_count: int
    max_retries: int
    attempt: int
    worker_id: str | None
    cancel_requested: bool
    trace_id: str | None
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


class JobDetail(JobSummary):
    """A job with its result."""

    analysis_result: dict[str, Any] | None
    payload: dict[str, Any] | None
    callback_url: str | None = Field(None, exclude=True)
    callback_id: str | None = Field(None, exclude=True)


class CurrentJob(BaseModel):
    """What a worker is busy with."""

    id: int
    kind: str
    camera_id: str | None
    progress: int
    stage: str | None
    started_at: datetime | None


class WorkerView(BaseModel):
    """A worker process; `alive` while its heartbeat is recent."""

    name: str
    hostname: str
    pid: int
    state: WorkerState
    alive: bool
    slots: dict[str, int]
    jobs_done: int
    jobs_failed: int
    info: dict[str, Any] | None
    started_at: datetime
    heartbeat_at: datetime
    current_jobs: list[CurrentJob]


class QueueState(BaseModel):
    """How much waits and runs; the age in seconds of the job that waits longest."""

    counts: dict[str, dict[str, int]]
    pending: int
    processing: int
    oldest_pending_age_s: float | None
