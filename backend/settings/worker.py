"""How workers take jobs, and how long what they did is kept."""

from __future__ import annotations

from pydantic import Field

from backend.settings.group import Group


class WorkerSettings(Group):
    """How workers take jobs, and when others give up on them."""

    poll_seconds: float = Field(
        5,
        alias="WORKER_POLL_SECONDS",
        gt=0,
        le=3600,
        description="Longest wait in seconds between two looks for jobs.",
    )
    lease_seconds: float = Field(
        30,
        alias="WORKER_LEASE_SECONDS",
        ge=2,
        description="Seconds without a heartbeat after which a worker's jobs go to another.",
    )
    drain_seconds: float = Field(
        300,
        alias="WORKER_DRAIN_SECONDS",
        ge=0,
        description="Seconds a stopping worker lets its jobs finish before it hands them back.",
    )
    job_history_days: float = Field(
        90,
        alias="JOB_HISTORY_DAYS",
        gt=0,
        description="Days that finished jobs are kept.",
    )
    event_history_days: float = Field(
        7,
        alias="EVENT_HISTORY_DAYS",
        gt=0,
        description="Days that events are kept for the page and for other systems.",
    )
