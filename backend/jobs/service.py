"""The queue's doings, each one short transaction with the event of its cause.

Used by the API and the recorder (enqueue, cancel, retry), by workers (claim, progress, finish)
and by the main process's schedule (`reap`). Owners prove themselves with a `Claim`; a False answer
means that the claim is lost and the work must be thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.catalog import (
    Event,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobProgress,
    JobQueued,
    JobStarted,
)
from backend.events.outbox import Outbox
from backend.jobs import queries
from backend.jobs.claims import KindOrder, claim_jobs
from backend.jobs.queries import Claim, JobFilter
from backend.jobs.schemas import JobDetail, JobOutcome, JobSummary, NewJob, QueueState
from backend.jobs.states import JOB, JobStatus
from backend.jobs.tables import JobRow
from backend.kernel.db import Database, after_commit, utc_after, utc_now
from backend.kernel.errors import Conflict, NotFound
from backend.kernel.http import Page, decode_cursor, encode_cursor
from backend.kernel.nudge import JOBS, Nudges
from backend.kernel.retry import Backoff

log = structlog.get_logger(__name__)

RETRY = Backoff(first_s=15, max_s=900, factor=3)
REAP_BATCH = 100
CLEANUP_BATCH = 500


class JobQueue:
    """The queue over one database. One a process; safe to share."""

    def __init__(
        self, database: Database, outbox: Outbox, nudges: Nudges, *, retry: Backoff = RETRY
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._nudges = nudges
        self._retry = retry

    async def enqueue(self, session: AsyncSession, job: NewJob) -> int:
        """Add a job in the caller's transaction; workers are nudged when that is committed.

        A job whose dedup_key is known already is not added again: the old one's id is returned.
        """
        if job.dedup_key is not None:
            known = await queries.select_by_dedup_key(session, job.dedup_key)
            if known is not None:
                return known
        trace_id = str(uuid4())
        values = {
            "kind": job.kind,
            "camera_id": job.camera_id,
            "video_path": job.video_path,
            "segment_start": job.segment_start,
            "segment_end": job.segment_end,
            "payload": job.payload,
            "priority": job.priority,
            "dedup_key": job.dedup_key,
            "max_retries": job.max_retries,
            "trace_id": trace_id,
        }
        try:
            async with session.begin_nested():
                job_id = await queries.insert_job(session, values)
        except IntegrityError:
            known = await queries.select_by_dedup_key(session, str(job.dedup_key))
            if known is None:
                raise
            return known
        event = JobQueued(
            job_id=job_id, kind=job.kind, camera_id=job.camera_id, status=JobStatus.PENDING
        )
        self._outbox.publish(session, event, trace_id=trace_id)
        after_commit(session, self._notify)
        return job_id

    async def claim(
        self, kind: KindOrder, limit: int, worker_id: str, lease_s: float
    ) -> list[JobDetail]:
        """Take up to `limit` due jobs of a kind for a worker."""

        async def work(session: AsyncSession) -> list[JobDetail]:
            rows = await claim_jobs(
                session, kind, limit, worker_id, lease_s, locks_rows=self._database.locks_rows
            )
            jobs = [JobDetail.model_validate(row) for row in rows]
            for job in jobs:
                started = JobStarted(**_facts(job), worker_id=worker_id, attempt=job.attempt)
                self._publish(session, job, started)
            return jobs

        return await self._database.retrying(work)

    async def extend(self, claims: Sequence[Claim], lease_s: float) -> list[Claim]:
        """Keep these jobs for another lease; returns those that are not ours any more."""

        async def work(session: AsyncSession) -> list[Claim]:
            return [c for c in claims if not await queries.extend_lease(session, c, lease_s)]

        return await self._database.retrying(work) if claims else []

    async def cancel_requests(self, worker_id: str) -> list[Claim]:
        """Jobs of this worker that somebody called off."""
        async with self._database.read() as session:
            return await queries.select_cancel_requested(session, worker_id)

    async def progress(self, claim: Claim, job: JobDetail, percent: int, message: str) -> bool:
        """Say how far a job is."""
        event = JobProgress(**_facts(job), progress=percent, message=message)
        return await self._write(claim, job, {"progress": percent, "stage": message[:500]}, event)

    async def complete(self, claim: Claim, job: JobDetail, outcome: JobOutcome) -> bool:
        """Store a result and end the job."""
        event = JobCompleted(
            **_facts(job, JobStatus.COMPLETED),
            safety_score=outcome.safety_score,
            incident_count=outcome.incident_count,
        )
        values = {
            "status": JobStatus.COMPLETED,
            "progress": 100,
            "stage": "done",
            "analysis_result": outcome.result,
            "safety_score": outcome.safety_score,
            "incident_count": outcome.incident_count,
            "error_code": None,
            "error_message": None,
            **_RELEASED,
        }
        return await self._write(claim, job, values, event)

    async def fail(
        self, claim: Claim, job: JobDetail, code: str, message: str, *, permanent: bool
    ) -> bool:
        """End an attempt that failed: again after a growing delay, or for good."""
        values, event = self._after_failure(job, code, message, permanent=permanent)
        return await self._write(claim, job, values, event)

    async def finish_cancelled(self, claim: Claim, job: JobDetail) -> bool:
        """End a job that was called off while it ran."""
        values = {"status": JobStatus.CANCELLED, **_RELEASED}
        return await self._write(
            claim, job, values, JobCancelled(**_facts(job, JobStatus.CANCELLED))
        )

    async def hand_back(self, claim: Claim, job: JobDetail, reason: str) -> bool:
        """Give a job back unharmed: it costs no retry and may be taken at once."""
        values = {"status": JobStatus.PENDING, "stage": reason, **_WAITING}
        event = JobQueued(**_facts(job, JobStatus.PENDING), reason=reason)
        done = await self._write(claim, job, values, event)
        self._nudges.send(JOBS)
        return done

    async def cancel(self, job_id: int) -> JobDetail:
        """Call a job off: at once while it waits; a running one is stopped by its worker.

        Raises:
            NotFound, Conflict: there is no such job, or it has ended.
        """

        async def work(session: AsyncSession) -> None:
            row = await self._row(session, job_id)
            if await queries.update_status(
                session, job_id, JobStatus.CANCELLED, {"completed_at": utc_now()}
            ):
                event = JobCancelled(**_facts(row, JobStatus.CANCELLED))
                self._publish(session, row, event)
            elif not await queries.request_cancel(session, job_id):
                row = await self._row(session, job_id)
                JOB.check(JobStatus(row.status), JobStatus.CANCELLED)

        await self._database.retrying(work)
        self._nudges.send(JOBS)
        return await self.read(job_id)

    async def retry(self, job_id: int) -> JobDetail:
        """Start a failed or cancelled job again with a fresh budget.

        Raises:
            NotFound, Conflict: there is no such job, or it has not failed.
        """

        async def work(session: AsyncSession) -> None:
            row = await self._row(session, job_id)
            values = {"retry_count": 0, "progress": 0, "stage": None, **_WAITING}
            if not await queries.update_status(session, job_id, JobStatus.PENDING, values):
                raise Conflict(f"job is {row.status}; only a failed or cancelled one starts again")
            facts = _facts(row, JobStatus.PENDING)
            self._publish(session, row, JobQueued(**facts, reason="asked for again"))
            after_commit(session, self._notify)

        await self._database.retrying(work)
        return await self.read(job_id)

    async def give_up(self, session: AsyncSession, job_id: int, code: str, message: str) -> bool:
        """End a waiting job that cannot be done any more, in the caller's transaction."""
        row = await self._row(session, job_id)
        values = {"error_code": code, "error_message": message, "completed_at": utc_now()}
        if not await queries.update_status(session, job_id, JobStatus.FAILED, values):
            return False
        event = JobFailed(**_facts(row, JobStatus.FAILED), error_code=code, error_message=message)
        self._publish(session, row, event)
        return True

    async def reap(self) -> int:
        """Take jobs from workers whose lease ran out; says how many. A takeover costs a retry."""
        async with self._database.read() as session:
            rows = (await session.scalars(queries.expired(REAP_BATCH))).all()
        taken = 0
        for row in rows:
            taken += await self._take_over(row)
        if taken:
            self._nudges.send(JOBS)
        return taken

    async def read(self, job_id: int) -> JobDetail:
        """One job with its result."""
        async with self._database.read() as session:
            return JobDetail.model_validate(await self._row(session, job_id))

    async def details(self, job_ids: Sequence[int]) -> dict[int, JobDetail]:
        """These jobs with their results, by id; ids that are gone are left out."""
        if not job_ids:
            return {}
        async with self._database.read() as session:
            rows = await queries.select_jobs(session, job_ids)
            return {row.id: JobDetail.model_validate(row) for row in rows}

    async def unfinished(self, job_ids: Sequence[int]) -> set[int]:
        """Which of these jobs wait or run."""
        if not job_ids:
            return set()
        async with self._database.read() as session:
            return await queries.select_unfinished_ids(session, job_ids)

    async def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> Page[JobSummary]:
        """Jobs, newest first."""
        before = int(decode_cursor(cursor)[0]) if cursor else None
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

    async def delete_old(self, *, older_than_s: float) -> int:
        """Forget jobs that ended long ago, in small transactions; says how many."""
        total = 0
        while True:
            async with self._database.write() as session:
                removed = await queries.delete_finished(session, older_than_s, CLEANUP_BATCH)
            total += removed
            if removed < CLEANUP_BATCH:
                return total

    async def _take_over(self, row: JobRow) -> bool:
        async def work(session: AsyncSession) -> bool:
            if row.cancel_requested:
                values: dict[str, Any] = {"status": JobStatus.CANCELLED, **_RELEASED}
                event: Event = JobCancelled(**_facts(row, JobStatus.CANCELLED))
            else:
                values, event = self._after_failure(
                    row,
                    "worker_lost",
                    f"worker {row.worker_id} stopped answering while it had this job",
                    permanent=False,
                )
                values.pop("run_at", None)  # its worker is at fault, not the job: no delay
            if not await queries.update_expired(session, row.id, row.attempt, values):
                return False
            self._publish(session, row, event)
            return True

        taken = await self._database.retrying(work)
        if taken:
            log.warning(
                "job taken from a lost worker",
                action="job.taken_over",
                job_id=row.id,
                worker_id=row.worker_id,
                retry_count=row.retry_count,
            )
        return taken

    def _after_failure(
        self, row: JobRow | JobDetail, code: str, message: str, *, permanent: bool
    ) -> tuple[dict[str, Any], Event]:
        """The columns and the event after a failed attempt."""
        reason = {"error_code": code, "error_message": message}
        if permanent or row.retry_count >= row.max_retries:
            event = JobFailed(
                **_facts(row, JobStatus.FAILED), error_code=code, error_message=message
            )
            return {"status": JobStatus.FAILED, **reason, **_RELEASED}, event
        values = {
            "status": JobStatus.PENDING,
            "retry_count": row.retry_count + 1,
            **reason,
            **_WAITING,
            "run_at": utc_after(self._retry.delay_s(row.retry_count + 1)),
        }
        return values, JobQueued(**_facts(row, JobStatus.PENDING), reason=message)

    async def _write(
        self, claim: Claim, job: JobDetail, values: dict[str, Any], event: Event
    ) -> bool:
        async def work(session: AsyncSession) -> bool:
            if not await queries.update_owned(session, claim, values):
                return False
            self._publish(session, job, event)
            return True

        return await self._database.retrying(work)

    def _publish(self, session: AsyncSession, row: JobRow | JobDetail, event: Event) -> None:
        self._outbox.publish(session, event, trace_id=row.trace_id)

    def _notify(self) -> None:
        self._nudges.send(JOBS)

    @staticmethod
    async def _row(session: AsyncSession, job_id: int) -> JobRow:
        row = await queries.select_job(session, job_id)
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        return row


_RELEASED: dict[str, Any] = {
    "locked_until": None,
    "cancel_requested": False,
    "completed_at": utc_now(),
}
_WAITING: dict[str, Any] = {
    "locked_until": None,
    "cancel_requested": False,
    "worker_id": None,
    "completed_at": None,
    "run_at": utc_now(),
}


def _facts(row: JobRow | JobDetail, status: JobStatus | None = None) -> dict[str, Any]:
    return {
        "job_id": row.id,
        "kind": row.kind,
        "camera_id": row.camera_id,
        "status": status or row.status,
    }
