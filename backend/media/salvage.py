"""Finds archives that nobody was told of: what a killed ffmpeg, or a killed VAP, left behind.

The recorder calls it at the end of each run, for the segments of that run (`since`): a file that
is being written must not be taken for a leftover.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import structlog

from backend.media.archive import ArchiveFile, FinishedSegment, list_archives, remove_archive
from backend.media.probe import ProbeError, probe_file

log = structlog.get_logger(__name__)


async def salvage_segments(
    folder: Path, *, known: Collection[str], since: datetime | None = None
) -> list[FinishedSegment]:
    """The segments in a folder whose names are not known, oldest first, with their true length.

    An empty file is deleted. One that cannot be read is left alone: its owner sets it aside when it
    looks at the folder the next time, since footage cannot be shot twice.
    """
    found: list[FinishedSegment] = []
    for file in await asyncio.to_thread(list_archives, folder):
        if file.path.name in known or (since is not None and file.started_at < since):
            continue
        if (segment := await _salvage(file)) is not None:
            found.append(segment)
    return found


async def _salvage(file: ArchiveFile) -> FinishedSegment | None:
    if file.size_bytes == 0:
        await asyncio.to_thread(remove_archive, file.path)
        return None
    try:
        probed = await probe_file(file.path)
    except ProbeError as error:
        log.warning(
            "archive cannot be read, left for a later look",
            action="archive.unreadable",
            name=file.path.name,
            fault=error.fault,
            size_bytes=file.size_bytes,
        )
        return None
    return FinishedSegment(file.path, file.started_at, probed.duration_s or 0.0, file.size_bytes)
