"""Statements on the outbox."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.tables import EventRow
from backend.kernel.db import utc_after


async def select_last_id(session: AsyncSession) -> int:
    """Id of the newest event, 0 when there is none."""
    return (await session.scalar(select(func.max(EventRow.id)))) or 0


async def select_after(session: AsyncSession, event_id: int, limit: int) -> Sequence[EventRow]:
    """Events with a higher id, oldest first."""
    statement = select(EventRow).where(EventRow.id > event_id).order_by(EventRow.id).limit(limit)
    return (await session.scalars(statement)).all()


async def select_old_ids(session: AsyncSession, older_than_s: float, limit: int) -> list[int]:
    """Ids of events past their time, oldest first."""
    statement = (
        select(EventRow.id)
        .where(EventRow.created_at < utc_after(-older_than_s))
        .order_by(EventRow.id)
        .limit(limit)
    )
    return list((await session.scalars(statement)).all())


async def delete_ids(session: AsyncSession, ids: Sequence[int]) -> None:
    """Remove these events."""
    await session.execute(delete(EventRow).where(EventRow.id.in_(ids)))
