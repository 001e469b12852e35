"""What recorders have to tell the database, in order, without ever waiting for it.

A recorder hands over a write and goes on. The ledger, a service of the main process, does them one
after the other; while the database is away they wait, and nothing is lost: what is still waiting
when the process ends is found again on disk at the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from backend.kernel.clock import wait, wait_any
from backend.kernel.db import is_disconnect
from backend.kernel.retry import Backoff

log = structlog.get_logger(__name__)

RECONNECT = Backoff(first_s=0.2, max_s=5)
WRITE_WITHIN_S = 30.0
FLUSH_WITHIN_S = 5.0

Write = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class _Entry:
    what: str
    write: Write
    replaces: str | None


class Ledger:
    """A queue of writes, each safe to repeat. A service: `run(stop)`."""

    def __init__(self, *, reconnect: Backoff = RECONNECT) -> None:
        self._waiting: list[_Entry] = []
        self._came = asyncio.Event()
        self._is_away = False
        self._reconnect = reconnect

    def put(self, what: str, write: Write, *, replaces: str | None = None) -> None:
        """Have something written, after all that was put before.

        While the database is away, a later write that `replaces` the same thing takes the place of
        the earlier one: a camera that comes and goes for days would fill the memory otherwise.
        """
        if self._is_away and replaces is not None:
            for entry in self._waiting[1:]:  # the first one may be under way
                if entry.replaces == replaces:
                    entry.write = write
                    return
        self._waiting.append(_Entry(what, write, replaces))
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
                await wait_any(self._came, stop)
        try:
            async with asyncio.timeout(FLUSH_WITHIN_S):
                await self._write_all(asyncio.Event())
        except TimeoutError:
            log.warning("left unwritten", action="ledger.unwritten", waiting=len(self._waiting))

    async def _write_all(self, stop: asyncio.Event) -> None:
        failures = 0
        while self._waiting and not stop.is_set():
            entry = self._waiting[0]
            try:
                async with asyncio.timeout(WRITE_WITHIN_S):
                    await entry.write()
            except Exception as error:
                if is_disconnect(error):
                    failures += 1
                    await self._bear(failures, stop)
                    continue
                log.exception("could not be written", action="ledger.failed", what=entry.what)
            failures = 0
            self._is_away = False
            self._waiting.pop(0)

    async def _bear(self, failures: int, stop: asyncio.Event) -> None:
        """Wait for a database that is away; said once."""
        if not self._is_away:
            self._is_away = True
            log.warning(
                "database unreachable, writes wait",
                action="ledger.waiting",
                waiting=len(self._waiting),
            )
        await wait(stop, self._reconnect.delay_s(failures))
