"""The command lines of `excerpts`: for a clip, for pictures, for a snapshot, for a list of packets.

Pure: nothing is run here. Every one of them reads with one thread and writes with one, at low
priority, opens no other file than the video that is named, and calls a broken picture no failure.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ffmpeg as command_line

from backend.media.ffmpeg import Ffmpeg
from backend.media.process import LOW_PRIORITY

SAME_TIME_S: Final = 0.0005  # no further apart: the same picture
_CRF: Final = 28
_MOST_BITS_PER_S: Final = 100_000_000
_JPEG_QUALITY: Final = 4  # ffmpeg's scale, 2 is best


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """What a clip is like. It is never larger than its source, nor than `most_bytes`."""

    fps: float = 1.0
    longest_side: int = 768
    most_bytes: int = 8_000_000
    timeout_s: float = 120


@dataclass(frozen=True, slots=True)
class PicturesSpec:
    """How many pictures of a window are taken, and their size in pixels."""

    fps: float = 0.5
    most: int = 16
    longest_side: int = 768
    timeout_s: float = 120


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a video; up to its end where `t_end` is None."""

    video: Path
    t_start: float
    t_end: float | None

    def __post_init__(self) -> None:
        """Refuse what no video has."""
        if self.t_start < 0 or (self.t_end is not None and self.t_end <= self.t_start):
            raise ValueError("a window begins at 0 or later and ends after it begins")

    @property
    def seconds(self) -> float:
        """How long it is; infinite up to the end."""
        return math.inf if self.t_end is None else self.t_end - self.t_start


def packets_command(ffmpeg: Ffmpeg, window: Window) -> list[str]:
    """Packets are listed on stdout; nothing is decoded."""
    video = _input(window)["V:0"]
    return _argv(ffmpeg, video.output("pipe:1", c="copy", f="framecrc"))


def clip_command(
    ffmpeg: Ffmpeg,
    window: Window,
    to: Path,
    *,
    spec: ClipSpec,
    side: int,
    seconds: float,
    keys_only: bool,
) -> list[str]:
    """The first `seconds` of the window as a clip, no side longer than `side`."""
    # `up`: the last picture at or before each tick. Keyframes are few: the nearest one.
    rounding = "near" if keys_only else "up"
    steady = f"fps={spec.fps:g}:start_time=0:round={rounding}:eof_action=pass"
    picture_count = max(1, math.ceil(seconds * spec.fps - SAME_TIME_S))
    # x264 spends at most what is in the buffer at the start, and rate times time
    bits = 8 * 0.95 * max(0, spec.most_bytes - 2_000 - 32 * picture_count)
    rate = int(min(max(0.85 * bits / max(seconds, 1 / spec.fps), 1_000), _MOST_BITS_PER_S))
    buffer = int(min(max(0.15 * bits, 1_000), _MOST_BITS_PER_S))
    video = _input(window, keys_only=keys_only)["V:0"]
    options: dict[str, Any] = {
        "frames:v": picture_count,
        "vf": f"{steady},{_scale(side)}:out_range=tv,format=yuv420p,setsar=1",
        "c:v": "libx264",
        "preset": "veryfast",
        "crf": _CRF,
        "maxrate": rate,
        "bufsize": buffer,
        "bf": 0,  # else players that know no edit list begin late
        "threads": 1,
        "f": "mp4",
        "movflags": "+faststart",
    }
    return _argv(ffmpeg, video.output(f"file:{to}", **options))


def pictures_command(
    ffmpeg: Ffmpeg,
    window: Window,
    times: Sequence[float],
    *,
    spec: PicturesSpec,
    keys_only: bool,
) -> list[str]:
    """Pictures come on stdout, and their times and sizes on stderr."""
    chosen = "+".join(f"lt(abs(t-{t:.6f}),{SAME_TIME_S})" for t in times)
    video = _input(window, keys_only=keys_only)["V:0"]
    options = _jpeg(spec.longest_side, before=f"select='{chosen}',") | {
        "frames:v": len(times),
        "fps_mode": "passthrough",
        "enc_time_base": "1:90000",
        "f": "tee",
    }
    return _argv(ffmpeg, video.output("[f=image2pipe]pipe:1|[f=framecrc]pipe:2", **options))


def snapshot_command(
    ffmpeg: Ffmpeg, window: Window, to: Path, *, side: int, is_last: bool
) -> list[str]:
    """The first picture of the window or, each written over the one before, the last."""
    options = _jpeg(side) | {"f": "image2", "update": 1, "fps_mode": "passthrough"}
    if not is_last:
        options["frames:v"] = 1
    return _argv(ffmpeg, _input(window)["V:0"].output(f"file:{to}", **options))


def _argv(ffmpeg: Ffmpeg, output: Any) -> list[str]:
    quiet = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"]
    # Broken pictures alone are no failure, an output without any is one.
    manners = ["-y", "-max_error_rate", "1", "-abort_on", "empty_output", "-filter_threads", "1"]
    argv = [str(ffmpeg.path), *quiet, *manners]
    nice = shutil.which("nice")
    if nice is not None:
        argv = [nice, "-n", str(LOW_PRIORITY), *argv]
    command: list[str] = command_line.compile(output, cmd=argv)
    return command


def _input(window: Window, *, keys_only: bool = False) -> Any:
    """The window of the video; its own start becomes time 0.

    `file:` keeps a name from being read as an option or as another protocol, the whitelist a
    playlist from opening anything else.
    """
    options: dict[str, Any] = {
        "protocol_whitelist": "file",
        "fflags": "+discardcorrupt",
        "threads": 1,
    }
    if window.t_start > 0:
        # not rounded up: the picture at that very time belongs to the window
        options["ss"] = f"{math.floor(window.t_start * 1e6) / 1e6:.6f}"
    if window.t_end is not None:
        options["t"] = f"{window.seconds:.6f}"
    if keys_only:
        options["skip_frame"] = "nokey"
    return command_line.input(f"file:{window.video.absolute()}", **options)


def _jpeg(side: int, *, before: str = "") -> dict[str, Any]:
    return {
        "vf": f"{before}{_scale(side)}:out_range=pc,format=yuvj420p,setsar=1",
        "c:v": "mjpeg",
        "q:v": _JPEG_QUALITY,
        "threads": 1,
    }


def _scale(longest_side: int) -> str:
    """Square pixels, even sides, none longer than this or than it was."""
    width, height = "(iw*min(1,sar))", "(ih/max(1,sar))"
    ratio = f"min(1,{longest_side}/max({width},{height}))"
    return "scale=" + ":".join(
        f"'2*max(1,floor({length}*{ratio}/2+0.01))'" for length in (width, height)
    )
