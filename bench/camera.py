"""One camera: CPU and memory of its ffmpeg (live HLS and archive) beside a bare `ffmpeg -c copy`.

Both read the same RTSP camera of 1080p25 at 4 Mbit/s at the same time, for as long. The yardstick
writes one MP4.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psutil

from backend.media.commands import RECORD_ENV, RecordPlan, SourceKind, record_command
from backend.media.ffmpeg import Ffmpeg, find_ffmpeg
from backend.media.notices import SegmentNotices
from backend.media.process import SupervisedProcess, start_process
from bench.tables import print_table
from tests.peers.rtsp_server import RtspCamera
from tests.peers.videos import make_video

SECONDS = 40
WARM_S = 5


async def _ours(
    ffmpeg: Ffmpeg, url: str, folder: Path, notices: SegmentNotices
) -> SupervisedProcess:
    plan = RecordPlan(
        source=url,
        kind=SourceKind.RTSP,
        live_dir=folder / "live",
        archive_dir=folder / "archive",
        keyframe_interval_s=1.0,
    )
    plan.live_dir.mkdir()
    plan.archive_dir.mkdir()
    return await start_process(
        record_command(ffmpeg, plan, segment_list_fd=notices.write_fd),
        env=RECORD_ENV,
        cwd=plan.live_dir,
        pass_fds=[notices.write_fd],
    )


async def _bare(ffmpeg: Ffmpeg, url: str, folder: Path) -> SupervisedProcess:
    options = ["-hide_banner", "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp"]
    output = ["-map", "0:v:0", "-c", "copy", str(folder / "bare.mp4")]
    return await start_process([str(ffmpeg.path), *options, "-i", url, *output])


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def main() -> None:
    """Run both side by side and print their shares of one core."""
    ffmpeg = await find_ffmpeg()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        video = folder / "source.mp4"
        await asyncio.to_thread(
            make_video, video, seconds=10, size=(1920, 1080), fps=25, bitrate_kbps=4000
        )
        async with RtspCamera(video) as camera, SegmentNotices() as notices:
            ours = await _ours(ffmpeg, camera.url, folder, notices)
            bare = await _bare(ffmpeg, camera.url, folder)
            await asyncio.sleep(WARM_S)
            before = _cpu_s(ours.pid), _cpu_s(bare.pid)
            await asyncio.sleep(SECONDS)
            shares = [
                100 * (_cpu_s(process.pid) - start) / SECONDS
                for process, start in zip((ours, bare), before, strict=True)
            ]
            memory = [
                psutil.Process(process.pid).memory_full_info().pss / 1e6 for process in (ours, bare)
            ]
            await ours.terminate(3)
            await bare.terminate(3)
    names = ("live HLS + archive", "bare ffmpeg -c copy")
    rows = [
        [name, f"{share:.2f}", f"{used:.0f}", f"{share / shares[1]:.2f}"]
        for name, share, used in zip(names, shares, memory, strict=True)
    ]
    print_table(
        f"One camera, 1080p25 at 4 Mbit/s over RTSP, {SECONDS} s",
        ["process", "% of one core", "PSS MB", "CPU beside bare copy"],
        rows,
    )


if __name__ == "__main__":
    asyncio.run(main())
