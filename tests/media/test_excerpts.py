"""Excerpts show the right stretch of a video, cost what they may, and leave nothing behind."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import subprocess
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pytest

from backend.media.excerpts import (
    ClipSpec,
    ExcerptError,
    PicturesSpec,
    clip,
    pictures,
    snapshot,
)
from backend.media.ffmpeg import Ffmpeg
from backend.media.process import LOW_PRIORITY
from tests.browser.numbered_pictures import BITS, FPS, PICTURES, make_numbered_video
from tests.media.harness import kill_all, pids_with, recording
from tests.peers.videos import make_video
from tests.waiting import until

LENGTH_S = PICTURES / FPS
CRASH_SAFE = "+empty_moov+default_base_moof+frag_keyframe"


@dataclass(frozen=True)
class Seen:
    """A video file as a player sees it."""

    times: list[float]
    numbers: list[int]
    size: tuple[int, int]
    codec: str
    pix_fmt: str
    fps: float
    stream_count: int


def number_on(frame: av.VideoFrame) -> int:
    """The number that the bars of a picture say."""
    gray = frame.to_ndarray(format="gray")
    height, width = gray.shape
    columns = [int((bit + 0.5) * width / BITS) for bit in range(BITS)]
    return sum(2**bit for bit, x in enumerate(columns) if np.median(gray[height // 2, x]) > 127)


def look(data: bytes, *, container: str = "mp4") -> Seen:
    with av.open(io.BytesIO(data), format=container) as opened:
        stream = opened.streams.video[0]
        frames = list(opened.decode(stream))
        return Seen(
            [round(float(frame.time), 3) for frame in frames] if container == "mp4" else [],
            [number_on(frame) for frame in frames],
            (frames[0].width, frames[0].height),
            stream.codec_context.codec.canonical_name,
            frames[0].format.name,
            float(stream.average_rate or 0),
            len(opened.streams),
        )


def look_at_jpeg(data: bytes) -> Seen:
    seen = look(data, container="jpeg_pipe")
    assert len(seen.numbers) == 1
    return seen


def transcode(ffmpeg: Ffmpeg, source: Path, to: Path, *options: str) -> Path:
    argv = [str(ffmpeg.path), "-nostdin", "-loglevel", "error", "-i", str(source), *options]
    subprocess.run([*argv, str(to)], check=True, timeout=120)
    return to


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 pictures a second that carry their numbers, a keyframe a second, 25.6 s."""
    return make_numbered_video(tmp_path_factory.mktemp("numbered") / "numbered.mp4")


@pytest.fixture(scope="module")
def archives(
    numbered: Path, ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The same pictures as other cameras and other crashes would leave them."""
    folder = tmp_path_factory.mktemp("archives")
    x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0")
    x265 = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1")
    hybrid = ("-movflags", "+hybrid_fragmented+frag_keyframe")
    made = {
        "hybrid": ("-c", "copy", *hybrid),
        "fragmented": ("-c", "copy", "-movflags", CRASH_SAFE),
        "late": (
            *("-c", "copy", "-output_ts_offset", "5000", "-avoid_negative_ts", "disabled"),
            *("-movflags", f"{CRASH_SAFE}+frag_discont"),
        ),
        "b_frames": (*x264, "-bf", "3", "-g", "20", "-movflags", CRASH_SAFE),
        "few_keyframes": (*x264, "-g", "250", *hybrid),
        "hevc": (*x265, "-x265-params", "keyint=70:log-level=error", *hybrid),
    }
    found = {
        name: transcode(ffmpeg, numbered, folder / f"{name}.mp4", *options)
        for name, options in made.items()
    }
    with av.open(str(found["late"])) as late:
        assert float(late.streams.video[0].start_time * late.streams.video[0].time_base) > 4000
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where files are written while they are needed."""
    path = tmp_path / "for-a-moment"
    path.mkdir()
    return path


async def error_of(excerpt: Awaitable[object]) -> ExcerptError:
    with pytest.raises(ExcerptError) as caught:
        await excerpt
    assert "/" not in caught.value.message
    return caught.value


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def script(tmp_path: Path, ffmpeg: Ffmpeg, text: str) -> Ffmpeg:
    """An ffmpeg that does something else, or something before."""
    path = tmp_path / "ffmpeg.sh"
    path.write_text(f"#!/bin/sh\n{text}\n".replace("FFMPEG", str(ffmpeg.path)))
    path.chmod(0o755)
    return replace(ffmpeg, path=path)


# -- clips ---------------------------------------------------------------------------------------

ALL = ["hybrid", "fragmented", "late", "b_frames", "few_keyframes", "hevc"]


@pytest.mark.parametrize("name", ALL)
async def test_a_clip_shows_its_window_and_nothing_else(
    ffmpeg: Ffmpeg, archives: dict[str, Path], folder: Path, name: str
) -> None:
    made = await clip(ffmpeg, archives[name], 7.3, 12.3, folder=folder, spec=ClipSpec(fps=5))
    seen = look(made)
    assert seen.numbers == list(range(73, 123, 2))
    assert seen.times == [round(number / 5, 3) for number in range(25)]
    assert (seen.size, seen.codec, seen.pix_fmt) == ((320, 240), "h264", "yuv420p")
    assert (seen.fps, seen.stream_count) == (5, 1)
    assert made.index(b"moov") < made.index(b"mdat")
    assert names_in(folder) == []


async def test_a_clip_of_one_picture_a_second_shows_each_second(
    ffmpeg: Ffmpeg, archives: dict[str, Path], folder: Path
) -> None:
    video = archives["few_keyframes"]
    seen = look(await clip(ffmpeg, video, 7.3, 12.3, folder=folder, spec=ClipSpec()))
    assert seen.numbers == [73, 83, 93, 103, 113]
    assert seen.times == [0, 1, 2, 3, 4]


async def test_where_keyframes_are_as_many_as_wanted_only_they_are_decoded(
    ffmpeg: Ffmpeg, archives: dict[str, Path], folder: Path
) -> None:
    seen = look(await clip(ffmpeg, archives["hybrid"], 7.8, 12.8, folder=folder, spec=ClipSpec()))
    assert seen.numbers == [80, 90, 100, 110, 120]
    assert seen.times == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1280, 720), (768, 432)),
        ((720, 1280), (432, 768)),
        ((768, 576), (768, 576)),
        ((101, 57), (100, 56)),
        ((1536, 16), (768, 8)),
    ],
)
async def test_a_large_picture_shrinks_and_a_small_one_stays(
    ffmpeg: Ffmpeg, tmp_path: Path, folder: Path, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    video = make_video(tmp_path / "a.avi", seconds=1, fps=5, size=size, codec="mjpeg", audio=True)
    seen = look(await clip(ffmpeg, video, 0, 1, folder=folder, spec=ClipSpec()))
    assert (seen.size, seen.pix_fmt, seen.stream_count) == (shown, "yuv420p", 1)
    [_, (_, jpeg), _] = await pictures(ffmpeg, video, 0, 1, spec=PicturesSpec())
    assert look_at_jpeg(jpeg).size == shown


async def test_pixels_become_square(
    ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path, folder: Path
) -> None:
    tall = transcode(ffmpeg, numbered, tmp_path / "tall.mp4", "-vf", "setsar=3/4")
    seen = look(await clip(ffmpeg, tall, 3, 5, folder=folder, spec=ClipSpec()))
    assert (seen.size, seen.numbers) == ((240, 240), [30, 40])


async def test_a_phone_video_is_turned(ffmpeg: Ffmpeg, testdata: Path, folder: Path) -> None:
    video = testdata / "odd" / "portrait_4k60.mp4"
    assert look(await clip(ffmpeg, video, 0, 9, folder=folder, spec=ClipSpec())).size == (432, 768)
    found = await pictures(ffmpeg, video, 0, 9, spec=PicturesSpec())
    assert [look_at_jpeg(jpeg).size for _, jpeg in found] == [(432, 768)] * 3


@pytest.mark.parametrize("most_bytes", [400_000, 60_000, 8_000])
async def test_a_clip_of_pure_noise_fits_all_the_same(
    ffmpeg: Ffmpeg, tmp_path: Path, folder: Path, most_bytes: int
) -> None:
    made = tmp_path / "noise.mp4"
    argv = [str(ffmpeg.path), "-nostdin", "-loglevel", "error", "-f", "lavfi"]
    argv += ["-i", "color=gray:size=640x480:rate=4,noise=alls=100:allf=t", "-t", "10"]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", str(made)]
    subprocess.run(argv, check=True, timeout=120)
    found = await clip(ffmpeg, made, 0, 10, folder=folder, spec=ClipSpec(most_bytes=most_bytes))
    assert len(found) <= most_bytes
    assert len(look(found).times) == 10
    assert names_in(folder) == []


async def test_a_clip_that_cannot_fit_is_refused(
    ffmpeg: Ffmpeg, numbered: Path, folder: Path
) -> None:
    tiny = ClipSpec(most_bytes=500)
    error = await error_of(clip(ffmpeg, numbered, 0, 20, folder=folder, spec=tiny))
    assert (error.code, error.permanent) == ("ffmpeg_failed", False)
    assert names_in(folder) == []


async def test_a_clip_ends_where_the_video_does(
    ffmpeg: Ffmpeg, archives: dict[str, Path], folder: Path
) -> None:
    for name in ALL:
        made = await clip(ffmpeg, archives[name], 20, 90, folder=folder, spec=ClipSpec(fps=2))
        assert look(made).numbers == list(range(200, PICTURES, 5)), name


async def test_several_clips_at_once_do_not_meet(
    ffmpeg: Ffmpeg, numbered: Path, folder: Path
) -> None:
    spec = ClipSpec(fps=2)
    made = await asyncio.gather(
        *(clip(ffmpeg, numbered, t, t + 1, folder=folder, spec=spec) for t in (1, 9, 17))
    )
    assert [look(each).numbers for each in made] == [[10, 15], [90, 95], [170, 175]]


# -- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("window", [(0, 20), (7.3, 12.3), (18, 90)])
async def test_pictures_are_spread_over_the_window_and_say_their_true_time(
    ffmpeg: Ffmpeg, archives: dict[str, Path], name: str, window: tuple[float, float]
) -> None:
    t_start, t_end = window
    found = await pictures(ffmpeg, archives[name], t_start, t_end, spec=PicturesSpec())
    shown_s = min(t_end, LENGTH_S) - t_start
    count = max(3, -(-shown_s // 2))
    assert len(found) == count
    for number, (t, jpeg) in enumerate(found):
        seen = look_at_jpeg(jpeg)
        assert seen.numbers == [round(10 * (t_start + t))]
        assert seen.size == (320, 240)
        middle = (number + 0.5) * shown_s / count
        assert abs(t - middle) <= shown_s / count / 2 + 0.01


async def test_there_are_never_more_pictures_than_allowed(
    ffmpeg: Ffmpeg, archives: dict[str, Path]
) -> None:
    for name in ("hybrid", "few_keyframes"):
        found = await pictures(ffmpeg, archives[name], 0, 25, spec=PicturesSpec(fps=5))
        assert len(found) == 16
        gaps = np.diff([t for t, _ in found])
        assert gaps.min() > 0.5
        assert gaps.max() < 2.6


@pytest.mark.parametrize(
    ("t_end", "numbers"), [(10.05, [100]), (10.15, [100, 101]), (10.25, [100, 101, 102])]
)
async def test_a_window_of_few_pictures_gives_each_of_them(
    ffmpeg: Ffmpeg, archives: dict[str, Path], t_end: float, numbers: list[int]
) -> None:
    found = await pictures(ffmpeg, archives["few_keyframes"], 10, t_end, spec=PicturesSpec())
    assert [look_at_jpeg(jpeg).numbers[0] for _, jpeg in found] == numbers
    assert [t for t, _ in found] == [round((number - 100) / 10, 3) for number in numbers]


@pytest.fixture
def halting(ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path) -> Path:
    """A camera that sends 1 s, says nothing for 8 s, and goes on with one picture a second."""
    kept = "select='lt(n,10)+gte(n,90)*not(mod(n,10))',format=yuv420p"
    options = ("-vf", kept, "-fps_mode", "vfr", "-c:v", "libx264", "-g", "250")
    return transcode(ffmpeg, numbered, tmp_path / "halting.mp4", *options)


async def test_a_camera_with_pauses_is_shown_with_its_true_times(
    ffmpeg: Ffmpeg, halting: Path, folder: Path
) -> None:
    found = await pictures(ffmpeg, halting, 0, 20, spec=PicturesSpec())
    numbers = [look_at_jpeg(jpeg).numbers[0] for _, jpeg in found]
    assert numbers == [round(10 * t) for t, _ in found]
    assert len(set(numbers)) == len(numbers) >= 7
    seen = look(await clip(ffmpeg, halting, 0, 20, folder=folder, spec=ClipSpec()))
    assert seen.numbers == [0, *[9] * 8, *range(90, 200, 10)]


async def test_three_pictures_come_where_most_stand_close_together(
    ffmpeg: Ffmpeg, halting: Path
) -> None:
    found = await pictures(ffmpeg, halting, 0, 9.05, spec=PicturesSpec(fps=0.1))
    assert len(found) == 3
    assert [round(10 * t) for t, _ in found] == [look_at_jpeg(jpeg).numbers[0] for _, jpeg in found]


# -- snapshots -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
async def test_a_snapshot_shows_its_second_and_past_the_end_the_last_picture(
    ffmpeg: Ffmpeg, archives: dict[str, Path], folder: Path, name: str
) -> None:
    to = folder / "100%d.jpg"  # a name, not a pattern
    for t, number in [(0, 0), (12.3, 123), (LENGTH_S - 0.1, 255), (LENGTH_S, 255), (900, 255)]:
        await snapshot(ffmpeg, archives[name], t, to=to)
        seen = look_at_jpeg(to.read_bytes())
        assert (seen.numbers, seen.size) == ([number], (320, 240))
        assert names_in(folder) == [to.name]


async def test_a_snapshot_is_as_small_as_asked(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=1, size=(1280, 720))
    for side, size in [(640, (640, 360)), (100, (100, 56))]:
        await snapshot(ffmpeg, video, 0.5, to=tmp_path / "a.jpg", longest_side=side)
        assert look_at_jpeg((tmp_path / "a.jpg").read_bytes()).size == size


async def test_a_snapshot_that_fails_leaves_the_one_before(
    ffmpeg: Ffmpeg, numbered: Path, folder: Path
) -> None:
    to = folder / "a.jpg"
    await snapshot(ffmpeg, numbered, 3, to=to)
    await error_of(snapshot(ffmpeg, folder / "gone.mp4", 4, to=to))
    assert look_at_jpeg(to.read_bytes()).numbers == [30]
    assert names_in(folder) == ["a.jpg"]


# -- what is broken ------------------------------------------------------------------------------


async def test_a_recording_that_a_crash_cut_off_shows_what_it_has(
    ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path, folder: Path
) -> None:
    async with recording(ffmpeg, numbered, tmp_path, segment_s=86_400) as made:
        await made.until_pictures(3)
        kill_all(made.pids())
        await made.task
    assert made.plan.archive_dir is not None
    [video] = made.plan.archive_dir.iterdir()
    found = await pictures(ffmpeg, video, 0, 60, spec=PicturesSpec())
    assert len(found) >= 3
    assert [look_at_jpeg(jpeg).numbers[0] for _, jpeg in found] == [round(10 * t) for t, _ in found]
    numbers = look(await clip(ffmpeg, video, 0, 60, folder=folder, spec=ClipSpec(fps=10))).numbers
    assert numbers == list(range(len(numbers)))
    await snapshot(ffmpeg, video, 60, to=tmp_path / "last.jpg")
    assert look_at_jpeg((tmp_path / "last.jpg").read_bytes()).numbers == numbers[-1:]


@pytest.mark.parametrize("share", [0.35, 0.5, 0.71, 0.99])
async def test_a_file_cut_anywhere_shows_what_it_has(
    ffmpeg: Ffmpeg, archives: dict[str, Path], tmp_path: Path, folder: Path, share: float
) -> None:
    for name in ("fragmented", "b_frames"):
        whole = archives[name].read_bytes()
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(whole[: int(len(whole) * share)])
        numbers = look(await clip(ffmpeg, cut, 0, 90, folder=folder, spec=ClipSpec(fps=10))).numbers
        # what the last B-frames refer to may be lost
        assert all(abs(shown - number) <= 2 for number, shown in enumerate(numbers))
        assert len(numbers) > 256 * share - 40
        found = await pictures(ffmpeg, cut, 0, 90, spec=PicturesSpec())
        for t, jpeg in found:
            assert look_at_jpeg(jpeg).numbers == [round(10 * t)]
        assert found[-1][0] > 25.6 * share - 6
        await snapshot(ffmpeg, cut, 90, to=tmp_path / "a.jpg")
        [last] = look_at_jpeg((tmp_path / "a.jpg").read_bytes()).numbers
        assert abs(last - numbers[-1]) <= 2


async def test_what_has_not_one_picture_is_refused_for_good(
    ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.mp4").write_text("plain words\n" * 500)
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 50)
    (tmp_path / "head.mp4").write_bytes(numbered.read_bytes()[:100])
    for name in ["empty.mp4", "notes.mp4", "noise.mp4", "head.mp4", "gone.mp4"]:
        video = tmp_path / name
        for excerpt in (
            clip(ffmpeg, video, 0, 5, folder=folder, spec=ClipSpec()),
            pictures(ffmpeg, video, 0, 5, spec=PicturesSpec()),
            snapshot(ffmpeg, video, 0, to=folder / "a.jpg"),
        ):
            error = await error_of(excerpt)
            assert (error.code, error.permanent) == ("video_unreadable", True), name
    assert names_in(folder) == []


async def test_a_window_past_the_end_is_refused_for_good(
    ffmpeg: Ffmpeg, archives: dict[str, Path], folder: Path
) -> None:
    for name in ALL:
        for excerpt in (
            clip(ffmpeg, archives[name], 26, 30, folder=folder, spec=ClipSpec()),
            pictures(ffmpeg, archives[name], 26, 30, spec=PicturesSpec()),
        ):
            error = await error_of(excerpt)
            assert (error.code, error.permanent) == ("video_unreadable", True), name


@pytest.mark.parametrize(("t_start", "t_end"), [(-1, 5), (5, 5), (6, 5)])
async def test_a_window_that_is_none_is_a_mistake(
    ffmpeg: Ffmpeg, numbered: Path, t_start: float, t_end: float
) -> None:
    with pytest.raises(ValueError, match="window"):
        await pictures(ffmpeg, numbered, t_start, t_end, spec=PicturesSpec())


ODD = {
    "bbb_2500ms.ts": 3,
    "h264_10bits.mp4": 1,
    "h265_with_metadata_track.mp4": 1,
    "no_duration.webm": 5,
    "sample_av1.mp4": 1,
    "sample_fragmented.mp4": 1,
    "sample_mdat_too_long.mp4": 1,
    "video_with_failing_audio.mp4": 11,
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_files_are_shown(ffmpeg: Ffmpeg, testdata: Path, folder: Path, name: str) -> None:
    video = testdata / "odd" / name
    seen = look(await clip(ffmpeg, video, 0, 60, folder=folder, spec=ClipSpec()))
    assert abs(len(seen.times) - ODD[name]) <= 1
    assert (seen.pix_fmt, seen.times[0]) == ("yuv420p", 0)
    assert len(await pictures(ffmpeg, video, 0, 60, spec=PicturesSpec())) >= 3
    await snapshot(ffmpeg, video, 60, to=folder / "a.jpg")
    assert max(look_at_jpeg((folder / "a.jpg").read_bytes()).size) <= 640


async def test_a_playlist_cannot_make_the_server_call_others(
    ffmpeg: Ffmpeg, tmp_path: Path, folder: Path
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        port = listener.getsockname()[1]
        playlist = tmp_path / "list.m3u8"
        playlist.write_text(f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/x.ts\n#EXT-X-ENDLIST\n")
        await error_of(clip(ffmpeg, playlist, 0, 5, folder=folder, spec=ClipSpec()))
        await error_of(snapshot(ffmpeg, playlist, 0, to=folder / "a.jpg"))
        with pytest.raises(BlockingIOError):  # nobody came
            listener.accept()


async def test_a_folder_that_cannot_be_written_to_is_no_fault_of_the_video(
    ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path
) -> None:
    for folder in (Path("/proc/self"), tmp_path / "nowhere"):  # not even root writes there
        for excerpt in (
            clip(ffmpeg, numbered, 0, 5, folder=folder, spec=ClipSpec()),
            snapshot(ffmpeg, numbered, 0, to=folder / "a.jpg"),
        ):
            error = await error_of(excerpt)
            assert (error.code, error.permanent) == ("ffmpeg_failed", False)


async def test_a_full_disk_is_told(
    ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path, folder: Path
) -> None:
    # Whatever file ffmpeg is to write, its disk is full.
    fill = 'for last; do true; done; case $last in file:*) ln -sf /dev/full "${last#file:}"; esac'
    full = script(tmp_path, ffmpeg, f'{fill}; exec FFMPEG "$@"')
    for excerpt in (
        clip(full, numbered, 0, 5, folder=folder, spec=ClipSpec()),
        snapshot(full, numbered, 0, to=folder / "a.jpg"),
    ):
        error = await error_of(excerpt)
        assert (error.code, error.permanent) == ("disk_full", False)
    assert names_in(folder) == []


async def test_an_ffmpeg_that_fails_may_work_later(
    ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path, folder: Path
) -> None:
    for broken in (
        script(tmp_path, ffmpeg, "exit 1"),
        script(tmp_path, ffmpeg, "kill -9 $$"),
        replace(ffmpeg, path=tmp_path / "gone"),
    ):
        for excerpt in (
            clip(broken, numbered, 0, 5, folder=folder, spec=ClipSpec()),
            pictures(broken, numbered, 0, 5, spec=PicturesSpec()),
            snapshot(broken, numbered, 0, to=folder / "a.jpg"),
        ):
            error = await error_of(excerpt)
            assert (error.code, error.permanent) == ("ffmpeg_failed", False)
    assert names_in(folder) == []


async def test_an_ffmpeg_that_never_stops_writing_is_stopped(
    ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path
) -> None:
    endless = 'case "$*" in *image2pipe*) exec cat /dev/zero; esac; exec FFMPEG "$@"'
    spec = PicturesSpec(longest_side=320)
    error = await error_of(pictures(script(tmp_path, ffmpeg, endless), numbered, 0, 5, spec=spec))
    assert error.code == "ffmpeg_failed"


# -- what is left behind -------------------------------------------------------------------------

HANG = 'trap "" TERM; echo x >&2; sleep {marker} & wait; sleep {marker}'
WHEN = {
    "at once": HANG,
    "while it writes": f'case "$*" in *framecrc*pipe:1) exec FFMPEG "$@"; esac; {HANG}',
}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("kind", ["clip", "pictures", "snapshot"])
@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "too late"])
async def test_an_ffmpeg_that_hangs_is_killed_and_leaves_nothing(
    ffmpeg: Ffmpeg,
    numbered: Path,
    tmp_path: Path,
    folder: Path,
    when: str,
    kind: str,
    is_cancelled: bool,
) -> None:
    marker = f"61.{os.getpid()}{time.monotonic_ns() % 1_000_000}"
    hanging = script(tmp_path, ffmpeg, WHEN[when].replace("{marker}", marker))
    timeout_s = 120 if is_cancelled else 0.5
    made: dict[str, Awaitable[object]] = {
        "clip": clip(hanging, numbered, 0, 5, folder=folder, spec=ClipSpec(timeout_s=timeout_s)),
        "pictures": pictures(hanging, numbered, 0, 5, spec=PicturesSpec(timeout_s=timeout_s)),
        "snapshot": snapshot(hanging, numbered, 0, to=folder / "a.jpg", timeout_s=timeout_s),
    }
    wanted = asyncio.ensure_future(made.pop(kind))
    for other in made.values():
        other.close()  # type: ignore[attr-defined]
    if is_cancelled:
        await until(lambda: pids_with(marker), within_s=60)
        began = time.monotonic()
        wanted.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wanted
    else:
        began = time.monotonic()
        assert (await error_of(wanted)).code == "timeout"
    assert time.monotonic() - began < 30  # of a minute and more that it would sleep
    await until(lambda: not pids_with(marker), within_s=20)
    assert names_in(folder) == []


async def test_ffmpeg_works_at_low_priority_and_without_keys_in_its_environment(
    ffmpeg: Ffmpeg, numbered: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAP_ADMIN_PASSWORD", "very secret")
    told = tmp_path / "told"
    curious = script(tmp_path, ffmpeg, f'nice >>{told}; env >>{told}.env; exec FFMPEG "$@"')
    await clip(curious, numbered, 0, 5, folder=folder, spec=ClipSpec())
    await pictures(curious, numbered, 0, 5, spec=PicturesSpec())
    await snapshot(curious, numbered, 0, to=folder / "a.jpg")
    expected = str(min(19, os.nice(0) + LOW_PRIORITY))
    assert told.read_text().split() == [expected] * 5
    assert "secret" not in Path(f"{told}.env").read_text()
