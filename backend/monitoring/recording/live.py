"""The cameras' live folders, read through memory."""

from __future__ import annotations

from pathlib import Path

from backend.media.hls import LiveFile, LiveFolder

MOST_FOLDERS = 500


class LiveViews:
    """Live files of every camera, each folder with a memory of its own. One a process."""

    def __init__(self, live_dir: Path) -> None:
        self._live_dir = live_dir
        self._folders: dict[str, LiveFolder] = {}

    async def read(self, camera_id: str, name: str) -> LiveFile | None:
        """A playlist or segment, None where there is none (any more)."""
        folder = self._folders.get(camera_id)
        if folder is None:
            folder = LiveFolder(self._live_dir / camera_id)
        file = await folder.read(name)
        if file is not None and len(self._folders) < MOST_FOLDERS:
            self._folders[camera_id] = folder  # only folders that exist are remembered
        return file
