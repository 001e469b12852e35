"""Statements on speech jobs and received results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from backend.kernel.db import changed_rows, utc_after, utc_now
from backend.speech.states import RESULT, SpeechStatus
from backend.speech.tables import MlResultRow, SpeechJobRow


async def select_by_job_id(
    session: AsyncSession, job_id: str, *, locks: bool = False
) -> SpeechJobRow | None:
    """The speech job of a caller's id, as it is now; locked, it stays so until the commit."""
    statement = select(SpeechJobRow).where(SpeechJobRow.job_id == job_id)
    if locks:
        statement = statement.with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def select_by_queue_job(session: AsyncSession, queue_job_id: int) -> SpeechJobRow | None:
    """The speech job that a job of the queue works on."""
    return await session.scalar(
        select(SpeechJobRow).where(SpeechJobRow.queue_job_id == queue_job_id)
    )


async def update_speech_job(session: AsyncSession, id_: int, values: dict[str, Any]) -> None:
    """Change a speech job."""
    await session.execute(update(SpeechJobRow).where(SpeechJobRow.id == id_).values(**values))


async def select_page(
    session: AsyncSession, before: tuple[datetime, int] | None, limit: int
) -> Sequence[SpeechJobRow]:
    """Speech jobs, newest first, before a (created_at, id)."""
    row = SpeechJobRow
    statement = select(row).order_by(row.created_at.desc(), row.id.desc()).limit(limit)
    if before is not None:
        at, id_ = before
        earlier = and_(row.created_at == at, row.id < id_)
        statement = statement.where(or_(row.created_at < at, earlier))
    return (await session.scalars(statement)).all()


async def select_recent_processing_s(session: AsyncSession, limit: int) -> list[int]:
    """How long the last jobs took, in seconds."""
    row = SpeechJobRow
    statement = (
        select(row.processing_s)
        .where(row.processing_s.is_not(None), row.url.is_(None))  # those that are done
        .order_by(row.created_at.desc())
        .limit(limit)
    )
    return [seconds for seconds in (await session.scalars(statement)).all() if seconds is not None]


async def select_old(
    session: AsyncSession, older_than_s: float, after_id: int, limit: int
) -> Sequence[SpeechJobRow]:
    """Speech jobs of long ago, in order of their ids."""
    row = SpeechJobRow
    statement = (
        select(row)
        .where(row.id > after_id, row.created_at < utc_after(-older_than_s))
        .order_by(row.id)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


class WithFolder(NamedTuple):
    """What tells whether a job needs its folder."""

    id: int
    job_id: str
    queue_job_id: int
    keeps_video: bool
    video_path: str | None


async def select_with_folder(
    session: AsyncSession, after_id: int, limit: int
) -> Sequence[WithFolder]:
    """Speech jobs that may have a folder, in order of their ids.

    Whose video is to be fetched has a URL, whose video is there its path; the others are done.
    """
    row = SpeechJobRow
    statement = (
        select(row.id, row.job_id, row.queue_job_id, row.keeps_video, row.video_path)
        .where(row.id > after_id, or_(row.url.is_not(None), row.video_path.is_not(None)))
        .order_by(row.id)
        .limit(limit)
    )
    return [WithFolder(*found) for found in await session.execute(statement)]


async def clear_video(session: AsyncSession, id_: int, queue_job_id: int) -> bool:
    """Note that a video is not there any more; False when another job of the queue has come."""
    row = SpeechJobRow
    statement = update(row).where(row.id == id_, row.queue_job_id == queue_job_id)
    return bool(await changed_rows(session, statement.values(video_path=None)))


async def delete_speech_job(session: AsyncSession, id_: int, queue_job_id: int) -> bool:
    """Forget a speech job; False when another job of the queue has come."""
    row = SpeechJobRow
    statement = delete(row).where(row.id == id_, row.queue_job_id == queue_job_id)
    return bool(await changed_rows(session, statement))


async def select_result(session: AsyncSession, job_id: str) -> MlResultRow | None:
    """What was received of a job, as it is now."""
    return await session.get(MlResultRow, job_id, populate_existing=True)


async def select_result_status(session: AsyncSession, job_id: str) -> MlResultRow | None:
    """`select_result` without what was heard, which can be long."""
    short = (defer(MlResultRow.result),)
    return await session.get(MlResultRow, job_id, populate_existing=True, options=short)


async def update_result(
    session: AsyncSession,
    job_id: str,
    target: SpeechStatus,
    at_most: int,
    values: dict[str, Any],
) -> bool:
    """Take over what was received, unless the job has ended or is further; False then."""
    row = MlResultRow
    statement = (
        update(row)
        .where(row.job_id == job_id, row.status.in_(RESULT.sources(target)))
        .where(row.progress <= at_most)
        .values(status=target, **values, updated_at=utc_now())
    )
    return bool(await changed_rows(session, statement))


async def delete_result(session: AsyncSession, job_id: str) -> None:
    """Forget what was received of a job: a new attempt begins."""
    await session.execute(delete(MlResultRow).where(MlResultRow.job_id == job_id))


async def delete_old_results(session: AsyncSession, older_than_s: float) -> None:
    """Forget results of long ago."""
    await session.execute(
        delete(MlResultRow).where(MlResultRow.updated_at < utc_after(-older_than_s))
    )
