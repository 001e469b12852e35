"""Analyses over HTTP: who looks at what, tries, scores, days, costs."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator

from backend.kernel.auth import Requires, Role
from backend.kernel.clock import Clock
from backend.kernel.http import Page, UtcTime, app_part
from backend.monitoring.analyses import backends
from backend.monitoring.analyses.breakers import Breakers
from backend.monitoring.analyses.schemas import (
    BackendView,
    CostsView,
    DayView,
    DryRunRequest,
    JobRef,
    ScorePoint,
    Step,
)
from backend.monitoring.analyses.service import LONGEST_SCORES, SceneReports
from backend.monitoring.analyses.trials import Trials
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.recording.service import RecordingService
from backend.settings import SceneBackend, Settings

router = APIRouter(prefix="/api/v1")

VIEWER = Depends(Requires(Role.VIEWER))
OPERATOR = Depends(Requires(Role.OPERATOR))
Cameras = Annotated[CameraService, app_part("cameras")]
Reports = Annotated[SceneReports, app_part("reports")]
Tries = Annotated[Trials, app_part("trials")]
CameraParam = Annotated[str | None, Query(max_length=50)]


def _in_calendar(day: date) -> date:
    """Days at the ends of the calendar cannot be reckoned with."""
    if not 1970 <= day.year < 9999:
        raise ValueError("a year from 1970 to 9998 is meant")
    return day


Day = Annotated[date, AfterValidator(_in_calendar)]


@router.get("/scene/backends", dependencies=[VIEWER], tags=["scene"])
async def list_backends(
    cameras: Cameras,
    breakers: Annotated[Breakers, app_part("breakers")],
    settings: Annotated[Settings, app_part("settings")],
) -> Page[BackendView]:
    """The analysers that a camera can have, where each sends footage, and how it is."""
    chosen = await cameras.scene_backends()
    failed = await breakers.views()
    return Page(items=backends.views(settings.scene, settings.models, failed, chosen))


@router.post(
    "/scene/backends/{backend}/test", dependencies=[OPERATOR], tags=["scene"], status_code=202
)
async def test_backend(trials: Tries, backend: SceneBackend) -> JobRef:
    """Ask a model one small question: a job that a worker does at once."""
    return JobRef(job_id=await trials.test_backend(backend))


@router.post(
    "/cameras/{camera_id}/dry-run", dependencies=[OPERATOR], tags=["scene"], status_code=202
)
async def dry_run(
    cameras: Cameras,
    recordings: Annotated[RecordingService, app_part("recordings")],
    trials: Tries,
    camera_id: str,
    request: DryRunRequest,
) -> JobRef:
    """Try a prompt on a window of the last archive; the job shows request, answer and cost."""
    await cameras.read(camera_id)
    return JobRef(
        job_id=await trials.dry_run(camera_id, await recordings.newest(camera_id), request)
    )


@router.get("/cameras/{camera_id}/scores", dependencies=[VIEWER], tags=["scene"])
async def list_scores(
    cameras: Cameras,
    reports: Reports,
    clock: Annotated[Clock, app_part("clock")],
    camera_id: str,
    by: Annotated[Step, Query(description="Hours or days of the site's zone.")] = "hour",
    since: UtcTime | None = None,
    until: UtcTime | None = None,
) -> Page[ScorePoint]:
    """A camera's scores (default: the last day by hour, the last month by day)."""
    await cameras.read(camera_id)
    until = until or clock.now()
    since = since or until - LONGEST_SCORES["hour"] / (32 if by == "hour" else 1)
    return Page(items=await reports.scores(camera_id, by, since, until))


@router.get("/scene/day", dependencies=[VIEWER], tags=["scene"])
async def read_day(
    reports: Reports,
    day: Annotated[Day | None, Query(description="Of the site's zone; default: today.")] = None,
    camera_id: CameraParam = None,
    text: Annotated[
        str | None, Query(max_length=200, description="In a summary or an incident.")
    ] = None,
) -> DayView:
    """What happened on a day, in order of time."""
    return await reports.day(day, camera_id, text)


@router.get("/scene/costs", dependencies=[VIEWER], tags=["scene"])
async def read_costs(
    reports: Reports,
    since: Annotated[Day | None, Query(description="First day; default: a week.")] = None,
    until: Annotated[Day | None, Query(description="Last day; default: today.")] = None,
    camera_id: CameraParam = None,
) -> CostsView:
    """What models cost, by day and camera."""
    return await reports.costs(since, until, camera_id)
