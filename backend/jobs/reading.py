"""What is read of the queue: jobs, with and without their results, lists, counts.

Used by the API, by who shows jobs beside something else, and, with what changes it, as `JobQueue`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from backend.jobs import queries
from backend.jobs.queries import JobFilter
from backend.jobs.schemas import JobDetail, JobSummary, QueueState
from backend.jobs.states import JobStatus
from backend.jobs.tables import JobRow
from backend.kernel.db import Database
from backend.kernel.errors import NotFound
from backend.kernel.http import Page, RowId, decode_cursor, encode_cursor

CURSOR = TypeAdapter(tuple[RowId])


class JobReader:
    """Reads the queue of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, job_id: int) -> JobDetail:
        """One job with its result."""
        async with self._database.read() as session:
            return JobDetail.model_validate(await job_row(session, job_id))

    async def summaries(self, job_ids: Sequence[int]) -> dict[int, JobSummary]:
        """These jobs without their results, by id; ids that are gone are left out."""
        if not job_ids:
            return {}
        async with self._database.read() as session:
            rows = await queries.select_jobs(session, job_ids)
            return {row.id: JobSummary.model_validate(row) for row in rows}

    async def status(self, session: AsyncSession, job_id: int) -> JobStatus | None:
        """Where a job stands, in the caller's transaction; None when it is gone."""
        rows = await queries.select_jobs(session, [job_id])
        return JobStatus(rows[0].status) if rows else None

    async def unfinished(self, job_ids: Sequence[int]) -> set[int]:
        """Which of these jobs wait or run."""
        if not job_ids:
            return set()
        async with self._database.read() as session:
            return await queries.select_unfinished_ids(session, job_ids)

    async def count_unfinished(self, kind: str) -> int:
        """How many jobs of a kind wait or run."""
        async with self._database.read() as session:
            return await queries.count_unfinished(session, kind)

    async def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> Page[JobSummary]:
        """Jobs, newest first."""
        (before,) = decode_cursor(cursor, CURSOR) if cursor else (None,)
        async with self._database.read() as session:
            rows = await queries.select_page(session, wanted, before, limit + 1)
        items = [JobSummary.model_validate(row) for row in rows[:limit]]
        more = encode_cursor(items[-1].id) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    async def state(self) -> QueueState:
        """How much waits and runs."""
        async with self._database.read() as session:
            by_status = await queries.count_by_status(session)
            oldest, now = await queries.select_oldest_pending(session)
        counts: dict[str, dict[str, int]] = {}
        for (kind, status), number in by_status.items():
            counts.setdefault(kind, {})[status] = number
        return QueueState(
            counts=counts,
            pending=sum(c.get(JobStatus.PENDING, 0) for c in counts.values()),
            processing=sum(c.get(JobStatus.PROCESSING, 0) for c in counts.values()),
            oldest_pending_age_s=(now - oldest).total_seconds() if oldest else None,
        )


async def job_row(session: AsyncSession, job_id: int) -> JobRow:
    """A job as it is now.

    Raises:
        NotFound: there is none.
    """
    row = await queries.select_job(session, job_id)
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return row
