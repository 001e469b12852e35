"""Archives: a finished file becomes a segment and a job in one transaction; lists of them; gaps.

Used by the recorders and the API. `register` is safe to repeat: a file has one segment and one job,
however often it is told of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.catalog import SegmentRecorded
from backend.events.outbox import Outbox
from backend.jobs.schemas import JobDetail, NewJob
from backend.jobs.service import JobQueue
from backend.kernel.clock import Clock
from backend.kernel.db import Database
from backend.kernel.errors import InvalidInput
from backend.kernel.http import Page, decode_cursor, encode_cursor
from backend.media.archive import FinishedSegment, list_archives, make_durable
from backend.media.salvage import salvage_segments
from backend.monitoring.cameras.service import CameraRecord
from backend.monitoring.recording import queries
from backend.monitoring.recording.gaps import find_gaps
from backend.monitoring.recording.schemas import GapView, IncidentView, SegmentView, StorageView
from backend.monitoring.recording.tables import SegmentRow
from backend.settings import StorageSettings

log = structlog.get_logger(__name__)

SCENE_JOB = "scene"


class RecordingService:
    """The archives. One a process."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        queue: JobQueue,
        storage: StorageSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._queue = queue
        self._storage = storage
        self._clock = clock
        self.recording: set[str] = set()
        """Cameras whose archive is being written now; kept by the recorders."""

    def archive_dir(self, camera_id: str) -> Path:
        """Where a camera's archives lie."""
        return self._storage.archive_dir / camera_id

    def live_dir(self, camera_id: str) -> Path:
        """Where a camera's live segments lie."""
        return self._storage.live_dir / camera_id

    async def has_file(self, path: Path) -> bool:
        """Whether an archive is there now."""
        return await asyncio.to_thread(path.is_file)

    async def register(self, camera: CameraRecord, segment: FinishedSegment) -> None:
        """Make a finished file safe, then add its segment, its job and its event together."""
        await asyncio.to_thread(make_durable, segment.path)
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

    async def adopt_leftovers(self, camera: CameraRecord) -> int:
        """Register files that a crash left without a row; only while the camera is not recorded."""
        async with self._database.read() as session:
            known = {Path(path).name for path in await queries.select_paths(session, camera.id)}
        left = await salvage_segments(self.archive_dir(camera.id), known=known)
        for segment in left:
            await self.register(camera, segment)
        if left:
            log.info(
                "archives adopted",
                action="recording.adopted",
                camera_id=camera.id,
                segments=len(left),
            )
        return len(left)

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
        before = _before(cursor) if cursor else None
        async with self._database.read() as session:
            rows = await queries.select_page(session, camera_id, since, until, before, limit + 1)
        shown = rows[:limit]
        jobs = await self._queue.details([row.job_id for row in shown if row.job_id is not None])
        items = [_view(row, jobs.get(row.job_id or 0)) for row in shown]
        more = None
        if len(rows) > limit:
            more = encode_cursor(shown[-1].started_at.isoformat(), shown[-1].id)
        if cursor is None and (until is None or until > self._clock.now()):
            items = [*await self._being_written(camera_id, rows), *items]
        return Page(items=items, next_cursor=more)

    async def gaps(self, camera_id: str, since: datetime, until: datetime) -> list[GapView]:
        """Stretches of [since, until], up to now, of which there is no recording."""
        async with self._database.read() as session:
            spans = await queries.select_spans(session, camera_id, since, until)
        now = self._clock.now()
        end = min(until, now)
        for view in await self._being_written(camera_id, ()):
            spans.append((view.started_at, now))
        return [
            GapView(camera_id=camera_id, started_at=a, ended_at=b, seconds=(b - a).total_seconds())
            for a, b in find_gaps(spans, since, end)
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
        ended_at = segment.started_at + timedelta(seconds=segment.duration_s)
        job = NewJob(
            kind=SCENE_JOB,
            camera_id=camera.id,
            video_path=video_path,
            segment_start=segment.started_at,
            segment_end=ended_at,
            payload={"camera_name": camera.name, "demo": camera.is_demo},
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
        if camera_id not in self.recording:
            return []
        files = await asyncio.to_thread(list_archives, self.archive_dir(camera_id))
        if not files or files[-1].path.name in {Path(row.video_path).name for row in rows}:
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
                video_url=f"/archive/{camera_id}/{newest.path.name}",
                job_id=None,
                job_status=None,
                safety_score=None,
                incident_count=None,
                incidents=[],
            )
        ]


def _view(row: SegmentRow, job: JobDetail | None) -> SegmentView:
    found = (job.analysis_result or {}).get("incidents", []) if job else []
    return SegmentView(
        id=row.id,
        camera_id=row.camera_id,
        state="finished",
        started_at=row.started_at,
        ended_at=row.ended_at,
        size_bytes=row.size_bytes,
        video_url=f"/archive/{row.camera_id}/{Path(row.video_path).name}",
        job_id=row.job_id,
        job_status=job.status if job else None,
        safety_score=job.safety_score if job else None,
        incident_count=job.incident_count if job else None,
        incidents=[IncidentView.model_validate(incident) for incident in found],
    )


def _before(cursor: str) -> tuple[datetime, int]:
    values = decode_cursor(cursor)
    try:
        started_at, segment_id = values
        return datetime.fromisoformat(str(started_at)), int(segment_id)
    except ValueError:
        raise InvalidInput(
            "the cursor is not one that this server gave", code="invalid_cursor"
        ) from None
