"""Takes a video that is sent as a request's body, to disk as it comes.

An upload that breaks off, is too large or meets a full disk leaves nothing.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fastapi import Request

from backend.kernel.errors import InvalidInput, TooLarge, Unavailable
from backend.media.part_file import NoRoom, PartFile

BLOCK_BYTES = 1024 * 1024
KEEP_FREE_BYTES = 1024**3
STALL_S = 60.0


@dataclass(frozen=True, slots=True)
class Received:
    """A whole file."""

    path: Path
    size_bytes: int


class Uploads:
    """Receives uploads into one folder. One a process."""

    def __init__(
        self, folder: Path, *, most_bytes: int, keep_free_bytes: int = KEEP_FREE_BYTES
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._keep_free_bytes = keep_free_bytes

    async def clear(self) -> None:
        """Take away what a killed process was receiving; call it before the first upload."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def receive(self, request: Request) -> Received:
        """The body of a request as a file; the caller moves or deletes it.

        Raises:
            InvalidInput, TooLarge, Unavailable: it is empty, too large, or the disk is full.
        """
        self._refuse_announced(request)
        to = self._folder / uuid4().hex
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        part = PartFile(to, self._keep_free_bytes)
        try:
            await part.open()
            await self._fill(part, request)
            await part.publish()
            part.is_kept = True
        except NoRoom as error:
            raise Unavailable("the disk has no room for the video", code="no_room") from error
        except TimeoutError as error:
            raise InvalidInput("the upload stopped", code="upload_stalled") from error
        finally:
            await part.discard_unless_kept()
        return Received(to, part.size_bytes)

    async def _fill(self, part: PartFile, request: Request) -> None:
        block = bytearray()
        chunks = request.stream()
        while True:
            async with asyncio.timeout(STALL_S):
                chunk = await anext(chunks, None)
            if chunk is not None:
                block += chunk
            if len(block) >= BLOCK_BYTES or chunk is None:
                if part.size_bytes + len(block) > self._most_bytes:
                    raise self._too_large()
                await part.write(bytes(block))
                block.clear()
            if chunk is None:
                break
        if part.size_bytes == 0:
            raise InvalidInput("the video is empty", code="empty_upload")

    def _refuse_announced(self, request: Request) -> None:
        """Refuse what says itself that it is too large, before any of it is read."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._most_bytes:
            raise self._too_large()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"a video has at most {self._most_bytes} bytes")
