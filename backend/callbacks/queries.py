"""Statements on callbacks. The sender's are guarded by a test of their plan on each database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, defer

from backend.callbacks.schemas import CallbackFilter, DueCallback
from backend.callbacks.states import CALLBACK, CallbackKind, CallbackState
from backend.callbacks.tables import CallbackPieceRow, CallbackRow
from backend.kernel.db import changed_rows, select_old_ids, utc_after, utc_now

_DUE = tuple(getattr(CallbackRow, field.name) for field in fields(DueCallback))
_PENDING = CallbackRow.state == CallbackState.PENDING


async def insert_callback(
    session: AsyncSession, values: dict[str, Any], expires_after_s: float, pieces: Iterable[str]
) -> int:
    """Add a callback, and the pieces of its body after the first; its id."""
    row = CallbackRow(**values, expires_at=utc_after(expires_after_s))
    session.add(row)
    await session.flush()
    for position, text in enumerate(pieces, start=1):  # one by one: together they are too long
        values = {"callback_id": row.id, "position": position, "text": text}
        await session.execute(insert(CallbackPieceRow).values(values))
    return row.id


def unsent_progress(subject: str) -> Select[int]:
    """Ids of what newer news of the subject replaces."""
    return select(CallbackRow.id).where(
        CallbackRow.subject == subject, _PENDING, CallbackRow.kind == CallbackKind.PROGRESS
    )


def unsent(subject: str) -> Select[int]:
    """Ids of all that is unsent of a subject."""
    return select(CallbackRow.id).where(CallbackRow.subject == subject, _PENDING)


async def update_state(
    session: AsyncSession, ids: Sequence[int], state: CallbackState, values: dict[str, Any]
) -> int:
    """Move callbacks from where the state machine allows it; how many were."""
    return await changed_rows(
        session,
        update(CallbackRow)
        .where(CallbackRow.id.in_(ids), CallbackRow.state.in_(CALLBACK.sources(state)))
        .values(state=state, **values),
    )


async def update_after_failure(
    session: AsyncSession, callback_id: int, delay_s: float, values: dict[str, Any]
) -> bool:
    """Note a failed attempt at a callback that is still to be sent."""
    changed = await changed_rows(
        session,
        update(CallbackRow)
        .where(CallbackRow.id == callback_id, _PENDING)
        .values(next_at=utc_after(delay_s), attempts=CallbackRow.attempts + 1, **values),
    )
    return changed > 0


async def update_expired(session: AsyncSession, callback_id: int) -> bool:
    """Give a callback up if its time is over."""
    changed = await changed_rows(
        session,
        update(CallbackRow)
        .where(CallbackRow.id == callback_id, _PENDING, CallbackRow.expires_at <= utc_now())
        .values(state=CallbackState.DEAD),
    )
    return changed > 0


def next_host(after: str, *, up_to: str | None = None) -> Select[str]:
    """The next host, in order of their names, that something is unsent to."""
    statement = (
        select(CallbackRow.host)
        .where(_PENDING, CallbackRow.host > after)
        .order_by(CallbackRow.host)
        .limit(1)
    )
    return statement if up_to is None else statement.where(CallbackRow.host <= up_to)


def due(
    host: str,
    limit: int,
    *,
    busy_subjects: Collection[str],
    most_bytes: int | None,
    put_off_by_s: float | None = None,
) -> Select[Any]:
    """What is to be sent to a host now: the oldest unsent callbacks of their subjects.

    Args:
        put_off_by_s: instead of what is due, what is put off by more than this.
    """
    row, older = CallbackRow, aliased(CallbackRow)
    is_behind = (
        select(older.id)
        .where(
            older.subject == row.subject, older.state == CallbackState.PENDING, older.id < row.id
        )
        .exists()
    )
    is_time = row.next_at <= utc_now()
    if put_off_by_s is not None:
        is_time = row.next_at > utc_after(put_off_by_s)
    statement = (
        select(*_DUE)
        .where(_PENDING, row.host == host, is_time, ~is_behind)
        .order_by(row.next_at, row.id)
        .limit(limit)
    )
    if busy_subjects:
        statement = statement.where(row.subject.not_in(busy_subjects))
    if most_bytes is not None:
        statement = statement.where(row.size_bytes <= most_bytes)
    return statement


async def select_body(session: AsyncSession, callback_id: int) -> str | None:
    """The whole body of what is still to be sent; None when it is not any more."""
    statement = select(CallbackRow.body).where(CallbackRow.id == callback_id, _PENDING)
    first = await session.scalar(statement)
    if first is None:
        return None
    piece = CallbackPieceRow
    rest = select(piece.text).where(piece.callback_id == callback_id).order_by(piece.position)
    return "".join([first, *(await session.scalars(rest)).all()])


async def select_callback(
    session: AsyncSession, callback_id: int, *, with_body: bool = False
) -> CallbackRow | None:
    """One callback as it is in the database now; of its body the first piece."""
    options = () if with_body else (defer(CallbackRow.body, raiseload=True),)
    return await session.get(CallbackRow, callback_id, options=options, populate_existing=True)


async def select_newest_id(session: AsyncSession, subject: str) -> int | None:
    """Id of the last thing said of a subject."""
    statement = select(func.max(CallbackRow.id)).where(CallbackRow.subject == subject)
    return await session.scalar(statement)


def page(wanted: CallbackFilter, before: int | None, limit: int) -> Select[CallbackRow]:
    """Callbacks, newest first, without their bodies."""
    row = CallbackRow
    statement = select(row).options(defer(row.body, raiseload=True))
    if wanted.state is not None:
        statement = statement.where(row.state.in_(wanted.state))
    if wanted.subject is not None:
        statement = statement.where(row.subject == wanted.subject)
    if wanted.job_id is not None:
        statement = statement.where(row.job_id == wanted.job_id)
    if wanted.host is not None:
        statement = statement.where(row.host == wanted.host)
    if before is not None:
        statement = statement.where(row.id < before)
    return statement.order_by(row.id.desc()).limit(limit)


async def count_by_state(session: AsyncSession) -> Sequence[Row[str, int]]:
    """(state, number) of callbacks."""
    statement = select(CallbackRow.state, func.count().label("number")).group_by(CallbackRow.state)
    return (await session.execute(statement)).all()


async def select_first_expiry(session: AsyncSession) -> tuple[datetime | None, datetime]:
    """When the callback that is unsent the longest is given up, and the database's time."""
    statement = select(func.min(CallbackRow.expires_at)).where(_PENDING)
    first = await session.scalar(statement)
    return first, (await session.execute(select(utc_now()))).scalar_one()


async def delete_old(session: AsyncSession, older_than_s: float, limit: int) -> int:
    """Forget callbacks of long ago that are not to be sent any more; how many."""
    ids = await select_old_ids(
        session, CallbackRow.id, CallbackRow.created_at, older_than_s, limit, ~_PENDING
    )
    if ids:
        piece = CallbackPieceRow
        await session.execute(delete(piece).where(piece.callback_id.in_(ids)))
        await session.execute(delete(CallbackRow).where(CallbackRow.id.in_(ids)))
    return len(ids)
