"""What the queue promises, on every database: the conformance suite."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, text

from backend.events.outbox import Outbox
from backend.events.tables import EventRow
from backend.jobs.claims import KindOrder
from backend.jobs.queries import JobFilter
from backend.jobs.schemas import JobOutcome, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus, Priority
from backend.jobs.tables import JobRow
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database
from backend.kernel.errors import Conflict, NotFound
from backend.kernel.nudge import JOBS, NudgeListener, Nudges
from backend.kernel.retry import Backoff
from tests.jobs.steps import NEWEST, OLDEST, add, end_lease, take
from tests.waiting import until


async def events_of(database: Database, job_id: int) -> list[str]:
    async with database.read() as session:
        rows = await session.scalars(
            select(EventRow.type).where(EventRow.key == f"job:{job_id}").order_by(EventRow.id)
        )
        return list(rows.all())


async def test_a_job_goes_from_pending_to_completed_with_its_result(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue, camera_id="gate")
    claim, job = await take(queue)
    assert (job.id, job.status, job.attempt, job.worker_id) == (job_id, "processing", 1, "one")
    assert await queue.progress(claim, job, 40, "half of it")
    assert await queue.complete(claim, job, JobOutcome({"incidents": []}, 97, 0))
    done = await queue.read(job_id)
    assert (done.status, done.progress, done.safety_score) == (JobStatus.COMPLETED, 100, 97)
    assert done.analysis_result == {"incidents": []}
    assert done.created_at <= done.started_at <= done.completed_at  # type: ignore[operator]
    expected = ["job.queued", "job.started", "job.progress", "job.completed"]
    assert await events_of(database, job_id) == expected


async def test_a_job_and_its_event_are_rolled_back_with_their_cause(
    database: Database, queue: JobQueue
) -> None:
    with pytest.raises(RuntimeError, match="cause failed"):
        async with database.write() as session:
            await queue.enqueue(session, NewJob(kind="scene"))
            raise RuntimeError("cause failed")
    async with database.read() as session:
        assert (await session.scalars(select(JobRow))).all() == []
        assert (await session.scalars(select(EventRow))).all() == []


async def test_enqueueing_nudges_only_after_the_commit(
    database: Database, queue: JobQueue, tmp_path
) -> None:
    async with NudgeListener(tmp_path / "run", JOBS, "one") as listener:
        async with database.write() as session:
            await queue.enqueue(session, NewJob(kind="scene"))
            await asyncio.sleep(0.05)
            assert not listener.woken.is_set()
        await until(listener.woken.is_set)


async def test_a_known_dedup_key_adds_no_second_job(database: Database, queue: JobQueue) -> None:
    first = await add(database, queue, dedup_key="a")
    assert await add(database, queue, dedup_key="a") == first
    assert (await queue.state()).pending == 1


async def test_two_who_enqueue_the_same_key_at_once_get_one_job(
    database: Database, queue: JobQueue
) -> None:
    ids = await asyncio.gather(*(add(database, queue, dedup_key="same") for _ in range(8)))
    assert len(set(ids)) == 1
    assert (await queue.state()).pending == 1


@pytest.mark.parametrize(("kind", "expected"), [(OLDEST, "first"), (NEWEST, "last")])
async def test_the_backlog_goes_in_the_kinds_order(
    database: Database, queue: JobQueue, kind: KindOrder, expected: str
) -> None:
    for name in ("first", "middle", "last"):
        await add(database, queue, camera_id=name)
    _, job = await take(queue, kind=kind)
    assert job.camera_id == expected


async def test_a_high_priority_goes_before_an_older_job(
    database: Database, queue: JobQueue
) -> None:
    await add(database, queue, camera_id="old")
    await add(database, queue, camera_id="urgent", priority=Priority.HIGH)
    _, job = await take(queue)
    assert job.camera_id == "urgent"


async def test_other_kinds_are_left_alone(database: Database, queue: JobQueue) -> None:
    await add(database, queue)
    assert await queue.claim(KindOrder("speech", newest_first=False), 5, "one", 30) == []


async def test_no_job_is_claimed_twice_by_many_at_once(database: Database, queue: JobQueue) -> None:
    for _ in range(40):
        await add(database, queue)

    async def claim_all(worker: str) -> list[int]:
        mine: list[int] = []
        while jobs := await queue.claim(OLDEST, 3, worker, 30):
            mine += [job.id for job in jobs]
        return mine

    taken = await asyncio.gather(*(claim_all(f"worker {n}") for n in range(6)))
    ids = [job_id for mine in taken for job_id in mine]
    assert len(ids) == len(set(ids))
    # a claimer passes over what others hold, and may leave empty-handed while they decide
    ids += await claim_all("the last")
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) == 40


async def test_a_failed_job_is_tried_again_until_its_budget_is_spent(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue, max_retries=2)
    for _ in range(3):
        claim, job = await take(queue)
        assert await queue.fail(claim, job, "busy", "later, please", permanent=False)
    ended = await queue.read(job_id)
    assert (ended.status, ended.retry_count, ended.error_message) == ("failed", 2, "later, please")
    assert await queue.claim(OLDEST, 1, "one", 30) == []


async def test_a_permanent_error_is_not_retried(database: Database, queue: JobQueue) -> None:
    job_id = await add(database, queue)
    claim, job = await take(queue)
    await queue.fail(claim, job, "video_unreadable", "no video in it", permanent=True)
    ended = await queue.read(job_id)
    assert (ended.status, ended.retry_count) == ("failed", 0)
    assert (await events_of(database, job_id))[-1] == "job.failed"


async def test_a_retry_waits_for_a_growing_delay(database: Database, nudges: Nudges) -> None:
    queue = JobQueue(database, Outbox(nudges), nudges, retry=Backoff(first_s=6000, max_s=60_000))
    job_id = await add(database, queue)
    claim, job = await take(queue)
    await queue.fail(claim, job, "busy", "later", permanent=False)
    waiting = await queue.read(job_id)
    assert waiting.status == JobStatus.PENDING
    waits_s = (waiting.run_at - waiting.created_at).total_seconds()
    assert 4000 <= waits_s <= 6000 + 300  # what the attempt took is in it
    assert await queue.claim(OLDEST, 1, "one", 30) == []


async def test_a_dead_workers_job_is_taken_over_and_costs_a_retry(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    await take(queue, "dead")
    assert await queue.reap() == 0
    await end_lease(database, job_id)
    assert await queue.reap() == 1
    claim, job = await take(queue, "alive")
    assert (job.id, job.attempt, job.retry_count) == (job_id, 2, 1)
    assert await queue.complete(claim, job, JobOutcome({}))


async def test_a_job_that_kills_its_workers_ends_after_its_attempts_with_that_reason(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue, max_retries=3)
    for _ in range(4):
        await take(queue)
        await end_lease(database, job_id)
        assert await queue.reap() == 1
    ended = await queue.read(job_id)
    assert (ended.status, ended.error_code, ended.attempt) == ("failed", "worker_lost", 4)


async def test_a_stale_workers_writes_are_refused(database: Database, queue: JobQueue) -> None:
    job_id = await add(database, queue)
    stale, old = await take(queue, "stale")
    await end_lease(database, job_id)
    await queue.reap()
    fresh, new = await take(queue, "fresh")
    assert not await queue.progress(stale, old, 75, "still here")
    assert not await queue.complete(stale, old, JobOutcome({"from": "stale"}, 1, 9))
    assert not await queue.fail(stale, old, "x", "y", permanent=True)
    assert not await queue.hand_back(stale, old, "z")
    assert await queue.extend([stale, fresh], 30) == [stale]
    assert await queue.complete(fresh, new, JobOutcome({"from": "fresh"}, 99, 0))
    assert (await queue.read(job_id)).analysis_result == {"from": "fresh"}


async def test_the_same_worker_cannot_use_an_earlier_attempts_claim(
    database: Database, queue: JobQueue
) -> None:
    await add(database, queue)
    first, job = await take(queue, "one")
    await queue.hand_back(first, job, "drained")
    await take(queue, "one")
    assert not await queue.complete(first, job, JobOutcome({}))


async def test_a_handed_back_job_costs_no_retry_and_is_due_at_once(
    database: Database, queue: JobQueue
) -> None:
    await add(database, queue)
    claim, job = await take(queue)
    assert await queue.hand_back(claim, job, "its worker stopped")
    _, again = await take(queue, "two")
    assert (again.retry_count, again.attempt) == (0, 2)


async def test_a_waiting_job_is_cancelled_at_once(database: Database, queue: JobQueue) -> None:
    job_id = await add(database, queue)
    assert (await queue.cancel(job_id)).status == JobStatus.CANCELLED
    assert await queue.claim(OLDEST, 1, "one", 30) == []
    with pytest.raises(Conflict):
        await queue.cancel(job_id)


async def test_a_running_job_is_cancelled_through_its_worker(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    claim, job = await take(queue)
    assert (await queue.cancel(job_id)).cancel_requested
    assert await queue.cancel_requests("one") == [claim]
    assert await queue.cancel_requests("another") == []
    assert await queue.finish_cancelled(claim, job)
    assert (await queue.read(job_id)).status == JobStatus.CANCELLED


async def test_a_cancelled_job_of_a_dead_worker_is_not_run_again(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    await take(queue)
    await queue.cancel(job_id)
    await end_lease(database, job_id)
    await queue.reap()
    assert (await queue.read(job_id)).status == JobStatus.CANCELLED


async def test_a_failed_job_can_be_started_again_with_a_fresh_budget(
    database: Database, queue: JobQueue
) -> None:
    job_id = await add(database, queue)
    claim, job = await take(queue)
    with pytest.raises(Conflict):
        await queue.retry(job_id)
    await queue.fail(claim, job, "broken", "for good", permanent=True)
    again = await queue.retry(job_id)
    assert (again.status, again.retry_count) == (JobStatus.PENDING, 0)
    assert (await take(queue))[1].id == job_id


async def test_an_unknown_job_is_not_found(database: Database, queue: JobQueue) -> None:
    for call in (queue.read, queue.cancel, queue.retry):
        with pytest.raises(NotFound):
            await call(4711)


async def test_a_job_given_up_from_outside_says_why(database: Database, queue: JobQueue) -> None:
    job_id = await add(database, queue)
    async with database.write() as session:
        assert await queue.give_up(session, job_id, "archive_removed", "the disk was full")
    ended = await queue.read(job_id)
    assert (ended.status, ended.error_code) == ("failed", "archive_removed")


async def test_pages_go_through_all_jobs_newest_first(database: Database, queue: JobQueue) -> None:
    ids = [await add(database, queue, camera_id="gate") for _ in range(5)]
    await add(database, queue, camera_id="yard")
    wanted = JobFilter(camera_id="gate", status=(JobStatus.PENDING,))
    seen: list[int] = []
    cursor = None
    while True:
        page = await queue.page(wanted, cursor, 2)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == sorted(ids, reverse=True)


async def test_the_state_counts_what_waits_and_for_how_long(
    database: Database, queue: JobQueue
) -> None:
    for _ in range(2):
        await add(database, queue)
    await take(queue)
    state = await queue.state()
    assert (state.pending, state.processing) == (1, 1)
    assert state.oldest_pending_age_s is not None
    assert 0 <= state.oldest_pending_age_s < 60


async def test_finished_jobs_are_forgotten_when_they_are_old(
    database: Database, queue: JobQueue
) -> None:
    done = await add(database, queue)
    claim, job = await take(queue)
    await queue.complete(claim, job, JobOutcome({}))
    waiting = await add(database, queue)
    assert await queue.delete_old(older_than_s=3600) == 0
    assert await queue.delete_old(older_than_s=-1) == 1
    with pytest.raises(NotFound):
        await queue.read(done)
    assert (await queue.read(waiting)).status == JobStatus.PENDING


async def test_a_namesake_takes_over_a_worker_and_its_jobs(
    database: Database, queue: JobQueue, registry: WorkerRegistry
) -> None:
    facts = {"hostname": "here", "pid": 1, "slots": {"scene": 1}, "info": {}}
    await registry.register("one", "first", **facts)  # type: ignore[arg-type]
    job_id = await add(database, queue)
    await take(queue, "one")
    (view,) = await registry.views()
    assert view.alive
    assert [job.id for job in view.current_jobs] == [job_id]
    await registry.register("one", "second", **facts)  # type: ignore[arg-type]
    assert not await registry.heartbeat("one", "first", done=0, failed=0)
    assert await registry.heartbeat("one", "second", done=1, failed=0)
    assert await queue.reap() == 1


async def test_a_silent_worker_is_marked_dead(database: Database, registry: WorkerRegistry) -> None:
    facts = {"hostname": "here", "pid": 1, "slots": {"scene": 1}, "info": {}}
    await registry.register("one", "first", **facts)  # type: ignore[arg-type]
    assert await registry.reap_silent() == 0
    async with database.write() as session:
        earlier = {
            "mysql": "UTC_TIMESTAMP(6) - INTERVAL 1 HOUR",
            "postgresql": "(clock_timestamp() AT TIME ZONE 'utc') - INTERVAL '1 hour'",
            "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 hour') || '000'",
        }[database.dialect]
        await session.execute(text(f"UPDATE worker_processes SET heartbeat_at = {earlier}"))
    assert await registry.reap_silent() == 1
    (view,) = await registry.views()
    assert (view.state, view.alive) == ("dead", False)
