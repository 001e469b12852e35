"""Archives as the API tells of them: by their address, and only while their file is there."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path


def archive_url(camera_id: str, video_path: str | Path) -> str:
    """Where a camera's archive is read."""
    return f"/archive/{camera_id}/{Path(video_path).name}"


async def still_there(data_dir: Path, video_paths: Collection[str]) -> set[str]:
    """Those of the archives (relative to `data_dir`) that are not deleted."""

    def look() -> set[str]:
        return {path for path in video_paths if (data_dir / path).is_file()}

    return await asyncio.to_thread(look) if video_paths else set()
