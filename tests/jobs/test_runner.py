"""The worker's loop, in this process, with handlers that a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from backend.events.outbox import Outbox
from backend.jobs.claims import KindOrder
from backend.jobs.kinds import HandBack, JobContext, JobError, JobKind
from backend.jobs.runner import NameTaken, WorkerIdentity, WorkerRunner
from backend.jobs.schemas import JobDetail, JobOutcome, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus
from backend.jobs.tables import JobRow
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database, utc_after
from backend.kernel.nudge import JOBS, NudgeListener, Nudges
from backend.kernel.retry import Backoff

SCENE = KindOrder("scene", newest_first=False)
WITHIN_S = 15


class Bench:
    """One worker over a SQLite database."""

    def __init__(self, database: Database, nudges: Nudges, run_dir: Path) -> None:
        outbox = Outbox(nudges)
        self.database = database
        self.queue = JobQueue(database, outbox, nudges, retry=Backoff(first_s=0, max_s=0))
        self.registry = WorkerRegistry(database, outbox, silent_after_s=5)
        self.run_dir = run_dir

    async def add(self) -> int:
        async with self.database.write() as session:
            return await self.queue.enqueue(session, NewJob(kind="scene", camera_id="gate"))

    @asynccontextmanager
    async def worker(
        self, run: Callable[[JobContext], object], **options: float
    ) -> AsyncIterator[tuple[WorkerRunner, asyncio.Event]]:
        slots = int(options.pop("slots", 1))
        settings = {"poll_s": 60.0, "lease_s": 5.0, "drain_s": 10.0, **options}
        timeout_s = settings.pop("timeout_s", 30.0)
        async with NudgeListener(self.run_dir, JOBS, "one") as nudge:
            runner = WorkerRunner(
                self.queue,
                self.registry,
                {"scene": JobKind(SCENE, timeout_s, run)},  # type: ignore[arg-type]
                WorkerIdentity("one", "first", "here", 1, {"scene": slots}, "0"),
                nudge,
                **settings,
            )
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(runner.run(stop))
                yield runner, stop
                stop.set()

    async def until(self, job_id: int, condition: Callable[[JobDetail], bool]) -> JobDetail:
        async with asyncio.timeout(WITHIN_S):
            while True:
                job = await self.queue.read(job_id)
                if condition(job):
                    return job
                await asyncio.sleep(0.02)


@pytest.fixture
def bench(sqlite: Database, nudges: Nudges, tmp_path: Path) -> Bench:
    return Bench(sqlite, nudges, tmp_path / "run")


def ended(job: JobDetail) -> bool:
    return job.status in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


async def until_cancelled(context: JobContext) -> JobOutcome:
    await context.cancel.wait()
    raise HandBack("told to stop")


async def test_a_nudged_worker_starts_long_before_its_next_poll(bench: Bench) -> None:
    async def work(context: JobContext) -> JobOutcome:
        return JobOutcome({"seen": context.job.id}, safety_score=88, incident_count=2)

    async with bench.worker(work, poll_s=600):
        done = await bench.until(await bench.add(), ended)
    assert (done.status, done.safety_score, done.incident_count) == ("completed", 88, 2)


async def test_progress_passes_every_mark_in_order(bench: Bench) -> None:
    async def work(context: JobContext) -> JobOutcome:
        for percent in (10, 12, 25, 40, 33, 75):
            context.progress(percent, f"at {percent}")
        return JobOutcome({})

    async with bench.worker(work):
        job_id = await bench.add()
        await bench.until(job_id, ended)
    from sqlalchemy import select

    from backend.events.tables import EventRow

    async with bench.database.read() as session:
        rows = await session.scalars(
            select(EventRow.payload).where(EventRow.type == "job.progress").order_by(EventRow.id)
        )
        seen = [(row["progress"], row["message"]) for row in rows]
    assert [percent for percent, _ in seen if percent != 12] == [10, 25, 40, 75]
    assert seen[-1] == (75, "at 75")


async def test_a_worker_never_runs_more_jobs_than_it_has_slots(bench: Bench) -> None:
    running, most = 0, 0

    async def work(context: JobContext) -> JobOutcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return JobOutcome({})

    ids = [await bench.add() for _ in range(12)]
    async with bench.worker(work, slots=3):
        for job_id in ids:
            await bench.until(job_id, ended)
    assert most == 3


async def test_a_running_job_is_cancelled_within_two_seconds(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    async with bench.worker(until_cancelled):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        asked = loop.time()
        await bench.queue.cancel(job_id)
        job = await bench.until(job_id, ended)
        assert loop.time() - asked < 2
    assert job.status == JobStatus.CANCELLED


async def test_a_job_past_its_deadline_is_stopped_and_counts_as_a_failure(bench: Bench) -> None:
    async with bench.worker(until_cancelled, timeout_s=0.1):
        job_id = await bench.add()
        job = await bench.until(job_id, ended)
    assert (job.status, job.error_code, job.retry_count) == ("failed", "timeout", 3)


async def test_a_handler_that_ignores_cancel_is_cut_off(bench: Bench) -> None:
    async def deaf(context: JobContext) -> JobOutcome:
        await asyncio.sleep(3600)
        return JobOutcome({})

    async with bench.worker(deaf, slots=2):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        await bench.queue.cancel(job_id)
        assert (await bench.until(job_id, ended)).status == JobStatus.CANCELLED


@pytest.mark.parametrize("permanent", [True, False])
async def test_a_failed_job_says_why(bench: Bench, permanent: bool) -> None:
    async def work(context: JobContext) -> JobOutcome:
        raise JobError("video_unreadable", "there is no video in it", permanent=permanent)

    async with bench.worker(work):
        job = await bench.until(await bench.add(), ended)
    assert (job.error_code, job.error_message) == ("video_unreadable", "there is no video in it")
    assert job.retry_count == (0 if permanent else 3)


async def test_a_bug_in_a_handler_ends_the_attempt_and_not_the_worker(bench: Bench) -> None:
    async def work(context: JobContext) -> JobOutcome:
        if context.job.retry_count < 2:
            raise ZeroDivisionError("secret detail")
        return JobOutcome({})

    async with bench.worker(work):
        job = await bench.until(await bench.add(), ended)
    assert (job.status, job.retry_count) == ("completed", 2)


async def test_a_stopping_worker_lets_its_jobs_finish_and_takes_no_new_ones(bench: Bench) -> None:
    release = asyncio.Event()

    async def work(context: JobContext) -> JobOutcome:
        await release.wait()
        return JobOutcome({})

    async with bench.worker(work) as (_, stop):
        first = await bench.add()
        await bench.until(first, lambda job: job.status == JobStatus.PROCESSING)
        stop.set()
        second = await bench.add()
        await asyncio.sleep(0.1)
        release.set()
    assert (await bench.queue.read(first)).status == JobStatus.COMPLETED
    assert (await bench.queue.read(second)).status == JobStatus.PENDING


async def test_a_second_signal_hands_running_jobs_back_unharmed(bench: Bench) -> None:
    async with bench.worker(until_cancelled) as (runner, stop):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        stop.set()
        runner.hand_back.set()
    job = await bench.queue.read(job_id)
    assert (job.status, job.retry_count, job.worker_id) == ("pending", 0, None)


async def test_a_drain_that_takes_too_long_hands_back(bench: Bench) -> None:
    async with bench.worker(until_cancelled, drain_s=0.2):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
    assert (await bench.queue.read(job_id)).status == JobStatus.PENDING


async def test_a_worker_that_lost_its_claim_throws_its_result_away(bench: Bench) -> None:
    release = asyncio.Event()

    async def work(context: JobContext) -> JobOutcome:
        await release.wait()
        return JobOutcome({"from": "the old owner"})

    async with bench.worker(work, lease_s=600):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        async with bench.database.write() as session:
            await session.execute(update(JobRow).values(locked_until=utc_after(-1)))
        assert await bench.queue.reap() == 1
        (job,) = await bench.queue.claim(SCENE, 1, "another", 600)
        release.set()
    job = await bench.queue.read(job_id)
    assert (job.status, job.worker_id, job.analysis_result) == ("processing", "another", None)


async def test_leases_are_kept_while_a_job_runs_longer_than_one(bench: Bench) -> None:
    release = asyncio.Event()

    async def work(context: JobContext) -> JobOutcome:
        await release.wait()
        return JobOutcome({})

    async with bench.worker(work, lease_s=0.9):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        for _ in range(20):
            await bench.queue.reap()
            await asyncio.sleep(0.1)
        release.set()
        job = await bench.until(job_id, ended)
    assert (job.status, job.attempt) == ("completed", 1)


async def test_a_worker_whose_name_is_taken_stops(bench: Bench) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with bench.worker(until_cancelled, lease_s=0.6):
            job_id = await bench.add()
            await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
            await bench.registry.register(
                "one", "second", hostname="here", pid=2, slots={"scene": 1}, info={}
            )
            async with asyncio.timeout(WITHIN_S):
                await asyncio.Event().wait()
    assert caught.group_contains(NameTaken) or caught.group_contains(TimeoutError)
    assert caught.group_contains(NameTaken)
