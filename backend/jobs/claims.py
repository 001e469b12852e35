"""Taking jobs: candidates without a lock, then a lock by primary key that passes over what is held.

Two steps, because a claim that filters or sorts while it locks holds locks on rows that it does not
take: on MariaDB the whole backlog. SQLite has one writer at a time, so there the transaction itself
is the lock.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from backend.jobs import queries
from backend.jobs.states import Priority
from backend.jobs.tables import JobRow

CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class KindOrder:
    """Which of a kind's waiting jobs goes first: the newest, or the one that waits longest."""

    name: str
    newest_first: bool


async def claim_jobs(
    session: AsyncSession,
    kind: KindOrder,
    limit: int,
    worker_id: str,
    lease_s: float,
    *,
    locks_rows: bool,
) -> list[JobRow]:
    """Claim up to `limit` due jobs of one kind, the highest priority first."""
    taken: list[int] = []
    for priority in Priority:
        if len(taken) == limit:
            break
        statement = queries.candidates(
            kind.name, priority, CANDIDATES, newest_first=kind.newest_first
        )
        ids = list((await session.scalars(statement)).all())
        taken += await _lock(session, ids, limit - len(taken), locks_rows=locks_rows)
    if not taken:
        return []
    await queries.update_claimed(session, taken, worker_id, lease_s)
    return list(await queries.select_jobs(session, taken))


async def _lock(
    session: AsyncSession, ids: Sequence[int], limit: int, *, locks_rows: bool
) -> list[int]:
    """Ids that are ours now: the first in order, or, where others are at those, any of the rest."""
    if not ids or not locks_rows:
        return list(ids[:limit])
    taken = list((await session.scalars(queries.lock(ids[:limit], limit))).all())
    rest = list(ids[limit:])
    missing = limit - len(taken)
    if missing and rest:
        sample = random.sample(rest, min(len(rest), 4 * missing))
        taken += (await session.scalars(queries.lock(sample, missing))).all()
    return taken
