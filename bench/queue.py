"""The job table: what an insert holds the event loop for, claims a second, pick-up after a nudge.

Yardsticks in the same run: a bare INSERT of the same row through the driver (for inserts), and
procrastinate on PostgreSQL (for claims and pick-up). SQLite always; MariaDB/MySQL and PostgreSQL
where TEST_MYSQL_URL and TEST_POSTGRES_URL name a server on which databases may be created.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import procrastinate
import structlog
from sqlalchemy import URL, text

from backend.events.outbox import Outbox
from backend.jobs.claims import KindOrder
from backend.jobs.kinds import JobContext, JobKind
from backend.jobs.queries import Claim
from backend.jobs.runner import WorkerIdentity, WorkerRunner
from backend.jobs.schemas import JobOutcome, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database, database_url
from backend.kernel.nudge import JOBS, NudgeListener, Nudges
from backend.kernel.schema_version import upgrade_schema
from bench.tables import print_table

SCENE = KindOrder("scene", newest_first=False)
INSERTS = 300
JOBS_CLAIMED = 1000
PICK_UPS = 60
WORKERS = 4


@dataclass(frozen=True)
class Setup:
    """A queue over one database."""

    name: str
    database: Database
    queue: JobQueue
    outbox: Outbox
    nudges: Nudges
    run_dir: Path


@asynccontextmanager
async def setup(name: str, url: URL, folder: Path) -> AsyncIterator[Setup]:
    """A migrated, empty database."""
    await upgrade_schema(url)
    database = Database(url, pool_size=WORKERS + 2)
    nudges = Nudges(folder)
    outbox = Outbox(nudges)
    try:
        yield Setup(name, database, JobQueue(database, outbox, nudges), outbox, nudges, folder)
    finally:
        nudges.close()
        await database.close()


async def _insert(place: Setup) -> None:
    async with place.database.write() as session:
        await place.queue.enqueue(session, NewJob(kind="scene", camera_id="gate"))


async def _bare_insert(place: Setup) -> None:
    async with place.database.engine.begin() as connection:
        await connection.execute(text("INSERT INTO analysis_jobs (camera_id) VALUES ('gate')"))


async def measure_inserts(place: Setup) -> list[object]:
    """Latency of an enqueue (job, event, commit), and how long it holds the loop at a time."""
    held: list[float] = []
    stop = asyncio.Event()

    async def tick() -> None:
        last = time.perf_counter()
        while not stop.is_set():
            await asyncio.sleep(0)
            now = time.perf_counter()
            held.append(now - last)
            last = now

    async def timed(work: Callable[[Setup], Awaitable[None]]) -> list[float]:
        taken = []
        for _ in range(INSERTS):
            began = time.perf_counter()
            await work(place)
            taken.append(time.perf_counter() - began)
        return taken

    await timed(_bare_insert)  # warm
    bare = statistics.median(await timed(_bare_insert))
    ours = statistics.median(await timed(_insert))
    async with asyncio.TaskGroup() as group:
        group.create_task(tick())
        await timed(_insert)
        stop.set()
    held.sort()
    p99 = held[int(len(held) * 0.99)]
    return [
        place.name, f"{ours * 1000:.2f}", f"{bare * 1000:.2f}", f"{ours / bare:.1f}",
        f"{p99 * 1000:.2f}", f"{held[-1] * 1000:.2f}",
    ]  # fmt: skip


async def measure_claims(place: Setup) -> float:
    """Jobs claimed and completed a second by several claimers, one at a time each."""
    async with place.database.write() as session:
        await session.execute(text("DELETE FROM analysis_jobs"))
        for _ in range(JOBS_CLAIMED):
            await place.queue.enqueue(session, NewJob(kind="scene"))

    async def work(worker: str) -> None:
        while jobs := await place.queue.claim(SCENE, 1, worker, 60):
            for job in jobs:
                claim = Claim(job.id, job.attempt, worker)
                await place.queue.complete(claim, job, JobOutcome({}))

    began = time.perf_counter()
    await asyncio.gather(*(work(f"worker {n}") for n in range(WORKERS)))
    return JOBS_CLAIMED / (time.perf_counter() - began)


async def measure_pick_up(place: Setup) -> list[float]:
    """Seconds from the commit of a job to its handler, the worker being idle."""
    started: asyncio.Queue[float] = asyncio.Queue()

    async def handle(_: JobContext) -> JobOutcome:
        started.put_nowait(time.perf_counter())
        return JobOutcome({})

    taken = []
    registry = WorkerRegistry(place.database, place.outbox, silent_after_s=30)
    async with NudgeListener(place.run_dir, JOBS, "bench") as nudge:
        runner = WorkerRunner(
            place.queue,
            registry,
            {"scene": JobKind(SCENE, 60, handle)},
            WorkerIdentity("bench", str(uuid4()), "here", 1, {"scene": 1}, "0"),
            nudge,
            poll_s=5,
            lease_s=30,
            drain_s=5,
        )
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.run(stop))
            await asyncio.sleep(0.5)
            for _ in range(PICK_UPS):
                await _insert(place)
                committed = time.perf_counter()
                taken.append(max(await started.get() - committed, 0))
                await asyncio.sleep(0.05)
            stop.set()
    return sorted(taken)


async def measure_procrastinate(url: URL) -> tuple[float, list[float]]:
    """The same two figures of procrastinate: no-op jobs a second, and pick-up."""
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo))
    started: asyncio.Queue[float] = asyncio.Queue()

    @app.task(name="noop")
    async def noop() -> None:
        started.put_nowait(time.perf_counter())

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await noop.batch_defer_async(*({} for _ in range(JOBS_CLAIMED)))
        began = time.perf_counter()
        await app.run_worker_async(concurrency=WORKERS, wait=False, install_signal_handlers=False)
        rate = JOBS_CLAIMED / (time.perf_counter() - began)
        while not started.empty():
            started.get_nowait()
        taken = []
        worker = asyncio.ensure_future(
            app.run_worker_async(concurrency=1, install_signal_handlers=False)
        )
        await asyncio.sleep(1)
        for _ in range(PICK_UPS):
            await noop.defer_async()
            committed = time.perf_counter()
            taken.append(max(await started.get() - committed, 0))
            await asyncio.sleep(0.05)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return rate, sorted(taken)


@asynccontextmanager
async def _own_database(server: URL) -> AsyncIterator[URL]:
    name = f"vap_bench_{uuid4().hex[:8]}"
    admin = Database(server)

    async def run(statement: str) -> None:
        async with admin.engine.connect() as connection:
            committing = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await committing.execute(text(statement))

    await run(f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name)
    finally:
        force = " WITH (FORCE)" if server.get_backend_name() == "postgresql" else ""
        await run(f"DROP DATABASE {name}{force}")
        await admin.close()


async def _measure(name: str, url: URL, folder: Path) -> tuple[list[object], list[object]]:
    async with setup(name, url, folder) as place:
        inserts = await measure_inserts(place)
        rate = await measure_claims(place)
        pick_up = await measure_pick_up(place)
    return inserts, _queue_row(name, rate, pick_up)


def _queue_row(name: str, rate: float, pick_up: list[float]) -> list[object]:
    p50, p99 = pick_up[len(pick_up) // 2], pick_up[int(len(pick_up) * 0.99)]
    return [name, round(rate), f"{p50 * 1000:.0f}", f"{p99 * 1000:.0f}"]


async def main() -> None:
    """Measure every database that is there, and print two tables."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    inserts: list[list[object]] = []
    claims: list[list[object]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        url = database_url(None, data_dir=folder)
        rows = await _measure("SQLite", url, folder)
        inserts.append(rows[0])
        claims.append(rows[1])
        for variable, name in (
            ("TEST_MYSQL_URL", "MariaDB/MySQL"),
            ("TEST_POSTGRES_URL", "PostgreSQL"),
        ):
            configured = os.environ.get(variable)
            if not configured:
                print(f"{name}: left out, {variable} is not set")
                continue
            server = database_url(configured, data_dir=folder)
            async with _own_database(server) as own:
                rows = await _measure(name, own, folder)
            inserts.append(rows[0])
            claims.append(rows[1])
            if variable == "TEST_POSTGRES_URL":
                async with _own_database(server) as own:
                    rate, taken = await measure_procrastinate(own)
                claims.append(_queue_row("procrastinate on PostgreSQL", rate, taken))
    yardstick = claims[-1][1] if "procrastinate" in str(claims[-1][0]) else None
    for row in claims:
        row.append(f"{float(str(row[1])) / float(str(yardstick)):.2f}" if yardstick else "-")
    print_table(
        "Enqueue: a job with its event, committed, beside a bare INSERT (medians, ms)",
        ["database", "enqueue", "bare INSERT", "ratio", "loop held p99", "loop held max"],
        inserts,
    )
    print_table(
        f"Claim and complete no-op jobs, {WORKERS} claimers; pick-up of a job by an idle worker",
        ["queue", "jobs/s", "pick-up p50 ms", "p99 ms", "jobs/s beside procrastinate"],
        claims,
    )


if __name__ == "__main__":
    asyncio.run(main())
