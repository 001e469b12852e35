"""A camera's substream: a small live picture of its own, which the main stream never notices."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import httpx
import pytest
import structlog

from backend.media.archive import list_archives
from backend.media.ffmpeg import Ffmpeg
from backend.media.probe import probe_file
from backend.monitoring.cameras.schemas import CameraUpdate
from tests.media.harness import pids_with
from tests.monitoring.house import ALL_DAY_S, House
from tests.peers.rtsp_server import RtspCamera
from tests.peers.videos import make_video
from tests.waiting import until

SOON_S = 60.0
BIG, SMALL = (320, 240), (160, 120)


@dataclass(frozen=True)
class Yard:
    """A camera of two streams, seen by a viewer."""

    house: House
    viewer: httpx.AsyncClient
    main: RtspCamera
    small: RtspCamera

    async def playlists(self) -> tuple[str, str | None]:
        """The addresses that the camera's answer gives."""
        view = (await self.viewer.get("/api/v1/cameras/yard")).json()
        return view["live_url"], view["live_sub_url"]

    async def newest(self, playlist: str) -> str | None:
        """Address of the newest segment of a playlist, None when that is not there."""
        answer = await self.viewer.get(playlist)
        if answer.status_code == 404:
            return None
        assert answer.headers["cache-control"] == "no-cache"
        name = next(line for line in reversed(answer.text.splitlines()) if line[0] != "#")
        return f"{playlist.rpartition('/')[0]}/{name}"

    async def newest_small(self) -> str | None:
        return await self.newest("/live/yard/sub/index.m3u8")

    async def size_of(self, segment: str) -> tuple[int, int]:
        """What a segment shows, in pixels."""
        with av.open(io.BytesIO((await self.viewer.get(segment)).content)) as container:
            context = container.streams.video[0].codec_context
            assert context.codec.canonical_name == "h264"
            return context.width, context.height

    def small_files(self) -> list[Path]:
        return list((self.house.recordings.live_dir("yard") / "sub").glob("*"))


@pytest.fixture(scope="module")
def small_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("small") / "small.mp4", seconds=4, size=SMALL)


@pytest.fixture
async def yard(
    house: House, client: httpx.AsyncClient, video: Path, small_video: Path
) -> AsyncIterator[Yard]:
    async with (
        RtspCamera(video) as main,
        RtspCamera(small_video, user="viewer-user", password="s3cret-pa55") as small,
    ):
        yield Yard(house, client, main, small)


@asynccontextmanager
async def both_live(yard: Yard, ffmpeg: Ffmpeg) -> AsyncIterator[None]:
    house = yard.house
    await house.add_camera(
        "yard", source=yard.main.url, substream=yard.small.url, archive_seconds=ALL_DAY_S
    )

    async def are_live() -> bool:
        return await house.state("yard") == "live" and await yard.newest_small() is not None

    async with house.supervision(ffmpeg):
        await until(are_live, within_s=SOON_S)
        yield


async def test_the_substream_is_a_small_live_view_beside_the_large_one_and_its_archive(
    yard: Yard, ffmpeg: Ffmpeg
) -> None:
    async with both_live(yard, ffmpeg):
        large, small = await yard.playlists()
        assert (large, small) == ("/live/yard/index.m3u8", "/live/yard/sub/index.m3u8")
        assert await yard.size_of(await yard.newest(large) or "") == BIG
        assert await yard.size_of(await yard.newest_small() or "") == SMALL
    (archive,) = list_archives(yard.house.recordings.archive_dir("yard"))
    probed = await probe_file(archive.path)
    assert (probed.width, probed.height) == BIG
    assert len(await yard.house.jobs()) == 1


async def test_a_substream_that_is_lost_comes_back_and_the_camera_never_notices(
    yard: Yard, ffmpeg: Ffmpeg
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with both_live(yard, ffmpeg):
            connections = yard.main.connections_count
            last = await yard.newest_small()
            await yard.small.go_away()

            def is_tried_again() -> bool:
                ends = [line for line in logs if line["action"] == "stream.ended"]
                return "unreachable" in {line["reason"] for line in ends}

            await until(is_tried_again, within_s=SOON_S)
            assert pids_with(yard.small.url) == []
            await yard.small.come_back()

            async def has_new() -> bool:
                return await yard.newest_small() not in {None, last}

            await until(has_new, within_s=SOON_S)
            assert yard.main.connections_count == connections
    states = await yard.house.states("yard")
    assert [state for state, _ in states] == ["starting", "live", "stopped"]
    assert {code for _, code in states} == {None}
    assert "s3cret-pa55" not in str(logs)
    assert "viewer-user" not in str(logs)


async def test_a_substream_goes_on_while_the_camera_is_lost(yard: Yard, ffmpeg: Ffmpeg) -> None:
    async with both_live(yard, ffmpeg):
        connections = yard.small.connections_count
        await yard.main.go_away()

        async def is_lost() -> bool:
            return await yard.house.state("yard") == "reconnecting"

        await until(is_lost, within_s=SOON_S)
        last = await yard.newest_small()

        async def has_new() -> bool:
            return await yard.newest_small() not in {None, last}

        await until(has_new, within_s=SOON_S)
        assert yard.small.connections_count == connections


async def test_a_substream_that_may_not_be_seen_is_the_logs_concern_only(
    yard: Yard, ffmpeg: Ffmpeg
) -> None:
    wrong = yard.small.url_as("viewer-user", "wr0ng-pa55")
    await yard.house.add_camera("yard", source=yard.main.url, substream=wrong)
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        async with yard.house.supervision(ffmpeg):

            async def is_live() -> bool:
                return await yard.house.state("yard") == "live"

            await until(is_live, within_s=SOON_S)

            def is_refused() -> list[structlog.typing.EventDict]:
                return [line for line in logs if line["action"] == "stream.ended"]

            (line, *_) = await until(is_refused, within_s=SOON_S)
            assert (line["camera_id"], line["stream"], line["reason"]) == ("yard", "sub", "auth")
            assert await yard.newest_small() is None
            view = await yard.house.cameras.read("yard")
            assert view.state_reason is None
    assert "wr0ng-pa55" not in str(logs)


async def test_a_disabled_camera_stops_and_clears_its_substream_too(
    yard: Yard, ffmpeg: Ffmpeg
) -> None:
    async with both_live(yard, ffmpeg):
        await yard.house.cameras.enable("yard", enabled=False)
        await until(lambda: not yard.small_files(), within_s=SOON_S)
        assert pids_with(yard.small.url) == []
        assert await until_gone(yard)
        await yard.house.cameras.enable("yard", enabled=True)
        await until(yard.newest_small, within_s=SOON_S)


async def test_another_substream_takes_the_place_of_the_old_one_and_none_ends_it(
    yard: Yard, ffmpeg: Ffmpeg, video: Path
) -> None:
    async with both_live(yard, ffmpeg), RtspCamera(video) as other:
        connections = yard.main.connections_count
        await yard.house.cameras.update("yard", CameraUpdate(substream=other.url))

        async def shows_the_other() -> bool:
            segment = await yard.newest_small()
            return segment is not None and await yard.size_of(segment) == BIG

        await until(lambda: pids_with(other.url), within_s=SOON_S)
        assert pids_with(yard.small.url) == []
        await until(shows_the_other, within_s=SOON_S)
        await yard.house.cameras.update("yard", CameraUpdate(substream=None))
        await until(lambda: not yard.small_files(), within_s=SOON_S)
        assert await until_gone(yard)
        assert (await yard.playlists())[1] is None
        assert pids_with(other.url) == []
        assert yard.main.connections_count == connections  # the large one went on


async def test_a_removed_camera_takes_its_substream_along(yard: Yard, ffmpeg: Ffmpeg) -> None:
    async with both_live(yard, ffmpeg):
        assert (await yard.viewer.delete("/api/v1/cameras/yard")).status_code == 204
        await until(lambda: not yard.small_files(), within_s=SOON_S)
        assert pids_with(yard.small.url) == []
        assert await until_gone(yard)


async def test_a_substream_that_was_taken_away_while_vap_was_down_is_cleared(
    yard: Yard, ffmpeg: Ffmpeg
) -> None:
    await yard.house.add_camera("yard", source=yard.main.url, archive_seconds=ALL_DAY_S)
    folder = yard.house.recordings.live_dir("yard") / "sub"
    folder.mkdir(parents=True)
    (folder / "index.m3u8").write_text("#EXTM3U\n1.ts\n")
    async with yard.house.supervision(ffmpeg):
        await until(lambda: not yard.small_files(), within_s=SOON_S)


async def until_gone(yard: Yard) -> bool:
    """Wait out the moment for which a playlist is kept in memory; it would go stale after 15 s."""

    async def is_gone() -> bool:
        return await yard.newest_small() is None

    return bool(await until(is_gone, within_s=10))
