"""Whatever goes wrong ends a recording with its reason, and loses no finished picture."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.media.archive import archive_name
from backend.media.commands import SourceKind
from backend.media.faults import StreamFault
from backend.media.ffmpeg import Ffmpeg
from backend.media.recorder import RecorderLimits
from tests.media.harness import (
    UNHURRIED,
    LeapingClock,
    kill_all,
    look_at,
    pids_with,
    read_playlist,
    recording,
    safe_pictures,
)
from tests.peers.http_camera import HttpCamera
from tests.peers.rtsp_server import RtspCamera
from tests.waiting import eventually, until

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("patient_sockets")

ALL_DAY_S = 86_400  # no segment of a test is cut in two, whatever time of day it is


async def test_a_camera_that_hangs_is_left_and_its_last_segment_kept(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    clock = LeapingClock()
    plan = {"kind": SourceKind.RTSP, "segment_s": ALL_DAY_S}
    limits = replace(UNHURRIED, terminate_s=0.5)  # it does not answer ffmpeg's goodbye either
    async with RtspCamera(videos["h264"]) as camera:
        async with recording(
            ffmpeg, camera.url, tmp_path, limits=limits, clock=clock, **plan
        ) as made:
            await made.until_live()
            await until(lambda: made.recorder.frame_count >= 50)
            await made.until_pictures(25)
            await camera.hang()
            while not made.task.done():  # what was on its way may still count as a picture
                clock.ahead_s += limits.stall_s
                await asyncio.wait({made.task}, timeout=2)
            ended = made.task.result()
        assert ended.reason is StreamFault.STALLED
        assert made.pids() == []
        [segment] = made.segments
        assert look_at(segment.path).frame_count >= 25


async def test_a_camera_that_says_nothing_at_all_is_left(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    limits = RecorderLimits(start_s=1.5, terminate_s=0.5)
    async with RtspCamera(videos["h264"]) as camera:
        await camera.hang()
        async with recording(
            ffmpeg, camera.url, tmp_path, kind=SourceKind.RTSP, limits=limits
        ) as made:
            ended = await made.until_over()
    assert ended.reason is StreamFault.TIMEOUT
    assert made.live_count == 0
    assert made.segments == []


async def test_a_camera_that_hangs_up_ends_the_recording_and_the_next_one_goes_on(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    async with RtspCamera(videos["h264"]) as camera:
        async with recording(ffmpeg, camera.url, tmp_path, kind=SourceKind.RTSP) as first:
            await first.until_live()
            await camera.drop()
            ended = await first.until_over()
        assert ended.reason is StreamFault.ENDED
        assert first.segments
        async with recording(ffmpeg, camera.url, tmp_path, kind=SourceKind.RTSP) as second:
            await second.until_live()
            assert (await second.finish()).reason is None


async def test_refusals_are_told_apart(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    with socket.socket() as free, HttpCamera(mp4=videos["h264"], user="u", password="pw") as http:
        free.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{free.getsockname()[1]}"
        async with RtspCamera(videos["h264"], user="u", password="pw") as camera:
            sources = [
                (f"rtsp://u:secretpw@{closed}/1", SourceKind.RTSP, StreamFault.UNREACHABLE),
                (f"http://u:secretpw@{closed}/1", SourceKind.HTTP, StreamFault.UNREACHABLE),
                (camera.url_as("u", "secretpw"), SourceKind.RTSP, StreamFault.AUTH),
                (camera.url_as("u", "pw", path="no"), SourceKind.RTSP, StreamFault.NOT_FOUND),
                (http.url_as("u", "secretpw", path="video.mp4"), SourceKind.HTTP, StreamFault.AUTH),
                (http.url_as("u", "pw", path="no"), SourceKind.HTTP, StreamFault.NOT_FOUND),
                (str(tmp_path / "gone.mp4"), SourceKind.FILE, StreamFault.NOT_FOUND),
                (__file__, SourceKind.FILE, StreamFault.NO_VIDEO),
            ]
            for number, (source, kind, fault) in enumerate(sources):
                folder = tmp_path / str(number)
                async with recording(ffmpeg, source, folder, kind=kind) as made:
                    ended = await made.until_over()
                assert ended.reason is fault, (source, ended)
                assert "secretpw" not in ended.detail + ended.message
                assert made.segments == []


async def test_a_killed_ffmpeg_leaves_a_segment_that_is_told_of_and_can_be_read(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    async with recording(ffmpeg, videos["h264"], tmp_path, segment_s=ALL_DAY_S) as made:
        await until(lambda: made.recorder.frame_count >= 75)
        kill_all(made.pids())
        ended = await made.task
    assert ended.reason is StreamFault.KILLED
    [segment] = made.segments
    frame_count = look_at(segment.path).frame_count
    assert frame_count >= 50  # all but the last group of pictures
    assert segment.duration_s == pytest.approx(frame_count / 25, abs=1)
    assert segment.size_bytes == segment.path.stat().st_size


async def test_a_cancelled_recording_leaves_no_ffmpeg_behind(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    async with recording(ffmpeg, videos["h264"], tmp_path) as made:
        await made.until_live()
        assert len(made.pids()) == 1
        made.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await made.task
        assert made.pids() == []


def test_no_ffmpeg_outlives_a_server_that_is_killed(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    code = f"""
import asyncio
from pathlib import Path
from backend.media.commands import RecordPlan, SourceKind
from backend.media.ffmpeg import find_ffmpeg
from backend.media.recorder import Recorder, RecorderLimits
async def say(*_):
    print("live", flush=True)
async def main():
    folder = Path({str(tmp_path)!r})
    plan = RecordPlan({str(videos["h264"])!r}, SourceKind.FILE, folder / "live", folder / "archive")
    limits = RecorderLimits(start_s=100, stall_s=100)
    recorder = Recorder(await find_ffmpeg(), plan, on_live=say, on_segment=say, limits=limits)
    await recorder.run(asyncio.Event())
asyncio.run(main())
"""
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert server.stdout is not None
    assert "live\n" in iter(server.stdout.readline, "")  # among its log
    archive = str(tmp_path / "archive")
    assert pids_with(archive)
    eventually(lambda: safe_pictures(tmp_path / "archive"))
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    try:
        eventually(lambda: not pids_with(archive))
    finally:
        kill_all(pids_with(archive))
    assert look_at(*(tmp_path / "archive").iterdir()).frame_count > 0


def behind(folder: Path, ffmpeg: Ffmpeg, preparation: str) -> Ffmpeg:
    """The ffmpeg, started by a script that first spoils something."""
    path = folder / "ffmpeg"
    path.write_text(f'#!/bin/sh\n{preparation}\nexec "{ffmpeg.path}" "$@"\n')
    path.chmod(0o755)
    return replace(ffmpeg, path=path)


async def test_a_full_archive_disk_is_told_at_once_while_live_goes_on_and_then_tried_again(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    # Whatever ffmpeg's first segment is called within these minutes, its disk is full.
    disk, begins = tmp_path / "disk", datetime.now(UTC)
    disk.mkdir()
    for second in range(300):
        (disk / archive_name(begins + timedelta(seconds=second))).symlink_to("/dev/full")
    clock = LeapingClock()
    full = behind(tmp_path, ffmpeg, f"mv {disk}/* {tmp_path}/archive/")
    async with recording(full, videos["h264"], tmp_path, clock=clock) as made:
        await made.until_live()
        await until(lambda: made.troubles)
        assert made.troubles == [StreamFault.DISK_FULL]
        assert not made.task.done()
        number_then = read_playlist(made.plan.live_dir).names[-1]
        await until(lambda: read_playlist(made.plan.live_dir).names[-1] > number_then)
        assert not made.task.done()
        clock.ahead_s += UNHURRIED.archive_retry_s
        ended = await made.until_over()
    assert ended.reason is StreamFault.DISK_FULL
    assert made.segments == []


async def test_an_archive_that_fails_in_the_middle_keeps_what_it_has(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    clock = LeapingClock()
    small = behind(tmp_path, ffmpeg, "trap '' XFSZ; ulimit -f 500")  # 250 KiB a file
    async with recording(small, videos["h264"], tmp_path, clock=clock, segment_s=ALL_DAY_S) as made:
        await until(lambda: made.troubles)
        assert not made.task.done()
        clock.ahead_s += UNHURRIED.archive_retry_s
        assert (await made.until_over()).reason is StreamFault.ARCHIVE_FAILED
    assert made.troubles == [StreamFault.ARCHIVE_FAILED]
    [segment] = made.segments
    assert look_at(segment.path).frame_count >= 25


async def test_an_archive_folder_that_is_lost_is_told(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    limits = replace(UNHURRIED, archive_retry_s=0.5)
    async with recording(ffmpeg, videos["h264"], tmp_path, segment_s=2, limits=limits) as made:
        await made.until_live()
        made.plan.archive_dir.rename(tmp_path / "moved")
        ended = await made.until_over()
    assert ended.reason is StreamFault.ARCHIVE_FAILED
    assert made.troubles == [StreamFault.ARCHIVE_FAILED]


async def test_an_archive_that_goes_silent_ends_the_recording(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    # An ffmpeg that is told to finish a segment each second, and finishes one a day.
    lazy = """for word in "$@"; do shift
        set -- "$@" "$(printf %s "$word" | sed s/segment_time=1:/segment_time=86400:/)"; done"""
    async with recording(
        behind(tmp_path, ffmpeg, lazy),
        videos["h264"],
        tmp_path,
        limits=replace(UNHURRIED, archive_late_s=0.5),
        segment_s=1,
        keyframe_interval_s=None,
    ) as made:
        ended = await made.until_over()
    assert made.live_count == 1
    assert ended.reason is StreamFault.ARCHIVE_FAILED
    assert len(made.segments) == 1  # what was there is finished and told of


async def test_a_live_folder_that_is_lost_ends_the_recording_and_keeps_the_archive(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    async with recording(ffmpeg, videos["h264"], tmp_path, segment_s=ALL_DAY_S) as made:
        await made.until_live()
        await made.until_pictures(1)
        while made.plan.live_dir.exists():  # ffmpeg may just be adding a file
            shutil.rmtree(made.plan.live_dir, ignore_errors=True)
        ended = await made.until_over()
    assert ended.reason is StreamFault.UNKNOWN
    assert len(made.segments) == 1
