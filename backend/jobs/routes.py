"""/api/v1/jobs and /api/v1/workers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from backend.jobs.queries import JobFilter
from backend.jobs.schemas import JobDetail, JobSummary, WorkerView
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus
from backend.jobs.workers import WorkerRegistry
from backend.kernel.auth import Requires, Role
from backend.kernel.http import Page, RowId, UtcTime, app_part

router = APIRouter(prefix="/api/v1")

VIEWER = Depends(Requires(Role.VIEWER))
OPERATOR = Depends(Requires(Role.OPERATOR))


Queue = Annotated[JobQueue, app_part("jobs")]
Workers = Annotated[WorkerRegistry, app_part("workers")]


@router.get("/jobs", dependencies=[VIEWER], tags=["jobs"])
async def list_jobs(
    queue: Queue,
    status: Annotated[list[JobStatus] | None, Query()] = None,
    kind: Annotated[str | None, Query(max_length=32)] = None,
    camera_id: Annotated[str | None, Query(max_length=50)] = None,
    worker_id: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[UtcTime | None, Query(description="Segments from here on.")] = None,
    until: Annotated[UtcTime | None, Query(description="Segments before.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Page[JobSummary]:
    """Jobs, newest first."""
    wanted = JobFilter(
        status=tuple(status) if status else None,
        kind=kind,
        camera_id=camera_id,
        worker_id=worker_id,
        since=since,
        until=until,
    )
    return await queue.page(wanted, cursor, limit)


@router.get("/jobs/{job_id}", dependencies=[VIEWER], tags=["jobs"])
async def read_job(queue: Queue, job_id: RowId) -> JobDetail:
    """One job with its result."""
    return await queue.read(job_id)


@router.post("/jobs/{job_id}/cancel", dependencies=[OPERATOR], tags=["jobs"])
async def cancel_job(queue: Queue, job_id: RowId) -> JobDetail:
    """Call a job off; a running one is stopped by its worker within 2 s."""
    return await queue.cancel(job_id)


@router.post("/jobs/{job_id}/retry", dependencies=[OPERATOR], tags=["jobs"])
async def retry_job(queue: Queue, job_id: RowId) -> JobDetail:
    """Start a failed or cancelled job again."""
    return await queue.retry(job_id)


@router.get("/workers", dependencies=[VIEWER], tags=["workers"])
async def list_workers(workers: Workers) -> Page[WorkerView]:
    """Worker processes and what they do now."""
    return Page(items=await workers.views())
