"""Live video, archives and their lists; and removing a camera, with or without its archives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from backend.kernel.auth import Requires, Role
from backend.kernel.errors import NotFound
from backend.kernel.http import Page
from backend.media.archive import parse_archive_name
from backend.monitoring.cameras.schemas import CameraId
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.recording.live import LiveViews
from backend.monitoring.recording.playback import archive_response
from backend.monitoring.recording.retention import Retention
from backend.monitoring.recording.schemas import GapView, SegmentView, StorageView
from backend.monitoring.recording.service import RecordingService

router = APIRouter()

VIEWER = Depends(Requires(Role.VIEWER))
OPERATOR = Depends(Requires(Role.OPERATOR))
A_DAY = timedelta(days=1)
LAST_SEGMENT_WITHIN_S = 20.0


def _recordings(request: Request) -> RecordingService:
    service: RecordingService = request.app.state.recordings
    return service


def _cameras(request: Request) -> CameraService:
    service: CameraService = request.app.state.cameras
    return service


def _retention(request: Request) -> Retention:
    retention: Retention = request.app.state.retention
    return retention


def _live(request: Request) -> LiveViews:
    live: LiveViews = request.app.state.live
    return live


Recordings = Annotated[RecordingService, Depends(_recordings)]
Cameras = Annotated[CameraService, Depends(_cameras)]
Since = Annotated[datetime | None, Query(description="UTC unless it says otherwise.")]


@router.delete(
    "/api/v1/cameras/{camera_id}", dependencies=[OPERATOR], status_code=204, tags=["cameras"]
)
async def delete_camera(
    cameras: Cameras,
    recordings: Recordings,
    retention: Annotated[Retention, Depends(_retention)],
    camera_id: str,
    archives: Literal["keep", "delete"] = "keep",
) -> None:
    """Remove a camera. Its archives stay for as long as they would have, or go with it."""
    await cameras.delete(camera_id)
    if archives == "delete":
        await recordings.until_released(camera_id, within_s=LAST_SEGMENT_WITHIN_S)
        await retention.delete_all(camera_id)


@router.get("/api/v1/cameras/{camera_id}/segments", dependencies=[VIEWER], tags=["recordings"])
async def list_segments(
    recordings: Recordings,
    cameras: Cameras,
    camera_id: str,
    since: Since = None,
    until: Since = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[SegmentView]:
    """Archives with scores and incidents, newest first; begins with the one being written."""
    page = await recordings.page(
        camera_id, since=_utc(since), until=_utc(until), cursor=cursor, limit=limit
    )
    if not page.items:
        await cameras.read(camera_id)  # one that is gone may still have archives; else: not found
    return page


@router.get("/api/v1/cameras/{camera_id}/gaps", dependencies=[VIEWER], tags=["recordings"])
async def list_gaps(
    recordings: Recordings,
    cameras: Cameras,
    request: Request,
    camera_id: str,
    since: Since = None,
    until: Since = None,
) -> Page[GapView]:
    """Stretches of which nothing was recorded; the last day unless told otherwise."""
    end = _utc(until) or request.app.state.clock.now()
    gaps = await recordings.gaps(camera_id, _utc(since) or end - A_DAY, end)
    if not gaps:
        await cameras.read(camera_id)
    return Page(items=gaps)


@router.get("/api/v1/cameras/{camera_id}/storage", dependencies=[VIEWER], tags=["recordings"])
async def read_storage(recordings: Recordings, cameras: Cameras, camera_id: str) -> StorageView:
    """How much a camera's archives take."""
    storage = await recordings.storage(camera_id)
    if storage.segments == 0:
        await cameras.read(camera_id)
    return storage


@router.get("/live/{camera_id}/{name}", dependencies=[VIEWER], tags=["video"])
async def read_live(
    live: Annotated[LiveViews, Depends(_live)], camera_id: CameraId, name: str
) -> Response:
    """The live playlist (`index.m3u8`) or a segment that it names."""
    file = await live.read(camera_id, name)
    if file is None:
        raise NotFound("there is no such live video now")
    return Response(
        file.body, media_type=file.media_type, headers={"Cache-Control": file.cache_control}
    )


@router.get("/archive/{camera_id}/{name}", dependencies=[VIEWER], tags=["video"])
async def read_archive(
    request: Request,
    recordings: Recordings,
    camera_id: CameraId,
    name: str,
    *,
    download: Annotated[bool, Query(description="As a file to save.")] = False,
) -> Response:
    """An archive as MP4, also while it is written; ranges are answered."""
    if parse_archive_name(name) is None:
        raise NotFound("there is no such archive")
    path = recordings.archive_dir(camera_id) / name
    try:
        return await archive_response(
            path,
            request.headers,
            now=request.app.state.clock.now(),
            save_as=f"{camera_id}_{name}" if download else None,
        )
    except FileNotFoundError:
        raise NotFound("there is no such archive; it may have been deleted by now") from None


def _utc(time: datetime | None) -> datetime | None:
    """A time without a zone is UTC."""
    if time is None or time.tzinfo is not None:
        return time
    return time.replace(tzinfo=UTC)
