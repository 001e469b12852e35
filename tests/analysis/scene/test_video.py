"""Reading video files: times that can be trusted, and whatever can be read of a damaged one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from backend.analysis.protocol import AnalysisError, Cancelled
from backend.analysis.scene.video import Reading, Video
from tests.peers.videos import make_video

UNREADABLE = {
    "init_truncated.mp4": "video_without_pictures",
    "mp4-with-audio.mp4": "video_without_pictures",
    "invalid-bitstream.webm": "video_unreadable",
    "invalid_userdata.mp4": "video_unreadable",
}
TRUE_LENGTH_S = {
    "sample_fragmented.mp4": 1.0,  # says 143,165 s
    "no_duration.webm": 5.0,  # says nothing
    "portrait_4k60.mp4": 0.3,
    "video_with_failing_audio.mp4": 11.2,
    "bbb_2500ms.ts": 2.5,
}


def read(
    path: Path, *, fps: float = 5, check: Callable[[], None] = lambda: None
) -> tuple[list[float], Reading]:
    with Video(path, check=check) as video:
        return [sample.t for sample in video.samples(fps)], video.reading


def ffmpeg(*arguments: str) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments],
        check=True,
        timeout=60,
    )


@pytest.mark.parametrize("fps", [25, 15, 10, 4])
def test_samples_are_evenly_spaced(fps: int, tmp_path: Path) -> None:
    times, reading = read(make_video(tmp_path / "a.mp4", seconds=4, fps=fps, size=(160, 90)))
    assert reading.frames_decoded == 4 * fps
    assert reading.duration_s == pytest.approx(4, abs=0.01)
    assert len(times) == reading.frames_sampled == min(20, 4 * fps)
    steps = np.diff(times)
    assert steps.min() > 0.1
    assert steps.max() < 0.35
    assert reading.remarks() == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_b_frames_come_in_order_from_every_container(suffix: str, tmp_path: Path) -> None:
    video = make_video(tmp_path / f"a{suffix}", seconds=2, b_frames=2, size=(160, 90))
    times, reading = read(video, fps=30)
    assert times == sorted(set(times))
    assert len(times) >= 48
    assert reading.duration_s == pytest.approx(2, abs=0.1)


def test_every_odd_file_gives_pictures_or_a_typed_error(testdata: Path) -> None:
    for path in sorted((testdata / "odd").iterdir()):
        expected = UNREADABLE.get(path.name)
        if expected is not None:
            with pytest.raises(AnalysisError) as caught:
                read(path)
            assert (caught.value.code, caught.value.permanent) == (expected, True), path.name
            continue
        times, reading = read(path)
        assert times[0] == 0
        assert times == sorted(set(times)), path.name
        assert reading.duration_s == pytest.approx(
            TRUE_LENGTH_S.get(path.name, reading.duration_s), abs=0.15
        ), path.name
        assert reading.duration_s < 60


def test_a_rotated_video_is_seen_as_a_player_shows_it(testdata: Path) -> None:
    with Video(testdata / "odd" / "portrait_4k60.mp4", check=lambda: None) as video:
        sample = next(video.samples(5))
        assert sample.size == (2160, 3840)
        assert sample.gray(90, 160).shape == (160, 90)
        assert sample.bgr(90, 160).shape == (160, 90, 3)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_turns_the_right_way(turn: int, tmp_path: Path) -> None:
    upright, turned, shown = (tmp_path / f"{name}.mp4" for name in ("upright", "turned", "shown"))
    make_video(upright, seconds=1, size=(160, 90))
    ffmpeg("-display_rotation", str(turn), "-i", str(upright), "-c", "copy", str(turned))
    ffmpeg("-i", str(turned), "-c:v", "libx264", "-preset", "ultrafast", "-qp", "1", str(shown))
    pictures = []
    for path in (turned, shown):
        with Video(path, check=lambda: None) as video:
            sample = next(video.samples(5))
            pictures.append(sample.gray(*sample.size).astype(int))
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).mean() < 6


def test_a_truncated_file_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mkv", seconds=6, size=(640, 360))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    times, reading = read(cut)
    assert 1 < reading.duration_s < 5
    assert times
    assert reading.container_s == pytest.approx(6, abs=0.1)


def test_damage_in_the_middle_is_left_out_and_counted(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.ts", seconds=6, size=(640, 360))
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40_000] = bytes(40_000)
    damaged = tmp_path / "damaged.ts"
    damaged.write_bytes(content)
    times, reading = read(damaged)
    assert reading.duration_s == pytest.approx(6, abs=0.3)
    assert times == sorted(set(times))


def test_a_size_that_changes_is_followed_and_said(tmp_path: Path) -> None:
    for name, size in (("a.ts", (320, 180)), ("b.ts", (640, 360))):
        make_video(tmp_path / name, seconds=2, size=size)
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with Video(both, check=lambda: None) as video:
        samples = [(s.t, s.size, s.gray(32, 18).shape) for s in video.samples(5)]
        reading = video.reading
    assert {size for _, size, _ in samples} == {(320, 180), (640, 360)}
    assert {shape for _, _, shape in samples} == {(18, 32)}
    assert [t for t, _, _ in samples] == sorted({t for t, _, _ in samples})
    assert reading.remarks() == ["the picture changed its size (320x180, 640x360)"]
    assert reading.duration_s == pytest.approx(4, abs=0.2)


def test_a_name_that_looks_like_an_option_is_a_name(tmp_path: Path) -> None:
    times, _ = read(make_video(tmp_path / "-i http:x.mp4", seconds=1, size=(160, 90)))
    assert len(times) == 5


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError) as caught:
        read(tmp_path / "gone.mp4")
    assert (caught.value.code, caught.value.permanent) == ("video_missing", True)
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100_000)], ids=["empty", "text", "zeros"])
def test_what_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    path.write_bytes(content)
    with pytest.raises(AnalysisError) as caught:
        read(path)
    assert caught.value.code in ("video_unreadable", "video_without_pictures")


def test_reading_stops_when_the_answer_is_not_wanted(tmp_path: Path) -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks > 10:
            raise Cancelled

    with pytest.raises(Cancelled):
        read(make_video(tmp_path / "a.mp4", seconds=4, size=(160, 90)), check=check)
    assert looks == 11
