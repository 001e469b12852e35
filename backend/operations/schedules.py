"""What the main process does again and again: retention, reaping, clean-ups.

A service over APScheduler. Work that fails is logged and done again at its next time; work that is
still running is not started twice. While the database is down each piece of work says so once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from backend.kernel.db import is_disconnect

log = structlog.get_logger(__name__)

ENDS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Repeated:
    """Work that is done every so many seconds, the first time after one interval."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[object]]


class Schedules:
    """Runs repeated work. A service: `run(stop)`."""

    def __init__(self, repeated: Sequence[Repeated]) -> None:
        self._repeated = repeated
        self._waits_for_database: set[str] = set()
        self._under_way: set[asyncio.Future[object]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the schedule until stopped; work under way then has a moment, and is cancelled.

        Most is a statement or two, and one that is cancelled in the middle was seen to keep the
        process from ending.
        """
        scheduler = AsyncIOScheduler(timezone=UTC)
        for one in self._repeated:
            scheduler.add_job(
                self._do,
                "interval",
                args=(one,),
                id=one.name,
                seconds=one.every_s,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )
        scheduler.start()
        try:
            await stop.wait()
            scheduler.remove_all_jobs()
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=ENDS_WITHIN_S)
        finally:
            scheduler.shutdown(wait=False)

    async def _do(self, one: Repeated) -> None:
        work = asyncio.ensure_future(one.work())
        self._under_way.add(work)
        try:
            await work
        except Exception as error:  # the edge: the schedule goes on whatever its work raises
            if not is_disconnect(error):
                log.exception("scheduled work failed", action="schedule.failed", work=one.name)
            elif one.name not in self._waits_for_database:
                self._waits_for_database.add(one.name)
                log.warning(
                    "scheduled work waits for the database",
                    action="schedule.db_down",
                    work=one.name,
                )
        else:
            if one.name in self._waits_for_database:
                self._waits_for_database.discard(one.name)
                log.info("scheduled work goes on", action="schedule.db_back", work=one.name)
        finally:
            self._under_way.discard(work)
