"""Adopts archives that have no row: a crash, a kill -9 or a lost database left them behind.

Run once when the recorders start. The folders are listed before any recorder writes, so that no
file in the making is taken for a leftover; the files are then looked at one by one, in the
background, while the cameras record already. Files of cameras that are gone are adopted too: only
what has a row is ever shown, and ever deleted. What cannot be read is moved aside, never deleted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from backend.kernel.redact import redact
from backend.media.archive import ArchiveFile, FinishedSegment, list_archives
from backend.media.faults import StreamFault
from backend.media.probe import ProbeError, probe_file
from backend.monitoring.cameras.service import CameraRecord
from backend.monitoring.recording.ledger import Ledger
from backend.monitoring.recording.service import RecordingService

log = structlog.get_logger(__name__)

_CAMERA_FOLDER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")

FindCamera = Callable[[str], CameraRecord | None]


@dataclass(frozen=True, slots=True)
class Leftover:
    """An archive without a row."""

    camera_id: str
    file: ArchiveFile


async def find_leftovers(recordings: RecordingService) -> list[Leftover]:
    """Every archive on disk that has no row, newest first. Call before anything is recorded."""
    found: list[Leftover] = []
    folders = await asyncio.to_thread(_folders, recordings.archives_dir)
    for folder in folders:
        files = await asyncio.to_thread(list_archives, folder)
        known = await recordings.known_names(folder.name) if files else set()
        found += [Leftover(folder.name, file) for file in files if file.path.name not in known]
    if found:
        log.warning("archives without a row found", action="leftovers.found", files=len(found))
    return sorted(found, key=lambda leftover: leftover.file.started_at, reverse=True)


async def adopt(
    leftovers: Sequence[Leftover],
    recordings: RecordingService,
    ledger: Ledger,
    *,
    find_camera: FindCamera,
) -> None:
    """Have each leftover registered like a segment that has just been finished."""
    for leftover in leftovers:
        segment = await _look_at(leftover, recordings.quarantine_dir)
        if segment is None:
            continue
        camera = find_camera(leftover.camera_id) or _gone(leftover.camera_id)
        ledger.put("leftover", partial(recordings.register, camera, segment))


async def _look_at(leftover: Leftover, quarantine_dir: Path) -> FinishedSegment | None:
    file = leftover.file
    try:
        probed = await probe_file(file.path)
    except ProbeError as error:
        if error.fault is not StreamFault.NO_VIDEO:
            log.warning(
                "archive cannot be looked at now, will be at the next start",
                action="leftovers.unreadable",
                camera_id=leftover.camera_id,
                name=file.path.name,
                fault=error.fault,
            )
            return None
        await _set_aside(leftover, quarantine_dir)
        return None
    return FinishedSegment(file.path, file.started_at, probed.duration_s or 0.0, file.size_bytes)


async def _set_aside(leftover: Leftover, quarantine_dir: Path) -> None:
    path = leftover.file.path
    try:
        await asyncio.to_thread(_move, path, quarantine_dir / leftover.camera_id / path.name)
    except OSError as error:
        log.warning(
            "archive without readable video could not be moved aside",
            action="leftovers.stuck",
            name=path.name,
            error=redact(str(error)),
        )
        return
    log.warning(
        "archive without readable video moved aside to the folder quarantine",
        action="leftovers.quarantined",
        camera_id=leftover.camera_id,
        name=path.name,
        size_bytes=leftover.file.size_bytes,
    )


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)


def _folders(archives_dir: Path) -> list[Path]:
    try:
        entries = sorted(archives_dir.iterdir())
    except FileNotFoundError:
        return []
    return [entry for entry in entries if entry.is_dir() and _CAMERA_FOLDER.fullmatch(entry.name)]


def _gone(camera_id: str) -> CameraRecord:
    """A camera that has archives and no row."""
    return CameraRecord(
        id=camera_id,
        name=camera_id,
        source="",
        enabled=False,
        archive_seconds=0,
        retention_days=None,
        retention_bytes=None,
    )
