"""ffmpeg's words become one of the faults."""

from __future__ import annotations

import pytest

from backend.media.faults import MESSAGES, StreamFault, archive_trouble, classify

SAID = [
    (
        "[tcp @ 0x1] [error] Connection to tcp://127.0.0.1:9 failed: Connection refused",
        "unreachable",
    ),
    ("[tcp @ 0x1] [error] Failed to resolve hostname x: Name or service not known", "unreachable"),
    ("[in#0] [error] Error opening input: No route to host", "unreachable"),
    ("[in#0] [error] Error opening input: Server returned 5XX Server Error reply", "unreachable"),
    ("[in#0 @ 0x1] [error] method DESCRIBE failed: 401 (Unauthorized)", "auth"),
    ("[error] Error opening input: Server returned 403 Forbidden (access denied)", "auth"),
    ("[in#0 @ 0x1] [error] method DESCRIBE failed: 404 (Not Found)", "not_found"),
    ("[http @ 0x1] [warning] HTTP error 404 Not Found", "not_found"),
    ("[in#0] [error] Error opening input: No such file or directory", "not_found"),
    ("[tls @ 0x1] [error] error:0A000086:SSL routines::certificate verify failed", "tls"),
    ("[tls @ 0x1] Peer certificate failed verification", "tls"),
    ("[tls @ 0x1] An unexpected TLS packet was received.", "tls"),
    ("[in#0 @ 0x1] [warning] Failed reading RTSP data: Connection timed out", "timeout"),
    ("[tls @ 0x1] [error] IO error: Connection timed out", "timeout"),
    ("[in#0] [error] Error opening input: Invalid data found when processing input", "no_video"),
    ("Stream map '' matches no streams.", "no_video"),
    ("[mp4 @ 0x1] [error] Could not find tag for codec vp8 in stream #0", "unsupported_codec"),
    ("[aost#0] [error] Error submitting a packet: No space left on device", "disk_full"),
    ("[hls @ 0x1] [error] Failed to open file 'live/7.ts': No such file or directory", "unknown"),
    ("frame=  12 fps=25", "unknown"),
]


@pytest.mark.parametrize(("line", "fault"), SAID)
def test_a_line_tells_the_fault(line: str, fault: str) -> None:
    assert classify([line])[0] == fault


def test_the_cause_is_found_among_what_follows_from_it() -> None:
    lines = [
        "[in#0 @ 0x1] [warning] Failed reading RTSP data: Connection timed out",
        "[in#0 @ 0x1] [error] Error opening input: Invalid data found when processing input",
    ]
    assert classify(lines) == (StreamFault.TIMEOUT, lines[0])


def test_an_archive_that_ffmpeg_gives_up_is_noticed() -> None:
    line = "[tee @ 0x1] [error] Slave muxer #1 failed: {}, continuing with 1/2 slaves."
    assert archive_trouble(line.format("No space left on device")) is StreamFault.DISK_FULL
    assert archive_trouble(line.format("Permission denied")) is StreamFault.ARCHIVE_FAILED
    assert archive_trouble("[tee @ 0x1] [error] Slave muxer #0 failed, aborting.") is None


def test_every_fault_has_a_message_for_users() -> None:
    assert set(MESSAGES) == set(StreamFault)
