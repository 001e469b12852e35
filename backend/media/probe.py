"""Looks at a source or a file and says what it is. Called by the main process before a camera is
created and by whoever needs a file's true length.

The looking happens in a child process (`backend.media.probe_child`), which is killed when it takes
too long: nothing is decoded in the calling process, and a library that hangs or crashes on foreign
data takes nothing with it. Address and credentials reach the child through a pipe, so that `ps`
does not show them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

import backend
from backend.kernel.errors import InvalidInput
from backend.media.commands import HTTP_PROTOCOLS, RTSP_PROTOCOLS, SOCKET_TIMEOUT_US
from backend.media.faults import MESSAGES, StreamFault, classify
from backend.media.process import start_process
from backend.media.tls import ca_file

log = structlog.get_logger(__name__)

CHILD_MODULE = "backend.media.probe_child"
_ROOT = Path(backend.__file__).parents[1]
# The library reports these as broken data, too.
_TRUE_CAUSES = frozenset({StreamFault.TLS, StreamFault.TIMEOUT, StreamFault.UNSUPPORTED_CODEC})
_UNREADABLE = "The source cannot be read."
_ANSWER_BEFORE_DEADLINE_S = 1.0  # so that the child says what it knows before it is killed


class ProbeError(InvalidInput):
    """The source gives no video; `fault` says why, the message says it to users."""

    def __init__(self, fault: StreamFault, message: str | None = None) -> None:
        super().__init__(message or MESSAGES[fault], code=f"source_{fault}", fault=str(fault))
        self.fault = fault


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The first video of a source.

    Attributes:
        container: ffmpeg's names of the format, comma-separated.
        codec: ffmpeg's name: h264, hevc, mjpeg, av1, ...
        profile: of the codec, where it has any.
        pix_fmt: ffmpeg's name of the pixel format, None when unknown.
        width, height: pixels as coded, before rotation.
        fps: measured, None when unknown.
        has_b_frames: pictures are sent in another order than shown.
        keyframe_interval_s: mean distance of the keyframes seen, None when fewer than two were.
        duration_s: measured where the container lies or keeps silent; None for an endless source.
        rotation_deg: 0, 90, 180 or 270, clockwise, to be applied for viewing.
    """

    container: str
    codec: str
    profile: str | None
    pix_fmt: str | None
    width: int
    height: int
    fps: float | None
    has_audio: bool
    audio_codec: str | None
    has_b_frames: bool
    keyframe_interval_s: float | None
    duration_s: float | None
    rotation_deg: int

    @property
    def browser_can_copy(self) -> bool:
        """Whether every browser plays the video as it is: H.264, 8 bit, 4:2:0."""
        return (
            self.codec == "h264"
            and self.pix_fmt in {"yuv420p", "yuvj420p"}
            and self.profile != "Extended"
        )

    def is_like(self, other: ProbeResult) -> bool:
        """Whether both are recorded alike: all but what only a long look measures is the same."""
        measured: dict[str, Any] = {"fps": None, "keyframe_interval_s": None}
        return replace(self, **measured) == replace(other, **measured)


async def probe_source(
    url: str, *, timeout_s: float = 15.0, verify_tls: bool = True, is_brief: bool = False
) -> ProbeResult:
    """Look at a live or finite source (rtsp, rtsps, http, https) or a `file:` URL.

    Args:
        verify_tls: whether the certificate of an rtsps or https source must be trusted.
        is_brief: of an endless source, see no more than says how to record it: a second or so,
            but no `keyframe_interval_s`.

    Raises:
        ProbeError: it gives no video, with the reason.
    """
    if url.startswith("file:"):
        return await probe_file(Path(url.removeprefix("file://").removeprefix("file:")))
    options = _source_options(url, verify_tls=verify_tls)
    return await _probe(
        {"url": url, "is_live": True, "is_brief": is_brief, "options": options},
        timeout_s=timeout_s,
    )


async def probe_file(path: Path, *, timeout_s: float = 60.0) -> ProbeResult:
    """Look at a file on disk; `duration_s` is that of its pictures.

    Raises:
        ProbeError: it carries no readable video, or is not there.
    """
    absolute = await asyncio.to_thread(path.absolute)
    # `file:` keeps a name from being read as an option or as another protocol
    return await _probe(
        {
            "url": f"file:{absolute}",
            "is_live": False,
            "is_brief": False,
            "options": {"protocol_whitelist": "file"},
        },
        timeout_s=timeout_s,
    )


def _source_options(url: str, *, verify_tls: bool) -> dict[str, str]:
    """Options of ffmpeg's libraries, as in `commands`."""
    options = {"analyzeduration": "3000000", "probesize": "5000000"}
    scheme = urlsplit(url).scheme.lower()
    if scheme in {"rtsps", "https"}:
        options["tls_verify"] = "1" if verify_tls else "0"
        if (certificates := ca_file()) is not None:
            options["ca_file"] = certificates
    if scheme in {"rtsp", "rtsps"}:
        whitelist = RTSP_PROTOCOLS
        options |= {"rtsp_transport": "tcp", "timeout": str(SOCKET_TIMEOUT_US)}
    else:
        whitelist = HTTP_PROTOCOLS
        options["rw_timeout"] = str(SOCKET_TIMEOUT_US)
    return options | {"protocol_whitelist": whitelist}


async def _probe(request: dict[str, Any], *, timeout_s: float) -> ProbeResult:
    request["deadline_s"] = max(timeout_s - _ANSWER_BEFORE_DEADLINE_S, timeout_s / 2)
    process = await start_process(
        [sys.executable, "-m", CHILD_MODULE],
        inherit_env="plain",
        cwd=_ROOT,
        stdin="pipe",
        stdout="pipe",
    )
    try:
        async with asyncio.timeout(timeout_s):
            process.stdin.write(json.dumps(request).encode())
            process.stdin.write_eof()
            answer = await process.stdout.read()
            await process.wait()
    except TimeoutError:
        raise ProbeError(StreamFault.TIMEOUT) from None
    except ConnectionError:
        answer = b""
    finally:
        await process.terminate(0)
    return _result(answer, process.stderr_tail)


def _result(answer: bytes, stderr: list[str]) -> ProbeResult:
    try:
        parsed = json.loads(answer)
    except ValueError:
        log.exception("probe gave no answer", action="probe.crashed", stderr=stderr[-5:])
        raise ProbeError(StreamFault.UNKNOWN, _UNREADABLE) from None
    if "result" in parsed:
        return ProbeResult(**parsed["result"])
    fault = StreamFault(parsed["fault"])
    said, line = classify(stderr)
    if fault is StreamFault.UNKNOWN or (fault is StreamFault.NO_VIDEO and said in _TRUE_CAUSES):
        fault = said
    log.info(
        "source could not be probed",
        action="probe.failed",
        fault=fault,
        error=parsed.get("error"),
        line=line,
    )
    raise ProbeError(fault, _UNREADABLE if fault is StreamFault.UNKNOWN else None)
