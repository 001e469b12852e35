"""What recorders have to tell the database, in order, without ever waiting for it.

A recorder hands over a write and goes on. The ledger, a service of the main process, does them one
after the other; while the database is away they wait, and nothing is lost: what is still waiting
when the process ends is found again on disk at the next start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from backend.kernel.clock import wait
from backend.kernel.db import is_disconnect
from backend.kernel.retry import Backoff

log = structlog.get_logger(__name__)

RECONNECT = Backoff(first_s=0.2, max_s=5)
FLUSH_WITHIN_S = 5.0

Write = Callable[[], Awaitable[object]]


class Ledger:
    """A queue of writes. A service: `run(stop)`."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Write]] = deque()
        self._came = asyncio.Event()

    def put(self, what: str, write: Write) -> None:
        """Have something written, after all that was put before."""
        self._waiting.append((what, write))
        self._came.set()

    def __len__(self) -> int:
        """How much waits."""
        return len(self._waiting)

    async def run(self, stop: asyncio.Event) -> None:
        """Write until stopped, then what is left, within a few seconds."""
        while not stop.is_set():
            await self._write_all(stop)
            self._came.clear()
            if not self._waiting:
                await wait_for_either(self._came, stop)
        flushed = asyncio.Event()
        try:
            async with asyncio.timeout(FLUSH_WITHIN_S):
                await self._write_all(flushed)
        except TimeoutError:
            log.warning("left unwritten", action="ledger.unwritten", waiting=len(self._waiting))

    async def _write_all(self, stop: asyncio.Event) -> None:
        failures = 0
        while self._waiting and not stop.is_set():
            what, write = self._waiting[0]
            try:
                await write()
            except Exception as error:
                if is_disconnect(error):
                    failures += 1
                    if failures == 1:
                        log.warning(
                            "database unreachable, writes wait",
                            action="ledger.waiting",
                            waiting=len(self._waiting),
                        )
                    await wait(stop, RECONNECT.delay_s(failures))
                    continue
                log.exception("could not be written", action="ledger.failed", what=what)
            failures = 0
            self._waiting.popleft()


async def wait_for_either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Return when one of two events is set."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.wait()), group.create_task(other.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
