"""The job table: the contract's columns and what a lease-based queue needs; worker processes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Integer, SmallInteger, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from backend.jobs.states import JobStatus, Priority, WorkerState
from backend.kernel.db import Base, BigId, JsonColumn, UtcDateTime, utc_now


class JobRow(Base):
    """One job. `attempt` is the fence: it grows at every claim and guards every later write.

    The budget is `retry_count` of `max_retries`; `worker_id` is the owner while processing.
    """

    __tablename__ = "analysis_jobs"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(32), server_default="scene")
    camera_id: Mapped[str | None] = mapped_column(String(50))
    video_path: Mapped[str | None] = mapped_column(String(500))
    segment_start: Mapped[datetime | None] = mapped_column(UtcDateTime)
    segment_end: Mapped[datetime | None] = mapped_column(UtcDateTime)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    status: Mapped[str] = mapped_column(
        String(16), default=JobStatus.PENDING, server_default="pending"
    )
    priority: Mapped[int] = mapped_column(
        SmallInteger, default=Priority.NORMAL, server_default="50"
    )
    run_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    attempt: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    retry_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    max_retries: Mapped[int] = mapped_column(Integer, default=3, server_default="3")
    worker_id: Mapped[str | None] = mapped_column(String(100))
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    dedup_key: Mapped[str | None] = mapped_column(String(190), unique=True)
    trace_id: Mapped[str | None] = mapped_column(String(36))
    callback_url: Mapped[str | None] = mapped_column(String(2000))
    callback_progress: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    """What the receiver was told last."""
    callback_id: Mapped[str | None] = mapped_column(String(190))
    """What the receiver of its callbacks knows the job by."""
    progress: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    stage: Mapped[str | None] = mapped_column(String(500))
    analysis_result: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    safety_score: Mapped[int | None] = mapped_column(Integer)
    incident_count: Mapped[int | None] = mapped_column(Integer)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint(
            "status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')",
            name="status",
        ),
        # gives the order of a claim, so that no backlog is sorted or locked
        Index("ix_analysis_jobs_claim", "status", "kind", "priority", "run_at", "id"),
        # few jobs run and few fail: finds their leases, and lists one status in order
        Index("ix_analysis_jobs_status_id", "status", "id"),
        Index("ix_analysis_jobs_camera_id_status", "camera_id", "status"),
        Index("ix_analysis_jobs_segment_start", "segment_start"),
        Index("ix_analysis_jobs_completed_at", "completed_at"),
        {"sqlite_autoincrement": True},  # an id is never given twice, not even after a clean-up
    )


class WorkerRow(Base):
    """A worker process, alive while its heartbeat is recent. `instance` tells namesakes apart."""

    __tablename__ = "worker_processes"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    instance: Mapped[str] = mapped_column(String(36))
    hostname: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    slots: Mapped[dict[str, int]] = mapped_column(JsonColumn)
    state: Mapped[str] = mapped_column(String(16), default=WorkerState.RUNNING)
    jobs_done: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    jobs_failed: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    info: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    started_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    heartbeat_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )


class JobPartRow(Base):
    """What an attempt has finished of a job, kept for the next attempt until the job is done."""

    __tablename__ = "job_parts"

    job_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[Any] = mapped_column(JsonColumn)
