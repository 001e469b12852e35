"""A worker that shows archives to a model: the seconds, bytes and memory that are ours.

The job's own code (`SceneHandler`, and so `ModelPass`, both protocols, budget and breaker over
SQLite) with real excerpts by ffmpeg. The model is a peer in another process that answers at once.
What the local pass finds is given, since `bench.analyser` measures that one: which windows move.
The archive is the demo scene, enlarged, with the noise that a camera's sensor has.
Each window that is shown reports one incident, so that there is a snapshot of each (20 at most).

Yardstick: `ffmpeg -c:v libx264 -preset veryfast` over the same archive, in the same run.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import structlog
from pydantic import SecretStr

from backend.analysis.pool import AnalysisPool
from backend.events.outbox import Outbox
from backend.jobs.claims import KindOrder
from backend.jobs.kinds import JobContext
from backend.jobs.queries import Claim
from backend.jobs.schemas import NewJob
from backend.jobs.service import JobQueue
from backend.kernel.clock import SystemClock
from backend.kernel.db import Database, database_url
from backend.kernel.nudge import Nudges
from backend.kernel.schema_version import upgrade_schema
from backend.media.ffmpeg import Ffmpeg, find_ffmpeg
from backend.monitoring.analyses.breakers import Breakers
from backend.monitoring.analyses.handlers.local_pass import LocalPass
from backend.monitoring.analyses.handlers.model_pass import ModelPass
from backend.monitoring.analyses.handlers.scene import LOCAL_PART, SceneHandler
from backend.monitoring.analyses.handlers.shelf import ModelShelf
from backend.monitoring.analyses.service import SceneReports
from backend.monitoring.analyses.spending import Spending
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.cameras.tables import CameraRow
from backend.monitoring.demo import DEMO_SCENE
from backend.monitoring.incidents.service import IncidentService
from backend.settings import ModelSettings, SceneBackend, SceneSettings, StorageSettings
from bench.tables import print_table
from tests.peers.model_server import ModelServer, Received, Reply

ARCHIVE_S, ENCODED_S = 600, 20
YARDSTICK_S = 120
"""The yardstick is given a fifth of the archive, which repeats itself, and counted five times."""
MEMORY_ARCHIVES, MEMORY_ARCHIVE_S, WARM_ARCHIVES = 50, 30, 5
WINDOW_S = 30.0
SCENE = KindOrder("scene", newest_first=False)
SHOWN = {SceneBackend.GEMINI: "clips", SceneBackend.OPENAI: "pictures"}
START = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = "bench"


# -- the peer ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peer:
    """The model server: where it is, and what it was sent so far."""

    url: str
    sent_bytes: Any
    calls: Any


@contextmanager
def peer() -> Iterator[Peer]:
    """A model server in a process of its own, so that its seconds are not counted as ours."""
    spawned = multiprocessing.get_context("spawn")
    sent_bytes, calls = spawned.Value("q", 0), spawned.Value("q", 0)
    ours, theirs = spawned.Pipe()
    process = spawned.Process(target=_serve, args=(theirs, sent_bytes, calls), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(60):
            raise RuntimeError("the model server did not start")
        yield Peer(ours.recv(), sent_bytes, calls)
    finally:
        ours.close()  # which is how it is told
        process.join(10)
        process.kill()


def _serve(parent: Connection, sent_bytes: Any, calls: Any) -> None:
    async def serve() -> None:
        async with ModelServer() as server:

            def answer(received: Received) -> Reply:
                server.requests.clear()  # else it would hold every picture
                sent_bytes.value += int(received.headers["content-length"])
                calls.value += 1
                is_window = received.mp4 is not None or received.pictures
                return Reply(text=json.dumps(_WINDOW if is_window else _MERGE))

            server.answer_with(answer)
            parent.send(server.url)
            gone = asyncio.Event()
            asyncio.get_running_loop().add_reader(parent.fileno(), gone.set)
            await gone.wait()

    asyncio.run(serve())


_WINDOW = {
    "visibility": "clear",
    "observations": [{"id": 1, "t": 5.0, "text": "A person walks across the yard."}],
    "incidents": [
        {
            "observations": [1],
            "t_start": 4.0,
            "t_end": 9.0,
            "evidence": "The person walks where vehicles drive.",
            "category": "unsafe_behaviour",
            "severity": 2,
            "confidence": 0.6,
        }
    ],
    "summary": "A person walks across the yard.",
    "safety_score": 90,
}
_MERGE = {"incidents": [], "summary": "People walk across the yard.", "safety_score": 90}


# -- the worker's side ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A DATA_DIR with its database, and one handler for each backend."""

    data_dir: Path
    database: Database
    queue: JobQueue
    handlers: dict[SceneBackend, SceneHandler]


@asynccontextmanager
async def place(folder: Path, ffmpeg: Ffmpeg, url: str) -> AsyncIterator[Place]:
    """Wired as in `backend.worker`, without children: no local pass is made."""
    storage = StorageSettings(data_dir=folder)
    work = storage.work_dir / WORKER
    work.mkdir(parents=True)
    async with AsyncExitStack() as stack:
        database_at = database_url(None, data_dir=storage.data_dir)
        await upgrade_schema(database_at)
        database = Database(database_at, pool_size=5)
        stack.push_async_callback(database.close)
        nudges = Nudges(storage.run_dir)
        stack.callback(nudges.close)
        outbox = Outbox(nudges)
        models = ModelSettings(
            gemini_base_url=url,
            gemini_api_key=SecretStr("bench"),
            openai_base_url=f"{url}/v1",
            openai_model="bench",
            window_s=WINDOW_S,
        )
        clock, zone = SystemClock(), ZoneInfo("UTC")
        spending = Spending(database, clock, zone, total_usd=models.total_budget_usd)
        shelf = ModelShelf(models, Breakers(database), spending)
        stack.push_async_callback(shelf.aclose)
        pool = AnalysisPool(1, 1)
        stack.push_async_callback(pool.aclose)
        incidents = IncidentService(database, outbox, storage.data_dir, clock)

        def handler(backend: SceneBackend) -> SceneHandler:
            scene = SceneSettings(backend=backend, fallback=())
            return SceneHandler(
                LocalPass(pool, scene, storage, analyser="local"),
                ModelPass(ffmpeg, models, work, zone),
                shelf,
                CameraService(database, outbox, storage, clock),
                SceneReports(database, incidents, spending, storage, models, clock, zone),
                spending,
                ffmpeg,
                scene,
                storage,
                clock,
            )

        async with database.write() as session:
            session.add(CameraRow(id="bench", name="bench", source="rtsp://127.0.0.1:9/"))
        handlers = {backend: handler(backend) for backend in SHOWN}
        yield Place(storage.data_dir, database, JobQueue(database, outbox, nudges), handlers)


@dataclass(frozen=True)
class _Parts:
    """A job's parts, as its runner gives them."""

    queue: JobQueue
    claim: Claim

    async def load(self) -> dict[str, Any]:
        return await self.queue.load_parts(self.claim.job_id)

    async def save(self, name: str, value: Any) -> None:
        assert await self.queue.save_part(self.claim, name, value)


async def analyse(
    at: Place, backend: SceneBackend, video: Path, *, seconds: float, moving: list[list[float]]
) -> dict[str, Any]:
    """One job from enqueue to completion; its result."""
    new = NewJob(
        kind=SCENE.name,
        camera_id="bench",
        video_path=video.relative_to(at.data_dir).as_posix(),
        segment_start=START,
        segment_end=START + timedelta(seconds=seconds),
        payload={"camera_name": "bench"},
    )
    async with at.database.write() as session:
        await at.queue.enqueue(session, new)
    (job,) = await at.queue.claim(SCENE, 1, WORKER, 600)
    claim = Claim(job.id, job.attempt, WORKER)
    parts = _Parts(at.queue, claim)
    await parts.save(LOCAL_PART, {"motion": moving, "coverage": {"duration_s": seconds}})
    context = JobContext(job, asyncio.Event(), lambda *_: None, 600, parts)
    outcome = await at.handlers[backend](context)
    assert await at.queue.complete(claim, job, outcome)
    assert not outcome.result["fallback"]
    assert outcome.result["usage"]["calls"] > 0
    return outcome.result


# -- what it takes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Took:
    """What something took; seconds of processor are ours and our ffmpegs'."""

    wall_s: float
    cpu_s: float
    sent_bytes: int
    calls: int = 0


def _cpu_s() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


async def measure_archive(
    at: Place, by: Peer, backend: SceneBackend, video: Path, moving: list[list[float]]
) -> Took:
    """One archive of ten minutes."""
    sent, calls = by.sent_bytes.value, by.calls.value
    wall, cpu = time.perf_counter(), _cpu_s()
    result = await analyse(at, backend, video, seconds=ARCHIVE_S, moving=moving)
    took = Took(
        time.perf_counter() - wall,
        _cpu_s() - cpu,
        by.sent_bytes.value - sent,
        by.calls.value - calls,
    )
    assert took.calls == len(moving) + 1, "every window that moves, and the merge"
    assert len(result["incidents"]) == len(moving)
    return took


def measure_re_encoding(ffmpeg: Ffmpeg, video: Path, folder: Path) -> Took:
    """The yardstick, as for the whole archive."""
    to = folder / "re-encoded.mp4"
    argv = [str(ffmpeg.path), "-hide_banner", "-nostdin", "-loglevel", "error", "-y"]
    argv += ["-i", str(video), "-t", str(YARDSTICK_S), "-c:v", "libx264", "-preset", "veryfast"]
    wall, cpu = time.perf_counter(), _cpu_s()
    subprocess.run([*argv, str(to)], check=True)
    times = ARCHIVE_S / YARDSTICK_S
    return Took(
        (time.perf_counter() - wall) * times,
        (_cpu_s() - cpu) * times,
        round(to.stat().st_size * times),
    )


async def measure_memory(at: Place, video: Path) -> list[list[object]]:
    """This process after a few archives and after many, by both backends in turn."""
    backends = list(SHOWN)
    moving = [[0.0, float(MEMORY_ARCHIVE_S)]]
    me = psutil.Process()
    rows: list[list[object]] = []
    first: tuple[float, float] | None = None
    for number in range(1, MEMORY_ARCHIVES + 1):
        backend = backends[number % len(backends)]
        await analyse(at, backend, video, seconds=MEMORY_ARCHIVE_S, moving=moving)
        if number in {WARM_ARCHIVES, MEMORY_ARCHIVES}:
            used = me.memory_full_info()
            rss_mb, pss_mb = used.rss / 1e6, used.pss / 1e6
            first = first or (rss_mb, pss_mb)
            more = (rss_mb - first[0], pss_mb - first[1])
            rows.append(
                [number, f"{rss_mb:.1f}", f"{pss_mb:.1f}", f"{more[0]:+.1f}", f"{more[1]:+.1f}"]
            )
    return rows


def make_archives(ffmpeg: Ffmpeg, data_dir: Path) -> tuple[Path, Path]:
    """Ten minutes of 1080p25 at 4 Mbit/s with a keyframe every 2 s, and a short small one."""
    folder = data_dir / "archive" / "bench"
    folder.mkdir(parents=True)
    long, short = folder / "archive_20260101_000000.mp4", folder / "archive_20260101_001000.mp4"
    once = data_dir / "once.mp4"
    argv = [str(ffmpeg.path), "-hide_banner", "-nostdin", "-loglevel", "error", "-y"]
    scene = ["-stream_loop", "-1", "-i", str(DEMO_SCENE), "-an", "-c:v", "libx264", "-g", "50"]
    scene += ["-preset", "veryfast", "-sc_threshold", "0", "-r", "25", "-pix_fmt", "yuv420p"]
    large = ["-vf", "scale=1920:1080,noise=alls=6:allf=t", "-t", str(ENCODED_S)]
    large += ["-b:v", "4M", "-maxrate", "4M", "-bufsize", "8M"]
    small = ["-vf", "scale=640:360,noise=alls=6:allf=t", "-t", str(MEMORY_ARCHIVE_S)]
    subprocess.run([*argv, *scene, *large, str(once)], check=True)
    subprocess.run([*argv, *scene, *small, str(short)], check=True)
    again = ["-stream_loop", str(ARCHIVE_S // ENCODED_S - 1), "-i", str(once), "-c", "copy"]
    subprocess.run([*argv, *again, str(long)], check=True)
    return long, short


def _row(name: str, windows: int | str, took: Took, yardstick: Took) -> list[object]:
    return [
        name,
        windows,
        took.calls or "-",
        f"{took.wall_s:.1f}",
        f"{took.cpu_s:.1f}",
        f"{took.sent_bytes / 1e6:.2f}",
        f"{took.cpu_s / yardstick.cpu_s:.3f}",
        f"{took.sent_bytes / yardstick.sent_bytes:.3f}",
    ]


def _moving(*, every: int) -> list[list[float]]:
    """Motion in the middle of every n-th window."""
    windows = range(0, int(ARCHIVE_S / WINDOW_S), every)
    return [[(index + 0.25) * WINDOW_S, (index + 0.75) * WINDOW_S] for index in windows]


async def main() -> None:
    """Measure memory, then both backends and the yardstick; print two tables."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    ffmpeg = await find_ffmpeg()
    with tempfile.TemporaryDirectory() as temporary, peer() as by:
        folder = Path(temporary).resolve()
        make = partial(make_archives, ffmpeg, folder)
        long, short = await asyncio.to_thread(make)
        async with place(folder, ffmpeg, by.url) as at:
            memory = await measure_memory(at, short)
            took = {
                (backend, every): await measure_archive(at, by, backend, long, _moving(every=every))
                for backend in SHOWN
                for every in (1, 5)
            }
        yardstick = await asyncio.to_thread(measure_re_encoding, ffmpeg, long, folder)
        left = [path.name for path in (folder / "work" / WORKER).iterdir()]
        assert not left, left
        archive_mb = long.stat().st_size / 1e6
    windows = int(ARCHIVE_S / WINDOW_S)
    rows = [
        _row(f"{backend}, {SHOWN[backend]}", f"{windows // every} of {windows}", one, yardstick)
        for (backend, every), one in took.items()
    ]
    rows.append(_row("ffmpeg, libx264 veryfast", "-", yardstick, yardstick))
    print_table(
        f"Ten minutes of 1080p25 ({archive_mb:.0f} MB, keyframe every 2 s) for a model that answers"
        f" at once; re-encoding timed over {YARDSTICK_S} s and scaled",
        [
            "who", "windows shown", "calls", "wall s", "CPU s", "MB sent or written",
            "CPU beside re-encode", "bytes beside re-encode",
        ],
        rows,
    )  # fmt: skip
    print_table(
        f"A worker's own process over {MEMORY_ARCHIVES} archives of {MEMORY_ARCHIVE_S} s"
        f" (640x360, both protocols in turn)",
        ["archives", "RSS MB", "PSS MB", "RSS more", "PSS more"],
        memory,
    )


if __name__ == "__main__":
    asyncio.run(main())
