"""What a healthy recording leaves: live segments, archives aligned to the clock, notices.

All sources are recorded side by side, once; each test looks at what came out.
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import pytest

from backend.media.archive import FinishedSegment, parse_archive_name
from backend.media.commands import SourceKind
from backend.media.ffmpeg import Ffmpeg
from backend.media.recorder import RecorderStats, RecordingEnded
from tests.media.harness import (
    Playlist,
    apart,
    look_at,
    read_playlist,
    recording,
)
from tests.peers.http_camera import HttpCamera
from tests.peers.rtsp_server import RtspCamera, Timestamps
from tests.waiting import until

SEGMENT_S = 3
ODD_NAME = "a b'c:[d]|e%f%d,\\g;$h"

PLANS = {
    "h264": {},
    "demo": {"folder": ODD_NAME},
    "b_frames": {"b_frames": True},
    "hevc": {"copy": False, "keyframe_interval_s": None},
    "mjpeg": {"copy": False, "keyframe_interval_s": None},
    "rtsp": {"kind": SourceKind.RTSP},
    "rtsp_zero": {"kind": SourceKind.RTSP},
    "rtsp_jumping": {"kind": SourceKind.RTSP},
    "rtsp_b_frames": {"kind": SourceKind.RTSP, "b_frames": True},
    "rtsp_hevc": {"kind": SourceKind.RTSP, "copy": False, "keyframe_interval_s": None},
    "http_mjpeg": {"kind": SourceKind.HTTP, "copy": False, "keyframe_interval_s": None},
    "http_mp4": {"kind": SourceKind.HTTP_FILE},
}


@dataclass(frozen=True)
class Outcome:
    """One recording after two finished archives and a stop."""

    live_dir: Path
    playlist_while_live: Playlist
    playlist: Playlist
    segments: list[FinishedSegment]
    stats: RecorderStats
    ended: RecordingEnded


@pytest.fixture(scope="module")
def outcomes(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("recordings")
    return apart(lambda: asyncio.run(_record_all(ffmpeg, videos, folder)))


async def _record_all(ffmpeg: Ffmpeg, videos: dict[str, Path], folder: Path) -> dict[str, Outcome]:
    async with AsyncExitStack() as stack:
        sources = {name: str(path) for name, path in videos.items()}
        for name, video, timestamps in [
            ("rtsp", "h264", Timestamps.GOOD),
            ("rtsp_zero", "h264", Timestamps.ZERO),
            ("rtsp_jumping", "h264", Timestamps.JUMPING),
            ("rtsp_b_frames", "b_frames", Timestamps.GOOD),
            ("rtsp_hevc", "hevc", Timestamps.GOOD),
        ]:
            camera = await stack.enter_async_context(RtspCamera(videos[video]))
            await camera.set_timestamps(timestamps)
            sources[name] = camera.url
        http = stack.enter_context(HttpCamera(mjpeg=videos["mjpeg"], mp4=videos["h264"]))
        sources |= {"http_mjpeg": http.mjpeg_url, "http_mp4": http.mp4_url}
        async with asyncio.TaskGroup() as group:
            tasks = {
                name: group.create_task(_record(ffmpeg, sources[name], folder / name, dict(plan)))
                for name, plan in PLANS.items()
            }
        return {name: task.result() for name, task in tasks.items()}


async def _record(ffmpeg: Ffmpeg, source: str, folder: Path, plan: dict[str, object]) -> Outcome:
    target = folder / str(plan.pop("folder", ""))
    async with recording(ffmpeg, source, target, segment_s=SEGMENT_S, **plan) as made:
        await made.until_live()
        while_live = read_playlist(made.plan.live_dir)
        await made.until_segments(2)
        await until(lambda: len(read_playlist(made.plan.live_dir).names) >= 7)
        ended = await made.finish()
        return Outcome(
            made.plan.live_dir,
            while_live,
            read_playlist(made.plan.live_dir),
            made.segments,
            made.recorder.stats,
            ended,
        )


@pytest.fixture(params=list(PLANS))
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Outcome]) -> Outcome:
    return outcomes[request.param]


def live_files(outcome: Outcome) -> list[Path]:
    return [outcome.live_dir / name for name in outcome.playlist.names]


def test_a_recording_that_is_asked_to_stop_ends_without_a_fault(outcome: Outcome) -> None:
    assert outcome.ended.reason is None


def test_live_is_announced_when_there_is_something_to_play(outcome: Outcome) -> None:
    assert outcome.playlist_while_live.names


def test_the_live_view_is_h264_that_a_browser_plays(outcome: Outcome, tmp_path: Path) -> None:
    first = live_files(outcome)[0]
    whole = tmp_path / "piece"
    init = outcome.live_dir / "init.mp4"
    whole.write_bytes((init.read_bytes() if init.exists() else b"") + first.read_bytes())
    with av.open(str(whole)) as container:
        context = container.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.pix_fmt) == ("h264", "yuv420p")
        assert not container.streams.audio


def test_live_segments_last_one_second_each(outcome: Outcome) -> None:
    whole = outcome.playlist.durations_s[1:-1]  # cut by the beginning and by the stop
    assert len(whole) >= 5
    assert all(0.85 < duration_s < 1.2 for duration_s in whole), whole


def test_the_live_playlist_is_continuous_and_never_ends(outcome: Outcome) -> None:
    assert outcome.playlist.discontinuities <= 1  # the very first segment
    assert not outcome.playlist.has_end
    numbers = [int(name.split(".")[0]) for name in outcome.playlist.names]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_archives_are_cut_at_multiples_of_their_length(outcome: Outcome) -> None:
    starts = [segment.started_at for segment in outcome.segments]
    assert starts == sorted(starts)
    for started_at in starts[1:]:  # the first one begins with the recording
        past_the_cut_s = (started_at.minute * 60 + started_at.second) % SEGMENT_S
        assert past_the_cut_s in {0, 1}, starts  # a keyframe comes each second


def test_every_archive_is_told_of_with_its_true_length_and_size(outcome: Outcome) -> None:
    folder = outcome.segments[0].path.parent
    assert [segment.path for segment in outcome.segments] == sorted(folder.iterdir())
    for segment in outcome.segments:
        assert parse_archive_name(segment.path.name) == segment.started_at
        assert segment.size_bytes == segment.path.stat().st_size
        look = look_at(segment.path)
        assert look.codec == "h264"
        frame_s = segment.duration_s / max(look.frame_count, 1)
        length_s = look.shown_s[-1] - look.shown_s[0] + frame_s
        assert segment.duration_s == pytest.approx(length_s, abs=0.15)


def test_a_whole_archive_holds_its_seconds_of_pictures(outcome: Outcome) -> None:
    whole = outcome.segments[1]
    assert whole.duration_s == pytest.approx(SEGMENT_S, abs=1.1)
    look = look_at(whole.path)
    assert look.keyframes_s[0] == look.shown_s[0]  # it can be played from its first picture
    gaps_s = [b - a for a, b in pairwise(look.shown_s)]
    assert min(gaps_s) > 0
    assert max(gaps_s) < 0.5


def test_pictures_are_counted_while_they_flow(outcome: Outcome) -> None:
    assert outcome.stats.frame_count > 50
    assert outcome.stats.speed == pytest.approx(1, abs=0.3)


def test_a_looped_file_goes_on_without_a_seam(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["demo"]  # 12 pictures a second, 5 s long
    assert sum(outcome.playlist.durations_s) > 6
    with av.open(str(_joined(outcome))) as container:
        times_s = sorted(
            float(packet.pts * packet.time_base)
            for packet in container.demux(video=0)
            if packet.pts is not None
        )
    gaps_s = [b - a for a, b in pairwise(times_s)]
    assert len(times_s) >= 6 * 12
    assert min(gaps_s) == pytest.approx(1 / 12, abs=0.005)
    assert max(gaps_s) == pytest.approx(1 / 12, abs=0.005)


def _joined(outcome: Outcome) -> Path:
    joined = outcome.live_dir / "joined.bin"
    with joined.open("wb") as out:
        for path in live_files(outcome):
            with path.open("rb") as piece:
                shutil.copyfileobj(piece, out)
    return joined


async def test_open_players_can_go_on_when_a_recording_is_restarted(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    await asyncio.gather(
        _restarted(ffmpeg, videos["h264"], tmp_path / "ts", b_frames=False),
        _restarted(ffmpeg, videos["b_frames"], tmp_path / "fmp4", b_frames=True),
    )


async def _restarted(ffmpeg: Ffmpeg, source: Path, folder: Path, *, b_frames: bool) -> None:
    async with recording(ffmpeg, source, folder, b_frames=b_frames) as first:
        await first.until_live()
        await until(lambda: len(read_playlist(first.plan.live_dir).names) >= 2)
        await first.finish()
    before = read_playlist(first.plan.live_dir)
    stray = first.plan.live_dir / "17.ts"  # had left the playlist when the run died
    stray.write_bytes(b"x")
    async with recording(ffmpeg, source, folder, b_frames=b_frames) as second:
        await second.until_live()
        after = read_playlist(second.plan.live_dir)
        await second.finish()
    assert after.names[: len(before.names)] == before.names
    assert len(after.names) > len(before.names)
    assert after.first_number == before.first_number == int(before.names[0].split(".")[0])
    assert after.discontinuities == 1
    assert not stray.exists()
    both = [segment.path for segment in first.segments + second.segments]
    assert len(both) == len(set(both))


async def test_two_runs_within_one_second_do_not_share_a_file(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    paths = []
    for _ in range(2):
        async with recording(ffmpeg, videos["h264"], tmp_path) as made:
            await until(lambda counting=made.recorder: counting.stats.frame_count > 0)
            await made.finish()
            paths += [segment.path for segment in made.segments]
    assert len(paths) == len(set(paths)) >= 2


async def test_a_segment_that_is_not_taken_does_not_end_the_recording(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path: Path
) -> None:
    refused = []

    def refuse_the_first(segment: FinishedSegment) -> None:
        if not refused:
            refused.append(segment)
            raise RuntimeError("the database is away")

    async with recording(
        ffmpeg, videos["h264"], tmp_path, segment_s=2, on_segment=refuse_the_first
    ) as made:
        await made.until_segments(1)
        assert (await made.finish()).reason is None
    assert refused[0].path.exists()
    assert refused[0] not in made.segments
