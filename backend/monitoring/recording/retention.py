"""How long archives are kept: by age, by bytes a camera, and by how full the disk is.

Run on a schedule in the main process. Only files that have a row are ever deleted: an empty or
missing database deletes nothing. An archive that still waits for analysis is spared, unless the
disk forces it; its job then ends with that reason. One that is being analysed is always spared: it
is done soon. A deletion is a mark, then the file, then the row: whatever is interrupted is finished
by the next run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.catalog import SegmentDeleted
from backend.events.outbox import Outbox
from backend.jobs.service import JobQueue
from backend.kernel.clock import Clock
from backend.kernel.db import Database
from backend.kernel.errors import Conflict, NotFound
from backend.kernel.redact import redact
from backend.media.archive import DiskUsage, disk_usage, remove_archive
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.recording import queries
from backend.monitoring.recording.tables import SegmentRow
from backend.settings import RecordingSettings, StorageSettings

log = structlog.get_logger(__name__)

BATCH = 100
TOO_OLD = "older than its camera's archives are kept"
TOO_MUCH = "its camera's archives took too much space"
DISK_FULL = "the disk was full"
CAMERA_GONE = "its camera was removed"

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
            days = camera.retention_days if camera else entry.keep_days
            limit = self._clock.now() - timedelta(days=days or self._recording.retention_days)
            freed = await self._delete_old(entry.camera_id, limit)
            if camera is not None and camera.retention_bytes is not None:
                excess = entry.size_bytes - freed - camera.retention_bytes
                await self._delete_bytes(entry.camera_id, excess, TOO_MUCH, force=False)
        await self._sweep()
        await self._free_disk()

    async def keep_as_now(self, camera_id: str) -> None:
        """Keep a camera's archives for as long as now, when it is removed; bytes count no more.

        Raises:
            NotFound: there is no such camera.
        """
        camera = await self._cameras.read(camera_id)
        async with self._database.write() as session:
            await queries.update_keep_days(session, camera_id, camera.retention_days)

    async def delete_all(self, camera_id: str) -> None:
        """Delete every archive of a camera that was removed; its jobs are called off."""
        async for rows in self._oldest(camera_id):
            job_ids = [row.job_id for row in rows if row.job_id is not None]
            for job_id in await self._queue.unfinished(job_ids):
                try:
                    await self._queue.cancel(job_id)
                except (Conflict, NotFound):
                    continue  # it has ended by now
            for row in rows:
                await self._give_up(row, CAMERA_GONE)
        await self._sweep()

    async def _delete_old(self, camera_id: str, limit: datetime) -> int:
        """Delete what ended before a time; how many bytes that frees."""
        freed = 0
        async for rows in self._oldest(camera_id, ended_before=limit):
            unfinished = await self._unfinished(rows)
            for row in rows:
                if row.job_id not in unfinished and await self._give_up(row, TOO_OLD):
                    freed += row.size_bytes
        return freed

    async def _free_disk(self) -> None:
        """Delete the oldest archives of all cameras until the disk is below its limit."""
        excess = await self._excess_bytes()
        if excess <= 0:
            return
        missing = await self._delete_bytes(None, excess, DISK_FULL, force=False)
        missing = await self._delete_bytes(None, missing, DISK_FULL, force=True)
        await self._sweep()
        if missing > 0:
            log.error(
                "the disk is too full and no archive can be deleted: free space, or raise"
                " RETENTION_DISK_PERCENT",
                action="retention.disk_full",
                missing_megabytes=round(missing / 1e6),
            )
        elif await self._excess_bytes() >= excess:
            log.error(
                "archives were deleted and the disk is as full as before: does something else"
                " fill it?",
                action="retention.frees_nothing",
                deleted_megabytes=round((excess - missing) / 1e6),
            )

    async def _excess_bytes(self) -> int:
        usage = await asyncio.to_thread(self._read_disk, self._storage.archive_dir)
        allowed = usage.total_bytes * self._recording.retention_disk_percent / 100
        return round(usage.total_bytes - usage.free_bytes - allowed)

    async def _delete_bytes(
        self, camera_id: str | None, excess: int, reason: str, *, force: bool
    ) -> int:
        """Delete so many bytes, the oldest first; how many are missing in the end.

        Archives that wait for analysis are deleted by force only, and then nothing else is.
        """
        if excess <= 0:
            return excess
        async for rows in self._oldest(camera_id):
            unfinished = await self._unfinished(rows)
            for row in rows:
                waits = row.job_id in unfinished
                if waits == force and await self._give_up(row, reason, waits=waits):
                    excess -= row.size_bytes
                    if excess <= 0:
                        return excess
        return excess

    async def _oldest(
        self, camera_id: str | None, *, ended_before: datetime | None = None
    ) -> AsyncIterator[Sequence[SegmentRow]]:
        """All segments, the oldest first, in batches."""
        after: tuple[datetime, int] | None = None
        while True:
            async with self._database.read() as session:
                rows = await queries.select_oldest(
                    session, camera_id, ended_before=ended_before, after=after, limit=BATCH
                )
            if rows:
                yield rows
            if len(rows) < BATCH:
                return
            after = (rows[-1].started_at, rows[-1].id)

    async def _unfinished(self, rows: Sequence[SegmentRow]) -> set[int]:
        return await self._queue.unfinished([row.job_id for row in rows if row.job_id is not None])

    async def _give_up(self, row: SegmentRow, reason: str, *, waits: bool = False) -> bool:
        """Mark a segment as garbage, and end the job that waits for it; False when that runs."""

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
        """Remove the files and rows of what is marked. One that resists does not stop the rest."""
        after_id = 0
        while True:
            async with self._database.read() as session:
                garbage = await queries.select_garbage(session, after_id, BATCH)
            for row in garbage:
                after_id = row.id
                try:
                    path = self._storage.data_dir / row.video_path
                    await asyncio.to_thread(remove_archive, path)
                except OSError as error:
                    log.error(  # noqa: TRY400  the trace says nothing more
                        "archive could not be deleted, will be tried again",
                        action="retention.stuck",
                        video_path=row.video_path,
                        error=redact(str(error)),
                    )
                    continue
                async with self._database.write() as session:
                    await queries.delete_row(session, row.id)
            if len(garbage) < BATCH:
                return
