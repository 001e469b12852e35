"""The queue's doings, each one short transaction with the event of its cause.

Used by the API and the recorder (enqueue, cancel, retry), by workers (claim, progress, finish)
and by the main process's schedule (`reap`). Owners prove themselves with a `Claim`; a False answer
means that the claim is lost and the work must be thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Literal
from uuid import uuid4

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.callbacks.service import CallbackTooLarge
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
from backend.jobs.callbacks import JobCallbacks
from backend.jobs.claims import KindOrder, claim_jobs
from backend.jobs.kinds import WAITING
from backend.jobs.queries import Claim
from backend.jobs.reading import JobReader, job_row
from backend.jobs.schemas import JobDetail, JobOutcome, NewJob, Store
from backend.jobs.states import JOB, JobStatus, Priority
from backend.jobs.tables import JobRow
from backend.kernel.db import Database, after_commit, utc_after, utc_now
from backend.kernel.errors import Conflict
from backend.kernel.nudge import JOBS, Nudges
from backend.kernel.packets import StatementTooLarge
from backend.kernel.retry import Backoff

log = structlog.get_logger(__name__)

RETRY = Backoff(first_s=15, max_s=900, factor=3)
REAP_BATCH = 100
CLEANUP_BATCH = 500


class JobQueue(JobReader):
    """The queue over one database. One a process; safe to share."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        nudges: Nudges,
        *,
        callbacks: JobCallbacks | None = None,
        retry: Backoff = RETRY,
    ) -> None:
        super().__init__(database)
        self._callbacks = callbacks
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
        try:
            async with session.begin_nested():
                job_id = await queries.insert_job(session, {**asdict(job), "trace_id": trace_id})
        except IntegrityError:
            known = await queries.select_by_dedup_key(session, str(job.dedup_key))
            if known is None:
                raise
            return known
        if self._callbacks is not None and job.callback_url is not None:
            await self._callbacks.begin(session, job.callback_id)
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
            jobs = await claim_jobs(session, kind, limit, worker_id, lease_s)
            for job in jobs:
                started = JobStarted(**_facts(job), worker_id=worker_id, attempt=job.attempt)
                await self._publish(session, job, started)
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

    async def complete(
        self, claim: Claim, job: JobDetail, outcome: JobOutcome
    ) -> Literal[JobStatus.COMPLETED, JobStatus.FAILED] | None:
        """Store a result and end the job; one too large to be stored or sent fails it for good.

        Says which end it is; None when the claim is lost.
        """
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

        try:
            stored = await self._write(claim, job, values, event, outcome=outcome)
        except (CallbackTooLarge, StatementTooLarge) as error:  # it would be as large again
            if not await self.fail(claim, job, error.code, error.message, permanent=True):
                return None
            log.warning(
                "job failed",
                action="job.failed",
                code=error.code,
                error=error.message,
                permanent=True,
                retry_count=job.retry_count,
            )
            return JobStatus.FAILED
        return JobStatus.COMPLETED if stored else None

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

    async def hand_back(
        self,
        claim: Claim,
        job: JobDetail,
        reason: str,
        *,
        after_s: float = 0.0,
        priority: Priority | None = None,
        store: Store | None = None,
    ) -> bool:
        """Give a job back unharmed: it costs no retry and may be taken again `after_s` from now."""
        values = {"status": JobStatus.PENDING, "stage": reason[:500], **_WAITING}
        if after_s > 0:
            values["run_at"] = utc_after(after_s)
        if priority is not None:
            values["priority"] = priority
        event = JobQueued(**_facts(job, JobStatus.PENDING), reason=reason)
        done = await self._write(claim, job, values, event, store=store)
        self._nudges.send(JOBS)
        return done

    async def cancel(self, job_id: int) -> JobDetail:
        """Call a job off: at once while it waits; a running one is stopped by its worker.

        Raises:
            NotFound, Conflict: there is no such job, or it has ended.
        """

        async def work(session: AsyncSession) -> None:
            row = await job_row(session, job_id)
            if await queries.update_status(
                session, job_id, JobStatus.CANCELLED, {"completed_at": utc_now()}
            ):
                event = JobCancelled(**_facts(row, JobStatus.CANCELLED))
                await self._publish(session, row, event)
            elif not await queries.request_cancel(session, job_id):
                row = await job_row(session, job_id)
                JOB.check(JobStatus(row.status), JobStatus.CANCELLED)

        await self._database.retrying(work)
        self._nudges.send(JOBS)
        return await self.read(job_id)

    async def retry(self, job_id: int) -> JobDetail:
        """Start a failed or cancelled job again with a fresh budget.

        Raises:
            NotFound, Conflict: there is no such job, or it has not failed.
        """

        await self._database.retrying(partial(self.start_again, job_id=job_id))
        return await self.read(job_id)

    async def start_again(
        self, session: AsyncSession, job_id: int, changes: Mapping[str, Any] | None = None
    ) -> None:
        """`retry` in the caller's transaction; `changes` are columns of the job.

        Its receiver is told from the beginning.
        """
        row = await job_row(session, job_id)
        anew = {"retry_count": 0, "progress": 0, "stage": None, "callback_progress": 0}
        values = {**anew, **_WAITING, **(changes or {})}
        if not await queries.update_status(session, job_id, JobStatus.PENDING, values):
            raise Conflict(f"job is {row.status}; only a failed or cancelled one starts again")
        await queries.delete_parts(session, [job_id], under=WAITING)
        row = await job_row(session, job_id)
        event = JobQueued(**_facts(row), reason="asked for again")
        if self._callbacks is not None and row.callback_url is not None:
            await self._callbacks.begin_again(session, row)
        await self._publish(session, row, event)
        after_commit(session, self._notify)

    async def give_up(self, session: AsyncSession, job_id: int, code: str, message: str) -> bool:
        """End a waiting job that cannot be done any more, in the caller's transaction."""
        row = await job_row(session, job_id)
        values = {"error_code": code, "error_message": message, "completed_at": utc_now()}
        if not await queries.update_status(session, job_id, JobStatus.FAILED, values):
            return False
        event = JobFailed(**_facts(row, JobStatus.FAILED), error_code=code, error_message=message)
        await self._publish(session, row, event)
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

    async def delete_old(self, *, older_than_s: float) -> int:
        """Forget jobs that ended long ago, in small transactions; says how many."""
        return await self._database.delete_old(
            queries.delete_finished, older_than_s, batch=CLEANUP_BATCH
        )

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
            await self._publish(session, row, event)
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

    async def load_parts(self, job_id: int) -> dict[str, Any]:
        """What earlier attempts have finished of a job, by name."""
        async with self._database.read() as session:
            return await queries.select_parts(session, job_id)

    async def save_part(self, claim: Claim, name: str, value: Any) -> bool:
        """Keep what an attempt has finished; False when the claim is lost."""

        async def work(session: AsyncSession) -> bool:
            if not await queries.update_owned(session, claim, {"worker_id": claim.worker_id}):
                return False
            await queries.replace_part(session, claim.job_id, name, value)
            return True

        return await self._database.retrying(work)

    async def _write(
        self,
        claim: Claim,
        job: JobDetail,
        values: dict[str, Any],
        event: Event,
        *,
        outcome: JobOutcome | None = None,
        store: Store | None = None,
    ) -> bool:
        store = outcome.store if outcome else store

        async def work(session: AsyncSession) -> bool:
            if not await queries.update_owned(session, claim, values):
                return False
            if outcome is not None:
                await queries.delete_parts(session, [claim.job_id])
            if store is not None:
                await store(session)
            result = outcome.result if outcome else None
            await self._publish(session, job, event, result=result)
            return True

        return await self._database.retrying(work)

    async def _publish(
        self,
        session: AsyncSession,
        row: JobRow | JobDetail,
        event: Event,
        *,
        result: dict[str, Any] | None = None,
    ) -> None:
        """Write an event, and whom it is to be told."""
        self._outbox.publish(session, event, trace_id=row.trace_id)
        if self._callbacks is not None:
            await self._callbacks.tell(session, row, event, result)

    def _notify(self) -> None:
        self._nudges.send(JOBS)


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
