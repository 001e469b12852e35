"""Does analysis make live video stutter? Arrival of live segments and answers, idle against busy.

One real `run.py` with one RTSP camera (1080p25). A viewer asks for the playlist ten times a second
and fetches each new segment. First without any job (the yardstick), then while as many workers as
there are cores analyse 1080p archives without a pause. The ratio is busy / idle.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from sqlalchemy import text

from backend.kernel.db import Database, database_url
from bench.tables import print_table
from tests.peers.rtsp_server import RtspCamera
from tests.peers.videos import make_video

ROOT = Path(__file__).resolve().parent.parent
PHASE_S = 45
SETTLE_S = 12
ASK_EVERY_S = 0.1
SEGMENT = re.compile(r"^\d+\.ts$", re.MULTILINE)


@dataclass
class Seen:
    """What one phase looked like to the viewer."""

    answers_s: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    cpu_percent: float = 0.0

    @property
    def spacing_s(self) -> list[float]:
        """Time between one new segment and the next."""
        return [b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]


@contextmanager
def program(folder: Path, name: str, *arguments: str, **settings: str) -> Iterator[None]:
    """One of the product's programs, stopped at the end."""
    environment = {**os.environ, "DATA_DIR": str(folder), "LOG_LEVEL": "WARNING", **settings}
    command = [sys.executable, name, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.send_signal(signal.SIGINT)  # told twice: hand running jobs back at once
        process.wait(30)


async def watch(client: httpx.AsyncClient, seconds: float) -> Seen:
    """Be a viewer for so long."""
    seen = Seen()
    last = ""
    psutil.cpu_percent()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        asked = time.perf_counter()
        playlist = await client.get("/live/bench/index.m3u8")
        seen.answers_s.append(time.perf_counter() - asked)
        newest = SEGMENT.findall(playlist.text)[-1]
        if newest != last:
            if last:
                seen.arrivals.append(time.perf_counter())
            last = newest
            await client.get(f"/live/bench/{newest}")
        await asyncio.sleep(max(0.0, ASK_EVERY_S - (time.perf_counter() - asked)))
    seen.cpu_percent = psutil.cpu_percent()
    return seen


async def until_live(client: httpx.AsyncClient) -> None:
    """Wait until the camera's playlist is there."""
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/live/bench/index.m3u8")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.3)


async def add_jobs(folder: Path, video: Path, number: int) -> None:
    """Jobs that analyse the same archive again and again."""
    database = Database(database_url(None, data_dir=folder))
    row = {
        "path": video.relative_to(folder).as_posix(),
        "payload": json.dumps({"demo": True, "camera_name": "bench"}),
    }
    async with database.write() as session:
        await session.execute(
            text(
                "INSERT INTO analysis_jobs (camera_id, video_path, segment_start, segment_end,"
                " payload) VALUES ('bench', :path, '2026-01-01 00:00:00', '2026-01-01 00:01:00',"
                " :payload)"
            ),
            [row] * number,
        )
    await database.close()


def _row(name: str, seen: Seen, idle: Seen) -> list[object]:
    answers = sorted(seen.answers_s)
    spread = statistics.pstdev(seen.spacing_s)
    p99 = answers[int(len(answers) * 0.99)]
    idle_p99 = sorted(idle.answers_s)[int(len(idle.answers_s) * 0.99)]
    return [
        name,
        f"{seen.cpu_percent:.0f}",
        f"{statistics.mean(seen.spacing_s):.2f}",
        f"{spread * 1000:.0f}",
        f"{max(seen.spacing_s):.2f}",
        f"{spread / statistics.pstdev(idle.spacing_s):.2f}",
        f"{statistics.median(answers) * 1000:.1f}",
        f"{p99 * 1000:.1f}",
        f"{p99 / idle_p99:.2f}",
    ]


async def main() -> None:
    """Measure both phases and print the table."""
    cores = os.cpu_count() or 1
    port = "8191"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = folder / "source.mp4"
        archive = folder / "archive" / "bench-input" / "archive_20260101_000000.mp4"
        archive.parent.mkdir(parents=True)
        facts = {"size": (1920, 1080), "fps": 25, "bitrate_kbps": 4000}
        await asyncio.to_thread(make_video, source, seconds=10, **facts)
        await asyncio.to_thread(make_video, archive, seconds=60, **facts)
        async with RtspCamera(source) as camera:
            with program(folder, "run.py", VAP_PORT=port, DEMO_CAMERA="false"):
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                    await until_serving(client)
                    await client.post(
                        "/api/v1/cameras",
                        json={"id": "bench", "name": "Bench", "source": camera.url},
                        timeout=60,
                    )
                    await until_live(client)
                    await asyncio.sleep(SETTLE_S)
                    idle = await watch(client, PHASE_S)
                    await add_jobs(folder, archive, 40 * cores)
                    with program(folder, "analysis_worker.py", "--slots", str(cores)):
                        await asyncio.sleep(SETTLE_S)
                        busy = await watch(client, PHASE_S)
    print_table(
        f"Stutter: one viewer of a camera, {PHASE_S} s idle, {PHASE_S} s with {cores} analyses",
        [
            "workers", "CPU %", "segment every s", "spread ms", "longest s", "spread busy/idle",
            "playlist p50 ms", "p99 ms", "p99 busy/idle",
        ],
        [_row("idle", idle, idle), _row(f"{cores} analysing", busy, idle)],
    )  # fmt: skip


async def until_serving(client: httpx.AsyncClient) -> None:
    """Wait for run.py."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.get("/health")
            except httpx.TransportError:
                await asyncio.sleep(0.3)
            else:
                return


if __name__ == "__main__":
    asyncio.run(main())
