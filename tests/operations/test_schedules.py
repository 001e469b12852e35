"""Scheduled work is done again and again, whatever it raises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.exc import OperationalError

from backend.operations import schedules as schedules_module
from backend.operations.schedules import Repeated, Schedules
from tests.waiting import WITHIN_S, until


@asynccontextmanager
async def _running(*repeated: Repeated) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.timeout(2 * WITHIN_S), asyncio.TaskGroup() as group:
        group.create_task(Schedules(repeated).run(stop))
        yield
        stop.set()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    actions: list[str] = []
    for level in ("info", "warning", "exception"):
        monkeypatch.setattr(
            schedules_module.log, level, lambda _, **facts: actions.append(facts["action"])
        )
    return actions


async def test_work_that_fails_is_logged_and_done_again(logged: list[str]) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs <= 2:
            raise RuntimeError("bug")

    async with _running(Repeated("work", 0.02, work)):
        await until(lambda: runs >= 4)
    assert logged == ["schedule.failed"] * 2


async def test_a_database_that_is_down_is_said_once_and_so_is_its_return(
    logged: list[str],
) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs <= 5:
            raise OperationalError("UPDATE", {}, Exception("gone away"))

    async with _running(Repeated("work", 0.02, work)):
        await until(lambda: runs >= 8)
    assert logged == ["schedule.db_down", "schedule.db_back"]


async def test_work_that_takes_long_is_not_started_twice_and_holds_nothing_up() -> None:
    inside, most, quick = 0, 0, 0
    release = asyncio.Event()

    async def slow() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await release.wait()
        inside -= 1

    async def fast() -> None:
        nonlocal quick
        quick += 1

    async with _running(Repeated("slow", 0.02, slow), Repeated("fast", 0.02, fast)):
        await until(lambda: most and quick > 10)
        assert most == 1
        release.set()


async def test_work_under_way_is_cancelled_when_the_schedule_stops() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with _running(Repeated("endless", 0.02, endless)):
        await began.wait()
    await until(cancelled.is_set)


async def test_work_under_way_may_end_when_the_schedule_stops() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    ended = 0

    async def work() -> None:
        nonlocal ended
        begun.set()
        await may_end.wait()
        ended += 1

    stop = asyncio.Event()
    async with asyncio.timeout(2 * WITHIN_S), asyncio.TaskGroup() as group:
        running = group.create_task(Schedules([Repeated("work", 0.02, work)]).run(stop))
        await begun.wait()
        stop.set()
        await asyncio.sleep(0)
        assert not running.done()
        may_end.set()
    assert ended == 1
