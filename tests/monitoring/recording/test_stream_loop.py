"""What is recorded of a source that comes back, as it was or as another."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from backend.media import probe
from backend.media.archive import list_archives
from backend.media.ffmpeg import Ffmpeg
from backend.media.probe import probe_file
from tests.media.harness import pids_with
from tests.monitoring.house import ALL_DAY_S, House
from tests.peers.rtsp_server import RtspCamera
from tests.peers.videos import make_video
from tests.waiting import until

SOON_S = 60.0


@pytest.fixture
async def peer(video: Path) -> AsyncIterator[RtspCamera]:
    async with RtspCamera(video) as peer:
        yield peer


@asynccontextmanager
async def recorded(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, video: Path
) -> AsyncIterator[None]:
    """A camera that is live; what it sends is known from its creation."""
    record = await house.add_camera("yard", source=peer.url, archive_seconds=ALL_DAY_S)
    known = replace(await probe_file(video), duration_s=None, container="rtsp")
    house.cameras._fresh["yard"] = (record.source, known)
    async with house.supervision(ffmpeg):
        await until_live_times(house, 1)
        yield


async def until_live_times(house: House, times: int) -> None:
    async def is_live() -> bool:
        return [state for state, _ in await house.states("yard")].count("live") == times

    await until(is_live, within_s=SOON_S)


def newest_live(house: House) -> Path:
    folder = house.recordings.live_dir("yard")
    names = (folder / "index.m3u8").read_text().splitlines()
    return folder / next(name for name in reversed(names) if name[0] != "#")


async def test_a_camera_that_comes_back_with_another_codec_is_recorded_as_what_it_is_now(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, video: Path, tmp_path: Path
) -> None:
    """Browsers play no HEVC: copied as before, nobody would see the camera again."""
    hevc = make_video(tmp_path / "hevc.mp4", seconds=4, codec="hevc", size=(192, 144))
    async with recorded(house, ffmpeg, peer, video):
        await peer.go_away()
        await peer.switch_video(hevc)
        await peer.come_back()
        await until_live_times(house, 2)
        assert (await probe_file(newest_live(house))).codec == "h264"

        async def is_known() -> bool:
            probe = (await house.cameras.read("yard")).probe
            return probe is not None and (probe.codec, probe.transcoded) == ("hevc", True)

        await until(is_known, within_s=SOON_S)
    newest = list_archives(house.recordings.archive_dir("yard"))[-1]
    assert (await probe_file(newest.path)).codec == "h264"


async def test_a_camera_that_comes_back_with_another_size_is_known_by_it(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, video: Path, tmp_path: Path
) -> None:
    small = make_video(tmp_path / "small.mp4", seconds=4, size=(160, 120))
    async with recorded(house, ffmpeg, peer, video):
        await peer.go_away()
        await peer.switch_video(small)
        await peer.come_back()

        async def is_known() -> bool:
            probe = (await house.cameras.read("yard")).probe
            return probe is not None and (probe.width, probe.height) == (160, 120)

        await until(is_known, within_s=SOON_S)
        await until_live_times(house, 2)
        assert (await probe_file(newest_live(house))).width == 160


async def test_a_camera_that_comes_back_with_b_frames_is_live_at_the_first_try(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, video: Path, tmp_path: Path
) -> None:
    other = make_video(tmp_path / "b.mp4", seconds=4, b_frames=2, size=(320, 240))
    async with recorded(house, ffmpeg, peer, video):
        await peer.go_away()
        await peer.switch_video(other)
        await peer.come_back()
        await until_live_times(house, 2)
        assert newest_live(house).suffix == ".m4s"
    assert [state for state, _ in await house.states("yard")] == [
        *("starting", "live", "reconnecting", "live", "stopped")
    ]


async def test_a_camera_that_comes_back_as_it_was_is_looked_at_once_and_goes_on(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, video: Path
) -> None:
    async with recorded(house, ffmpeg, peer, video):
        first, connections = newest_live(house), peer.connections_count
        await peer.drop()
        await until_live_times(house, 2)
        assert peer.connections_count == connections + 2  # a look and a recording
        assert first.exists()  # open players go on where they are
        assert (await house.cameras.read("yard")).probe is None  # nothing new to say


async def test_a_killed_ffmpeg_says_nothing_of_the_camera_which_is_recorded_again_at_once(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, video: Path
) -> None:
    async with recorded(house, ffmpeg, peer, video):
        connections = peer.connections_count
        (pid,) = pids_with(str(house.recordings.archive_dir("yard")))
        os.kill(pid, signal.SIGKILL)
        await until_live_times(house, 2)
        assert peer.connections_count == connections + 1


async def test_a_camera_that_hangs_while_it_is_looked_at_is_stopped_at_once(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "SOCKET_TIMEOUT_US", 100_000_000)  # the look lasts for a minute
    await peer.hang()
    await house.add_camera("yard", source=peer.url)
    async with house.supervision(ffmpeg):
        await until(lambda: peer.connections_count == 1, within_s=SOON_S)
        await house.cameras.enable("yard", enabled=False)

        async def is_stopped() -> bool:
            return (await house.states("yard"))[-1][0] == "stopped"

        await until(is_stopped, within_s=15)
