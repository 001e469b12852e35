"""Progress on its way to the database: in order, marks kept, and repeated for a receiver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from backend.jobs import progress as progress_module
from backend.jobs.progress import ProgressReport
from backend.jobs.queries import Claim
from backend.jobs.schemas import JobDetail, NewJob
from backend.jobs.service import JobQueue
from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from tests.jobs.steps import OLDEST
from tests.waiting import until

URL = "http://127.0.0.1:8080/api/v1/ml/ml-results"


class Noting(JobQueue):
    """A queue that keeps what it is told, and may be away."""

    told: list[tuple[int, str]]
    is_away = False

    async def progress(self, claim: Claim, job: JobDetail, percent: int, message: str) -> bool:
        if self.is_away:
            raise ConnectionRefusedError
        self.told.append((percent, message))
        return await super().progress(claim, job, percent, message)


Start = Callable[..., Any]


@pytest.fixture
def start(sqlite: Database, nudges: Nudges, monkeypatch: pytest.MonkeyPatch) -> Start:
    """A running job with its writer, which is quick."""
    from backend.events.outbox import Outbox

    monkeypatch.setattr(progress_module, "INTERVAL_S", 0.005)
    monkeypatch.setattr(progress_module, "REPEAT_S", 0.05)

    @asynccontextmanager
    async def running(
        callback_url: str | None = None,
    ) -> AsyncIterator[tuple[ProgressReport, Noting]]:
        queue = Noting(sqlite, Outbox(nudges), nudges)
        queue.told = []
        async with sqlite.write() as session:
            await queue.enqueue(session, NewJob(kind="scene", callback_url=callback_url))
        (job,) = await queue.claim(OLDEST, 1, "one", 30)
        report = ProgressReport(queue, Claim(job.id, job.attempt, "one"), job)
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(report.write())
            yield report, queue
            writer.cancel()

    return running


async def test_marks_are_kept_and_what_is_between_them_may_be_overtaken(start: Start) -> None:
    async with start() as (report, queue):
        for percent in range(1, 101):
            report.put(percent, f"at {percent}")
        await report.flush()
    assert [percent for percent, _ in queue.told] == [10, 25, 40, 75, 99]


async def test_progress_never_goes_back(start: Start) -> None:
    async with start() as (report, queue):
        for percent in (10, 9, 10, 25, 3, 40):
            report.put(percent, f"at {percent}")
        await report.flush()
    assert [percent for percent, _ in queue.told] == [10, 25, 40]


async def test_a_silent_stage_is_told_again_where_somebody_waits_for_it(start: Start) -> None:
    async with start(URL) as (report, queue):
        report.put(40, "Speakers")
        await until(lambda: len(queue.told) >= 4)
    assert set(queue.told) == {(40, "Speakers")}


async def test_nothing_is_told_again_where_nobody_waits(start: Start) -> None:
    async with start() as (report, queue):
        report.put(40, "Speakers")
        await until(lambda: queue.told)
        async with start(URL) as (other, noting):  # by when this one was told again, so often
            other.put(1, "x")
            await until(lambda: len(noting.told) >= 4)
        assert queue.told == [(40, "Speakers")]


async def test_before_the_first_word_there_is_nothing_to_repeat(start: Start) -> None:
    async with start(URL) as (_, queue), start(URL) as (other, noting):
        other.put(1, "x")
        await until(lambda: len(noting.told) >= 4)
        assert queue.told == []


async def test_an_outage_of_the_database_ends_neither_the_work_nor_the_repeating(
    start: Start,
) -> None:
    async with start(URL) as (report, queue):
        queue.is_away = True
        report.put(10, "lost on the way")
        await report.flush()
        queue.is_away = False
        await until(lambda: queue.told)
        report.put(75, "later")
        await until(lambda: (75, "later") in queue.told)
    assert queue.told[0] == (10, "lost on the way")


async def test_an_outage_of_the_database_loses_no_mark(start: Start) -> None:
    async with start() as (report, queue):
        report.put(10, "Video ready")
        await report.flush()
        queue.is_away = True
        for percent in (25, 26, 40):
            report.put(percent, f"at {percent}")
            await report.flush()
        queue.is_away = False
        await until(lambda: (40, "at 40") in queue.told)
    assert [percent for percent, _ in queue.told] == [10, 25, 40]


def test_a_receiver_hears_of_a_long_stage_within_its_thirty_seconds() -> None:
    assert progress_module.REPEAT_S + progress_module.INTERVAL_S < 30
