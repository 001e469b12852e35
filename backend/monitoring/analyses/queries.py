"""Statements on reports, spending and breakers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.db import changed_rows, select_old_ids, utc_after, utc_now
from backend.monitoring.analyses.schemas import Spent
from backend.monitoring.analyses.tables import (
    ModelBreakerRow,
    SceneReportRow,
    SceneSpendingRow,
)


async def delete_report(session: AsyncSession, job_id: int) -> None:
    """Forget what a job said: it is about to say it anew."""
    await session.execute(delete(SceneReportRow).where(SceneReportRow.job_id == job_id))


async def select_reports(
    session: AsyncSession,
    since: datetime,
    until: datetime,
    *,
    camera_id: str | None = None,
    limit: int,
) -> Sequence[SceneReportRow]:
    """Reports on archives that begin in a stretch of time, in its order."""
    row = SceneReportRow
    statement = (
        select(row)
        .where(row.segment_start >= since, row.segment_start < until)
        .order_by(row.segment_start, row.id)
        .limit(limit)
    )
    if camera_id is not None:
        statement = statement.where(row.camera_id == camera_id)
    return (await session.scalars(statement)).all()


async def select_scores(
    session: AsyncSession, camera_id: str, since: datetime, until: datetime
) -> Sequence[Any]:
    """(segment_start, safety_score, incident_count) of a camera's reports in a stretch of time."""
    row = SceneReportRow
    statement = (
        select(row.segment_start, row.safety_score, row.incident_count)
        .where(row.camera_id == camera_id, row.segment_start >= since, row.segment_start < until)
        .order_by(row.segment_start)
    )
    return (await session.execute(statement)).all()


async def delete_old_reports(session: AsyncSession, older_than_s: float, limit: int) -> int:
    """Forget reports of long ago; how many."""
    ids = await select_old_ids(
        session, SceneReportRow.id, SceneReportRow.segment_start, older_than_s, limit
    )
    if ids:
        await session.execute(delete(SceneReportRow).where(SceneReportRow.id.in_(ids)))
    return len(ids)


async def has_account(session: AsyncSession, day: date, camera_id: str) -> bool:
    """Whether a day's account is there."""
    statement = select(SceneSpendingRow.calls).where(
        SceneSpendingRow.day == day, SceneSpendingRow.camera_id == camera_id
    )
    return (await session.execute(statement)).first() is not None


async def add_spending(
    session: AsyncSession, day: date, camera_id: str, microusd: int, *, cap: int | None
) -> bool:
    """Count on an account; False where that would break its cap."""
    row = SceneSpendingRow
    statement = update(row).where(row.day == day, row.camera_id == camera_id)
    if cap is not None:
        statement = statement.where(row.spent_microusd + microusd <= cap)
    return bool(
        await changed_rows(session, statement.values(spent_microusd=row.spent_microusd + microusd))
    )


async def settle_spending(
    session: AsyncSession, day: date, camera_id: str, change_microusd: int, spent: Spent
) -> None:
    """Correct an account by what a call really took."""
    row = SceneSpendingRow
    await session.execute(
        update(row)
        .where(row.day == day, row.camera_id == camera_id)
        .values(
            spent_microusd=row.spent_microusd + change_microusd,
            calls=row.calls + spent.calls,
            input_tokens=row.input_tokens + spent.input_tokens,
            output_tokens=row.output_tokens + spent.output_tokens,
        )
    )


async def select_spending(
    session: AsyncSession, since: date, until: date, camera_id: str | None
) -> Sequence[SceneSpendingRow]:
    """Accounts from one day to another, by day and camera."""
    row = SceneSpendingRow
    statement = (
        select(row).where(row.day >= since, row.day <= until).order_by(row.day, row.camera_id)
    )
    if camera_id is not None:
        statement = statement.where(row.camera_id == camera_id)
    return (await session.scalars(statement)).all()


async def delete_spending(session: AsyncSession, before: date) -> None:
    """Forget old accounts."""
    await session.execute(delete(SceneSpendingRow).where(SceneSpendingRow.day < before))


async def select_breaker(
    session: AsyncSession, backend: str, *, lock: bool = False
) -> tuple[ModelBreakerRow | None, datetime]:
    """A backend's breaker as it is now (kept from others, if asked), and the database's time."""
    row = await session.get(ModelBreakerRow, backend, populate_existing=True, with_for_update=lock)
    return row, await select_now(session)


async def select_breakers(session: AsyncSession) -> tuple[Sequence[ModelBreakerRow], datetime]:
    """All that failed of late, and the database's time."""
    rows = (await session.scalars(select(ModelBreakerRow))).all()
    return rows, await select_now(session)


async def select_now(session: AsyncSession) -> datetime:
    """The database's time."""
    return (await session.execute(select(utc_now()))).scalar_one()


async def update_breaker(session: AsyncSession, backend: str, values: dict[str, Any]) -> None:
    """Note another failure."""
    await session.execute(
        update(ModelBreakerRow).where(ModelBreakerRow.backend == backend).values(**values)
    )


async def move_breaker(session: AsyncSession, backend: str, seen: datetime, probe_s: float) -> bool:
    """Put off an open breaker that has run out; True for the one caller who did it."""
    row = ModelBreakerRow
    return bool(
        await changed_rows(
            session,
            update(row)
            .where(row.backend == backend, row.open_until == seen)
            .values(open_until=utc_after(probe_s)),
        )
    )


async def delete_breaker(
    session: AsyncSession, backend: str, *, unchanged_since: datetime | None
) -> None:
    """A backend answers again; only if it has not failed since then, where a time is given."""
    row = ModelBreakerRow
    statement = delete(row).where(row.backend == backend)
    if unchanged_since is not None:
        statement = statement.where(row.changed_at <= unchanged_since)
    await session.execute(statement)


async def select_text(
    session: AsyncSession,
    text: str,
    since: datetime,
    until: datetime,
    *,
    camera_id: str | None,
    job_ids: Sequence[int],
    limit: int,
) -> Sequence[SceneReportRow]:
    """Reports of a stretch of time whose summary holds a text, or whose job is one of these."""
    row = SceneReportRow
    found = or_(row.summary.icontains(text, autoescape=True), row.job_id.in_(job_ids))
    statement = (
        select(row)
        .where(and_(row.segment_start >= since, row.segment_start < until), found)
        .order_by(row.segment_start, row.id)
        .limit(limit)
    )
    if camera_id is not None:
        statement = statement.where(row.camera_id == camera_id)
    return (await session.scalars(statement)).all()
