"""Callbacks of jobs: each progress and each end as a row, in the transaction that it reports.

A job with a `callback_url` is told of there, whatever its kind; `callback_id` is the job as its
receiver knows it. What was told never goes back over the attempts that the queue makes; a job that
somebody starts again is told from its beginning.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.callbacks.service import Callbacks, CallbackTooLarge
from backend.events.catalog import Event, JobCancelled, JobCompleted, JobFailed, JobProgress
from backend.jobs import queries
from backend.jobs.schemas import JobDetail
from backend.jobs.states import JobStatus
from backend.jobs.tables import JobRow
from backend.kernel.errors import InvalidInput

log = structlog.get_logger(__name__)

_LOST = "the processing was broken off"
"""Our own message names a worker, and with it a host: a receiver is not told of these."""
ErrorCodes = Callable[[str, str, int], str]
"""A kind of job, our error code, and how far it was: the code that the receiver is told."""

Forget = Callable[[AsyncSession, str], Awaitable[None]]
"""Where this server is its own receiver: a job as it is known there begins, perhaps anew."""


def plain_codes(_: str, code: str, __: int) -> str:
    """Our own codes."""
    return code


class JobCallbacks:
    """Tells of jobs. One a process."""

    def __init__(
        self,
        callbacks: Callbacks,
        *,
        codes: ErrorCodes = plain_codes,
        forget: Forget | None = None,
    ) -> None:
        self._callbacks = callbacks
        self._codes = codes
        self._forget = forget

    async def tell(
        self,
        session: AsyncSession,
        job: JobRow | JobDetail,
        event: Event,
        result: dict[str, Any] | None,
    ) -> None:
        """Add the callback of an event, if it has one, in the caller's transaction.

        A receiver that may not be called back any more, since the settings changed, is left out:
        what is to be told happens all the same.

        Raises:
            CallbackTooLarge: the result is larger than any receiver takes.
        """
        if job.callback_url is None:
            return
        try:
            await self._tell(session, job, event, result)
        except CallbackTooLarge:
            raise
        except InvalidInput as error:
            log.warning(
                "a receiver of callbacks is left out",
                action="job.callback_refused",
                job_id=job.id,
                code=error.code,
            )

    async def begin(self, session: AsyncSession, callback_id: str | None) -> None:
        """A job is new, in the caller's transaction."""
        if self._forget is not None and callback_id is not None:
            await self._forget(session, callback_id)

    async def begin_again(self, session: AsyncSession, job: JobRow) -> None:
        """Somebody started a job again, in the caller's transaction: its old end is taken back.

        Its receiver is told at once: from now on that is the last word, and no older one is sent.
        """
        await self._callbacks.withdraw(session, _subject(job.id))
        await self.begin(session, job.callback_id)
        event = JobProgress(
            job_id=job.id,
            kind=job.kind,
            camera_id=job.camera_id,
            status=JobStatus(job.status),
            progress=0,
            message="started again",
        )
        await self.tell(session, job, event, None)

    async def _tell(
        self,
        session: AsyncSession,
        job: JobRow | JobDetail,
        event: Event,
        result: dict[str, Any] | None,
    ) -> None:
        told = await queries.select_told_progress(session, job.id)
        match event:
            case JobProgress(message=message):
                percent = max(event.progress, told)  # another attempt has to catch up first
                await queries.update_told_progress(session, job.id, percent)
                body = {"status": "processing", "progress": percent, "message": message}
                await self._add(session, job, body, progress=percent)
            case JobCompleted():
                body = {"status": "completed", "progress": 100, "result": result}
                await self._add(session, job, body)
            case JobFailed(error_code=code, error_message=message):
                await self._add(session, job, self._failure(job, told, code, message))
            case JobCancelled():
                message = "the job was called off"
                await self._add(session, job, self._failure(job, told, "cancelled", message))
            case _:
                return

    def _failure(
        self, job: JobRow | JobDetail, told: int, code: str, message: str
    ) -> dict[str, Any]:
        return {
            "status": "failed",
            "progress": told,
            "error_message": _LOST if code == "worker_lost" else message,
            "error_code": self._codes(job.kind, code, told),
        }

    async def _add(
        self,
        session: AsyncSession,
        job: JobRow | JobDetail,
        body: dict[str, Any],
        *,
        progress: int | None = None,
    ) -> None:
        await self._callbacks.add(
            session,
            url=str(job.callback_url),
            subject=_subject(job.id),
            body={"job_id": job.callback_id or str(job.id), **body},
            progress=progress,
            is_final=progress is None,
            job_id=job.id,
            trace_id=job.trace_id,
        )


def _subject(job_id: int) -> str:
    """What is told of a job keeps its order."""
    return f"job:{job_id}"
