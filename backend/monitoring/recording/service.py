"""Archives: a finished file becomes a segment and a job in one transaction; lists of them; gaps.

Used by the recorders and the API. `register` is safe to repeat: a file has one segment and one job,
however often it is told of. Nothing here decodes: what a file holds is known from its recorder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.catalog import SegmentRecorded
from backend.events.outbox import Outbox
from backend.jobs.schemas import JobSummary, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import Priority
from backend.kernel.clock import Clock, wait
from backend.kernel.db import Database
from backend.kernel.errors import Unavailable
from backend.kernel.http import Page, RowId, UtcTime, decode_cursor, encode_cursor
from backend.media.archive import FinishedSegment, list_archives, make_durable
from backend.media.hls import clear_live_folder
from backend.monitoring.archives import archive_url
from backend.monitoring.cameras.service import CameraRecord, substream_name
from backend.monitoring.incidents.schemas import IncidentView
from backend.monitoring.incidents.service import IncidentService
from backend.monitoring.recording import queries
from backend.monitoring.recording.gaps import find_gaps
from backend.monitoring.recording.schemas import GapView, SegmentView, StorageView
from backend.monitoring.recording.tables import SegmentRow
from backend.settings import StorageSettings

log = structlog.get_logger(__name__)

CURSOR = TypeAdapter(tuple[UtcTime, RowId])
SCENE_JOB = "scene"
OLD = timedelta(hours=1)
"""An archive that is found this late is analysed after those that come in now."""

WRITES_AT_LEAST_EVERY = timedelta(seconds=15)
"""ffmpeg writes at each keyframe: a file that was not written to for longer has stopped."""


class RecordingService:
    """The archives. One a process."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        queue: JobQueue,
        incidents: IncidentService,
        storage: StorageSettings,
        clock: Clock,
        *,
        callback_url: str | None = None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._queue = queue
        self._incidents = incidents
        self._storage = storage
        self._clock = clock
        self._callback_url = callback_url
        self._writing_since: dict[str, datetime] = {}
        self._released: dict[str, asyncio.Event] = {}

    @property
    def archives_dir(self) -> Path:
        """The folder that holds a folder of archives for each camera."""
        return self._storage.archive_dir

    @property
    def quarantine_dir(self) -> Path:
        """Where files go that look like archives and cannot be read."""
        return self._storage.data_dir / "quarantine"

    def archive_dir(self, camera_id: str) -> Path:
        """Where a camera's archives lie."""
        return self._storage.archive_dir / camera_id

    def live_dir(self, stream: str) -> Path:
        """Where the live segments of a camera (its id) or of its substream lie."""
        return self._storage.live_dir / stream

    def begin_writing(self, camera_id: str) -> None:
        """A recorder is about to write archives of this camera."""
        self._writing_since[camera_id] = self._clock.now().replace(microsecond=0)

    def end_writing(self, camera_id: str) -> None:
        """No recorder writes archives of this camera any more."""
        self._writing_since.pop(camera_id, None)

    def occupy(self, camera_id: str) -> None:
        """Segments of this camera may come until `release` is called."""
        self._released.setdefault(camera_id, asyncio.Event())

    async def release(self, camera_id: str) -> None:
        """The last segment of this camera has been registered."""
        released = self._released.pop(camera_id, None)
        if released is not None:
            released.set()

    async def until_released(self, camera_id: str, *, within_s: float) -> bool:
        """Wait until no more segments of this camera come; False when it takes too long."""
        released = self._released.get(camera_id)
        return released is None or await wait(released, within_s)

    async def streams_with_live(self) -> list[str]:
        """The streams that have a folder of live segments, each under its name."""

        def names() -> list[str]:
            cameras = [entry.name for entry in self._storage.live_dir.glob("*/")]
            substreams = [substream_name(camera_id) for camera_id in cameras]
            return cameras + [name for name in substreams if self.live_dir(name).is_dir()]

        return await asyncio.to_thread(names)

    async def clear_live(self, stream: str) -> None:
        """Take away what is left of a live view that nobody writes any more."""
        await asyncio.to_thread(clear_live_folder, self.live_dir(stream))

    async def known_names(self, camera_id: str) -> set[str]:
        """Names of the camera's archives that have a row."""
        async with self._database.read() as session:
            return {Path(path).name for path in await queries.select_paths(session, camera_id)}

    async def register(self, camera: CameraRecord, segment: FinishedSegment) -> None:
        """Make a finished file safe, then add its segment, its job and its event together.

        Raises:
            Unavailable: the disk cannot keep it; the file is found again at the next start.
        """
        try:
            await asyncio.to_thread(make_durable, segment.path)
        except FileNotFoundError:
            log.warning(
                "finished archive is gone already",
                action="recording.vanished",
                camera_id=camera.id,
                name=segment.path.name,
            )
            return
        except OSError as error:  # not to be taken for a database that is away
            raise Unavailable("the disk cannot keep the archive") from error
        video_path = segment.path.relative_to(self._storage.data_dir).as_posix()

        async def work(session: AsyncSession) -> int | None:
            return await self._add(session, camera, segment, video_path)

        job_id = await self._database.retrying(work)
        if job_id is not None:
            log.info(
                "archive finished, job registered",
                action="recording.segment",
                camera_id=camera.id,
                video_path=video_path,
                job_id=job_id,
                megabytes=round(segment.size_bytes / 1e6, 2),
            )

    async def page(
        self,
        camera_id: str,
        *,
        since: datetime | None,
        until: datetime | None,
        cursor: str | None,
        limit: int,
    ) -> Page[SegmentView]:
        """A camera's segments with what was found in them, newest first.

        The first page begins with the one that is being written.
        """
        before = decode_cursor(cursor, CURSOR) if cursor else None
        async with self._database.read() as session:
            rows = await queries.select_page(session, camera_id, since, until, before, limit + 1)
        shown = rows[:limit]
        jobs = await self._queue.summaries([row.job_id for row in shown if row.job_id is not None])
        found = await self._incidents.by_jobs(list(jobs))
        items = [
            _view(row, jobs.get(row.job_id or 0), found.get(row.job_id or 0, ())) for row in shown
        ]
        more = None
        if len(rows) > limit:
            more = encode_cursor(shown[-1].started_at, shown[-1].id)
        if cursor is None and (until is None or until > self._clock.now()):
            items = [*await self._being_written(camera_id, rows), *items]
        return Page(items=items, next_cursor=more)

    async def newest(self, camera_id: str) -> SegmentRow | None:
        """The last finished archive of a camera; None where there is none."""
        async with self._database.read() as session:
            return await queries.select_newest(session, camera_id)

    async def gaps(self, camera_id: str, since: datetime, until: datetime) -> list[GapView]:
        """Stretches of [since, until], up to now, of which there is no recording."""
        async with self._database.read() as session:
            spans = await queries.select_spans(session, camera_id, since, until)
            before = await queries.select_last_span_before(session, camera_id, since)
        if before is not None:
            spans.append(before)
        now = self._clock.now()
        for view in await self._being_written(camera_id, ()):
            is_growing = now - view.ended_at < WRITES_AT_LEAST_EVERY
            spans.append((view.started_at, now if is_growing else view.ended_at))
        return [
            GapView(camera_id=camera_id, started_at=a, ended_at=b, seconds=(b - a).total_seconds())
            for a, b in find_gaps(spans, since, min(until, now))
        ]

    async def storage(self, camera_id: str) -> StorageView:
        """How much a camera's archives take."""
        async with self._database.read() as session:
            usage = {entry.camera_id: entry for entry in await queries.select_usage(session)}
        found = usage.get(camera_id, queries.Usage(camera_id, 0, 0, None))
        return StorageView(
            camera_id=camera_id,
            segments=found.segments,
            size_bytes=found.size_bytes,
            oldest=found.oldest,
        )

    async def _add(
        self,
        session: AsyncSession,
        camera: CameraRecord,
        segment: FinishedSegment,
        video_path: str,
    ) -> int | None:
        if await queries.select_by_path(session, video_path) is not None:
            return None
        duration = min(timedelta(seconds=segment.duration_s), queries.LONGEST)
        ended_at = segment.started_at + duration
        is_old = self._clock.now() - ended_at > OLD
        job = NewJob(
            kind=SCENE_JOB,
            priority=Priority.LOW if is_old else Priority.NORMAL,
            camera_id=camera.id,
            video_path=video_path,
            segment_start=segment.started_at,
            segment_end=ended_at,
            payload={"camera_name": camera.name, "demo": camera.is_demo},
            callback_url=self._callback_url,
            dedup_key=f"{SCENE_JOB}:{video_path}"[:190],
        )
        job_id = await self._queue.enqueue(session, job)
        row = SegmentRow(
            camera_id=camera.id,
            video_path=video_path,
            started_at=segment.started_at,
            ended_at=ended_at,
            size_bytes=segment.size_bytes,
            job_id=job_id,
        )
        session.add(row)
        await session.flush()
        event = SegmentRecorded(
            camera_id=camera.id,
            segment_id=row.id,
            job_id=job_id,
            started_at=segment.started_at,
            ended_at=ended_at,
            size_bytes=segment.size_bytes,
        )
        self._outbox.publish(session, event)
        return job_id

    async def _being_written(self, camera_id: str, rows: Sequence[SegmentRow]) -> list[SegmentView]:
        """The file that the camera's recorder writes now, if it does."""
        since = self._writing_since.get(camera_id)
        if since is None:
            return []
        files = await asyncio.to_thread(list_archives, self.archive_dir(camera_id))
        if not files or files[-1].started_at < since:
            return []
        if files[-1].path.name in {Path(row.video_path).name for row in rows}:
            return []
        newest = files[-1]
        return [
            SegmentView(
                id=None,
                camera_id=camera_id,
                state="recording",
                started_at=newest.started_at,
                ended_at=max(newest.modified_at, newest.started_at),
                size_bytes=newest.size_bytes,
                video_url=archive_url(camera_id, newest.path),
                job_id=None,
                job_status=None,
                safety_score=None,
                incident_count=None,
                incidents=[],
            )
        ]


def _view(
    row: SegmentRow, job: JobSummary | None, incidents: Sequence[IncidentView]
) -> SegmentView:
    return SegmentView(
        id=row.id,
        camera_id=row.camera_id,
        state="finished",
        started_at=row.started_at,
        ended_at=row.ended_at,
        size_bytes=row.size_bytes,
        video_url=archive_url(row.camera_id, row.video_path),
        job_id=row.job_id,
        job_status=job.status if job else None,
        safety_score=job.safety_score if job else None,
        incident_count=job.incident_count if job else None,
        incidents=list(incidents),
    )
