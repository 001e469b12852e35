"""A running job's progress on its way to the database: in order, never backwards, never in the way.

Whoever works calls `put` and goes on. A writer task stores what came, leaving out what newer
progress overtook, but never one of the marks that clients wait for.
"""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from backend.jobs.queries import Claim
from backend.jobs.schemas import JobDetail
from backend.jobs.service import JobQueue
from backend.kernel.clock import wait
from backend.kernel.db import is_disconnect

log = structlog.get_logger(__name__)

MARKS = frozenset({10, 25, 40, 75})
INTERVAL_S = 0.5
REPEAT_S = 20.0
"""A receiver of callbacks hears of a long stage again after so long: it waits for 30 s."""


class ProgressReport:
    """Progress of one attempt at one job."""

    def __init__(self, queue: JobQueue, claim: Claim, job: JobDetail) -> None:
        self._queue = queue
        self._claim = claim
        self._job = job
        self._waiting: deque[tuple[int, str]] = deque()
        self._highest = -1
        self._last: tuple[int, str] | None = None
        self._came = asyncio.Event()
        self._storing = asyncio.Lock()

    def put(self, percent: int, message: str) -> None:
        """Note how far the job is; what is not further than before is left out."""
        percent = min(percent, 99)  # 100 comes with the result
        if percent <= self._highest:
            return
        if self._waiting and self._waiting[-1][0] not in MARKS:
            self._waiting.pop()
        self._highest = percent
        self._last = (percent, message)
        self._waiting.append(self._last)
        self._came.set()

    async def write(self) -> None:
        """Store what comes, at most every half second, until cancelled."""
        never = asyncio.Event()
        while True:
            if not await wait(self._came, REPEAT_S) and self._job.callback_url is not None:
                self._repeat()
            await self.flush()
            await wait(never, INTERVAL_S)

    def _repeat(self) -> None:
        if self._last is not None and not self._waiting:
            self._waiting.append(self._last)

    async def flush(self) -> None:
        """Store what is waiting now."""
        async with self._storing:
            self._came.clear()
            while self._waiting:
                percent, message = self._waiting.popleft()
                try:
                    await self._queue.progress(self._claim, self._job, percent, message)
                except Exception as error:  # the edge: progress is news, not the result
                    if not is_disconnect(error):
                        log.exception("progress could not be stored", action="job.progress_lost")
                        return
                    self._waiting.appendleft((percent, message))  # once the database is back
                    self._came.set()
                    return
