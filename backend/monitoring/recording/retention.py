"""How long archives are kept: by age, by bytes a camera, and by how full the disk is.

Run on a schedule in the main process. Only files that have a row are ever deleted: an empty or
missing database deletes nothing. An archive that still waits for analysis is spared, unless the
disk forces it; its job then ends with that reason. A deletion is a mark, then the file, then the
row: whatever is interrupted is finished by the next run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.catalog import SegmentDeleted
from backend.events.outbox import Outbox
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus
from backend.kernel.clock import Clock
from backend.kernel.db import Database
from backend.media.archive import DiskUsage, disk_usage, remove_archive
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.recording import queries
from backend.monitoring.recording.queries import Usage
from backend.monitoring.recording.tables import SegmentRow
from backend.settings import RecordingSettings, StorageSettings

log = structlog.get_logger(__name__)

BATCH = 100
UNFINISHED = {JobStatus.PENDING, JobStatus.PROCESSING}

DiskReader = Callable[[Path], DiskUsage]


class Retention:
    """Deletes what is too old or too much. One a process."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        queue: JobQueue,
        cameras: CameraService,
        *,
        storage: StorageSettings,
        recording: RecordingSettings,
        clock: Clock,
        read_disk: DiskReader = disk_usage,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._queue = queue
        self._cameras = cameras
        self._storage = storage
        self._recording = recording
        self._clock = clock
        self._read_disk = read_disk

    async def run(self) -> None:
        """One look at everything."""
        await self._sweep()
        async with self._database.read() as session:
            usage = await queries.select_usage(session)
        cameras = {camera.id: camera for camera in await self._cameras.records()}
        for entry in usage:
            camera = cameras.get(entry.camera_id)
            days = camera.retention_days if camera else None
            await self._delete_old(entry.camera_id, days or self._recording.retention_days)
            if camera is not None and camera.retention_bytes is not None:
                await self._delete_too_much(entry, camera.retention_bytes)
        await self._free_disk()
        await self._sweep()

    async def delete_all(self, camera_id: str) -> None:
        """Delete every archive of a camera that was removed, analysed or not."""
        while True:
            async with self._database.read() as session:
                rows = await queries.select_oldest(
                    session, camera_id, ended_before=None, limit=BATCH
                )
            if not await self._give_up_all(rows, "its camera was removed", force=True):
                break
            await self._sweep()

    async def _delete_old(self, camera_id: str, days: float) -> None:
        limit = self._clock.now() - timedelta(days=days)
        async with self._database.read() as session:
            rows = await queries.select_oldest(session, camera_id, ended_before=limit, limit=BATCH)
        await self._give_up_all(rows, "older than its camera's archives are kept", force=False)

    async def _delete_too_much(self, usage: Usage, most_bytes: int) -> None:
        excess = usage.size_bytes - most_bytes
        if excess <= 0:
            return
        async with self._database.read() as session:
            rows = await queries.select_oldest(
                session, usage.camera_id, ended_before=None, limit=BATCH
            )
        chosen: list[SegmentRow] = []
        for row in rows:
            if sum(chosen_row.size_bytes for chosen_row in chosen) >= excess:
                break
            chosen.append(row)
        await self._give_up_all(chosen, "its camera's archives took too much space", force=False)

    async def _free_disk(self) -> None:
        """Delete the oldest archives of all cameras until the disk is below its limit."""
        excess = await self._excess_bytes()
        for force in (False, True):
            if excess > 0:
                excess = await self._free(excess, force=force)
        if excess > 0:
            log.error(
                "the disk is too full and no archive can be deleted",
                action="retention.disk_full",
                missing_megabytes=round(excess / 1e6),
            )

    async def _free(self, excess: int, *, force: bool) -> int:
        """Delete up to so many bytes; how many are still too many."""
        async with self._database.read() as session:
            rows = await queries.select_oldest(session, None, ended_before=None, limit=10 * BATCH)
        for row in rows:
            if excess <= 0:
                break
            if await self._give_up_all([row], "the disk was full", force=force):
                excess -= row.size_bytes
        return excess

    async def _excess_bytes(self) -> int:
        usage = await asyncio.to_thread(self._read_disk, self._storage.archive_dir)
        allowed = usage.total_bytes * self._recording.retention_disk_percent / 100
        return round(usage.total_bytes - usage.free_bytes - allowed)

    async def _give_up_all(self, rows: Sequence[SegmentRow], reason: str, *, force: bool) -> int:
        """Mark segments as garbage, those that wait for analysis only by force; how many."""
        job_ids = [row.job_id for row in rows if row.job_id is not None]
        jobs = await self._queue.details(job_ids)
        marked = 0
        for row in rows:
            job = jobs.get(row.job_id or 0)
            waits = job is not None and job.status in UNFINISHED
            if waits and not force:
                continue
            marked += await self._give_up(row, reason, waits=waits)
        return marked

    async def _give_up(self, row: SegmentRow, reason: str, *, waits: bool) -> bool:
        async def work(session: AsyncSession) -> bool:
            if waits and row.job_id is not None:
                message = f"the archive was deleted before it was analysed: {reason}"
                if not await self._queue.give_up(session, row.job_id, "archive_removed", message):
                    return False  # a worker has it now: it is done soon, or comes back
            if not await queries.mark_garbage(session, row.id):
                return False
            self._outbox.publish(
                session,
                SegmentDeleted(camera_id=row.camera_id, segment_id=row.id, reason=reason),
            )
            return True

        marked = await self._database.retrying(work)
        if marked:
            log.info(
                "archive deleted",
                action="retention.deleted",
                camera_id=row.camera_id,
                video_path=row.video_path,
                reason=reason,
                analysed=not waits,
            )
        return marked

    async def _sweep(self) -> None:
        """Remove the files and rows of what is marked."""
        while True:
            async with self._database.read() as session:
                garbage = await queries.select_garbage(session, BATCH)
            for row in garbage:
                await asyncio.to_thread(remove_archive, self._storage.data_dir / row.video_path)
                async with self._database.write() as session:
                    await queries.delete_row(session, row.id)
            if len(garbage) < BATCH:
                return
