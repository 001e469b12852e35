"""The register of worker processes: who is alive, what each may do and is doing.

A worker owns its name. When a process starts under a name that is taken, the old one is given up:
its leases end at once, and if it still lives, its next heartbeat tells it to stop.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.catalog import WorkerChanged
from backend.events.outbox import Outbox
from backend.jobs import queries
from backend.jobs.queries import JobFilter
from backend.jobs.schemas import CurrentJob, WorkerView
from backend.jobs.states import JobStatus, WorkerState
from backend.jobs.tables import WorkerRow
from backend.kernel.db import Database, utc_now

log = structlog.get_logger(__name__)

MOST_JOBS_SHOWN = 500


class WorkerRegistry:
    """Reads and writes worker processes. One a process; safe to share."""

    def __init__(self, database: Database, outbox: Outbox, *, silent_after_s: float) -> None:
        self._database = database
        self._outbox = outbox
        self._silent_after_s = silent_after_s

    async def register(
        self,
        name: str,
        instance: str,
        *,
        hostname: str,
        pid: int,
        slots: dict[str, int],
        info: dict[str, Any],
    ) -> None:
        """Note that this process works under this name from now on."""
        values = {
            "instance": instance,
            "hostname": hostname,
            "pid": pid,
            "slots": slots,
            "info": info,
            "state": WorkerState.RUNNING,
            "jobs_done": 0,
            "jobs_failed": 0,
        }

        async def work(session: AsyncSession) -> None:
            old = await queries.select_worker(session, name)
            if old is None:
                session.add(WorkerRow(name=name, **values))
            else:
                await queries.expire_leases(session, name)
                await queries.update_worker(
                    session,
                    name,
                    old.instance,
                    {**values, "started_at": utc_now(), "heartbeat_at": utc_now()},
                )
            self._say(session, name, WorkerState.RUNNING)

        await self._database.retrying(work)

    async def heartbeat(self, name: str, instance: str, *, done: int, failed: int) -> bool:
        """Say that the worker is alive; False when a namesake has taken over."""

        async def work(session: AsyncSession) -> bool:
            return await queries.update_worker(
                session,
                name,
                instance,
                {"heartbeat_at": utc_now(), "jobs_done": done, "jobs_failed": failed},
            )

        return await self._database.retrying(work)

    async def change_state(self, name: str, instance: str, state: WorkerState) -> None:
        """Say that the worker drains or has stopped."""

        async def work(session: AsyncSession) -> None:
            values = {"state": state, "heartbeat_at": utc_now()}
            if await queries.update_worker(session, name, instance, values):
                self._say(session, name, state)

        await self._database.retrying(work)

    async def reap_silent(self) -> int:
        """Mark workers dead that have not been heard of; says how many. For the schedule."""

        async def work(session: AsyncSession) -> list[str]:
            silent = await queries.select_silent_workers(session, self._silent_after_s)
            names = []
            for row in silent:
                dead = {"state": WorkerState.DEAD}
                if await queries.update_worker(session, row.name, row.instance, dead):
                    self._say(session, row.name, WorkerState.DEAD)
                    names.append(row.name)
            return names

        names = await self._database.retrying(work)
        for name in names:
            log.warning("worker stopped answering", action="worker.dead", worker_id=name)
        return len(names)

    async def delete_gone(self, *, older_than_s: float) -> None:
        """Forget workers that stopped or died long ago."""
        async with self._database.write() as session:
            await queries.delete_gone_workers(session, older_than_s)

    async def views(self) -> list[WorkerView]:
        """All known workers with what they do now."""
        busy = JobFilter(status=(JobStatus.PROCESSING,))
        async with self._database.read() as session:
            workers = await queries.select_workers(session)
            jobs = await queries.select_page(session, busy, None, MOST_JOBS_SHOWN)
        current: dict[str, list[CurrentJob]] = {}
        for job in jobs:
            view = CurrentJob.model_validate(job, from_attributes=True)
            current.setdefault(job.worker_id or "", []).append(view)
        return [_view(row, current.get(row.name, [])) for row in workers]

    def _say(self, session: AsyncSession, name: str, state: WorkerState) -> None:
        self._outbox.publish(session, WorkerChanged(worker_id=name, state=state))


def _view(row: WorkerRow, current: list[CurrentJob]) -> WorkerView:
    state = WorkerState(row.state)
    alive = state in {WorkerState.RUNNING, WorkerState.DRAINING}
    return WorkerView(
        name=row.name,
        hostname=row.hostname,
        pid=row.pid,
        state=state,
        alive=alive,
        slots=row.slots,
        jobs_done=row.jobs_done,
        jobs_failed=row.jobs_failed,
        info=row.info,
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        current_jobs=current if alive else [],
    )
