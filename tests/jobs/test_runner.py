"""The worker's loop, in this process, with handlers that a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from backend.events.outbox import Outbox
from backend.jobs import runner as runner_module
from backend.jobs.claims import KindOrder
from backend.jobs.kinds import HandBack, JobContext, JobError, JobKind
from backend.jobs.queries import Claim
from backend.jobs.runner import NameTaken, WorkerIdentity, WorkerRunner
from backend.jobs.schemas import JobDetail, JobOutcome, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus
from backend.jobs.tables import JobRow
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database, database_url, utc_after
from backend.kernel.nudge import JOBS, NudgeListener, Nudges
from backend.kernel.packets import StatementTooLarge
from backend.kernel.retry import Backoff
from tests.jobs.steps import end_lease
from tests.waiting import WITHIN_S, until

SCENE = KindOrder("scene", newest_first=False)


class Bench:
    """One worker over a SQLite database."""

    def __init__(self, database: Database, nudges: Nudges, run_dir: Path) -> None:
        outbox = Outbox(nudges)
        self.database = database
        self.queue = JobQueue(database, outbox, nudges, retry=Backoff(first_s=0, max_s=0))
        self.registry = WorkerRegistry(database, outbox, silent_after_s=600)
        self.run_dir = run_dir

    async def add(self) -> int:
        async with self.database.write() as session:
            return await self.queue.enqueue(session, NewJob(kind="scene", camera_id="gate"))

    @asynccontextmanager
    async def worker(
        self, run: Callable[[JobContext], object], **options: float
    ) -> AsyncIterator[tuple[WorkerRunner, asyncio.Event]]:
        slots = int(options.pop("slots", 1))
        settings = {"poll_s": 60.0, "lease_s": 5.0, "drain_s": 60.0, **options}
        timeout_s = settings.pop("timeout_s", 600.0)
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
        async def found() -> JobDetail | None:
            job = await self.queue.read(job_id)
            return job if condition(job) else None

        return await until(found)


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
    async with bench.worker(until_cancelled, poll_s=600, lease_s=600):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        await bench.queue.cancel(job_id)
        job = await bench.until(job_id, ended)  # by a pulse: all else comes after minutes
    assert runner_module.PULSE_S <= 1
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


async def test_a_drain_does_not_wait_for_a_database_that_is_away(bench: Bench) -> None:
    tried = asyncio.Event()

    async def refuse(*_: object) -> bool:
        tried.set()
        raise ConnectionRefusedError

    async def work(_: JobContext) -> JobOutcome:
        return JobOutcome({})

    bench.queue.complete = refuse  # type: ignore[method-assign]
    async with asyncio.timeout(WITHIN_S), bench.worker(work, drain_s=0.2):
        job_id = await bench.add()
        await tried.wait()
    assert (await bench.queue.read(job_id)).status == JobStatus.PROCESSING  # until its lease ends


async def test_a_worker_that_lost_its_claim_throws_its_result_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "PULSE_S", 600.0)  # it does not hear of it meanwhile
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


async def test_leases_are_kept_while_a_job_runs_longer_than_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "PULSE_S", 0.02)
    release = asyncio.Event()
    extend, cancel_requests = bench.queue.extend, bench.queue.cancel_requests
    pulses = [0]  # from one extension to the next; each takes PULSE_S or longer

    async def noted_extend(claims: Sequence[Claim], lease_s: float) -> list[Claim]:
        pulses.append(0)
        return await extend(claims, lease_s)

    async def noted_pulse(worker_id: str) -> list[Claim]:
        pulses[-1] += 1
        return await cancel_requests(worker_id)

    monkeypatch.setattr(bench.queue, "extend", noted_extend)
    monkeypatch.setattr(bench.queue, "cancel_requests", noted_pulse)

    async def work(context: JobContext) -> JobOutcome:
        await release.wait()
        return JobOutcome({})

    async def lease_ends_at() -> datetime:
        async with bench.database.read() as session:
            return (await session.scalars(select(JobRow.locked_until))).one()

    async with bench.worker(work, lease_s=0.9):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        first = await lease_ends_at()

        async def is_longer_than_three() -> bool:
            return await lease_ends_at() > first + timedelta(seconds=2.7)

        await until(is_longer_than_three)
        release.set()
        job = await bench.until(job_id, ended)
    assert (job.status, job.attempt) == ("completed", 1)
    assert max(pulses) * runner_module.PULSE_S < 0.9


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


async def test_a_job_handed_back_for_later_waits_that_long(bench: Bench) -> None:
    async def work(context: JobContext) -> JobOutcome:
        raise HandBack("the model is busy", after_s=300)

    async with bench.worker(work):
        job_id = await bench.add()
        job = await bench.until(job_id, lambda job: job.stage == "the model is busy")
    assert (job.status, job.retry_count, job.error_code) == ("pending", 0, None)
    assert 299 < (job.run_at - job.created_at).total_seconds() < 500  # the attempt is in it


async def test_an_attempt_finds_what_the_last_one_finished(bench: Bench) -> None:
    seen: list[dict[str, object]] = []

    async def work(context: JobContext) -> JobOutcome:
        seen.append(await context.parts.load())
        await context.parts.save(f"part {len(seen)}", {"by": len(seen)})
        if len(seen) < 3:
            raise JobError("busy", "try again", permanent=False)
        return JobOutcome({})

    async with bench.worker(work):
        done = await bench.until(await bench.add(), ended)
    assert done.status == "completed"
    one, two = {"part 1": {"by": 1}}, {"part 1": {"by": 1}, "part 2": {"by": 2}}
    assert seen == [{}, one, two]
    assert await bench.queue.load_parts(done.id) == {}


async def test_a_stale_workers_part_is_refused_and_ends_its_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "PULSE_S", 600.0)  # it does not hear of it meanwhile
    release, refused = asyncio.Event(), asyncio.Event()

    async def work(context: JobContext) -> JobOutcome:
        await release.wait()
        try:
            await context.parts.save("part 1", "from the old owner")
        except HandBack:
            refused.set()
            raise
        return JobOutcome({})

    async with bench.worker(work, lease_s=600):
        job_id = await bench.add()
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        async with bench.database.write() as session:
            await session.execute(update(JobRow).values(locked_until=utc_after(-1)))
        assert await bench.queue.reap() == 1
        await bench.queue.claim(SCENE, 1, "another", 600)
        release.set()
        await until(refused.is_set)
    job = await bench.queue.read(job_id)
    assert (job.status, job.worker_id) == ("processing", "another")
    assert await bench.queue.load_parts(job_id) == {}


async def test_a_database_that_goes_away_under_a_handler_costs_no_retry(
    bench: Bench, refusing_tcp_port: int, tmp_path: Path
) -> None:
    url = database_url(f"postgresql://u:p@127.0.0.1:{refusing_tcp_port}/d", data_dir=tmp_path)
    away = Database(url)

    async def work(context: JobContext) -> JobOutcome:
        if context.job.attempt == 1:
            async with away.read() as session:
                await session.execute(select(1))
        return JobOutcome({})

    async with bench.worker(work):
        job = await bench.until(await bench.add(), ended)
    await away.close()
    assert (job.status, job.attempt, job.retry_count) == ("completed", 2, 0)


async def test_an_error_while_storing_leaves_the_job_to_its_lease(bench: Bench) -> None:
    tried: list[int] = []

    async def work(context: JobContext) -> JobOutcome:
        async def store(_: AsyncSession) -> None:
            tried.append(context.job.attempt)
            if context.job.attempt == 1:
                raise ZeroDivisionError

        return JobOutcome({"attempt": context.job.attempt}, store=store)

    async def reaped() -> bool:
        return bool(await bench.queue.reap())

    async with bench.worker(work, lease_s=0.6):
        job_id = await bench.add()
        await until(lambda: tried)  # before its lease, which nobody keeps then, may end
        await until(reaped)
        job = await bench.until(job_id, ended)
    assert (job.status, job.analysis_result) == ("completed", {"attempt": 2})
    assert tried == [1, 2]


async def test_a_job_that_its_worker_takes_again_beside_itself_ends_once(bench: Bench) -> None:
    begun: list[int] = []
    first, second = asyncio.Event(), asyncio.Event()

    async def work(context: JobContext) -> JobOutcome:
        attempt = context.job.attempt
        begun.append(attempt)
        await (first if attempt == 1 else second).wait()
        if attempt == 1:
            context.progress(90, "said by the first")
        return JobOutcome({"attempt": attempt})

    async with bench.worker(work, slots=2, lease_s=600) as (runner, _):
        job_id = await bench.add()
        await until(lambda: begun == [1])
        await end_lease(bench.database, job_id)
        assert await bench.queue.reap() == 1
        await until(lambda: begun == [1, 2])
        first.set()
        await until(lambda: len(runner._running) == 1)
        job = await bench.queue.read(job_id)
        assert (job.status, job.attempt, job.progress) == ("processing", 2, 0)
        assert job.analysis_result is None
        second.set()
        job = await bench.until(job_id, ended)
        another = await bench.until(await bench.add(), ended)
    assert (job.status, job.retry_count, job.analysis_result) == ("completed", 1, {"attempt": 2})
    assert another.status == "completed", "the worker lives"


async def test_a_job_taken_again_beside_itself_is_kept_and_can_be_called_off(bench: Bench) -> None:
    begun: list[int] = []
    loop = asyncio.get_running_loop()

    async def work(context: JobContext) -> JobOutcome:
        begun.append(context.job.attempt)
        return await until_cancelled(context)

    async with bench.worker(work, slots=2, lease_s=0.9) as (runner, _):
        job_id = await bench.add()
        await until(lambda: begun == [1])
        await end_lease(bench.database, job_id)
        assert await bench.queue.reap() == 1
        await until(lambda: begun == [1, 2])
        await until(lambda: len(runner._running) == 1)  # the first hears that it lost its claim
        renewed_until = loop.time() + 2
        while loop.time() < renewed_until:
            assert await bench.queue.reap() == 0
            await asyncio.sleep(0.1)
        await bench.queue.cancel(job_id)
        job = await bench.until(job_id, ended)
    assert (job.status, job.attempt) == ("cancelled", 2)


async def test_a_worker_that_took_its_namesakes_job_again_stops_all_the_same(bench: Bench) -> None:
    begun: list[int] = []
    stopped: list[int] = []
    both_run = asyncio.Event()
    heartbeat = bench.registry.heartbeat

    async def work(context: JobContext) -> JobOutcome:
        begun.append(context.job.attempt)
        if len(begun) == 2:
            both_run.set()
        await context.cancel.wait()
        stopped.append(context.job.attempt)
        raise HandBack("told to stop")

    async def late(name: str, instance: str, *, done: int, failed: int) -> bool:
        await both_run.wait()
        return await heartbeat(name, instance, done=done, failed=failed)

    bench.registry.heartbeat = late  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as caught:
        async with bench.worker(work, slots=2, lease_s=0.6):
            await bench.add()
            await until(lambda: begun == [1])
            await bench.registry.register(
                "one", "second", hostname="here", pid=2, slots={"scene": 2}, info={}
            )
            assert await bench.queue.reap() == 1
            async with asyncio.timeout(WITHIN_S):
                await asyncio.Event().wait()
    assert caught.group_contains(NameTaken)
    assert sorted(stopped) == [1, 2]


async def test_a_result_that_cannot_be_stored_is_counted_and_logged_as_a_failure(
    bench: Bench,
) -> None:
    async def refuse(_: AsyncSession) -> None:
        raise StatementTooLarge("the result is too long for the database")

    async def work(context: JobContext) -> JobOutcome:
        return JobOutcome({}, store=refuse)

    async def counted() -> bool:
        (view,) = await bench.registry.views()
        return (view.jobs_done, view.jobs_failed) == (0, 1)

    with capture_logs() as logged:
        async with bench.worker(work, lease_s=0.6):
            job = await bench.until(await bench.add(), ended)
            await until(counted)
    assert (job.status, job.error_code) == ("failed", "statement_too_large")
    actions = [line["action"] for line in logged]
    assert "job.completed" not in actions
    assert actions.count("job.failed") == 1
