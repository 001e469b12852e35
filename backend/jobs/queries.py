"""Statements on the job table. The hot ones are guarded by a test of their plan on each database.

Every write after the claim names id, attempt and worker: no row changed means that the claim is
lost, and the caller must throw its work away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    CompoundSelect,
    Select,
    Table,
    and_,
    delete,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from backend.jobs.states import JOB, JobStatus, Priority, WorkerState
from backend.jobs.tables import JobPartRow, JobRow, WorkerRow
from backend.kernel.db import changed_rows, select_old_ids, utc_after, utc_now

_WITHOUT_RESULT = (defer(JobRow.analysis_result), defer(JobRow.payload))  # they can be long
_JOBS = cast(Table, JobRow.__table__)  # the hot statements do without the ORM: half the CPU time


@dataclass(frozen=True, slots=True)
class Claim:
    """What proves that a worker still owns a job."""

    job_id: int
    attempt: int
    worker_id: str


async def insert_job(session: AsyncSession, values: dict[str, Any]) -> int:
    """Add a job; its id."""
    row = JobRow(**values)
    session.add(row)
    await session.flush()
    return row.id


async def select_by_dedup_key(session: AsyncSession, key: str) -> int | None:
    """Id of the job with this key."""
    return await session.scalar(select(JobRow.id).where(JobRow.dedup_key == key))


@cache
def candidates(
    kind: str,
    limit: int,
    *,
    newest_first: bool,
    priorities: tuple[Priority, ...] = tuple(Priority),
) -> CompoundSelect[int, int]:
    """Ids and priorities of due jobs of one kind, without a lock; each priority in claim order.

    A branch for each priority: no index gives "priority up, time down" in one go.
    """
    job = _JOBS.c
    order = [column.desc() if newest_first else column for column in (job.run_at, job.id)]
    branches = [
        select(job.id, job.priority)
        .where(
            job.status == JobStatus.PENDING,
            job.kind == kind,
            job.priority == priority,
            job.run_at <= utc_now(),
        )
        .order_by(*order)
        .limit(limit)
        .subquery()
        for priority in priorities
    ]
    return union_all(*(select(branch.c.id, branch.c.priority) for branch in branches))


async def lock_turn(session: AsyncSession) -> None:
    """Wait for other workers that count and claim: what they take must be counted.

    The row of the oldest worker is the lock, as good as any that all of them know.
    """
    oldest = select(WorkerRow.id).order_by(WorkerRow.id).limit(1)
    await session.execute(oldest.with_for_update())


async def count_unfinished(session: AsyncSession, kind: str) -> int:
    """How many jobs of a kind wait or run."""
    statement = (
        select(func.count())
        .select_from(_JOBS)
        .where(_JOBS.c.status.in_((JobStatus.PENDING, JobStatus.PROCESSING)), _JOBS.c.kind == kind)
    )
    return await session.scalar(statement) or 0


async def count_running(session: AsyncSession, kind: str, priorities: tuple[Priority, ...]) -> int:
    """How many jobs of a kind are being worked on, of these priorities."""
    statement = (
        select(func.count())
        .select_from(_JOBS)
        .where(
            _JOBS.c.status == JobStatus.PROCESSING,
            _JOBS.c.kind == kind,
            _JOBS.c.priority.in_(priorities),
        )
    )
    return await session.scalar(statement) or 0


def lock(ids: Sequence[int], limit: int) -> Select[Any]:
    """Lock and read up to `limit` of these jobs, and the time: by primary key, past held ones.

    MariaDB keeps locks on every row that it scanned: without the hint it may scan the backlog.
    SQLite knows no such lock and needs none: a writing transaction has the database to itself.
    """
    return (
        select(_JOBS, utc_now().label("now"))
        .where(_JOBS.c.id.in_(ids), _JOBS.c.status == JobStatus.PENDING)
        .with_hint(_JOBS, "FORCE INDEX (PRIMARY)", "mysql")
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


async def update_claimed(
    session: AsyncSession, ids: Sequence[int], lease_s: float, values: dict[str, Any]
) -> None:
    """Give locked jobs to a worker: a new attempt, a lease, and what else a claim changes."""
    await session.execute(
        update(_JOBS)
        .where(_JOBS.c.id.in_(ids), _JOBS.c.status == JobStatus.PENDING)
        .values(attempt=_JOBS.c.attempt + 1, locked_until=utc_after(lease_s), **values)
    )


async def select_jobs(session: AsyncSession, ids: Sequence[int]) -> Sequence[JobRow]:
    """These jobs without their results, in order of their ids."""
    statement = (
        select(JobRow)
        .options(*_WITHOUT_RESULT)
        .where(JobRow.id.in_(ids))
        .order_by(JobRow.id)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).all()


async def select_unfinished_ids(session: AsyncSession, ids: Sequence[int]) -> set[int]:
    """Which of these jobs wait or run."""
    statement = select(JobRow.id).where(
        JobRow.id.in_(ids), JobRow.status.in_([JobStatus.PENDING, JobStatus.PROCESSING])
    )
    return set((await session.scalars(statement)).all())


async def select_job(session: AsyncSession, job_id: int) -> JobRow | None:
    """One job as it is in the database now."""
    return await session.get(JobRow, job_id, populate_existing=True)


async def update_owned(session: AsyncSession, claim: Claim, values: dict[str, Any]) -> bool:
    """Change a job that the claim still owns; False when it does not."""
    owned = and_(
        _JOBS.c.id == claim.job_id,
        _JOBS.c.attempt == claim.attempt,
        _JOBS.c.worker_id == claim.worker_id,
        _JOBS.c.status == JobStatus.PROCESSING,
    )
    return bool(await changed_rows(session, update(_JOBS).where(owned).values(**values)))


async def extend_lease(session: AsyncSession, claim: Claim, lease_s: float) -> bool:
    """Keep a job for another lease; False when it is not ours any more."""
    return await update_owned(session, claim, {"locked_until": utc_after(lease_s)})


async def select_cancel_requested(session: AsyncSession, worker_id: str) -> list[Claim]:
    """Jobs of this worker that somebody called off."""
    statement = select(JobRow.id, JobRow.attempt).where(
        JobRow.status == JobStatus.PROCESSING,
        JobRow.worker_id == worker_id,
        JobRow.cancel_requested,
    )
    rows = (await session.execute(statement)).all()
    return [Claim(job_id, attempt, worker_id) for job_id, attempt in rows]


async def update_status(
    session: AsyncSession, job_id: int, target: JobStatus, values: dict[str, Any]
) -> bool:
    """Move a job that no worker owns, from a state that allows it; False when it was in another."""
    sources = [state for state in JOB.sources(target) if state != JobStatus.PROCESSING]
    return bool(
        await changed_rows(
            session,
            update(JobRow)
            .where(JobRow.id == job_id, JobRow.status.in_(sources))
            .values(status=target, **values),
        )
    )


async def request_cancel(session: AsyncSession, job_id: int) -> bool:
    """Ask the owner of a running job to stop; False when it is not running."""
    return bool(
        await changed_rows(
            session,
            update(JobRow)
            .where(JobRow.id == job_id, JobRow.status == JobStatus.PROCESSING)
            .values(cancel_requested=True),
        )
    )


def expired(limit: int) -> Select[JobRow]:
    """Running jobs whose lease ran out."""
    return (
        select(JobRow)
        .where(JobRow.status == JobStatus.PROCESSING, JobRow.locked_until < utc_now())
        .order_by(JobRow.id)
        .limit(limit)
    )


async def update_expired(
    session: AsyncSession, job_id: int, attempt: int, values: dict[str, Any]
) -> bool:
    """Take a job from an owner whose lease ran out; False when the owner came back just now."""
    return bool(
        await changed_rows(
            session,
            update(JobRow)
            .where(
                JobRow.id == job_id,
                JobRow.attempt == attempt,
                JobRow.status == JobStatus.PROCESSING,
                JobRow.locked_until < utc_now(),
            )
            .values(**values),
        )
    )


async def expire_leases(session: AsyncSession, worker_id: str) -> None:
    """End the leases of a worker that is known to be gone."""
    await session.execute(
        update(JobRow)
        .where(JobRow.status == JobStatus.PROCESSING, JobRow.worker_id == worker_id)
        .values(locked_until=utc_after(-1))
    )


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; None means any."""

    status: tuple[str, ...] | None = None
    kind: str | None = None
    camera_id: str | None = None
    worker_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def select_page(
    session: AsyncSession, wanted: JobFilter, before_id: int | None, limit: int
) -> Sequence[JobRow]:
    """Jobs without their results, newest first, below an id."""
    statement = select(JobRow).options(*_WITHOUT_RESULT).order_by(JobRow.id.desc()).limit(limit)
    if wanted.status is not None:
        statement = statement.where(JobRow.status.in_(wanted.status))
    for column, value in (
        (JobRow.kind, wanted.kind),
        (JobRow.camera_id, wanted.camera_id),
        (JobRow.worker_id, wanted.worker_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.since is not None:
        statement = statement.where(JobRow.segment_start >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(JobRow.segment_start < wanted.until)
    if before_id is not None:
        statement = statement.where(JobRow.id < before_id)
    return (await session.scalars(statement)).all()


async def count_by_status(session: AsyncSession) -> dict[tuple[str, str], int]:
    """Number of jobs by (kind, status)."""
    statement = select(JobRow.kind, JobRow.status, func.count()).group_by(
        JobRow.kind, JobRow.status
    )
    return {(kind, status): n for kind, status, n in (await session.execute(statement)).all()}


async def select_oldest_pending(session: AsyncSession) -> tuple[datetime | None, datetime]:
    """When the longest waiting due job became due, and the database's time."""
    due = (
        select(func.min(JobRow.run_at))
        .where(JobRow.status == JobStatus.PENDING, JobRow.run_at <= utc_now())
        .scalar_subquery()
    )
    row = (await session.execute(select(due, utc_now()))).one()
    return row[0], row[1]


async def delete_finished(session: AsyncSession, older_than_s: float, limit: int) -> int:
    """Remove jobs that ended long ago; how many."""
    ids = await select_old_ids(session, JobRow.id, JobRow.completed_at, older_than_s, limit)
    if ids:
        await session.execute(delete(JobRow).where(JobRow.id.in_(ids)))
        await delete_parts(session, ids)
    return len(ids)


async def select_told_progress(session: AsyncSession, job_id: int) -> int:
    """How far the receiver of a job's callbacks was told that it is."""
    return await session.scalar(select(_JOBS.c.callback_progress).where(_JOBS.c.id == job_id)) or 0


async def update_told_progress(session: AsyncSession, job_id: int, percent: int) -> None:
    """Note what the receiver of a job's callbacks is told."""
    await session.execute(
        update(_JOBS).where(_JOBS.c.id == job_id).values(callback_progress=percent)
    )


async def select_parts(session: AsyncSession, job_id: int) -> dict[str, Any]:
    """What is finished of a job, by name."""
    statement = select(JobPartRow.name, JobPartRow.value).where(JobPartRow.job_id == job_id)
    return {row.name: row.value for row in (await session.execute(statement)).all()}


async def replace_part(session: AsyncSession, job_id: int, name: str, value: Any) -> None:
    """Keep a part of a job, in place of an older one of that name."""
    await session.execute(
        delete(JobPartRow).where(JobPartRow.job_id == job_id, JobPartRow.name == name)
    )
    session.add(JobPartRow(job_id=job_id, name=name, value=value))


async def delete_parts(session: AsyncSession, job_ids: Sequence[int], *, under: str = "") -> None:
    """Forget the parts of these jobs whose names begin so."""
    row = JobPartRow
    await session.execute(
        delete(row).where(row.job_id.in_(job_ids), row.name.startswith(under, autoescape=True))
    )


async def select_worker(session: AsyncSession, name: str) -> WorkerRow | None:
    """A worker process by its name."""
    return await session.scalar(select(WorkerRow).where(WorkerRow.name == name))


async def select_workers(session: AsyncSession) -> Sequence[WorkerRow]:
    """All worker processes by name."""
    return (await session.scalars(select(WorkerRow).order_by(WorkerRow.name))).all()


async def update_worker(
    session: AsyncSession, name: str, instance: str, values: dict[str, Any]
) -> bool:
    """Change a worker's row; False when a namesake has taken it over."""
    return bool(
        await changed_rows(
            session,
            update(WorkerRow)
            .where(WorkerRow.name == name, WorkerRow.instance == instance)
            .values(**values),
        )
    )


async def select_silent_workers(session: AsyncSession, silent_s: float) -> Sequence[WorkerRow]:
    """Workers that should be alive but have not been heard of for so long."""
    statement = select(WorkerRow).where(
        WorkerRow.state.in_([WorkerState.RUNNING, WorkerState.DRAINING]),
        WorkerRow.heartbeat_at < utc_after(-silent_s),
    )
    return (await session.scalars(statement)).all()


async def delete_gone_workers(session: AsyncSession, older_than_s: float) -> None:
    """Forget workers that stopped or died long ago."""
    await session.execute(
        delete(WorkerRow).where(
            WorkerRow.state.in_([WorkerState.STOPPED, WorkerState.DEAD]),
            WorkerRow.heartbeat_at < utc_after(-older_than_s),
        )
    )
