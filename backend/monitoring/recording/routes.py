"""Live video, archives and their lists; and removing a camera, with or without its archives."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from backend.kernel.auth import Requires, Role
from backend.kernel.clock import Clock
from backend.kernel.errors import NotFound
from backend.kernel.http import Page, UtcTime, app_part
from backend.media.archive import parse_archive_name
from backend.media.hls import LiveFile
from backend.monitoring.cameras.schemas import CameraId
from backend.monitoring.cameras.service import CameraService, substream_name
from backend.monitoring.recording.live import SUBSTREAM_STALE_AFTER_S, LiveViews
from backend.monitoring.recording.playback import archive_response
from backend.monitoring.recording.retention import Retention
from backend.monitoring.recording.schemas import GapView, SegmentView, StorageView
from backend.monitoring.recording.service import RecordingService

router = APIRouter()

VIEWER = Depends(Requires(Role.VIEWER))
OPERATOR = Depends(Requires(Role.OPERATOR))
A_DAY = timedelta(days=1)
LAST_SEGMENT_WITHIN_S = 20.0


Cameras = Annotated[CameraService, app_part("cameras")]
Recordings = Annotated[RecordingService, app_part("recordings")]
Live = Annotated[LiveViews, app_part("live")]
Now = Annotated[Clock, app_part("clock")]
Time = Annotated[UtcTime | None, Query(description="UTC unless it says otherwise.")]


@router.delete(
    "/api/v1/cameras/{camera_id}", dependencies=[OPERATOR], status_code=204, tags=["cameras"]
)
async def delete_camera(
    cameras: Cameras,
    recordings: Recordings,
    retention: Annotated[Retention, app_part("retention")],
    camera_id: str,
    archives: Literal["keep", "delete"] = "keep",
) -> None:
    """Remove a camera. Its archives stay until they are as old as they would have been kept for
    (its limit of bytes counts no more), or go with it."""
    await retention.keep_as_now(camera_id)
    await cameras.delete(camera_id)
    if archives == "delete":
        await recordings.until_released(camera_id, within_s=LAST_SEGMENT_WITHIN_S)
        await retention.delete_all(camera_id)


@router.get("/api/v1/cameras/{camera_id}/segments", dependencies=[VIEWER], tags=["recordings"])
async def list_segments(
    recordings: Recordings,
    cameras: Cameras,
    camera_id: str,
    since: Time = None,
    until: Time = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[SegmentView]:
    """Archives with scores and incidents, newest first; begins with the one being written."""
    page = await recordings.page(camera_id, since=since, until=until, cursor=cursor, limit=limit)
    if not page.items:
        await cameras.read(camera_id)  # one that is gone may still have archives; else: not found
    return page


@router.get("/api/v1/cameras/{camera_id}/gaps", dependencies=[VIEWER], tags=["recordings"])
async def list_gaps(
    recordings: Recordings,
    cameras: Cameras,
    clock: Now,
    camera_id: str,
    since: Time = None,
    until: Time = None,
) -> Page[GapView]:
    """Stretches of which nothing was recorded; the last day unless told otherwise."""
    end = until or clock.now()
    gaps = await recordings.gaps(camera_id, since or end - A_DAY, end)
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
async def read_live(live: Live, camera_id: CameraId, name: str) -> Response:
    """The live playlist (`index.m3u8`) or a segment that it names."""
    return _live_file(await live.read(camera_id, name))


@router.get("/live/{camera_id}/sub/{name}", dependencies=[VIEWER], tags=["video"])
async def read_live_substream(live: Live, camera_id: CameraId, name: str) -> Response:
    """The same of the camera's substream, where it has one and that is there."""
    stream = substream_name(camera_id)
    return _live_file(await live.read(stream, name, stale_after_s=SUBSTREAM_STALE_AFTER_S))


@router.get("/archive/{camera_id}/{name}", dependencies=[VIEWER], tags=["video"])
async def read_archive(
    request: Request,
    recordings: Recordings,
    clock: Now,
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
            now=clock.now(),
            save_as=f"{camera_id}_{name}" if download else None,
        )
    except FileNotFoundError:
        raise NotFound("there is no such archive; it may have been deleted by now") from None


def _live_file(file: LiveFile | None) -> Response:
    if file is None:
        raise NotFound("there is no such live video now")
    return Response(
        file.body, media_type=file.media_type, headers={"Cache-Control": file.cache_control}
    )
