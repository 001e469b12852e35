"""What the receiver of a job's callbacks is told: with the cause, forwards only, one end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.callbacks import service as callbacks_module
from backend.callbacks.service import Callbacks
from backend.callbacks.tables import CallbackRow
from backend.callbacks.targets import CallbackTargets
from backend.events.outbox import Outbox
from backend.jobs.callbacks import JobCallbacks
from backend.jobs.schemas import JobOutcome, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import Priority
from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.kernel.retry import Backoff
from backend.speech.states import ErrorCode, error_code
from tests.jobs.steps import OLDEST, add, end_lease, take

URL = "http://backend.example:8000/api/v1/ml/ml-results"
FIVE = {str(code) for code in ErrorCode}
SPEECH = OLDEST.__class__("speech", newest_first=False)


def _queue(database: Database, nudges: Nudges, targets: CallbackTargets) -> JobQueue:
    callbacks = JobCallbacks(Callbacks(database, nudges, targets), codes=error_code)
    retry = Backoff(first_s=0, max_s=0)
    return JobQueue(database, Outbox(nudges), nudges, callbacks=callbacks, retry=retry)


@pytest.fixture
def queue(database: Database, nudges: Nudges) -> JobQueue:
    """A queue that tells."""
    return _queue(database, nudges, CallbackTargets(URL))


async def add_speech(database: Database, queue: JobQueue, **facts: Any) -> int:
    job = NewJob(kind="speech", callback_url=URL, callback_id="test-123", **facts)
    async with database.write() as session:
        return await queue.enqueue(session, job)


async def told(database: Database) -> list[dict[str, Any]]:
    """The bodies of all callbacks that were not overtaken by newer ones before they were sent."""
    async with database.read() as session:
        rows = (await session.scalars(select(CallbackRow).order_by(CallbackRow.id))).all()
    return [json.loads(row.body) for row in rows if row.state == "pending"]


async def all_progress(database: Database) -> list[int]:
    async with database.read() as session:
        rows = (await session.scalars(select(CallbackRow).order_by(CallbackRow.id))).all()
    return [row.progress for row in rows if row.progress is not None]


async def test_progress_and_result_are_told_as_the_contract_says(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add_speech(database, queue)
    claim, job = await take(queue, kind=SPEECH)
    await queue.progress(claim, job, 10, "Video ready")
    assert await told(database) == [
        {
            "job_id": "test-123",
            "status": "processing",
            "progress": 10,
            "message": "Video ready",
        }
    ]
    await queue.progress(claim, job, 25, "Audio extracted")
    await queue.complete(claim, job, JobOutcome({"metadata": {}, "segments": ["사람"]}))
    assert await told(database) == [
        {
            "job_id": "test-123",
            "status": "completed",
            "progress": 100,
            "result": {"metadata": {}, "segments": ["사람"]},
        }
    ]
    assert await all_progress(database) == [10, 25]
    async with database.read() as session:
        (last,) = (
            await session.scalars(select(CallbackRow).where(CallbackRow.kind == "result"))
        ).all()
    assert (last.job_id, last.subject, last.url) == (job_id, f"job:{job_id}", URL)
    assert last.trace_id == job.trace_id


async def test_a_scene_job_tells_its_receiver_by_its_own_id_and_codes(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue, callback_url=URL)
    await add(database, queue)
    claim, job = await take(queue)
    await queue.fail(claim, job, "no_video", "cannot be read", permanent=True)
    assert await told(database) == [
        {
            "job_id": str(job_id),
            "status": "failed",
            "progress": 0,
            "error_message": "cannot be read",
            "error_code": "no_video",
        }
    ]
    claim, job = await take(queue)  # nobody wants to hear of this one
    await queue.progress(claim, job, 50, "half")
    await queue.complete(claim, job, JobOutcome({}))
    assert len(await told(database)) == 1


async def test_an_end_that_is_rolled_back_leaves_no_callback(
    database: Database, queue: JobQueue
) -> None:
    async def refuse(_: AsyncSession) -> None:
        raise RuntimeError("no room for the report")

    async def store_late(session: AsyncSession) -> None:
        await session.flush()

    await add_speech(database, queue)
    claim, job = await take(queue, kind=SPEECH)
    with pytest.raises(RuntimeError, match="no room"):
        await queue.complete(claim, job, JobOutcome({}, store=refuse))
    assert await told(database) == []
    assert await queue.complete(claim, job, JobOutcome({"a": 1}, store=store_late))
    assert [body["status"] for body in await told(database)] == ["completed"]


async def test_one_who_lost_the_job_tells_nothing(database: Database, queue: JobQueue) -> None:
    job_id = await add_speech(database, queue)
    lost, job = await take(queue, "lost", kind=SPEECH)
    await end_lease(database, job_id)
    await queue.reap()
    assert not await queue.progress(lost, job, 40, "late")
    assert not await queue.complete(lost, job, JobOutcome({}))
    assert not await queue.fail(lost, job, "late", "late", permanent=True)
    assert await told(database) == []


async def test_progress_never_goes_back_over_another_attempt(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add_speech(database, queue)
    claim, job = await take(queue, kind=SPEECH)
    for percent in (10, 25, 40):
        await queue.progress(claim, job, percent, "first")
    await queue.fail(claim, job, "TRANSCRIPTION_ERROR", "once more", permanent=False)
    claim, job = await take(queue, kind=SPEECH)
    for percent in (10, 25, 40, 41):
        await queue.progress(claim, job, percent, "second")
    await end_lease(database, job_id)
    await queue.reap()
    claim, job = await take(queue, kind=SPEECH)
    for percent in (10, 75):
        await queue.progress(claim, job, percent, "third")
    # the receiver is told that it goes on, though the work has to catch up first
    assert await all_progress(database) == [10, 25, 40, 40, 40, 40, 41, 41, 75]
    await queue.fail(claim, job, "internal_error", "broken", permanent=True)
    (end,) = await told(database)
    assert (end["status"], end["progress"]) == ("failed", 75)


async def test_a_job_that_is_started_again_is_told_from_its_beginning(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add_speech(database, queue)
    claim, job = await take(queue, kind=SPEECH)
    await queue.progress(claim, job, 75, "first")
    await queue.fail(claim, job, "internal_error", "broken", permanent=True)
    await queue.retry(job_id)
    (again,) = await told(database)
    assert (again["status"], again["progress"], again["message"]) == (
        "processing",
        0,
        "started again",
    )
    claim, job = await take(queue, kind=SPEECH)
    await queue.progress(claim, job, 10, "second")
    assert [(one["status"], one["progress"]) for one in await told(database)] == [
        ("processing", 10)
    ]


async def test_handing_back_and_attempts_to_come_tell_nothing(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add_speech(database, queue)
    claim, job = await take(queue, kind=SPEECH)
    await queue.hand_back(claim, job, "its worker stopped")
    claim, job = await take(queue, kind=SPEECH)
    await queue.fail(claim, job, "internal_error", "once more", permanent=False)
    await take(queue, kind=SPEECH)
    await end_lease(database, job_id)
    await queue.reap()
    assert await told(database) == []


# --- every way to fail


async def _fails_for_good(database: Database, queue: JobQueue) -> None:
    claim, job = await take(queue, kind=SPEECH)
    await queue.fail(claim, job, "internal_error", "broken", permanent=True)


async def _fails_too_often(database: Database, queue: JobQueue) -> None:
    for _ in range(4):
        claim, job = await take(queue, kind=SPEECH)
        await queue.fail(claim, job, "timeout", "too slow", permanent=False)


async def _is_cancelled_while_it_waits(database: Database, queue: JobQueue) -> None:
    await queue.cancel(await _only(database))


async def _is_cancelled_while_it_runs(database: Database, queue: JobQueue) -> None:
    claim, job = await take(queue, kind=SPEECH)
    await queue.cancel(job.id)
    assert await told(database) == []
    await queue.finish_cancelled(claim, job)


async def _is_cancelled_and_its_worker_lost(database: Database, queue: JobQueue) -> None:
    _, job = await take(queue, kind=SPEECH)
    await queue.cancel(job.id)
    await end_lease(database, job.id)
    await queue.reap()


async def _loses_every_worker(database: Database, queue: JobQueue) -> None:
    for _ in range(4):
        _, job = await take(queue, kind=SPEECH)
        await end_lease(database, job.id)
        await queue.reap()


async def _is_given_up(database: Database, queue: JobQueue) -> None:
    job_id = await _only(database)
    async with database.write() as session:
        assert await queue.give_up(session, job_id, "archive_deleted", "its video is gone")


async def _only(database: Database) -> int:
    from backend.jobs.tables import JobRow

    async with database.read() as session:
        return (await session.scalars(select(JobRow.id))).one()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (_fails_for_good, "DOWNLOAD_ERROR"),
        (_fails_too_often, "PROCESSING_TIMEOUT"),
        (_is_cancelled_while_it_waits, "DOWNLOAD_ERROR"),
        (_is_cancelled_while_it_runs, "DOWNLOAD_ERROR"),
        (_is_cancelled_and_its_worker_lost, "DOWNLOAD_ERROR"),
        (_loses_every_worker, "INSUFFICIENT_RESOURCES"),
        (_is_given_up, "DOWNLOAD_ERROR"),
    ],
)
async def test_each_way_to_fail_is_told_once_with_a_code_of_the_contract(
    database: Database, queue: JobQueue, end: Any, code: str
) -> None:
    await add_speech(database, queue)
    await end(database, queue)
    (body,) = await told(database)
    assert set(body) == {"job_id", "status", "progress", "error_message", "error_code"}
    assert (body["job_id"], body["status"], body["progress"]) == ("test-123", "failed", 0)
    assert body["error_code"] == code
    assert body["error_code"] in FIVE
    assert body["error_message"]
    await queue.reap()
    assert len(await told(database)) == 1


async def test_two_who_end_a_job_at_once_tell_of_one_end(
    database: Database, queue: JobQueue
) -> None:
    for _ in range(3):
        job_id = await add_speech(database, queue)
        before = len(await told(database))
        ended = await asyncio.gather(
            *(queue.cancel(job_id) for _ in range(4)), return_exceptions=True
        )
        assert any(not isinstance(one, BaseException) for one in ended)
        assert len(await told(database)) == before + 1


# --- receivers that cannot be told


async def test_a_result_that_no_receiver_takes_fails_the_job_once_for_good(
    database: Database, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks_module, "MOST_BODY_BYTES", 1000)
    job_id = await add_speech(database, queue)
    claim, job = await take(queue, kind=SPEECH)
    await queue.progress(claim, job, 75, "nearly")
    assert await queue.complete(claim, job, JobOutcome({"text": "x" * 2000}))
    failed = await queue.read(job_id)
    assert (failed.status, failed.error_code) == ("failed", "callback_too_large")
    assert failed.analysis_result is None
    (body,) = await told(database)
    assert (body["status"], body["error_code"]) == ("failed", "INSUFFICIENT_RESOURCES")


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
async def test_a_result_that_the_database_does_not_take_fails_the_job_once_for_good(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add_speech(database, queue)
    claim, job = await take(queue, kind=SPEECH)
    async with database.read() as session:
        most_bytes = await session.scalar(text("SELECT @@max_allowed_packet"))
    assert await queue.complete(claim, job, JobOutcome({"text": "x" * most_bytes}))
    failed = await queue.read(job_id)
    assert (failed.status, failed.error_code) == ("failed", "statement_too_large")
    (body,) = await told(database)
    assert (body["status"], body["error_code"]) == ("failed", "INSUFFICIENT_RESOURCES")


async def test_a_receiver_that_is_not_allowed_any_more_holds_nothing_up(
    database: Database, queue: JobQueue, nudges: Nudges
) -> None:
    """The settings changed since the job was taken on; whoever ends it must be able to."""
    ids = [await add_speech(database, queue) for _ in range(2)]
    changed = _queue(database, nudges, CallbackTargets("http://other.example:8000"))
    await changed.cancel(ids[0])
    for _ in range(4):
        _, job = await take(changed, kind=SPEECH)
        await end_lease(database, job.id)
        assert await changed.reap() == 1
    assert [(await changed.read(one)).status for one in ids] == ["cancelled", "failed"]
    assert await told(database) == []


# --- handing back with another priority, and places


async def test_a_job_can_be_handed_back_with_another_priority(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add_speech(database, queue, priority=Priority.HIGH)
    claim, job = await take(queue, kind=SPEECH)
    await queue.hand_back(claim, job, "downloaded", priority=Priority.NORMAL)
    waiting = await queue.read(job_id)
    assert (waiting.priority, waiting.retry_count, waiting.status) == (50, 0, "pending")
    claim, job = await take(queue, kind=SPEECH)
    await queue.hand_back(claim, job, "its worker stopped")
    assert (await queue.read(job_id)).priority == Priority.NORMAL
