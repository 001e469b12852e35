"""What a healthy recording leaves: live segments, archives aligned to the clock, notices.

All sources are recorded side by side, once; each test looks at what came out. Where pictures get
the time of their arrival, a machine that stalls shows in them: recording goes on until there is a
stretch without that, at most a minute, and the tests look at that stretch.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import pytest

from backend.media import commands
from backend.media.archive import FinishedSegment, parse_archive_name
from backend.media.commands import SourceKind
from backend.media.ffmpeg import Ffmpeg
from backend.media.recorder import RecordingEnded
from tests.media.harness import (
    Look,
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


STEADY_WITHIN_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """One recording after two finished archives and a stop.

    Attributes:
        steady_playlist: of a stretch in which the machine did not stall, if there was one.
        steady: the archive of such a stretch; one was finished before it.
    """

    live_dir: Path
    playlist_while_live: Playlist
    steady_playlist: Playlist
    playlist: Playlist
    segments: list[FinishedSegment]
    steady: FinishedSegment
    frame_count: int
    ended: RecordingEnded


@pytest.fixture(scope="module")
def outcomes(
    ffmpeg: Ffmpeg, videos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("recordings")
    return apart(lambda: asyncio.run(_record_all(ffmpeg, videos, folder)))


async def _record_all(ffmpeg: Ffmpeg, videos: dict[str, Path], folder: Path) -> dict[str, Outcome]:
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(commands, "SOCKET_TIMEOUT_US", 100_000_000)
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
        gives_up_at = time.monotonic() + STEADY_WITHIN_S
        await made.until_segments(2)
        await until(lambda: len(read_playlist(made.plan.live_dir).names) >= 7)
        while True:
            playlist, steady = read_playlist(made.plan.live_dir), made.segments[-1]
            is_steady = (
                has_even_segments(playlist)
                and is_cut_in_time(steady)
                and await asyncio.to_thread(is_even, steady)
            )
            if is_steady or time.monotonic() > gives_up_at:
                break
            await asyncio.sleep(0.5)
        ended = await made.finish()
        return Outcome(
            made.plan.live_dir,
            while_live,
            playlist,
            read_playlist(made.plan.live_dir),
            made.segments,
            steady,
            made.recorder.frame_count,
            ended,
        )


def has_even_segments(playlist: Playlist) -> bool:
    """Whether the live segments last a second each, but for one that the beginning has cut."""
    return all(0.85 < duration_s < 1.2 for duration_s in playlist.durations_s[1:])


def is_cut_in_time(segment: FinishedSegment) -> bool:
    """Whether an archive begins at a multiple of its length; a keyframe comes each second."""
    return (segment.started_at.minute * 60 + segment.started_at.second) % SEGMENT_S in {0, 1}


def is_even(segment: FinishedSegment) -> bool:
    """Whether an archive has the length that it should and is said to have, and no gap. Blocks."""
    look = look_at(segment.path)
    gaps_s = [b - a for a, b in pairwise(look.shown_s)] or [0]
    return (
        abs(segment.duration_s - SEGMENT_S) < 1.1
        and abs(segment.duration_s - length_s(look)) < 0.15
        and min(gaps_s) > 0
        and max(gaps_s) < 0.5
    )


def length_s(look: Look) -> float:
    """How long the pictures are shown, the last one as long as the others."""
    return (look.shown_s[-1] - look.shown_s[0]) / max(look.frame_count - 1, 1) * look.frame_count


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
    assert len(outcome.steady_playlist.durations_s) >= 7
    assert has_even_segments(outcome.steady_playlist), outcome.steady_playlist


def test_the_live_playlist_is_continuous_and_never_ends(outcome: Outcome) -> None:
    assert outcome.playlist.discontinuities <= 1  # the very first segment
    assert not outcome.playlist.has_end
    numbers = [int(name.split(".")[0]) for name in outcome.playlist.names]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_archives_are_cut_at_multiples_of_their_length(outcome: Outcome) -> None:
    starts = [segment.started_at for segment in outcome.segments]
    assert starts == sorted(starts)
    assert outcome.steady in outcome.segments[1:]  # the first one begins with the recording
    assert is_cut_in_time(outcome.steady), starts


def test_every_archive_is_told_of_with_its_true_length_and_size(outcome: Outcome) -> None:
    folder = outcome.segments[0].path.parent
    assert [segment.path for segment in outcome.segments] == sorted(folder.iterdir())
    for segment in outcome.segments:
        assert parse_archive_name(segment.path.name) == segment.started_at
        assert segment.size_bytes == segment.path.stat().st_size
        look = look_at(segment.path)
        assert look.codec == "h264"
        assert segment.duration_s > length_s(look) - 0.15
    for segment, following in pairwise(outcome.segments):
        until_next_s = (following.started_at - segment.started_at).total_seconds()
        assert segment.duration_s < until_next_s + 1.2  # names know no parts of a second
    assert is_even(outcome.steady), outcome.steady


def test_a_whole_archive_holds_its_seconds_of_pictures(outcome: Outcome) -> None:
    look = look_at(outcome.steady.path)
    assert look.keyframes_s[0] == look.shown_s[0]  # it can be played from its first picture
    assert is_even(outcome.steady), (outcome.steady, look.shown_s)


def test_pictures_are_counted_while_they_flow(outcome: Outcome) -> None:
    assert outcome.frame_count > 50


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
    assert before.first_number == int(before.names[0].split(".")[0])
    # a machine that stalled before the second look may have pushed the oldest ones out by then
    pushed_out = after.first_number - before.first_number
    kept = before.names[pushed_out:]
    assert pushed_out >= 0
    assert len(kept) >= 1
    assert after.names[: len(kept)] == kept
    assert len(after.names) > len(kept)
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
            await until(lambda counting=made.recorder: counting.frame_count > 0)
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
