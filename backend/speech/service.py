"""Speech jobs: accepted, looked at, tidied up.

`accept` is the contract's request: it is a row and a job of the queue in one transaction, and safe
to repeat. The caller is called back by whatever ends the job; nothing here waits for anything.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import structlog
from pydantic import TypeAdapter
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.jobs.schemas import JobSummary, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus, Priority
from backend.kernel.db import Database, reason_of
from backend.kernel.errors import InvalidInput, NotFound
from backend.kernel.http import Page, RowId, UtcTime, decode_cursor, encode_cursor
from backend.kernel.net import UrlPolicy, check_url
from backend.media.download import filename_of
from backend.settings import SpeechApiSettings, StorageSettings
from backend.speech import queries
from backend.speech.schemas import (
    Accepted,
    ProcessVideo,
    SpeechJobSummary,
    SpeechJobView,
    is_job_id,
)
from backend.speech.states import SPEECH_JOB
from backend.speech.tables import SpeechJobRow
from backend.speech.videos import Videos

log = structlog.get_logger(__name__)

CURSOR = TypeAdapter(tuple[UtcTime, RowId])
MEASURED = 20
"""Jobs whose time tells how long the next one will take."""
ASSUMED_S = 120
"""What one takes while none was measured; then it counts like one of them."""
CLEANUP_BATCH = 100
LIVE = (JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.COMPLETED)


@dataclass(frozen=True, slots=True)
class _NewSpeechJob:
    """A job to be taken on, in the words of its row."""

    job_id: str
    url: str | None
    object_hash: str
    filename: str
    keeps_video: bool
    video_path: str | None = None
    size_bytes: int | None = None


class SpeechService:
    """The speech jobs. One a process."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        policy: UrlPolicy,
        speech: SpeechApiSettings,
        storage: StorageSettings,
        *,
        callback_url: str,
    ) -> None:
        self._database = database
        self._queue = queue
        self._policy = policy
        self._speech = speech
        self._videos = Videos(database, queue, storage.data_dir)
        self._callback_url = callback_url

    @property
    def folder(self) -> Path:
        """Where videos lie while they are worked on."""
        return self._videos.folder

    async def accept(self, request: ProcessVideo, *, keeps_video: bool = False) -> Accepted:
        """Take a job on; the same request again is taken as said once.

        Raises:
            InvalidInput: the URL is refused, or the id is in use for another video.
        """
        try:
            check_url(request.video_url, self._policy)
        except InvalidInput as error:
            raise InvalidInput(error.message, code="INVALID_REQUEST") from error
        new = _NewSpeechJob(
            job_id=request.job_id,
            url=request.video_url,
            object_hash=object_hash(request.video_url),
            filename=filename_of(request.video_url),
            keeps_video=keeps_video,
        )
        return await self._take_on(new, priority=Priority.HIGH)

    async def accept_file(self, video: Path, filename: str, size_bytes: int) -> Accepted:
        """Take on a video that was uploaded; the file is moved to where workers find it.

        Raises:
            Unavailable: the disk refuses it.
        """
        job_id = str(uuid4())
        new = _NewSpeechJob(
            job_id=job_id,
            url=None,
            object_hash=object_hash(f"upload:{job_id}"),
            filename=filename_of(f"/{quote(filename)}"),
            video_path=await self._videos.take(video, job_id),
            size_bytes=size_bytes,
            keeps_video=True,
        )
        return await self._take_on(new, priority=Priority.NORMAL)

    async def read(self, job_id: str) -> SpeechJobView:
        """One job with what was heard.

        Raises:
            NotFound: there is none.
        """
        row = await self._row(job_id)
        job = await self._queue.read(row.queue_job_id)
        summary = _summary(row, job)
        return SpeechJobView(**summary.model_dump(), result=job.analysis_result)

    async def video(self, job_id: str) -> Path:
        """The file of a job's video.

        Raises:
            NotFound: there is no such job, or its video was not kept.
        """
        path = await self._videos.find((await self._row(job_id)).video_path)
        if path is None:
            raise NotFound("the video of this job was not kept")
        return path

    async def page(self, cursor: str | None, limit: int) -> Page[SpeechJobSummary]:
        """Jobs, newest first; one whose queue job is forgotten is left out."""
        before = decode_cursor(cursor, CURSOR) if cursor else None
        async with self._database.read() as session:
            rows = await queries.select_page(session, before, limit + 1)
        shown = rows[:limit]
        jobs = await self._queue.summaries([row.queue_job_id for row in shown])
        more = encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
        items = [_summary(row, jobs[row.queue_job_id]) for row in shown if row.queue_job_id in jobs]
        return Page(items=items, next_cursor=more)

    async def tidy(self) -> None:
        """Delete the videos of jobs that have ended, where they are not to be kept."""
        await self._videos.tidy()

    async def delete_old(self, *, older_than_s: float) -> int:
        """Forget jobs of long ago and their videos; says how many.

        A result lies in its job of the queue, which goes by the end of the last attempt: so what
        the queue still has stays.
        """
        total = after_id = 0
        while True:
            async with self._database.read() as session:
                rows = await queries.select_old(session, older_than_s, after_id, CLEANUP_BATCH)
            known = await self._queue.summaries([row.queue_job_id for row in rows])
            for row in rows:
                after_id = row.id
                if row.queue_job_id in known:
                    continue
                async with self._database.write() as session:
                    gone = await queries.delete_speech_job(session, row.id, row.queue_job_id)
                if gone:
                    await self._videos.remove(row.job_id)
                    total += 1
            if len(rows) < CLEANUP_BATCH:
                return total

    async def _take_on(self, new: _NewSpeechJob, *, priority: Priority) -> Accepted:
        async def work(session: AsyncSession) -> None:
            # locked: of two who ask for a new attempt at once, one finds the other's
            row = await queries.select_by_job_id(session, new.job_id, locks=True)
            if row is None:
                await self._add(session, new, priority)
            else:
                await self._again(session, row, new, priority)

        try:
            await self._database.retrying(work)
        except IntegrityError:
            await self._database.retrying(work)  # the same request came twice at once
        return Accepted(job_id=new.job_id, estimated_time=await self._estimate())

    async def _add(self, session: AsyncSession, new: _NewSpeechJob, priority: Priority) -> None:
        queue_job_id = await self._enqueue(session, new, priority)
        session.add(SpeechJobRow(**asdict(new), queue_job_id=queue_job_id))
        await session.flush()

    async def _again(
        self, session: AsyncSession, row: SpeechJobRow, new: _NewSpeechJob, priority: Priority
    ) -> None:
        """The id is known: the same video again, or a mistake of the caller."""
        if row.object_hash != new.object_hash:
            raise InvalidInput(
                "job_id is in use for another video", code="INVALID_REQUEST", job_id=row.job_id
            )
        status = await self._queue.status(session, row.queue_job_id)
        if status in LIVE:
            if status is not JobStatus.COMPLETED:
                # a fresh signature is of use to a download that has not begun
                await queries.update_speech_job(session, row.id, {"url": new.url})
            return
        values: dict[str, Any] = {"url": new.url, "video_path": None}
        if status is None:  # the queue has forgotten it
            values["queue_job_id"] = await self._enqueue(session, new, priority)
        else:
            changes = {"priority": priority, "callback_url": self._callback_url}
            await self._queue.start_again(session, row.queue_job_id, changes)
        await queries.update_speech_job(session, row.id, values)

    async def _enqueue(self, session: AsyncSession, new: _NewSpeechJob, priority: Priority) -> int:
        job = NewJob(
            kind=SPEECH_JOB,
            priority=priority,
            payload={"job_id": new.job_id, "filename": new.filename},
            callback_url=self._callback_url,
            callback_id=new.job_id,
        )
        return await self._queue.enqueue(session, job)

    async def _estimate(self) -> int:
        """Seconds until a job that is taken on now is done, from what the last ones took.

        The job is taken on by now, so nothing that fails here may say otherwise.
        """
        try:
            async with self._database.read() as session:
                measured = await queries.select_recent_processing_s(session, MEASURED)
            waiting = await self._queue.count_unfinished(SPEECH_JOB)
        except (SQLAlchemyError, OSError) as error:
            log.warning("no estimate", action="speech.no_estimate", error=reason_of(error))
            return ASSUMED_S
        each_s = (sum(measured) + ASSUMED_S) / (len(measured) + 1)
        rounds = -(-max(waiting, 1) // self._speech.at_once)
        return max(1, round(each_s * rounds))

    async def _row(self, job_id: str) -> SpeechJobRow:
        async with self._database.read() as session:
            row = await queries.select_by_job_id(session, job_id) if is_job_id(job_id) else None
        if row is None:
            raise NotFound("there is no such speech job")
        return row


def object_hash(url: str) -> str:
    """Of a URL without its query: a signature may change, the object is the same."""
    parts = urlsplit(url)
    return hashlib.sha256(
        f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".encode()
    ).hexdigest()


def _summary(row: SpeechJobRow, job: JobSummary) -> SpeechJobSummary:
    return SpeechJobSummary(
        job_id=row.job_id,
        queue_job_id=row.queue_job_id,
        filename=row.filename,
        status=job.status,
        progress=job.progress,
        stage=job.stage,
        error_code=job.error_code,
        error_message=job.error_message,
        created_at=row.created_at,
        completed_at=job.completed_at,
        has_video=row.keeps_video and row.video_path is not None,
    )
