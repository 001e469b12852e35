"""Archive files: their names, where they lie, and what makes them safe on disk.

Everything here touches the disk and blocks: the main process calls it through `asyncio.to_thread`
(names apart). A segment is a file `archive_YYYYMMDD_HHMMSS.mp4`, named by the second (UTC) in
which it was begun, in a folder of its camera.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ARCHIVE_PATTERN: Final = "archive_%Y%m%d_%H%M%S.mp4"
_NAME = re.compile(r"archive_\d{8}_\d{6}\.mp4", re.ASCII)


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A segment on disk. `started_at` is aware UTC."""

    path: Path
    started_at: datetime
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class FinishedSegment:
    """A segment that nobody writes to any more. `started_at` is aware UTC."""

    path: Path
    started_at: datetime
    duration_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """The file system that a folder lies on. What only root may use counts as used."""

    total_bytes: int
    free_bytes: int

    @property
    def used_percent(self) -> float:
        """Share in use, 0 to 100."""
        return 100 * (1 - self.free_bytes / self.total_bytes) if self.total_bytes else 100.0


def archive_name(started_at: datetime) -> str:
    """The file name of a segment that began then (aware)."""
    if started_at.tzinfo is None:
        raise ValueError("a naive time names no moment")
    return started_at.astimezone(UTC).strftime(ARCHIVE_PATTERN)


def parse_archive_name(name: str) -> datetime | None:
    """When a segment of this name began (aware UTC), or None for any other file."""
    if not _NAME.fullmatch(name):
        return None
    try:
        return datetime.strptime(name, ARCHIVE_PATTERN).replace(tzinfo=UTC)
    except ValueError:
        return None


def list_archives(folder: Path) -> list[ArchiveFile]:
    """The segments in a folder, oldest first; none where there is no folder."""
    found: list[ArchiveFile] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                started_at = parse_archive_name(entry.name)
                if started_at is None:
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:  # deleted since the folder was read
                    continue
                modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
                file = ArchiveFile(Path(entry.path), started_at, status.st_size, modified_at)
                found.append(file)
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda file: file.started_at)


def make_durable(path: Path) -> None:
    """Return when a file and its name survive a power cut: before a row may speak of it."""
    _sync(path)
    _sync(path.parent)


def remove_archive(path: Path) -> bool:
    """Delete a segment and the pictures beside it for good; says whether it was there."""
    for pattern in (f"{path.stem}_*.jpg", f".{path.stem}_*.tmp"):
        for picture in path.parent.glob(pattern):
            picture.unlink(missing_ok=True)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    _sync(path.parent)
    return True


def disk_usage(path: Path) -> DiskUsage:
    """How full the disk of a folder is; the folder need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    usage = shutil.disk_usage(path)
    return DiskUsage(total_bytes=usage.total, free_bytes=usage.free)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
