"""What attempts leave for the next one, and what is stored with a result, on every database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.tables import EventRow
from backend.jobs.schemas import JobOutcome
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus
from backend.jobs.tables import JobPartRow, JobRow
from backend.kernel.db import Database, utc_now
from tests.jobs.steps import OLDEST, add, end_lease, take

PART = {"windows": [1, 2.5, None], "said": "사람 \N{CAMERA}", "deep": {"x": {"y": []}}}


async def parts_in_table(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(JobPartRow)) or 0


async def test_parts_come_back_as_they_were_and_are_replaced_by_name(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    other_id = await add(database, queue)
    claim, _ = await take(queue)
    assert await queue.load_parts(job_id) == {}
    assert await queue.save_part(claim, "window 1", {"old": True})
    assert await queue.save_part(claim, "window 2", [1, 2])
    assert await queue.save_part(claim, "window 1", PART)
    assert await queue.load_parts(job_id) == {"window 1": PART, "window 2": [1, 2]}
    assert await queue.load_parts(other_id) == {}


async def test_a_part_that_is_saved_again_unchanged_is_still_ours(
    database: Database, queue: JobQueue
) -> None:
    """A server that counts changed rows would say that the claim is lost."""
    job_id = await add(database, queue)
    claim, _ = await take(queue)
    for _ in range(3):
        assert await queue.save_part(claim, "window 1", PART)
    assert await queue.load_parts(job_id) == {"window 1": PART}


async def test_parts_survive_a_takeover_and_a_stale_worker_saves_none(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    lost, _ = await take(queue, "lost")
    assert await queue.save_part(lost, "window 1", 1)
    await end_lease(database, job_id)
    assert await queue.reap() == 1
    assert not await queue.save_part(lost, "window 2", "nobody has the job")
    claim, job = await take(queue, "new")
    assert job.attempt == 2
    assert not await queue.save_part(lost, "window 1", "another worker has the job")
    assert await queue.load_parts(job_id) == {"window 1": 1}
    assert await queue.save_part(claim, "window 2", 2)
    assert await queue.load_parts(job_id) == {"window 1": 1, "window 2": 2}


async def test_a_namesake_of_an_older_attempt_saves_no_part(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    before, job = await take(queue)
    await queue.hand_back(before, job, "its worker stopped")
    await take(queue)
    assert not await queue.save_part(before, "window 1", 1)
    assert await queue.load_parts(job_id) == {}


async def test_a_completed_job_leaves_no_parts(database: Database, queue: JobQueue) -> None:
    done, other = await add(database, queue), await add(database, queue)
    claim, job = await take(queue)
    other_claim, _ = await take(queue)
    await queue.save_part(claim, "window 1", 1)
    await queue.save_part(other_claim, "window 1", 2)
    assert await queue.complete(claim, job, JobOutcome({}))
    assert await queue.load_parts(done) == {}
    assert await queue.load_parts(other) == {"window 1": 2}


async def test_a_failed_attempt_and_a_retry_keep_the_parts(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue, max_retries=1)
    claim, job = await take(queue)
    await queue.save_part(claim, "window 1", 1)
    await queue.fail(claim, job, "busy", "later", permanent=False)
    assert await queue.load_parts(job_id) == {"window 1": 1}
    claim, job = await take(queue)
    await queue.fail(claim, job, "busy", "no more", permanent=False)
    assert (await queue.read(job_id)).status == JobStatus.FAILED
    assert await queue.load_parts(job_id) == {"window 1": 1}
    await queue.retry(job_id)
    claim, job = await take(queue)
    await queue.hand_back(claim, job, "its worker stopped")
    assert await queue.load_parts(job_id) == {"window 1": 1}


async def test_parts_go_with_old_jobs_and_only_with_those(
    database: Database, queue: JobQueue
) -> None:
    await add(database, queue)
    claim, job = await take(queue)
    await queue.save_part(claim, "window 1", 1)
    await queue.fail(claim, job, "broken", "for good", permanent=True)
    waiting = await add(database, queue)
    claim, job = await take(queue)
    await queue.save_part(claim, "window 1", 2)
    await queue.hand_back(claim, job, "its worker stopped")
    assert await queue.delete_old(older_than_s=3600) == 0
    assert await parts_in_table(database) == 2
    assert await queue.delete_old(older_than_s=-1) == 1
    assert await parts_in_table(database) == 1
    assert await queue.load_parts(waiting) == {"window 1": 2}


# --- handing back for later


async def test_a_job_handed_back_for_later_is_not_claimed_before_and_costs_no_retry(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    claim, job = await take(queue)
    assert await queue.hand_back(claim, job, "the model is busy", after_s=120)
    async with database.read() as session:
        run_at, now = (
            await session.execute(select(JobRow.run_at, utc_now()).where(JobRow.id == job_id))
        ).one()
    assert 60 < (run_at - now).total_seconds() <= 120
    waiting = await queue.read(job_id)
    assert (waiting.status, waiting.retry_count, waiting.worker_id) == ("pending", 0, None)
    assert waiting.stage == "the model is busy"
    assert await queue.claim(OLDEST, 1, "one", 30) == []


async def test_a_job_handed_back_is_due_at_once_or_when_its_time_has_come(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    for after_s in (0.0, -5.0):
        claim, job = await take(queue)
        assert await queue.hand_back(claim, job, "its worker stopped", after_s=after_s)
    claim, job = await take(queue)
    await queue.hand_back(claim, job, "the model is busy", after_s=120)
    async with database.write() as session:
        row = await session.get_one(JobRow, job_id)
        row.run_at = utc_now()
    _, job = await take(queue)
    assert (job.id, job.attempt, job.retry_count) == (job_id, 4, 0)


async def test_one_who_lost_the_claim_hands_nothing_back(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    lost, job = await take(queue, "lost")
    await end_lease(database, job_id)
    await queue.reap()
    await take(queue, "new")
    assert not await queue.hand_back(lost, job, "too late", after_s=120)
    assert (await queue.read(job_id)).worker_id == "new"


# --- what is stored with a result, or with what an attempt achieved


def _storing(**broken: bool) -> Callable[[AsyncSession], Awaitable[None]]:
    """Stores an event, which stands for any row, and may then fail."""

    async def store(session: AsyncSession) -> None:
        session.add(EventRow(event_id="stored", type="t", key="k", payload={}))
        await session.flush()
        if broken.get("fails"):
            raise RuntimeError("no room for the report")

    return store


async def _stored(database: Database) -> int:
    async with database.read() as session:
        count = select(func.count()).select_from(EventRow).where(EventRow.event_id == "stored")
        return await session.scalar(count) or 0


async def test_what_an_attempt_achieved_is_stored_with_handing_back_and_by_the_owner_alone(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    lost, job = await take(queue, "lost")
    await end_lease(database, job_id)
    await queue.reap()
    claim, job = await take(queue, "new")
    assert not await queue.hand_back(lost, job, "downloaded", store=_storing())
    assert await _stored(database) == 0
    with pytest.raises(RuntimeError, match="no room"):
        await queue.hand_back(claim, job, "downloaded", store=_storing(fails=True))
    assert await _stored(database) == 0
    assert (await queue.read(job_id)).status == "processing"
    assert await queue.hand_back(claim, job, "downloaded", store=_storing())
    assert await _stored(database) == 1


async def test_what_belongs_to_a_result_is_stored_with_it(
    database: Database, queue: JobQueue
) -> None:
    await add(database, queue)
    claim, job = await take(queue)
    assert await queue.complete(claim, job, JobOutcome({}, store=_storing()))
    assert await _stored(database) == 1


async def test_an_error_while_storing_leaves_the_job_as_it_was_and_nothing_stored(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    claim, job = await take(queue)
    await queue.save_part(claim, "window 1", 1)
    with pytest.raises(RuntimeError, match="no room"):
        await queue.complete(claim, job, JobOutcome({"a": 1}, 90, 0, _storing(fails=True)))
    still = await queue.read(job_id)
    assert (still.status, still.analysis_result, still.worker_id) == ("processing", None, "one")
    assert await queue.load_parts(job_id) == {"window 1": 1}
    assert await _stored(database) == 0
    async with database.read() as session:
        types = (await session.scalars(select(EventRow.type))).all()
    assert "job.completed" not in types
    assert await queue.complete(claim, job, JobOutcome({"a": 1}, store=_storing()))
    assert await _stored(database) == 1


async def test_a_lost_claim_stores_nothing(database: Database, queue: JobQueue) -> None:
    job_id = await add(database, queue)
    lost, job = await take(queue, "lost")
    await queue.save_part(lost, "window 1", 1)
    await end_lease(database, job_id)
    await queue.reap()
    called: list[Any] = []

    async def store(session: AsyncSession) -> None:
        called.append(session)

    assert not await queue.complete(lost, job, JobOutcome({}, store=store))
    assert called == []
    assert await queue.load_parts(job_id) == {"window 1": 1}
