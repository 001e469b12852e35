"""A file while it arrives: under a name of its own, until it is whole and gets its real one.

Started by whoever fetches a file. What it guarantees: disk work is done on threads, never on the
loop, and has ended when a call returns or is cancelled; so many bytes of the disk stay free, also
while others fill it; what is not published and kept is removed. The random part of its name lets
a new try begin beside what a killed process left behind.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")


class NoRoom(Exception):
    """The disk is full, or cannot be written; the cause says which."""


class PartFile:
    """The file. Everything raises `NoRoom` when the disk refuses."""

    def __init__(self, to: Path, keep_free_bytes: int) -> None:
        self.size_bytes = 0
        self.is_kept = False
        self._to, self._keep_free_bytes = to, keep_free_bytes
        self._path = to.with_name(f"{to.name[:100]}.{secrets.token_hex(4)}.part")
        self._file: BinaryIO | None = None

    async def open(self) -> None:
        """Create it."""

        def create() -> None:
            self._check_space(0)
            self._file = self._path.open("xb", buffering=0)

        await _on_disk(create)

    async def check_space(self, coming_bytes: int) -> None:
        """Raise `NoRoom` if so many bytes more would leave too little space free."""
        await _on_disk(lambda: self._check_space(coming_bytes))

    async def empty(self) -> None:
        """Begin at the first byte again."""

        def truncate() -> None:
            self._opened.seek(0)
            self._opened.truncate()

        if self.size_bytes:
            await _on_disk(truncate)
            self.size_bytes = 0

    async def write(self, block: bytes) -> None:
        """Append."""

        def write() -> None:
            self._check_space(len(block))
            rest = memoryview(block)
            while rest:
                rest = rest[self._opened.write(rest) :]

        await _on_disk(write)
        self.size_bytes += len(block)

    async def publish(self) -> None:
        """Give it its name."""

        def rename() -> None:
            self._opened.close()
            self._path.replace(self._to)
            self._path = self._to

        await _on_disk(rename)

    async def discard_unless_kept(self) -> None:
        """Close and remove it, whatever it is called by now."""

        def remove() -> None:
            if self._file is not None:
                with suppress(OSError):  # such as a quota that is noticed only now
                    self._file.close()
                with suppress(OSError):
                    self._path.unlink()

        if not self.is_kept:
            await _on_disk(remove)

    @property
    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError("open it first")
        return self._file

    def _check_space(self, coming_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self._to.parent).free
        if free_bytes - coming_bytes < self._keep_free_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def _on_disk(work: Callable[[], T]) -> T:
    """Do it on a thread; when cancelled, only after it has ended: it holds the file."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        running.exception()  # seen; being cancelled is what counts
        raise
    except OSError as error:
        raise NoRoom from error
