"""The files of the videos: a folder for each job below DATA_DIR/speech, and when it is taken away.

Nobody can be relied on to clean up behind himself: workers are killed while they download, and
this process between a file and its row. So `tidy`, which the main process runs once a minute, goes
by the folders that are there, and asks of each whether a job still needs it.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus
from backend.kernel.db import Database
from backend.kernel.errors import Unavailable
from backend.speech import queries

log = structlog.get_logger(__name__)

BATCH = 500
UNTOUCHED_S = 600.0
"""After which a folder that no job knows is nobody's; an upload lies there before its row does."""


def folder_name(job_id: str) -> str:
    """A caller's id may hold anything; the folder of its video is named by this."""
    return hashlib.sha256(job_id.encode()).hexdigest()[:32]


def remove_folder(folder: Path) -> None:
    """Take away what is left of a job; it may be gone already."""
    shutil.rmtree(folder, ignore_errors=True)


class Videos:
    """The folders of one DATA_DIR. One a process."""

    def __init__(self, database: Database, queue: JobQueue, data_dir: Path) -> None:
        self._database = database
        self._queue = queue
        self._data_dir = data_dir

    @property
    def folder(self) -> Path:
        """Where the jobs' folders are."""
        return self._data_dir / "speech"

    async def take(self, upload: Path, job_id: str) -> str:
        """Move an upload to where workers look for it; its path below DATA_DIR.

        What then never gets a row is left to `tidy`: a commit whose answer was lost may have come
        about.

        Raises:
            Unavailable: the disk refuses; the upload is gone.
        """
        to = self.folder / folder_name(job_id) / "video"
        try:
            await asyncio.to_thread(_move, upload, to)
        except OSError as error:
            raise Unavailable("the disk has no room for the video", code="no_room") from error
        return to.relative_to(self._data_dir).as_posix()

    async def find(self, video_path: str | None) -> Path | None:
        """The file of a job's video, if it is there."""
        if video_path is None:
            return None
        path = self._data_dir / video_path
        return path if await asyncio.to_thread(path.is_file) else None

    async def remove(self, job_id: str) -> None:
        """Take away what is left of a job that is forgotten."""
        await asyncio.to_thread(remove_folder, self.folder / folder_name(job_id))

    async def tidy(self) -> None:
        """Delete the folders of jobs that have ended, unless their videos are kept, and nobody's.

        Of a database without any speech job none is deleted: it may be the wrong one.
        """
        names = await asyncio.to_thread(_names, self.folder)
        unknown = set(names)
        after_id = 0
        while names:
            async with self._database.read() as session:
                rows = await queries.select_with_folder(session, after_id, BATCH)
            here = [row for row in rows if folder_name(row.job_id) in names]
            unknown.difference_update(folder_name(row.job_id) for row in here)
            spare = [row for row in here if not (row.keeps_video and row.video_path)]
            open_ones = await self._queue.unfinished([row.queue_job_id for row in spare])
            for row in spare:
                if row.queue_job_id not in open_ones:
                    await self._remove_ended(row)
            if len(rows) < BATCH:
                break
            after_id = rows[-1].id
        if unknown and await self._has_jobs():
            await asyncio.to_thread(_remove_untouched, [self.folder / name for name in unknown])

    async def _remove_ended(self, row: queries.WithFolder) -> None:
        """Delete the folder of a job that had ended; it may have been started again since."""
        async with self._database.write() as session:
            status = await self._queue.status(session, row.queue_job_id)
            if status in {JobStatus.PENDING, JobStatus.PROCESSING}:
                return
            if not await queries.clear_video(session, row.id, row.queue_job_id):
                return
        # whoever starts now fetches the video; who began before the commit may be reading it
        if not await self._queue.unfinished([row.queue_job_id]):
            await self.remove(row.job_id)

    async def _has_jobs(self) -> bool:
        async with self._database.read() as session:
            return bool(await queries.select_page(session, None, 1))


def _move(upload: Path, to: Path) -> None:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        upload.replace(to)
    except OSError:
        with suppress(OSError):
            upload.unlink()
        raise


def _names(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


def _remove_untouched(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(FileNotFoundError):  # somebody else was faster
            touched_at = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
            if time.time() - touched_at > UNTOUCHED_S:
                remove_folder(folder)
                log.info("nobody's folder removed", action="speech.orphan", folder=folder.name)
