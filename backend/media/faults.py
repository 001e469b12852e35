"""What can be wrong with a source, as one closed list, and how ffmpeg's words map to it.

Shared by the recorder, the probe and its child; needs nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class StreamFault(StrEnum):
    """Why a source gives no video, or a recording ended. Values are stored and shown."""

    UNREACHABLE = "unreachable"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    TLS = "tls"
    TIMEOUT = "timeout"
    UNSUPPORTED_CODEC = "unsupported_codec"
    NO_VIDEO = "no_video"
    STALLED = "stalled"
    ENDED = "ended"
    DISK_FULL = "disk_full"
    ARCHIVE_FAILED = "archive_failed"
    KILLED = "killed"
    UNKNOWN = "unknown"


MESSAGES: Final[dict[StreamFault, str]] = {
    StreamFault.UNREACHABLE: "The source cannot be reached: check its address and port.",
    StreamFault.AUTH: "The source refuses this user name and password.",
    StreamFault.NOT_FOUND: "There is no such path or file at the source.",
    StreamFault.TLS: "No secure connection: the certificate or the TLS version is not accepted.",
    StreamFault.TIMEOUT: "The source does not answer in time.",
    StreamFault.UNSUPPORTED_CODEC: "The source's video codec is not supported.",
    StreamFault.NO_VIDEO: "The source carries no readable video.",
    StreamFault.STALLED: "The source is connected but sends no pictures any more.",
    StreamFault.ENDED: "The source ended the stream.",
    StreamFault.DISK_FULL: "The disk is full.",
    StreamFault.ARCHIVE_FAILED: "The archive cannot be written.",
    StreamFault.KILLED: "The recording process was killed.",
    StreamFault.UNKNOWN: "The recording process failed.",
}

_HTTP_CODE = r"(?:\b(?:HTTP error|Server returned|status|method \w+ failed:)\s*)"

# First match in this order wins: what names the cause stands before what follows from it.
_PATTERNS: Final[tuple[tuple[StreamFault, re.Pattern[str]], ...]] = tuple(
    (fault, re.compile(pattern, re.IGNORECASE))
    for fault, pattern in (
        (StreamFault.DISK_FULL, r"No space left on device|Disk quota exceeded"),
        (
            StreamFault.AUTH,
            _HTTP_CODE + r"40[13]|authorization failed|401 Unauthorized|403 Forbidden",
        ),
        (StreamFault.NOT_FOUND, _HTTP_CODE + r"(?:404|410|454)|404 (?:Stream )?Not Found"),
        (
            StreamFault.TLS,
            (
                r"SSL routines|certificate|(?:TLS|SSL) handshake|handshake fail"
                r"|unexpected TLS packet|gnutls|mbedtls"
            ),
        ),
        (
            StreamFault.UNREACHABLE,
            r"Connection refused|No route to host|Network is (?:unreachable|down)|Host is down"
            r"|Failed to resolve hostname|Name or service not known|Temporary failure in name"
            r"|Connection reset|Broken pipe|Cannot assign requested address|Port missing in uri"
            r"|" + _HTTP_CODE + r"5\d\d|Server returned 5XX",
        ),
        (StreamFault.TIMEOUT, r"Connection timed out|Operation timed out|ETIMEDOUT|timed out"),
        (
            StreamFault.UNSUPPORTED_CODEC,
            (
                r"Could not find tag for codec|codec not currently supported|no decoder found"
                r"|Unknown decoder|Decoder \(codec \w+\) not found|requested, but no decoder"
            ),
        ),
        (
            StreamFault.NO_VIDEO,
            (
                r"matches no streams|does not contain any stream|Invalid data found when processing"
                r"|moov atom not found|could not find codec parameters|Protocol not found"
            ),
        ),
        (StreamFault.NOT_FOUND, r"Error opening input.*: (?:No such file or d|Is a d)irectory"),
    )
)


_ARCHIVE_LOST = re.compile(r"Slave muxer #\d+ failed: (?P<why>.*), continuing with")


def archive_trouble(line: str) -> StreamFault | None:
    """What a line says about the archive: given up by ffmpeg while live goes on; else None."""
    lost = _ARCHIVE_LOST.search(line)
    if lost is None:
        return None
    is_full = classify([line])[0] is StreamFault.DISK_FULL
    return StreamFault.DISK_FULL if is_full else StreamFault.ARCHIVE_FAILED


def classify(lines: Iterable[str]) -> tuple[StreamFault, str]:
    """The fault that ffmpeg's stderr speaks of, and the line that says so; UNKNOWN and "" else."""
    recent = list(lines)
    for fault, pattern in _PATTERNS:
        for line in reversed(recent):
            if pattern.search(line):
                return fault, line
    return StreamFault.UNKNOWN, ""
