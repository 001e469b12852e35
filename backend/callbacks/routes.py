"""Callbacks over HTTP: where they stand, and sending one again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from backend.callbacks.schemas import CallbackDetail, CallbackFilter, CallbackView
from backend.callbacks.service import Callbacks
from backend.callbacks.states import CallbackState
from backend.kernel.auth import Caller, Requires, Role
from backend.kernel.http import Page, RowId, app_part

router = APIRouter(prefix="/api/v1/callbacks", tags=["callbacks"])

VIEWER = Depends(Requires(Role.VIEWER))
Operator = Annotated[Caller, Depends(Requires(Role.OPERATOR))]
Sent = Annotated[Callbacks, app_part("callbacks")]


@router.get("", dependencies=[VIEWER])
async def list_callbacks(
    callbacks: Sent,
    state: Annotated[list[CallbackState] | None, Query()] = None,
    subject: Annotated[str | None, Query(max_length=190)] = None,
    job_id: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    host: Annotated[str | None, Query(max_length=255, description="scheme://host:port")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Page[CallbackView]:
    """Callbacks, newest first; those given up are `dead`."""
    wanted = CallbackFilter(
        state=tuple(state) if state else None, subject=subject, job_id=job_id, host=host
    )
    return await callbacks.page(wanted, cursor, limit)


@router.get("/{callback_id}", dependencies=[VIEWER])
async def read_callback(callbacks: Sent, callback_id: RowId) -> CallbackDetail:
    """One callback with its body, cut where it is long."""
    return await callbacks.read(callback_id)


@router.post("/{callback_id}/redeliver")
async def redeliver_callback(
    callbacks: Sent, callback_id: RowId, caller: Operator
) -> CallbackDetail:
    """Send a delivered or dead callback again."""
    return await callbacks.redeliver(callback_id, by=caller.name)
