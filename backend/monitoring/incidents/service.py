"""The incidents' doings: stored with the result that found them, listed, judged by people.

Used by the API, and by workers, which store in the transaction that ends their job.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.catalog import IncidentFound, IncidentReviewed
from backend.events.outbox import Outbox
from backend.kernel.clock import Clock
from backend.kernel.db import Database
from backend.kernel.errors import NotFound
from backend.kernel.http import Page, RowId, UtcTime, decode_cursor, encode_cursor
from backend.monitoring.archives import archive_url, still_there
from backend.monitoring.incidents import queries
from backend.monitoring.incidents.schemas import (
    FoundIncidents,
    IncidentFilter,
    IncidentView,
    PrecisionView,
    Verdict,
)
from backend.monitoring.incidents.states import INCIDENT, IncidentState
from backend.monitoring.incidents.tables import IncidentRow

CURSOR = TypeAdapter(tuple[UtcTime, RowId])
CLEANUP_BATCH = 500


def snapshot_path(video: Path, position: int) -> Path:
    """Where the picture of an archive's n-th incident lies: beside the archive."""
    return video.with_name(f"{video.stem}_{position}.jpg")


class IncidentService:
    """The incidents. One a process."""

    def __init__(self, database: Database, outbox: Outbox, data_dir: Path, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._data_dir = data_dir
        self._clock = clock

    async def store(self, session: AsyncSession, found: FoundIncidents) -> None:
        """Store what an analysis found, in the caller's transaction; an older answer goes."""
        await queries.delete_of_job(session, found.job_id)
        for position, incident in enumerate(found.incidents):
            row = IncidentRow(
                job_id=found.job_id,
                camera_id=found.camera_id,
                video_path=found.video_path,
                starts_at=found.segment_start + timedelta(seconds=incident.t_start),
                ends_at=found.segment_start + timedelta(seconds=incident.t_end),
                t_start=incident.t_start,
                t_end=incident.t_end,
                category=incident.category,
                severity=incident.severity,
                confidence=incident.confidence,
                evidence=[asdict(one) for one in incident.evidence],
                notes="\n".join(one.note for one in incident.evidence),
                backend=found.backend,
                model=found.model,
                has_snapshot=position in found.snapshots,
                position=position,
            )
            session.add(row)
            await session.flush()
            event = IncidentFound(
                camera_id=row.camera_id,
                incident_id=row.id,
                job_id=row.job_id,
                category=row.category,
                severity=row.severity,
                confidence=row.confidence,
                starts_at=row.starts_at,
            )
            self._outbox.publish(session, event)

    async def read(self, incident_id: int) -> IncidentView:
        """One incident.

        Raises:
            NotFound: there is none.
        """
        async with self._database.read() as session:
            row = await _row(session, incident_id)
        return (await self._views([row]))[0]

    async def page(
        self, wanted: IncidentFilter, cursor: str | None, limit: int
    ) -> Page[IncidentView]:
        """Incidents, newest first."""
        before = decode_cursor(cursor, CURSOR) if cursor else None
        async with self._database.read() as session:
            rows = (await session.scalars(queries.page(wanted, before, limit + 1))).all()
        shown = rows[:limit]
        more = encode_cursor(shown[-1].starts_at, shown[-1].id) if len(rows) > limit else None
        return Page(items=await self._views(shown), next_cursor=more)

    async def by_jobs(self, job_ids: Sequence[int]) -> dict[int, list[IncidentView]]:
        """What these jobs found, in order of time."""
        if not job_ids:
            return {}
        async with self._database.read() as session:
            rows = await queries.select_by_jobs(session, job_ids)
        found: dict[int, list[IncidentView]] = {}
        for view in await self._views(rows):
            found.setdefault(view.job_id, []).append(view)
        return found

    async def judge(self, incident_id: int, verdict: Verdict, by: str) -> IncidentView:
        """Note what a person makes of it; the same verdict again changes nothing.

        Raises:
            NotFound: there is no such incident.
        """
        state = IncidentState(verdict)

        async def work(session: AsyncSession) -> None:
            row = await _row(session, incident_id)
            if row.state == state:
                return
            INCIDENT.check(IncidentState(row.state), state)
            is_open = state is IncidentState.OPEN
            values = {
                "state": state,
                "reviewed_at": None if is_open else self._clock.now(),
                "reviewed_by": None if is_open else by[:100],
            }
            if not await queries.update_incident(session, incident_id, row.state, values):
                await work(session)  # somebody else has just judged it: the last one counts
                return
            event = IncidentReviewed(
                camera_id=row.camera_id, incident_id=row.id, job_id=row.job_id, state=state
            )
            self._outbox.publish(session, event)

        await self._database.retrying(work)
        return await self.read(incident_id)

    async def precision(
        self, camera_id: str | None, since: datetime | None, *, until: datetime | None = None
    ) -> list[PrecisionView]:
        """How often people found a camera's incidents to be right, by category."""
        async with self._database.read() as session:
            rows = await queries.count_verdicts(session, camera_id, since, until)
        counts: dict[tuple[str, str], Counter[str]] = {}
        for camera, category, state, number in rows:
            counts.setdefault((camera, category), Counter())[state] = number
        return [
            PrecisionView(
                camera_id=camera,
                category=category,
                confirmed=(right := by_state[IncidentState.CONFIRMED]),
                rejected=(wrong := by_state[IncidentState.REJECTED]),
                open=by_state[IncidentState.OPEN],
                precision=right / (right + wrong) if right + wrong else None,
            )
            for (camera, category), by_state in sorted(counts.items())
        ]

    async def snapshot(self, incident_id: int) -> Path:
        """The file of an incident's picture.

        Raises:
            NotFound: there is no such incident, or no picture of it (any more).
        """
        async with self._database.read() as session:
            row = await _row(session, incident_id)
        path = self._snapshot(row)
        if not await asyncio.to_thread(path.is_file):
            raise NotFound("there is no picture of this incident")
        return path

    async def delete_old(self, *, older_than_s: float) -> int:
        """Forget incidents of long ago, in small transactions; says how many."""
        return await self._database.delete_old(
            queries.delete_old, older_than_s, batch=CLEANUP_BATCH
        )

    def _snapshot(self, row: IncidentRow) -> Path:
        return snapshot_path(self._data_dir / row.video_path, row.position)

    async def _views(self, rows: Sequence[IncidentRow]) -> list[IncidentView]:
        archives = await still_there(self._data_dir, {row.video_path for row in rows})
        return [_view(row, has_archive=row.video_path in archives) for row in rows]


def _view(row: IncidentRow, *, has_archive: bool) -> IncidentView:
    facts = {name: getattr(row, name, None) for name in IncidentView.model_fields}
    facts["video_url"] = archive_url(row.camera_id, row.video_path) if has_archive else None
    has_picture = has_archive and row.has_snapshot  # they are deleted together
    facts["snapshot_url"] = f"/api/v1/incidents/{row.id}/snapshot" if has_picture else None
    return IncidentView.model_validate(facts)


async def _row(session: AsyncSession, incident_id: int) -> IncidentRow:
    row = await queries.select_incident(session, incident_id)
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    return row
