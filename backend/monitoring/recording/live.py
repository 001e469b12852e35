"""The cameras' live folders, read through memory.

A playlist that nobody has written to for a while is not shown: a camera that is off must not look
as if it were live. Its file stays, so that players go on where the camera comes back. A substream's
is not shown much sooner: the main stream can be played in its place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from backend.kernel.clock import Clock, SystemClock
from backend.media.commands import PLAYLIST_NAME
from backend.media.hls import LiveFile, LiveFolder

MOST_FOLDERS = 1000
STALE_AFTER_S = 60.0
SUBSTREAM_STALE_AFTER_S = 15.0


@dataclass(slots=True)
class _View:
    folder: LiveFolder
    playlist: bytes
    changed_at: float


class LiveViews:
    """Live files of every stream, each folder with a memory of its own. One a process."""

    def __init__(self, live_dir: Path, *, clock: Clock | None = None) -> None:
        self._live_dir = live_dir
        self._clock = clock or SystemClock()
        self._views: dict[str, _View] = {}

    async def read(
        self, stream: str, name: str, *, stale_after_s: float = STALE_AFTER_S
    ) -> LiveFile | None:
        """A playlist or segment, None where there is none (any more)."""
        view = self._views.get(stream)
        folder = view.folder if view else LiveFolder(self._live_dir / stream, clock=self._clock)
        file = await folder.read(name)
        if file is None or name != PLAYLIST_NAME:
            return file
        if view is None:
            view = _View(folder, b"", 0.0)
            if len(self._views) < MOST_FOLDERS:  # only folders with a playlist are remembered
                self._views[stream] = view
        if file.body != view.playlist:
            age_s = 0.0 if view.playlist else await self._age_s(folder.path / PLAYLIST_NAME)
            view.playlist = file.body
            view.changed_at = self._clock.monotonic() - age_s
        return file if self._clock.monotonic() - view.changed_at < stale_after_s else None

    async def _age_s(self, playlist: Path) -> float:
        """How old a playlist is that is seen for the first time."""
        try:
            status = await asyncio.to_thread(playlist.stat)
        except FileNotFoundError:
            return 0.0
        return max(self._clock.now().timestamp() - status.st_mtime, 0.0)
