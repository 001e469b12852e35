"""Live files from memory; a camera that is off does not look as if it were live."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from backend.monitoring.recording.live import STALE_AFTER_S, LiveViews
from tests.monitoring.house import SetClock


class Stopwatch(SetClock):
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1000.0
        self.began_at = super().now()

    def now(self) -> datetime:
        return self.began_at

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def playlist(tmp_path: Path, clock: Stopwatch) -> Path:
    file = tmp_path / "yard" / "index.m3u8"
    file.parent.mkdir()
    file.write_text("#EXTM3U\n1.ts\n")
    (file.parent / "1.ts").write_bytes(b"G")
    os.utime(file, (clock.now().timestamp(), clock.now().timestamp()))
    return file


async def test_a_playlist_that_stopped_growing_is_shown_for_a_minute_only(
    tmp_path: Path, playlist: Path, clock: Stopwatch
) -> None:
    live = LiveViews(tmp_path, clock=clock)
    assert await live.read("yard", "index.m3u8") is not None
    clock.seconds += STALE_AFTER_S - 1
    assert await live.read("yard", "index.m3u8") is not None
    clock.seconds += 2
    assert await live.read("yard", "index.m3u8") is None
    playlist.write_text("#EXTM3U\n1.ts\n2.ts\n")  # the camera is back
    clock.seconds += 1
    file = await live.read("yard", "index.m3u8")
    assert file is not None
    assert file.body.endswith(b"2.ts\n")
    assert file.media_type == "application/vnd.apple.mpegurl"


async def test_a_playlist_of_yesterday_is_not_shown_after_a_restart(
    tmp_path: Path, playlist: Path, clock: Stopwatch
) -> None:
    yesterday = (clock.now() - timedelta(days=1)).timestamp()
    os.utime(playlist, (yesterday, yesterday))
    assert await LiveViews(tmp_path, clock=clock).read("yard", "index.m3u8") is None


async def test_a_camera_without_a_live_folder_has_no_live_view(tmp_path: Path) -> None:
    live = LiveViews(tmp_path)
    assert await live.read("yard", "index.m3u8") is None
    assert await live.read("yard", "1.ts") is None
