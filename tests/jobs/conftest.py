"""A queue over each database, and workers' parts that need no process."""

from __future__ import annotations

import pytest

from backend.events.outbox import Outbox
from backend.jobs.service import JobQueue
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.kernel.retry import Backoff


@pytest.fixture
def queue(database: Database, nudges: Nudges) -> JobQueue:
    """The queue; a failed job is due again at once."""
    return JobQueue(database, Outbox(nudges), nudges, retry=Backoff(first_s=0, max_s=0))


@pytest.fixture
def registry(database: Database, nudges: Nudges) -> WorkerRegistry:
    """Workers silent for ten minutes are dead."""
    return WorkerRegistry(database, Outbox(nudges), silent_after_s=600.0)
