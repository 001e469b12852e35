"""The receiving side of the contract: idempotent, and right in whatever order callbacks arrive.

A job goes forward only: late progress is taken note of and changes nothing, and what has ended
stays as it ended.
"""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.db import Database
from backend.kernel.errors import InvalidInput, NotFound
from backend.speech import queries
from backend.speech.schemas import JobStatusView, MlReceipt, MlResult, is_job_id
from backend.speech.states import RESULT, SpeechStatus
from backend.speech.tables import MlResultRow

FINISHED = 101
"""Above every progress: an end is always further."""


class MlResults:
    """What was called back. One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, callback: MlResult) -> MlReceipt:
        """Take over a callback, if it says something new.

        Raises:
            InvalidInput: it is completed, and has no result.
            TooLarge: the database does not take a result of this length.
        """
        if callback.status is SpeechStatus.COMPLETED and callback.result is None:
            raise InvalidInput("result is required")

        async def work(session: AsyncSession) -> bool:
            await self._open(session, callback.job_id)
            if callback.status is SpeechStatus.ACCEPTED:
                return False  # that it was accepted is known since the row is there
            is_end = RESULT.is_final(callback.status)
            values = {
                "progress": _progress(callback),
                "message": _cut(callback.message),
                "result": callback.result if callback.status is SpeechStatus.COMPLETED else None,
                "error_code": callback.error_code,
                "error_message": _cut(callback.error_message),
            }
            at_most = FINISHED if is_end else _progress(callback)
            return await queries.update_result(
                session, callback.job_id, callback.status, at_most, values
            )

        applied = await self._database.retrying(work)
        async with self._database.read() as session:
            row = await queries.select_result_status(session, callback.job_id)
        if row is None:
            raise NotFound("the job was forgotten meanwhile")
        return MlReceipt(
            job_id=row.job_id,
            status=SpeechStatus(row.status),
            progress=row.progress,
            applied=applied,
        )

    async def status(self, job_id: str) -> JobStatusView:
        """Where a job stands.

        Raises:
            NotFound: nothing was received of it.
        """
        async with self._database.read() as session:
            row = await queries.select_result(session, job_id) if is_job_id(job_id) else None
        if row is None:
            raise NotFound("there is no such job")
        return JobStatusView.model_validate(row)

    async def begin(self, session: AsyncSession, job_id: str) -> None:
        """A new attempt: forget the one before, in the caller's transaction."""
        await queries.delete_result(session, job_id)
        session.add(MlResultRow(job_id=job_id))

    async def delete_old(self, *, older_than_s: float) -> None:
        """Forget results of long ago."""
        async with self._database.write() as session:
            await queries.delete_old_results(session, older_than_s)

    async def _open(self, session: AsyncSession, job_id: str) -> None:
        if await queries.select_result_status(session, job_id) is None:
            try:
                async with session.begin_nested():
                    session.add(MlResultRow(job_id=job_id))
            except IntegrityError:
                pass  # another callback of it was faster


def _progress(callback: MlResult) -> int:
    return 100 if callback.status is SpeechStatus.COMPLETED else int(callback.progress)


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:500]
