"""/api/v1/cameras. Removing a camera is in `recording.routes`: it may take its archives along."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from backend.kernel.auth import Requires, Role
from backend.kernel.http import Page, app_part
from backend.monitoring.cameras.schemas import (
    CameraCreate,
    CameraCreated,
    CameraUpdate,
    CameraView,
    ProbeAnswer,
    ProbeRequest,
)
from backend.monitoring.cameras.service import CameraService

router = APIRouter(prefix="/api/v1/cameras", tags=["cameras"])

VIEWER = Depends(Requires(Role.VIEWER))
OPERATOR = Depends(Requires(Role.OPERATOR))


Cameras = Annotated[CameraService, app_part("cameras")]


@router.get("", dependencies=[VIEWER])
async def list_cameras(cameras: Cameras) -> Page[CameraView]:
    """All cameras by name."""
    return Page(items=await cameras.views())


@router.post("", dependencies=[OPERATOR], status_code=201)
async def create_camera(cameras: Cameras, new: CameraCreate) -> CameraCreated:
    """Add a camera; answers with what its source is, or why it cannot be read now."""
    return await cameras.create(new)


@router.post("/probe", dependencies=[OPERATOR])
async def probe_camera(cameras: Cameras, wanted: ProbeRequest) -> ProbeAnswer:
    """Look at a source without saving anything."""
    return await cameras.probe(wanted.source, lender=wanted.camera_id)


@router.get("/{camera_id}", dependencies=[VIEWER])
async def read_camera(cameras: Cameras, camera_id: str) -> CameraView:
    """One camera."""
    return await cameras.read(camera_id)


@router.patch("/{camera_id}", dependencies=[OPERATOR])
async def update_camera(cameras: Cameras, camera_id: str, change: CameraUpdate) -> CameraView:
    """Change a camera; a new source or archive length restarts its recording."""
    return await cameras.update(camera_id, change)


@router.post("/{camera_id}/enable", dependencies=[OPERATOR])
async def enable_camera(cameras: Cameras, camera_id: str) -> CameraView:
    """Let a camera run."""
    return await cameras.enable(camera_id, enabled=True)


@router.post("/{camera_id}/disable", dependencies=[OPERATOR])
async def disable_camera(cameras: Cameras, camera_id: str) -> CameraView:
    """Stop a camera; its archives stay."""
    return await cameras.enable(camera_id, enabled=False)
