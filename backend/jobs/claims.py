"""Taking jobs: candidates without a lock, then a lock by primary key that passes over what is held.

Two steps, because a claim that filters or sorts while it locks holds locks on rows that it does not
take: on MariaDB the whole backlog. SQLite has one writer at a time, so there the transaction itself
is the lock.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from backend.jobs import queries
from backend.jobs.schemas import JobDetail
from backend.jobs.states import JobStatus, Priority

CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class KindOrder:
    """Which of a kind's waiting jobs goes first: the newest, or the one that waits longest."""

    name: str
    newest_first: bool
    priorities: tuple[Priority, ...] = tuple(Priority)
    """Those that are taken: a worker may have places of their own for them (`slot`)."""
    slot: str | None = None
    """What the places for these jobs are called, where not as the kind."""
    most_running: int | None = None
    """So many of these run at the same time, in all workers together."""

    @property
    def place(self) -> str:
        """What the places for these jobs are called."""
        return self.slot or self.name


async def claim_jobs(
    session: AsyncSession, kind: KindOrder, limit: int, worker_id: str, lease_s: float
) -> list[JobDetail]:
    """Claim up to `limit` due jobs of one kind, the highest priority first."""
    if kind.most_running is not None:
        await queries.lock_turn(session)
        running = await queries.count_running(session, kind.name, kind.priorities)
        limit = min(limit, kind.most_running - running)
        if limit <= 0:
            return []
    statement = queries.candidates(
        kind.name, CANDIDATES, newest_first=kind.newest_first, priorities=kind.priorities
    )
    found = sorted((await session.execute(statement)).all(), key=_priority)
    rows: list[Row[Any]] = []
    for _, of_one_priority in groupby(found, key=_priority):
        if len(rows) < limit:
            ids = [row.id for row in of_one_priority]
            rows += await _lock(session, ids, limit - len(rows))
    if not rows:
        return []
    changed = {
        "status": JobStatus.PROCESSING,
        "worker_id": worker_id,
        "started_at": rows[0].now,
        "completed_at": None,
        "cancel_requested": False,
        "progress": 0,
        "stage": None,
    }
    await queries.update_claimed(session, [row.id for row in rows], lease_s, changed)
    return [
        JobDetail.model_validate({**row._asdict(), **changed, "attempt": row.attempt + 1})
        for row in rows
    ]


def _priority(row: Row[int, int]) -> int:
    priority: int = row.priority
    return priority


async def _lock(session: AsyncSession, ids: Sequence[int], limit: int) -> list[Row[Any]]:
    """Jobs that are ours now: the first in order; where others are at those, any of the rest."""
    taken = list((await session.execute(queries.lock(ids[:limit], limit))).all())
    rest = ids[limit:]
    missing = limit - len(taken)
    if missing and rest:
        sample = random.sample(rest, min(len(rest), 4 * missing))
        taken += (await session.execute(queries.lock(sample, missing))).all()
    return taken
