"""Test videos with known properties, made by the bundled ffmpeg and encoded once per process."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Literal
from uuid import uuid4

import imageio_ffmpeg

Codec = Literal["h264", "hevc", "mpeg4", "mjpeg"]

_ENCODE_TIMEOUT_S = 120


def make_video(
    path: str | Path,
    *,
    seconds: float = 2,
    size: tuple[int, int] = (640, 360),
    fps: int = 25,
    codec: Codec = "h264",
    b_frames: int = 0,
    gop_seconds: float = 1,
    audio: bool = False,
    bitrate_kbps: int | None = None,
) -> Path:
    """Write a moving test pattern to ``path`` (its suffix picks the container) and return the path.

    Exactly ``seconds * fps`` frames and a keyframe every ``gop_seconds``. The same parameters are
    encoded once per process: later calls copy. ``audio`` adds a 440 Hz AAC tone. Without a bit rate
    the encoder's default quality holds; a benchmark sets one.
    """
    path = Path(path)
    made = _encode(
        path.suffix, seconds, size, fps, codec, b_frames, gop_seconds, audio, bitrate_kbps
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, path)
    return path


@lru_cache(maxsize=1)
def _cache_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vap-test-videos-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@lru_cache(maxsize=256)
def _encode(
    suffix: str,
    seconds: float,
    size: tuple[int, int],
    fps: int,
    codec: Codec,
    b_frames: int,
    gop_seconds: float,
    audio: bool,
    bitrate_kbps: int | None,
) -> Path:
    made = _cache_folder() / f"{uuid4().hex}{suffix}"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y"]
    argv += ["-f", "lavfi", "-i", f"testsrc2=size={size[0]}x{size[1]}:rate={fps}"]
    if audio:
        argv += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-c:a", "aac"]
    argv += ["-t", str(seconds), "-frames:v", str(round(seconds * fps))]
    argv += _encoder(codec, gop_frames=max(1, round(gop_seconds * fps)), b_frames=b_frames)
    if bitrate_kbps is not None:
        argv += [
            "-b:v",
            f"{bitrate_kbps}k",
            "-maxrate",
            f"{bitrate_kbps}k",
            "-bufsize",
            f"{2 * bitrate_kbps}k",
        ]
    if suffix in {".mp4", ".mov"}:
        argv += ["-movflags", "+faststart"]  # playable while it is still being fetched over HTTP
    done = subprocess.run(
        [*argv, str(made)], capture_output=True, text=True, timeout=_ENCODE_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"ffmpeg could not make the test video: {done.stderr.strip()}")
    return made


def _encoder(codec: Codec, *, gop_frames: int, b_frames: int) -> list[str]:
    gop = ["-g", str(gop_frames)]
    match codec:
        case "h264":
            x264 = [
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-sc_threshold",
                "0",
                "-bf",
                str(b_frames),
            ]
            return [*x264, "-pix_fmt", "yuv420p", *gop]
        case "hevc":
            options = f"keyint={gop_frames}:min-keyint={gop_frames}:scenecut=0:open-gop=0"
            options += f":bframes={b_frames}:log-level=error"
            x265 = [
                "-c:v",
                "libx265",
                "-preset",
                "ultrafast",
                "-x265-params",
                options,
                "-tag:v",
                "hvc1",
            ]
            return [*x265, "-pix_fmt", "yuv420p"]
        case "mpeg4":
            return [
                "-c:v",
                "mpeg4",
                "-q:v",
                "4",
                "-sc_threshold",
                "1000000000",
                "-bf",
                str(b_frames),
                *gop,
            ]
        case "mjpeg":
            if b_frames:
                raise ValueError("MJPEG has no B-frames")
            return ["-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p"]
