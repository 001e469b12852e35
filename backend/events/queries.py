"""Statements on the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.tables import EventRow
from backend.kernel.db import select_old_ids, utc_now


async def select_last_id(session: AsyncSession) -> int:
    """Id of the newest event, 0 when there is none."""
    return (await session.scalar(select(func.max(EventRow.id)))) or 0


async def select_after(session: AsyncSession, event_id: int, limit: int) -> Sequence[EventRow]:
    """Events with a higher id, oldest first."""
    statement = select(EventRow).where(EventRow.id > event_id).order_by(EventRow.id).limit(limit)
    return (await session.scalars(statement)).all()


async def select_now(session: AsyncSession) -> datetime:
    """The database's time."""
    return (await session.execute(select(utc_now()))).scalar_one()


async def select_ids_between(session: AsyncSession, above: int, up_to: int) -> set[int]:
    """Ids of events in a stretch of ids."""
    statement = select(EventRow.id).where(EventRow.id > above, EventRow.id <= up_to)
    return set((await session.scalars(statement)).all())


async def select_by_ids(session: AsyncSession, ids: Sequence[int]) -> Sequence[EventRow]:
    """Those of these events that exist, oldest first."""
    statement = select(EventRow).where(EventRow.id.in_(ids)).order_by(EventRow.id)
    return (await session.scalars(statement)).all()


async def select_overlap_start(
    session: AsyncSession, event_id: int, *, seconds: float, most_ids: int
) -> int:
    """The lowest id of those that may have been committed after this event was seen.

    They lie below it by at most `most_ids` ids and `seconds`; the event's own id when none does.
    """
    seen_at = await session.scalar(select(EventRow.created_at).where(EventRow.id == event_id))
    if seen_at is None:
        return event_id
    lowest = select(func.min(EventRow.id)).where(
        EventRow.id.between(event_id - most_ids, event_id),
        EventRow.created_at >= seen_at - timedelta(seconds=seconds),
    )
    return (await session.scalar(lowest)) or event_id


async def delete_old(session: AsyncSession, older_than_s: float, limit: int) -> int:
    """Remove events past their time; how many."""
    ids = await select_old_ids(session, EventRow.id, EventRow.created_at, older_than_s, limit)
    if ids:
        await session.execute(delete(EventRow).where(EventRow.id.in_(ids)))
    return len(ids)
