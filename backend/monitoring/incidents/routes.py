"""Incidents over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse

from backend.findings.incident import IncidentCategory
from backend.kernel.auth import Caller, Requires, Role
from backend.kernel.http import Page, RowId, UtcTime, app_part
from backend.monitoring.incidents.schemas import (
    IncidentFilter,
    IncidentView,
    PrecisionView,
    VerdictRequest,
)
from backend.monitoring.incidents.service import IncidentService
from backend.monitoring.incidents.states import IncidentState

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

VIEWER = Depends(Requires(Role.VIEWER))
Operator = Annotated[Caller, Depends(Requires(Role.OPERATOR))]
Incidents = Annotated[IncidentService, app_part("incidents")]


@router.get("", dependencies=[VIEWER])
async def list_incidents(
    incidents: Incidents,
    camera_id: Annotated[str | None, Query(max_length=50)] = None,
    category: Annotated[list[IncidentCategory] | None, Query()] = None,
    state: Annotated[list[IncidentState] | None, Query()] = None,
    severity: Annotated[int | None, Query(ge=0, le=4, description="At least so severe.")] = None,
    since: Annotated[UtcTime | None, Query(description="Beginning from here on.")] = None,
    until: Annotated[UtcTime | None, Query(description="Beginning before.")] = None,
    text: Annotated[str | None, Query(max_length=200, description="In its evidence.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Page[IncidentView]:
    """Incidents, newest first."""
    wanted = IncidentFilter(
        camera_id=camera_id,
        category=tuple(category) if category else None,
        state=tuple(state) if state else None,
        least_severity=severity,
        since=since,
        until=until,
        text=text,
    )
    return await incidents.page(wanted, cursor, limit)


@router.get("/precision", dependencies=[VIEWER])
async def read_precision(
    incidents: Incidents,
    camera_id: Annotated[str | None, Query(max_length=50)] = None,
    since: Annotated[UtcTime | None, Query(description="Incidents from here on.")] = None,
    until: Annotated[UtcTime | None, Query(description="Incidents before.")] = None,
) -> Page[PrecisionView]:
    """How often people found a camera's incidents to be right, by category."""
    return Page(items=await incidents.precision(camera_id, since, until=until))


@router.get("/{incident_id}", dependencies=[VIEWER])
async def read_incident(incidents: Incidents, incident_id: RowId) -> IncidentView:
    """One incident."""
    return await incidents.read(incident_id)


@router.post("/{incident_id}/verdict")
async def judge_incident(
    incidents: Incidents, incident_id: RowId, request: VerdictRequest, caller: Operator
) -> IncidentView:
    """Confirm or reject it, or take a verdict back."""
    return await incidents.judge(incident_id, request.verdict, caller.name)


@router.get("/{incident_id}/snapshot", dependencies=[VIEWER], response_class=FileResponse)
async def read_snapshot(incidents: Incidents, incident_id: RowId) -> FileResponse:
    """A picture of its strongest moment."""
    path = await incidents.snapshot(incident_id)
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})
