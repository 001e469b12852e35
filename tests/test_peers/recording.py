"""What a client makes of a test camera: ffmpeg recordings, and packets read with PyAV."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg

TIMEOUT_S = 120


@dataclass(frozen=True)
class Recording:
    """A file that ffmpeg wrote: what it holds, and what decodes."""

    codec: str
    frame_count: int
    decoded_count: int
    keyframe_count: int
    length_s: float


def start_ffmpeg(
    url: str, *arguments: str, silence_s: float = 60, **options: Any
) -> subprocess.Popen[str]:
    """Begin to read a camera over TCP with ffmpeg, which gives it up after so much silence."""
    argv = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-hide_banner",
        "-nostdin",
        "-loglevel",
        "warning",
        "-y",
    ]
    if url.startswith("rtsp"):
        argv += ["-rtsp_transport", "tcp", "-timeout", str(round(silence_s * 1e6))]
    return subprocess.Popen(
        [*argv, "-i", url, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        **{"stdout": subprocess.DEVNULL, **options},
    )


def ffmpeg(url: str, *arguments: str, silence_s: float = 60) -> tuple[int, str]:
    """Read a camera with ffmpeg to the end; exit status and messages."""
    with start_ffmpeg(url, *arguments, silence_s=silence_s) as process:
        try:
            _, messages = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    return process.returncode, messages


def record(url: str, path: Path, *, seconds: float) -> Recording:
    """Record with ``-c copy``, then read the file back."""
    status, messages = ffmpeg(url, "-t", str(seconds), "-c", "copy", str(path))
    assert status == 0, messages
    return inspect(path)


def inspect(path: Path) -> Recording:
    """Demux and decode a file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoded, packets = 0, []
        for packet in container.demux(stream):
            packets += [packet] if packet.size else []
            decoded += len(packet.decode())
        times_s = [float(packet.pts * stream.time_base) for packet in packets]
        return Recording(
            codec=stream.codec_context.name,
            frame_count=len(packets),
            decoded_count=decoded,
            keyframe_count=sum(packet.is_keyframe for packet in packets),
            length_s=max(times_s) - min(times_s),
        )


def open_url(url: str, **options: str) -> av.container.InputContainer:
    """A camera as PyAV sees it, after half a second of analysis."""
    options = {"analyzeduration": "500000", "fpsprobesize": "5", **options}
    if url.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    return av.open(url, options=options, timeout=60)
