"""Places of their own for some priorities, and a bound on what all workers run together."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from backend.jobs.claims import KindOrder
from backend.jobs.queries import Claim
from backend.jobs.schemas import JobDetail, JobOutcome, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import Priority
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database
from backend.worker import SPEECH, SPEECH_DOWNLOAD, _kinds, _slots


async def _add(database: Database, queue: JobQueue, *priorities: Priority) -> list[int]:
    async with database.write() as session:
        return [
            await queue.enqueue(session, NewJob(kind="speech", priority=priority))
            for priority in priorities
        ]


async def _ids(queue: JobQueue, kind: KindOrder, limit: int, worker: str = "one") -> list[int]:
    return [job.id for job in await queue.claim(kind, limit, worker, 30)]


async def test_downloads_are_claimed_by_their_own_places_alone(
    database: Database, queue: JobQueue
) -> None:
    normal, high, low = await _add(database, queue, Priority.NORMAL, Priority.HIGH, Priority.LOW)
    assert await _ids(queue, SPEECH_DOWNLOAD, 9) == [high]
    assert await _ids(queue, SPEECH, 9) == [normal, low]
    assert await _ids(queue, SPEECH_DOWNLOAD, 9) == []


async def test_a_download_waits_behind_no_analysis_and_no_analysis_behind_a_download(
    database: Database, queue: JobQueue
) -> None:
    await _add(database, queue, *[Priority.NORMAL] * 100)
    (high,) = await _add(database, queue, Priority.HIGH)
    assert await _ids(queue, SPEECH_DOWNLOAD, 1) == [high]
    order = replace(SPEECH, most_running=3)
    assert len(await _ids(queue, order, 2)) == 2  # the running download counts for nothing
    assert len(await _ids(queue, order, 2)) == 1
    assert await _ids(queue, order, 2) == []


async def test_a_place_that_is_freed_is_taken_again(database: Database, queue: JobQueue) -> None:
    await _add(database, queue, *[Priority.NORMAL] * 3)
    order = replace(SPEECH, most_running=1)
    (job,) = await queue.claim(order, 5, "one", 30)
    assert await _ids(queue, order, 5, "two") == []
    await queue.complete(Claim(job.id, job.attempt, "one"), job, JobOutcome({}))
    (job,) = await queue.claim(order, 5, "two", 30)
    await queue.hand_back(Claim(job.id, job.attempt, "two"), job, "its worker stopped")
    assert len(await _ids(queue, order, 5, "one")) == 1


async def test_all_workers_together_run_no_more_than_the_bound(
    database: Database, queue: JobQueue, registry: WorkerRegistry
) -> None:
    order = replace(SPEECH, most_running=10)
    for number in range(6):
        name = f"worker {number}"
        await registry.register(name, name, hostname="here", pid=1, slots={"speech": 4}, info={})
    await _add(database, queue, *[Priority.NORMAL] * 40)
    for _ in range(4):
        claimed: list[list[JobDetail]] = await asyncio.gather(
            *(queue.claim(order, 4, f"worker {number}", 30) for number in range(6))
        )
        running = [job for jobs in claimed for job in jobs]
        assert len({job.id for job in running}) == len(running) == 10
        for job in running:
            claim = Claim(job.id, job.attempt, str(job.worker_id))
            assert await queue.complete(claim, job, JobOutcome({}))


# --- what an operator says of them


@pytest.mark.parametrize(
    ("text", "kinds", "slots"),
    [
        ("1", "speech,speech_download", {"speech": 1, "speech_download": 4}),
        ("2", "speech,speech_download", {"speech": 2, "speech_download": 4}),
        ("speech=3", "speech,speech_download", {"speech": 3, "speech_download": 4}),
        ("speech_download=2", "speech,speech_download", {"speech": 1, "speech_download": 2}),
        ("2,speech_download=9", "speech,speech_download", {"speech": 2, "speech_download": 9}),
        (
            "speech=2, speech_download=1",
            "speech,speech_download",
            {"speech": 2, "speech_download": 1},
        ),
        ("2", "speech_download", {"speech_download": 4}),
        ("2", "speech", {"speech": 2}),
        ("3", "scene", {"scene": 3}),
    ],
)
def test_slots_are_said_for_all_or_for_each(text: str, kinds: str, slots: dict[str, int]) -> None:
    assert _slots(text, _kinds(kinds), downloads=4) == slots


@pytest.mark.parametrize("text", ["", "0", "-1", "257", "x", "speech=0", "speech=", "nobody=1"])
def test_slots_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--slots"):
        _slots(text, _kinds(None), downloads=4)


def test_a_worker_takes_every_kind_unless_told_otherwise() -> None:
    assert set(_kinds(None)) >= {"scene", "speech", "speech_download"}
    with pytest.raises(ValueError, match="nobody"):
        _kinds("scene,nobody")
