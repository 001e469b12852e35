"""Serves a camera's live folder from memory: many viewers cost one read of each file.

One `LiveFolder` per camera lives in the main process, beside the recorder that has the folder
written. Files are read in a thread, once per change, however many ask at the same moment. Only
names that ffmpeg writes are served: nothing that a viewer can say reaches another file.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from backend.kernel.clock import Clock, SystemClock
from backend.media.commands import PLAYLIST_NAME

PLAYLIST_FRESH_S: Final = 0.1
SEGMENT_FRESH_S: Final = 1.0
FORGET_AFTER_S: Final = 30.0

_NAME = re.compile(r"index\.m3u8|[0-9]{1,19}\.(?:ts|m4s)|init[0-9A-Za-z_-]{0,32}\.mp4")
_TYPES: Final = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".m4s": "video/mp4",
    ".mp4": "video/mp4",
}


@dataclass(frozen=True, slots=True)
class LiveFile:
    """What to answer with."""

    body: bytes
    media_type: str
    cache_control: str


@dataclass(frozen=True, slots=True)
class _Kept:
    file: LiveFile
    mtime_ns: int
    checked_at: float

    def is_of(self, status: os.stat_result) -> bool:
        return (self.mtime_ns, len(self.file.body)) == (status.st_mtime_ns, status.st_size)


class LiveFolder:
    """The files of one camera's live view, kept in memory up to `max_bytes`."""

    def __init__(
        self, path: Path, *, max_bytes: int = 16 * 1024 * 1024, clock: Clock | None = None
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = 0
        self._locks: dict[str, asyncio.Lock] = {}

    async def read(self, name: str) -> LiveFile | None:
        """The playlist, a segment or the init file; None for what is not (or no longer) there."""
        if not _NAME.fullmatch(name):
            return None
        if file := self._fresh(name):
            return file
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with lock:  # the first one reads, those who waited find it fresh
                return self._fresh(name) or await self._refresh(name)
        finally:
            if not lock.locked():
                self._locks.pop(name, None)

    @property
    def kept_bytes(self) -> int:
        """Bytes in memory now."""
        return self._kept_bytes

    def _fresh(self, name: str) -> LiveFile | None:
        kept = self._kept.get(name)
        limit_s = PLAYLIST_FRESH_S if name == PLAYLIST_NAME else SEGMENT_FRESH_S
        if kept is None or self._clock.monotonic() - kept.checked_at > limit_s:
            return None
        self._kept.move_to_end(name)
        return kept.file

    async def _refresh(self, name: str) -> LiveFile | None:
        now = self._clock.monotonic()
        new = await asyncio.to_thread(_load, self.path / name, self._kept.get(name), now)
        self._drop(name)
        for old in [
            old for old, kept in self._kept.items() if now - kept.checked_at > FORGET_AFTER_S
        ]:
            self._drop(old)
        if new is None:
            return None
        self._kept[name] = new
        self._kept_bytes += len(new.file.body)
        while self._kept_bytes > self._max_bytes and self._kept:
            self._drop(next(iter(self._kept)))
        return new.file

    def _drop(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._kept_bytes -= len(kept.file.body)


def clear_live_folder(folder: Path) -> None:
    """Delete the live files in a folder, and those that ffmpeg left half-written. Blocks."""
    _delete(folder, keep=frozenset())


def prune_live_folder(folder: Path) -> None:
    """Delete live files that the playlist does not name: a dead run leaves some behind. Blocks.

    The run that follows appends to the playlist but would never delete them.
    """
    try:
        lines = (folder / PLAYLIST_NAME).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        lines = []
    named = {line.strip() for line in lines if not line.startswith("#")}
    inits = set(re.findall(r'URI="([^"]+)"', "\n".join(lines)))
    _delete(folder, keep=named | inits | {PLAYLIST_NAME})


def _delete(folder: Path, *, keep: set[str] | frozenset[str]) -> None:
    try:
        files = list(folder.iterdir())
    except FileNotFoundError:
        return
    for file in files:
        if file.name not in keep and _NAME.fullmatch(file.name.removesuffix(".tmp")):
            file.unlink(missing_ok=True)


def _load(path: Path, kept: _Kept | None, now: float) -> _Kept | None:
    """Read a file unless it is still the one that is kept."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if kept is not None and kept.is_of(status):
                return replace(kept, checked_at=now)
            body = file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    # not for long: a segment's name does not come back with another content, the init file's may
    cache_control = "no-cache" if path.name == PLAYLIST_NAME else "private, max-age=5"
    return _Kept(LiveFile(body, _TYPES[path.suffix], cache_control), status.st_mtime_ns, now)
