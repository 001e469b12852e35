"""What the database and the disk say of VAP's state, read when somebody asks.

A service of the main process. `get()` never waits longer than its time limit, whatever the
database does: reading happens in the service's own task, one at a time, and an answer is shared by
all who ask within a second. A reading that took long is shared for longer, so that nobody can load
the database by asking for its health.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog
from sqlalchemy import text

from backend.callbacks.schemas import CallbackCounts
from backend.jobs.schemas import QueueState
from backend.jobs.service import JobQueue
from backend.jobs.workers import WorkerRegistry
from backend.kernel.clock import Clock, SystemClock, wait, wait_any
from backend.kernel.db import Database, is_disconnect
from backend.media.archive import DiskUsage

log = structlog.get_logger(__name__)

FRESH_S = 1.0
FRESH_PER_SECOND_OF_READING = 20.0
FRESH_AT_MOST_S = 30.0
ANSWER_WITHIN_S = 2.0
READ_WITHIN_S = 10.0
IDLE_LOOK_S = 60.0


class Account(Protocol):
    """What models cost today, for one camera or (`camera_id` is empty) for all."""

    @property
    def camera_id(self) -> str:
        """Whose it is."""

    @property
    def spent_microusd(self) -> int:
        """Spent, and held for calls that run."""

    @property
    def calls(self) -> int:
        """Calls that ended."""


CameraCounts = Callable[[], Awaitable[Mapping[str, int]]]
Accounts = Callable[[], Awaitable[Sequence[Account]]]
BreakerStates = Callable[[], Awaitable[Mapping[str, bool]]]
Deliveries = Callable[[], Awaitable[CallbackCounts]]


@dataclass(frozen=True, slots=True)
class DatabaseVitals:
    """What only the database knows. `latency_s` is one round trip.

    `breakers`: by backend, whether nobody asks it now.
    """

    latency_s: float
    queue: QueueState
    cameras: Mapping[str, int]
    workers_alive: int
    accounts: Sequence[Account]
    breakers: Mapping[str, bool]
    callbacks: CallbackCounts


@dataclass(frozen=True, slots=True)
class VitalSigns:
    """One look. `database` is None while it cannot be read; `disk` is that of DATA_DIR."""

    database: DatabaseVitals | None
    disk: DiskUsage | None


class Vitals:
    """Reads vital signs on demand. A service: `run(stop)`."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        workers: WorkerRegistry,
        *,
        cameras: CameraCounts,
        accounts: Accounts,
        breakers: BreakerStates,
        callbacks: Deliveries,
        data_dir: Path,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._workers = workers
        self._cameras = cameras
        self._accounts = accounts
        self._breakers = breakers
        self._callbacks = callbacks
        self._data_dir = data_dir
        self._clock = clock or SystemClock()
        self._wanted = asyncio.Event()
        self._read = asyncio.Event()
        self._latest: DatabaseVitals | None = None
        self._fresh_until = float("-inf")

    @property
    def dialect(self) -> str:
        """Which database it is."""
        return self._database.dialect

    async def run(self, stop: asyncio.Event) -> None:
        """Read whenever somebody asks, until stopped."""
        while not stop.is_set():
            await wait_any(self._wanted, stop, timeout_s=IDLE_LOOK_S)
            if not self._wanted.is_set():
                continue
            self._wanted.clear()
            started = self._clock.monotonic()
            self._latest = await self._look()
            now = self._clock.monotonic()
            self._fresh_until = now + self._shared_for_s(now - started)
            self._read.set()
            self._read = asyncio.Event()

    async def get(self) -> VitalSigns:
        """The state of now, or of a second ago; within two seconds."""
        database = self._latest
        if self._clock.monotonic() >= self._fresh_until:
            read = self._read
            self._wanted.set()
            database = self._latest if await wait(read, ANSWER_WITHIN_S) else None
        return VitalSigns(database, self._disk())

    def _shared_for_s(self, took_s: float) -> float:
        if self._latest is None:
            return FRESH_S
        return min(max(FRESH_S, FRESH_PER_SECOND_OF_READING * took_s), FRESH_AT_MOST_S)

    async def _look(self) -> DatabaseVitals | None:
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                return await self._ask_database()
        except Exception as error:
            if not is_disconnect(error):
                raise
            return None

    async def _ask_database(self) -> DatabaseVitals:
        async with self._database.read() as session:
            await session.execute(text("SELECT 1"))  # connects, so that this is not measured
            started = self._clock.monotonic()
            await session.execute(text("SELECT 1"))
            latency_s = self._clock.monotonic() - started
        views = await self._workers.views()
        return DatabaseVitals(
            latency_s=latency_s,
            queue=await self._queue.state(),
            cameras=await self._cameras(),
            workers_alive=sum(view.alive for view in views),
            accounts=await self._accounts(),
            breakers=await self._breakers(),
            callbacks=await self._callbacks(),
        )

    def _disk(self) -> DiskUsage | None:
        try:
            usage = shutil.disk_usage(self._data_dir)
        except OSError:
            return None
        return DiskUsage(free_bytes=usage.free, total_bytes=usage.total)
