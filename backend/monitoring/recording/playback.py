"""Sends an archive to a browser: whole or by ranges, also while it is being written.

An answer promises a length and keeps to it, however much the file has grown meanwhile. A finished
archive may be kept by the browser, which asks whether it is still the same; one that is being
written must not be, since what stands at a place in it changes when it is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response, StreamingResponse

CHUNK_BYTES = 256 * 1024
QUIET_WHEN_FINISHED = timedelta(seconds=15)
MEDIA_TYPE = "video/mp4"


async def archive_response(
    path: Path, asked: Headers, *, now: datetime, save_as: str | None = None
) -> Response:
    """The answer to a GET with these headers; `save_as` makes it a file to save.

    Raises:
        FileNotFoundError: there is no such file (any more).
    """
    status = await asyncio.to_thread(path.stat)
    may_grow = now - datetime.fromtimestamp(status.st_mtime, UTC) < QUIET_WHEN_FINISHED
    answer = FileResponse(
        path,
        media_type=MEDIA_TYPE,
        filename=save_as,
        stat_result=status,
        headers={"Cache-Control": "no-store" if may_grow else "private, no-cache"},
    )
    condition = asked.get("if-range")
    is_same = condition in {None, answer.headers["etag"], answer.headers["last-modified"]}
    if "range" in asked and is_same:
        return answer
    # FileResponse would send on to the file's end, past the length that it has promised
    return StreamingResponse(
        _first_bytes(path, status.st_size), headers=dict(answer.headers), media_type=MEDIA_TYPE
    )


async def _first_bytes(path: Path, size_bytes: int) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while size_bytes > 0:
            chunk = await asyncio.to_thread(file.read, min(CHUNK_BYTES, size_bytes))
            if not chunk:
                return
            size_bytes -= len(chunk)
            yield chunk
    finally:
        file.close()
