"""Leaves a model alone that cannot answer: one circuit breaker a backend, shared by all workers.

A hint of the server is obeyed at once; failures without one open the breaker when there were
several in a row, a wrong key at the first. While it is open nobody asks. Then one question is let
through: its success closes the breaker, its failure opens it for longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.db import Database
from backend.kernel.retry import Backoff
from backend.monitoring.analyses import queries
from backend.monitoring.analyses.schemas import BreakerView
from backend.monitoring.analyses.tables import ModelBreakerRow
from backend.settings import SceneBackend

FAILURES_IN_A_ROW = 3
PROBE_S = 60.0
"""How long one question on trial keeps the others out, if nothing is heard of it."""
PAUSE = Backoff(first_s=5, max_s=300)
LONGEST_HINT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a question may be asked now: `wait_s` is 0 then, else how long nobody may.

    On trial it is the only one that anybody asks: others wait for what comes of it.
    """

    wait_s: float = 0.0
    on_trial: bool = False
    asked_at: datetime | None = field(default=None, compare=False)
    """For `Breakers.succeeded`. None on trial."""


class Breakers:
    """The breakers of all backends. One a process. Times are the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, backend: str) -> Admission:
        """Whether a question may be asked now."""

        async def work(session: AsyncSession) -> Admission:
            row, now = await queries.select_breaker(session, backend)
            if row is None or row.open_until is None:
                return Admission(asked_at=now)
            left_s = (row.open_until - now).total_seconds()
            if left_s > 0:
                return Admission(wait_s=left_s)
            if await queries.move_breaker(session, backend, row.open_until, PROBE_S):
                return Admission(on_trial=True)
            return Admission(wait_s=1.0)  # somebody else was faster

        return await self._database.retrying(work)

    async def now(self) -> datetime:
        """The time, for `succeeded`, of a question that is asked whatever the breaker says."""
        async with self._database.read() as session:
            return await queries.select_now(session)

    async def succeeded(self, backend: str, *, asked_at: datetime | None = None) -> None:
        """A model answered: close its breaker, if there is anything to close.

        What was asked before the last failure says nothing of the time after it. Without
        `asked_at` it was on trial, and decides.
        """
        async with self._database.read() as session:
            row, _ = await queries.select_breaker(session, backend)
        if row is not None:
            async with self._database.write() as session:
                await queries.delete_breaker(session, backend, unchanged_since=asked_at)

    async def failed(
        self, backend: str, code: str, reason: str, *, hint_s: float | None, is_lasting: bool
    ) -> float:
        """A model did not answer; the seconds for which it is to be left alone now."""

        async def work(session: AsyncSession) -> float:
            row, now = await queries.select_breaker(session, backend, lock=True)
            failures = (row.failures if row else 0) + 1
            was_open_until = row.open_until if row else None
            pause_s = _pause_s(failures, hint_s, is_lasting=is_lasting)
            open_until = _open_until(now, pause_s, was_open_until)
            values = {
                "failures": failures,
                "open_until": open_until,
                "code": code,
                "reason": reason[:500],
                "changed_at": now,
            }
            if row is None:
                session.add(ModelBreakerRow(backend=backend, **values))
            else:
                await queries.update_breaker(session, backend, values)
            return max((open_until - now).total_seconds(), 0.0) if open_until else 0.0

        try:
            return await self._database.retrying(work)
        except IntegrityError:  # somebody else has just noted the first failure
            return await self._database.retrying(work)

    async def views(self) -> dict[str, BreakerView]:
        """Those that failed of late, by backend."""
        async with self._database.read() as session:
            rows, now = await queries.select_breakers(session)
        return {
            row.backend: BreakerView(
                is_open=row.open_until is not None and row.open_until > now,
                open_until=row.open_until,
                failures=row.failures,
                code=row.code,
                reason=row.reason,
            )
            for row in rows
        }

    async def states(self) -> dict[str, bool]:
        """Of every model whether it is left alone now, by backend."""
        views = await self.views()
        models = [backend for backend in SceneBackend if backend.is_model]
        return {name: name in views and views[name].is_open for name in models}


def _pause_s(failures: int, hint_s: float | None, *, is_lasting: bool) -> float:
    if hint_s:  # 0 says nothing of when it will answer
        return min(hint_s, LONGEST_HINT_S)
    if is_lasting:
        return max(30.0, PAUSE.delay_s(failures))
    return PAUSE.delay_s(failures - FAILURES_IN_A_ROW + 1) if failures >= FAILURES_IN_A_ROW else 0.0


def _open_until(now: datetime, pause_s: float, was: datetime | None) -> datetime | None:
    """Until when nobody asks: what was said before is not cut short by one who asked before it.

    Only what can be the time of a question on trial gives way to a shorter pause.
    """
    if pause_s <= 0:
        return was
    until = now + timedelta(seconds=pause_s)
    if was is not None and was > now + timedelta(seconds=PROBE_S):
        return max(was, until)
    return until
