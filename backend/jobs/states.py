"""States of a job and of a worker process."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from backend.kernel.state_machine import StateMachine


class JobStatus(StrEnum):
    """Where a job stands; the stored value."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB = StateMachine(
    name="job",
    initial=JobStatus.PENDING,
    moves={
        JobStatus.PENDING: frozenset({JobStatus.PROCESSING, JobStatus.FAILED, JobStatus.CANCELLED}),
        JobStatus.PROCESSING: frozenset(
            {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.PENDING}
        ),
        JobStatus.COMPLETED: frozenset(),
        JobStatus.FAILED: frozenset({JobStatus.PENDING}),
        JobStatus.CANCELLED: frozenset({JobStatus.PENDING}),
    },
)


class WorkerState(StrEnum):
    """What a worker process does; `dead` is said of one whose heartbeat stopped."""

    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"
    DEAD = "dead"


class Priority(IntEnum):
    """Which jobs of a kind go first; a person waits for the high ones."""

    HIGH = 10
    NORMAL = 50
    LOW = 90
