"""Short excerpts of an archive, made by ffmpeg: a small clip, a few pictures, one snapshot.

Called by a worker that shows a stretch of video to a model. Guarantees:

- Times are seconds from the video's first picture, or from the start of the window where said.
- What is there is used: an archive that a crash cut off, or one that ends before the window does,
  gives what it has. There is an error only where it has not one picture.
- A worker shares its machine with live recording: one thread decodes, one encodes, at low priority.
- Memory is bounded, and so is time: an ffmpeg that takes too long is killed. None is left behind,
  nor is a file, whatever ends the call: return, error, time-out or cancellation.

Decoding is what costs: some 125 ms of CPU for a second of 1080p, but 20 ms for its keyframe alone.
So the packets are listed first, which decodes nothing (0.5 ms), and where the keyframes lie close
enough for the pictures that are wanted, nothing else is decoded.

Which pictures are taken is decided here; `excerpt_commands` has the command lines, and
`excerpt_runs` runs them.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog

from backend.media.excerpt_commands import (
    SAME_TIME_S,
    ClipSpec,
    PicturesSpec,
    Window,
    clip_command,
    packets_command,
    pictures_command,
    snapshot_command,
)
from backend.media.excerpt_runs import (
    ExcerptError,
    ExcerptFault,
    at_most,
    nothing,
    publish,
    read,
    run,
    short_lived,
    within,
    wrote,
)
from backend.media.ffmpeg import Ffmpeg

log = structlog.get_logger(__name__)

__all__ = [
    "FEWEST_PICTURES",
    "MOST_PACKETS",
    "SMALLEST_SIDE",
    "ClipSpec",
    "ExcerptError",
    "ExcerptFault",
    "PicturesSpec",
    "clip",
    "pictures",
    "snapshot",
]

FEWEST_PICTURES: Final = 3
SMALLEST_SIDE: Final = 128
MOST_PACKETS: Final = 1_000_000  # some 9 hours at 30 pictures a second
_KEYFRAMES_MAY_LAG: Final = 1.25  # jitter of arrival times; a clip then repeats a picture


async def clip(
    ffmpeg: Ffmpeg, video: Path, t_start: float, t_end: float, *, folder: Path, spec: ClipSpec
) -> bytes:
    """A window as one silent H.264 mp4 of constant rate; its time 0 is `t_start`.

    A clip shows at each of its times what was to be seen then or, where keyframes are as many as
    `spec.fps` wants, the nearest of them; it ends where the video does. `folder` holds the file
    while it is written.

    Raises:
        ExcerptError: none can be made.
        ValueError: the window begins before 0 or is empty.
    """
    window = Window(video, t_start, t_end)
    async with within(spec.timeout_s):
        found = await _packets(ffmpeg, window)
        seconds = _shown_s(found, window.seconds)
        keys_only = _keys_are_dense(found, seconds, every_s=_KEYFRAMES_MAY_LAG / spec.fps)
        side = spec.longest_side
        with short_lived(folder / f"excerpt-{uuid4().hex}.mp4") as path:
            while side >= min(SMALLEST_SIDE, spec.longest_side):
                argv = clip_command(
                    ffmpeg, window, path, spec=spec, side=side, seconds=seconds, keys_only=keys_only
                )
                _, fault = await run(argv, nothing)
                if fault is not None:
                    raise ExcerptError(fault)
                mp4 = await asyncio.to_thread(read, path, most_bytes=spec.most_bytes)
                if mp4 is not None:
                    return mp4
                side //= 2  # so few bytes that no encoder can keep to them at this size
    log.warning("clip too large", action="excerpt.too_large", seconds=seconds)
    raise ExcerptError(ExcerptFault.FFMPEG_FAILED)


async def pictures(
    ffmpeg: Ffmpeg, video: Path, t_start: float, t_end: float, *, spec: PicturesSpec
) -> list[tuple[float, bytes]]:
    """JPEGs spread evenly over a window, each with its time in seconds from `t_start`, in order.

    At least three where the window has so many, at most `spec.most`, else `spec.fps` a second.

    Raises:
        ExcerptError: there is none.
        ValueError: the window begins before 0 or is empty.
    """
    window = Window(video, t_start, t_end)
    async with within(spec.timeout_s):
        found = await _packets(ffmpeg, window)
        targets = _targets(spec, _shown_s(found, window.seconds))
        chosen = _nearest([each.t for each in found if each.is_key], targets)
        slack_s = (targets[0] + SAME_TIME_S) * 1.01  # half of the distance of two targets
        keys_only = len(chosen) == len(targets) and all(
            abs(t - target) <= slack_s for t, target in zip(chosen, targets, strict=True)
        )
        if not keys_only:
            chosen = _nearest([each.t for each in found], targets)
        argv = pictures_command(ffmpeg, window, chosen, spec=spec, keys_only=keys_only)
        index = _PictureIndex()
        most_bytes = (spec.most + 1) * 2 * spec.longest_side**2  # more than raw pictures take
        data, fault = await run(argv, at_most(most_bytes), on_stderr_line=index.take)
    if fault is not None and (fault is not ExcerptFault.VIDEO_UNREADABLE or not data):
        raise ExcerptError(fault)
    return index.split(data)


async def snapshot(
    ffmpeg: Ffmpeg,
    video: Path,
    t: float,
    *,
    to: Path,
    longest_side: int = 640,
    timeout_s: float = 60,
) -> None:
    """Write the picture at second `t` as a JPEG; past the end, the last one.

    `to` appears whole or not at all, and outlives a power cut once this returns.

    Raises:
        ExcerptError: there is none.
    """
    at = Window(video, max(0.0, t), None)
    with short_lived(to.with_name(f".{to.name}.{uuid4().hex}.tmp")) as path:
        async with within(timeout_s):
            argv = snapshot_command(ffmpeg, at, path, side=longest_side, is_last=False)
            if not await wrote(argv, path):
                found = await _packets(ffmpeg, Window(video, 0.0, None))
                keys = [each.t for each in found if each.is_key] or [0.0]
                # from the last but one: a crash may have cut off the last in its middle
                tail = Window(video, keys[-2:][0], None)
                argv = snapshot_command(ffmpeg, tail, path, side=longest_side, is_last=True)
                if not await wrote(argv, path):
                    raise ExcerptError(ExcerptFault.VIDEO_UNREADABLE)
            await asyncio.to_thread(publish, path, to)


# -- which pictures ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Packet:
    """A picture that is still encoded; `t` in seconds from the start of the window."""

    t: float
    is_key: bool


# stream, dts, pts, duration, size, checksum; then flags, unless it is just a keyframe
_CRC_LINE = re.compile(
    r"\b0, +(-?\d+), +(-?\d+), +\d+, +(?P<size>\d+), 0x[0-9a-f]{8}(?:, F=0x([0-9A-F]+))?"
)
_CRC_TIME_BASE = re.compile(r"#tb 0: (\d+)/(\d+)")
_IS_KEY, _IS_UNUSABLE = 0x1, 0x2 | 0x4  # flags of a packet: corrupt, or not to be shown
_NO_TIME = -(2**63)


class _CrcLines:
    """What ffmpeg's `framecrc` says of each packet that it is given."""

    def __init__(self) -> None:
        self._unit_s = 1.0

    def read(self, line: str) -> tuple[float, int, int] | None:
        """Time in seconds, size in bytes and flags; None for any other line."""
        if (base := _CRC_TIME_BASE.search(line)) is not None:
            self._unit_s = int(base[1]) / int(base[2])
        found = _CRC_LINE.search(line)
        if found is None:
            return None
        shown = int(found[2]) if int(found[2]) != _NO_TIME else int(found[1])
        return shown * self._unit_s, int(found["size"]), int(found[4] or "1", 16)


async def _packets(ffmpeg: Ffmpeg, window: Window) -> list[_Packet]:
    """The pictures of a window in the order shown, at least one, found without decoding any."""

    async def take(stdout: asyncio.StreamReader) -> list[_Packet]:
        lines, found = _CrcLines(), []
        async for line in stdout:
            packet = lines.read(line.decode("ascii", "replace"))
            if packet is None or packet[2] & _IS_UNUSABLE:
                continue
            # ffmpeg begins at the keyframe before the window
            if -SAME_TIME_S <= packet[0] < window.seconds:
                found.append(_Packet(max(0.0, packet[0]), bool(packet[2] & _IS_KEY)))
            if len(found) > MOST_PACKETS:
                raise ExcerptError(ExcerptFault.FFMPEG_FAILED)
        return sorted(found, key=lambda packet: packet.t)

    found, fault = await run(packets_command(ffmpeg, window), take)
    if not found:
        raise ExcerptError(fault or ExcerptFault.VIDEO_UNREADABLE)
    return found


def _shown_s(found: Sequence[_Packet], window_s: float) -> float:
    """How much of a window the video fills, in seconds: until its last picture has been shown."""
    last_s = found[-1].t
    picture_s = last_s / (len(found) - 1) if len(found) > 1 and last_s > 0 else 0.04
    return min(window_s, last_s + picture_s)


def _keys_are_dense(found: Sequence[_Packet], seconds: float, *, every_s: float) -> bool:
    """Whether, from start to end, the next keyframe never is further away than this."""
    keys = [0.0, *(each.t for each in found if each.is_key), seconds]
    return all(later - earlier <= every_s for earlier, later in pairwise(keys))


def _targets(spec: PicturesSpec, seconds: float) -> list[float]:
    """The times to show: the middles of equal parts."""
    count = min(max(math.ceil(seconds * spec.fps), FEWEST_PICTURES), max(1, spec.most))
    return [(number + 0.5) * seconds / count for number in range(count)]


def _nearest(times: Sequence[float], targets: Sequence[float]) -> list[float]:
    """For each target the time nearest to it, each but once; three of them where there are."""
    if not times:
        return []
    chosen = sorted({min(times, key=lambda t: abs(t - target)) for target in targets})
    fewest = min(FEWEST_PICTURES, len(targets), len(times))
    if len(chosen) >= fewest:
        return chosen
    return [times[(2 * number + 1) * len(times) // (2 * fewest)] for number in range(fewest)]


class _PictureIndex:
    """Times and sizes of the pictures in a pipe, from the lines that come beside it on stderr."""

    def __init__(self) -> None:
        self._lines = _CrcLines()
        self._pictures: list[tuple[float, int]] = []

    def take(self, line: str) -> None:
        """Take a line of stderr."""
        packet = self._lines.read(line)
        if packet is not None:
            self._pictures.append((packet[0], packet[1]))

    def split(self, data: bytes) -> list[tuple[float, bytes]]:
        """The pictures with their times."""
        found: list[tuple[float, bytes]] = []
        begin = 0
        for t, size in self._pictures:
            jpeg = data[begin : begin + size]
            if not (jpeg.startswith(b"\xff\xd8") and jpeg.endswith(b"\xff\xd9")):
                raise ExcerptError(ExcerptFault.FFMPEG_FAILED)
            found.append((max(0.0, round(t, 3)), jpeg))
            begin += size
        if begin != len(data):
            raise ExcerptError(ExcerptFault.FFMPEG_FAILED)
        if not found:
            raise ExcerptError(ExcerptFault.VIDEO_UNREADABLE)
        return found
