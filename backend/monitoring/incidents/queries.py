"""Statements on incidents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.db import changed_rows, select_old_ids
from backend.monitoring.incidents.schemas import IncidentFilter
from backend.monitoring.incidents.tables import IncidentRow


async def select_incident(session: AsyncSession, incident_id: int) -> IncidentRow | None:
    """One incident as it is in the database now."""
    return await session.get(IncidentRow, incident_id, populate_existing=True)


async def select_by_jobs(session: AsyncSession, job_ids: Sequence[int]) -> Sequence[IncidentRow]:
    """Incidents that these jobs found, in order of time."""
    statement = (
        select(IncidentRow)
        .where(IncidentRow.job_id.in_(job_ids))
        .order_by(IncidentRow.starts_at, IncidentRow.id)
    )
    return (await session.scalars(statement)).all()


def page(
    wanted: IncidentFilter, before: tuple[datetime, int] | None, limit: int
) -> Select[IncidentRow]:
    """Incidents, newest first, before a (starts_at, id)."""
    row = IncidentRow
    statement = select(row).order_by(row.starts_at.desc(), row.id.desc()).limit(limit)
    if wanted.camera_id is not None:
        statement = statement.where(row.camera_id == wanted.camera_id)
    if wanted.category is not None:
        statement = statement.where(row.category.in_(wanted.category))
    if wanted.state is not None:
        statement = statement.where(row.state.in_(wanted.state))
    if wanted.least_severity is not None:
        statement = statement.where(row.severity >= wanted.least_severity)
    if wanted.since is not None:
        statement = statement.where(row.starts_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(row.starts_at < wanted.until)
    if wanted.text:
        statement = statement.where(row.notes.icontains(wanted.text, autoescape=True))
    if before is not None:
        at, id_ = before
        earlier = and_(row.starts_at == at, row.id < id_)
        statement = statement.where(or_(row.starts_at < at, earlier))
    return statement


async def count_verdicts(
    session: AsyncSession,
    camera_id: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Sequence[Row[str, str, str, int]]:
    """(camera, category, state, number) of incidents."""
    row = IncidentRow
    statement = select(row.camera_id, row.category, row.state, func.count()).group_by(
        row.camera_id, row.category, row.state
    )
    if camera_id is not None:
        statement = statement.where(row.camera_id == camera_id)
    if since is not None:
        statement = statement.where(row.starts_at >= since)
    if until is not None:
        statement = statement.where(row.starts_at < until)
    return (await session.execute(statement)).all()


async def update_incident(
    session: AsyncSession, incident_id: int, seen: str, values: dict[str, Any]
) -> bool:
    """Change an incident that is still in the state that was seen; False where it is not."""
    statement = (
        update(IncidentRow)
        .where(IncidentRow.id == incident_id, IncidentRow.state == seen)
        .values(**values)
    )
    return bool(await changed_rows(session, statement))


async def delete_of_job(session: AsyncSession, job_id: int) -> None:
    """Forget what a job found: it is about to say it anew."""
    await session.execute(delete(IncidentRow).where(IncidentRow.job_id == job_id))


async def delete_old(session: AsyncSession, older_than_s: float, limit: int) -> int:
    """Forget incidents of long ago; how many."""
    ids = await select_old_ids(session, IncidentRow.id, IncidentRow.starts_at, older_than_s, limit)
    if ids:
        await session.execute(delete(IncidentRow).where(IncidentRow.id.in_(ids)))
    return len(ids)
