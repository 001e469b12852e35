"""What a client and a worker do with a queue, in short."""

from __future__ import annotations

from sqlalchemy import update

from backend.jobs.claims import KindOrder
from backend.jobs.queries import Claim
from backend.jobs.schemas import JobDetail, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.tables import JobRow
from backend.kernel.db import Database, utc_after

OLDEST = KindOrder("scene", newest_first=False)
NEWEST = KindOrder("scene", newest_first=True)


async def add(database: Database, queue: JobQueue, **facts: object) -> int:
    async with database.write() as session:
        return await queue.enqueue(session, NewJob(kind="scene", **facts))  # type: ignore[arg-type]


async def take(
    queue: JobQueue, worker: str = "one", kind: KindOrder = OLDEST, lease_s: float = 30
) -> tuple[Claim, JobDetail]:
    (job,) = await queue.claim(kind, 1, worker, lease_s)
    return Claim(job.id, job.attempt, worker), job


async def end_lease(database: Database, job_id: int) -> None:
    async with database.write() as session:
        await session.execute(
            update(JobRow).where(JobRow.id == job_id).values(locked_until=utc_after(-1))
        )
