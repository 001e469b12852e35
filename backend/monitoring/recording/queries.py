"""Statements on archive segments. A row with `deleted_at` is garbage and shown to nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.db import changed_rows, utc_now
from backend.monitoring.recording.tables import SegmentRow

PRESENT = SegmentRow.deleted_at.is_(None)
LONGEST = timedelta(hours=2)
"""No segment is longer: lets a search by its end use the index on its beginning."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a camera's segments take."""

    camera_id: str
    segments: int
    size_bytes: int
    oldest: datetime | None
    keep_days: float | None = None


async def select_by_path(session: AsyncSession, video_path: str) -> SegmentRow | None:
    """The segment of a file."""
    return await session.scalar(select(SegmentRow).where(SegmentRow.video_path == video_path))


async def select_paths(session: AsyncSession, camera_id: str) -> list[str]:
    """Files of a camera that have a row, garbage too."""
    statement = select(SegmentRow.video_path).where(SegmentRow.camera_id == camera_id)
    return list((await session.scalars(statement)).all())


async def select_page(
    session: AsyncSession,
    camera_id: str,
    since: datetime | None,
    until: datetime | None,
    before: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[SegmentRow]:
    """A camera's segments that touch [since, until), newest first."""
    statement = (
        select(SegmentRow)
        .where(SegmentRow.camera_id == camera_id, PRESENT)
        .order_by(SegmentRow.started_at.desc(), SegmentRow.id.desc())
        .limit(limit)
    )
    if since is not None:
        statement = statement.where(
            SegmentRow.ended_at > since, SegmentRow.started_at > since - LONGEST
        )
    if until is not None:
        statement = statement.where(SegmentRow.started_at < until)
    if before is not None:
        started_at, segment_id = before
        statement = statement.where(
            or_(
                SegmentRow.started_at < started_at,
                and_(SegmentRow.started_at == started_at, SegmentRow.id < segment_id),
            )
        )
    return (await session.scalars(statement)).all()


async def select_newest(session: AsyncSession, camera_id: str) -> SegmentRow | None:
    """A camera's last finished segment."""
    return await session.scalar(
        select(SegmentRow)
        .where(SegmentRow.camera_id == camera_id, PRESENT)
        .order_by(SegmentRow.started_at.desc(), SegmentRow.id.desc())
        .limit(1)
    )


async def select_spans(
    session: AsyncSession, camera_id: str, since: datetime, until: datetime
) -> list[tuple[datetime, datetime]]:
    """Begin and end of a camera's segments that touch [since, until), oldest first."""
    statement = (
        select(SegmentRow.started_at, SegmentRow.ended_at)
        .where(
            SegmentRow.camera_id == camera_id,
            PRESENT,
            SegmentRow.ended_at > since,
            SegmentRow.started_at > since - LONGEST,
            SegmentRow.started_at < until,
        )
        .order_by(SegmentRow.started_at)
    )
    return [(begin, end) for begin, end in (await session.execute(statement)).all()]


async def select_last_span_before(
    session: AsyncSession, camera_id: str, before: datetime
) -> tuple[datetime, datetime] | None:
    """Begin and end of the last of a camera's segments that began before a time."""
    statement = (
        select(SegmentRow.started_at, SegmentRow.ended_at)
        .where(SegmentRow.camera_id == camera_id, PRESENT, SegmentRow.started_at < before)
        .order_by(SegmentRow.started_at.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).first()
    return None if row is None else (row.started_at, row.ended_at)


async def select_usage(session: AsyncSession) -> list[Usage]:
    """How much each camera's segments take, cameras that are gone included."""
    statement = (
        select(
            SegmentRow.camera_id,
            func.count(),
            func.coalesce(func.sum(SegmentRow.size_bytes), 0),
            func.min(SegmentRow.started_at),
            func.max(SegmentRow.keep_days),
        )
        .where(PRESENT)
        .group_by(SegmentRow.camera_id)
    )
    rows = (await session.execute(statement)).all()
    return [
        Usage(camera, number, int(size), oldest, keep_days)
        for camera, number, size, oldest, keep_days in rows
    ]


async def update_keep_days(session: AsyncSession, camera_id: str, days: float | None) -> None:
    """Note how long a camera's segments are kept once the camera is gone."""
    statement = update(SegmentRow).where(SegmentRow.camera_id == camera_id)
    await session.execute(statement.values(keep_days=days))


async def select_oldest(
    session: AsyncSession,
    camera_id: str | None,
    *,
    ended_before: datetime | None,
    after: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[SegmentRow]:
    """The oldest segments after one, of one camera or of all, optionally only those past an age."""
    statement = (
        select(SegmentRow)
        .where(PRESENT)
        .order_by(SegmentRow.started_at, SegmentRow.id)
        .limit(limit)
    )
    if camera_id is not None:
        statement = statement.where(SegmentRow.camera_id == camera_id)
    if ended_before is not None:
        statement = statement.where(
            SegmentRow.ended_at < ended_before, SegmentRow.started_at < ended_before
        )
    if after is not None:
        started_at, segment_id = after
        statement = statement.where(
            or_(
                SegmentRow.started_at > started_at,
                and_(SegmentRow.started_at == started_at, SegmentRow.id > segment_id),
            )
        )
    return (await session.scalars(statement)).all()


async def select_garbage(session: AsyncSession, after_id: int, limit: int) -> Sequence[SegmentRow]:
    """Segments whose file is to go or has gone, in order of their ids after one."""
    statement = (
        select(SegmentRow)
        .where(SegmentRow.deleted_at.is_not(None), SegmentRow.id > after_id)
        .order_by(SegmentRow.id)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def mark_garbage(session: AsyncSession, segment_id: int) -> bool:
    """Give a segment up; False when somebody has already."""
    statement = (
        update(SegmentRow).where(SegmentRow.id == segment_id, PRESENT).values(deleted_at=utc_now())
    )
    return bool(await changed_rows(session, statement))


async def delete_row(session: AsyncSession, segment_id: int) -> None:
    """Forget a segment whose file is gone."""
    await session.execute(delete(SegmentRow).where(SegmentRow.id == segment_id))
