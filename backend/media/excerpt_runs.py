"""Runs the ffmpegs of `excerpts`, says what went wrong with one, and keeps its files short-lived.

None is left behind, nor is a file, whatever ends the call.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

import structlog

from backend.kernel.errors import VapError
from backend.media.archive import make_durable
from backend.media.faults import StreamFault, classify
from backend.media.process import start_process

log = structlog.get_logger(__name__)

T = TypeVar("T")


class ExcerptFault(StrEnum):
    """Why there is no excerpt."""

    VIDEO_UNREADABLE = "video_unreadable"
    FFMPEG_FAILED = "ffmpeg_failed"
    TIMEOUT = "timeout"
    DISK_FULL = "disk_full"


_MESSAGES: Final[dict[ExcerptFault, str]] = {
    ExcerptFault.VIDEO_UNREADABLE: "The recording has no readable picture at this time.",
    ExcerptFault.FFMPEG_FAILED: "No excerpt of the recording could be made.",
    ExcerptFault.TIMEOUT: "It took too long to make an excerpt of the recording.",
    ExcerptFault.DISK_FULL: "The disk is full.",
}


class ExcerptError(VapError):
    """There is no excerpt; `permanent` where another try cannot give one."""

    def __init__(self, fault: ExcerptFault) -> None:
        super().__init__(_MESSAGES[fault], code=str(fault))
        self.fault = fault
        self.permanent = fault is ExcerptFault.VIDEO_UNREADABLE


_Take = Callable[[asyncio.StreamReader], Awaitable[T]]


async def run(
    argv: Sequence[str], take: _Take[T], *, on_stderr_line: Callable[[str], None] | None = None
) -> tuple[T, ExcerptFault | None]:
    """What was taken from the stdout of an ffmpeg, and what went wrong, if anything."""
    try:
        process = await start_process(
            argv, inherit_env="plain", stdout="pipe", on_stderr_line=on_stderr_line
        )
    except OSError as error:
        raise ExcerptError(ExcerptFault.FFMPEG_FAILED) from error
    try:
        taken = await take(process.stdout)
        status = await process.wait()
    finally:
        await process.terminate(0)
    if status == 0:
        return taken, None
    fault, line = _fault(status, process.stderr_tail)
    # the video's own faults are told by who gives up on it: a second try may find a picture
    level = logging.DEBUG if fault is ExcerptFault.VIDEO_UNREADABLE else logging.WARNING
    log.log(level, "ffmpeg gave no excerpt", action="excerpt.failed", fault=fault, line=line)
    return taken, fault


def _fault(status: int, lines: Sequence[str]) -> tuple[ExcerptFault, str]:
    fault, line = classify(lines)
    last = line or next(reversed(lines), "")
    if fault is StreamFault.DISK_FULL:
        return ExcerptFault.DISK_FULL, last
    if status > 0 and (fault in _OF_THE_VIDEO or any("file is empty" in each for each in lines)):
        return ExcerptFault.VIDEO_UNREADABLE, last
    return ExcerptFault.FFMPEG_FAILED, last


_OF_THE_VIDEO: Final = frozenset(
    {StreamFault.NO_VIDEO, StreamFault.UNSUPPORTED_CODEC, StreamFault.NOT_FOUND}
)


async def wrote(argv: Sequence[str], path: Path) -> bool:
    """Run it; whether there is a picture."""
    _, fault = await run(argv, nothing)
    if fault not in {None, ExcerptFault.VIDEO_UNREADABLE}:
        raise ExcerptError(fault or ExcerptFault.FFMPEG_FAILED)
    return await asyncio.to_thread(lambda: path.stat().st_size > 0)


async def nothing(stdout: asyncio.StreamReader) -> None:
    """Wait for the end of a stdout on which nothing comes."""
    await stdout.read(1)


def at_most(most_bytes: int) -> _Take[bytes]:
    """All that comes, if it is not more than this."""

    async def take(stdout: asyncio.StreamReader) -> bytes:
        taken = bytearray()
        while piece := await stdout.read(65_536):
            taken += piece
            if len(taken) > most_bytes:
                raise ExcerptError(ExcerptFault.FFMPEG_FAILED)
        return bytes(taken)

    return take


@asynccontextmanager
async def within(timeout_s: float) -> AsyncIterator[None]:
    """A block that must be over by then, or is an `ExcerptError`."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise ExcerptError(ExcerptFault.TIMEOUT) from None


@contextmanager
def short_lived(path: Path) -> Iterator[Path]:
    """An empty file that is gone at the end of the block; neither takes long enough to matter."""
    try:
        path.touch(exist_ok=False)
    except OSError as error:
        raise _unwritable(error) from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def read(path: Path, *, most_bytes: int) -> bytes | None:
    """The file, or None where it is larger."""
    try:
        return path.read_bytes() if path.stat().st_size <= most_bytes else None
    except OSError as error:
        raise ExcerptError(ExcerptFault.FFMPEG_FAILED) from error


def publish(path: Path, to: Path) -> None:
    """Give a finished file its name, so that it outlives a power cut."""
    try:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(to)
        make_durable(to)
    except OSError as error:
        raise _unwritable(error) from error


def _unwritable(error: OSError) -> ExcerptError:
    is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return ExcerptError(ExcerptFault.DISK_FULL if is_full else ExcerptFault.FFMPEG_FAILED)
