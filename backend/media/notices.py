"""The pipe on which ffmpeg's segment muxer says that an archive is finished."""

from __future__ import annotations

import asyncio
import csv
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class SegmentNotice:
    """A line `name,start_s,end_s`."""

    name: str
    duration_s: float


class SegmentNotices(asyncio.Protocol):
    """Iterates over the notices until ffmpeg is gone. Use as an async context manager.

    The write end goes to ffmpeg through `pass_fds`; then `close_write_end` must be called, or the
    end would never be seen. Notices wait here until they are taken, also after ffmpeg's death.
    """

    def __init__(self) -> None:
        self._read_fd, self.write_fd = os.pipe()
        self._rest = b""
        self._queue: asyncio.Queue[SegmentNotice | None] = asyncio.Queue()
        self._transport: asyncio.ReadTransport | None = None

    async def __aenter__(self) -> SegmentNotices:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(self._read_fd, "rb", 0)
        self._transport, _ = await loop.connect_read_pipe(lambda: self, pipe)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close both ends."""
        self.close_write_end()
        if self._transport is not None:
            self._transport.close()

    def close_write_end(self) -> None:
        """Leave the write end to ffmpeg alone."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    async def __aiter__(self) -> AsyncIterator[SegmentNotice]:
        """Each notice in order, until the pipe is closed at ffmpeg's end."""
        while (notice := await self._queue.get()) is not None:
            yield notice

    def data_received(self, data: bytes) -> None:
        """Take what arrived; a line may come in pieces."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            notice = parse_notice(line.decode("utf-8", "replace"))
            if notice is not None:
                self._queue.put_nowait(notice)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Nothing more will come."""
        self._queue.put_nowait(None)


def parse_notice(line: str) -> SegmentNotice | None:
    """The notice in a CSV line, None for anything else."""
    for row in csv.reader([line]):
        with suppress(ValueError):
            name, start_s, end_s = row
            return SegmentNotice(PurePath(name).name, max(float(end_s) - float(start_s), 0.0))
    return None
