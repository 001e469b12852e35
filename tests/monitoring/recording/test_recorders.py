"""Cameras kept recording by real ffmpegs from real streams, whatever happens to either."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.db import Database
from backend.kernel.lifecycle import Supervisor
from backend.kernel.nudge import Nudges
from backend.media.archive import list_archives
from backend.media.ffmpeg import Ffmpeg
from backend.media.probe import probe_file
from backend.media.process import SupervisedProcess
from backend.monitoring.cameras.schemas import CameraUpdate
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.recording.recorders import CameraSupervision
from backend.monitoring.recording.tables import SegmentRow
from tests.media.harness import pids_with, safe_pictures
from tests.monitoring.house import ALL_DAY_S, UNHURRIED, House, at
from tests.peers.rtsp_server import RtspCamera
from tests.waiting import until

SOON_S = 60.0
IMPATIENT = replace(UNHURRIED, stall_s=2, terminate_s=1)


@pytest.fixture
async def peer(video: Path) -> AsyncIterator[RtspCamera]:
    async with RtspCamera(video) as peer:
        yield peer


async def is_live(house: House, camera_id: str = "yard") -> bool:
    return await house.state(camera_id) == "live"


@asynccontextmanager
async def recorded(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, *, archive_seconds: int = 3, **options: Any
) -> AsyncIterator[None]:
    """A camera that is live. What it sends is known: looking at a stream takes seconds."""
    record = await house.add_camera("yard", source=peer.url, archive_seconds=archive_seconds)
    known = replace(await probe_file(peer._file), duration_s=None)
    house.cameras._fresh["yard"] = (record.source, known)
    async with house.supervision(ffmpeg, **options):
        await until(lambda: is_live(house), within_s=SOON_S)
        yield


async def state_codes(house: House) -> list[str]:
    """The camera's states as `state` or `state:reason`."""
    return [f"{state}:{why}" if why else state for state, why in await house.states("yard")]


def is_whole(row: SegmentRow) -> bool:
    """Whether an archive begins and ends at multiples of three seconds, but for a keyframe."""
    seconds = (row.ended_at - row.started_at).total_seconds()
    return row.started_at.second % 3 in {0, 1} and abs(seconds - 3) < 1.1


async def test_a_camera_goes_live_and_its_archives_become_jobs(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    await house.add_camera("yard", source=peer.url, archive_seconds=3)
    async with house.supervision(ffmpeg):
        await until(lambda: is_live(house), within_s=SOON_S)
        playlist = house.recordings.live_dir("yard") / "index.m3u8"
        assert "#EXTINF" in playlist.read_text()
        page = await house.recordings.page("yard", since=None, until=None, cursor=None, limit=9)
        assert page.items[0].state == "recording"

        async def whole() -> list[SegmentRow]:
            """The first archive that the machine had the time to make as it should be."""
            rows = await house.segments()
            return [row for row in rows[1:-1] if is_whole(row)][:1]

        (one,) = await until(whole, within_s=SOON_S)
    assert await state_codes(house) == ["starting", "live", "stopped"]
    rows, jobs = await house.segments(), await house.jobs()
    assert [row.job_id for row in rows] == [job.id for job in jobs]
    assert {job.status for job in jobs} == {"pending"}
    probed = await probe_file(house.data_dir / one.video_path)
    assert probed.duration_s == pytest.approx(3, abs=1.1)
    files = list_archives(house.recordings.archive_dir("yard"))
    assert {file.path.name for file in files} == {Path(row.video_path).name for row in rows}
    assert await house.recordings.gaps("yard", one.started_at, one.ended_at) == []
    assert (await house.cameras.read("yard")).probe is not None


async def test_a_camera_that_drops_the_connection_is_back_soon(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    async with recorded(house, ffmpeg, peer):
        await peer.drop()

        async def is_back() -> bool:
            return (await state_codes(house))[-2:] == ["reconnecting:ended", "live"]

        await until(is_back, within_s=SOON_S)
    assert len(await house.segments()) >= 2  # before and after


async def test_a_camera_that_hangs_is_stalled_then_reconnecting_then_live(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    async with recorded(house, ffmpeg, peer, limits=IMPATIENT):
        await peer.hang()

        async def is_stalled() -> bool:
            return (await state_codes(house))[2:][:2] == [
                "stalled:stalled",
                "reconnecting:stalled",
            ]

        await until(is_stalled, within_s=SOON_S)
        await peer.resume()
        await until(lambda: is_live(house), within_s=SOON_S)


async def test_a_camera_that_sends_one_picture_and_no_more_is_tried_again(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    """Nothing was live yet, so nothing can have stalled."""
    async with recorded(house, ffmpeg, peer):
        await peer.mute_after_keyframe()
        await peer.drop()
        tried = peer.connections_count + 2
        await until(lambda: peer.connections_count >= tried, within_s=SOON_S)
        await peer.resume()
        await until(lambda: is_live(house), within_s=SOON_S)
    assert "stalled" not in " ".join((await state_codes(house))[3:])


async def test_a_camera_that_is_off_is_tried_until_it_is_on(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    await peer.go_away()
    await house.add_camera("yard", source=peer.url, archive_seconds=3)
    async with house.supervision(ffmpeg):

        async def is_tried() -> bool:
            return (await state_codes(house))[1:] == ["reconnecting:unreachable"]

        await until(is_tried, within_s=SOON_S)
        await peer.come_back()
        await until(lambda: is_live(house), within_s=SOON_S)
    assert (await house.cameras.read("yard")).probe is not None


async def test_a_wrong_password_is_a_failure_that_says_so_and_heals_when_it_is_corrected(
    house: House, ffmpeg: Ffmpeg, video: Path
) -> None:
    async with RtspCamera(video, user="admin", password="right") as peer:
        await house.add_camera("yard", source=peer.url_as("admin", "wrong"), archive_seconds=3)
        async with house.supervision(ffmpeg):

            async def has_failed() -> bool:
                return await house.state("yard") == "failed"

            await until(has_failed, within_s=SOON_S)
            view = await house.cameras.read("yard")
            assert view.state_reason == "auth: The source refuses this user name and password."
            await house.cameras.update("yard", CameraUpdate(source=peer.url))
            await until(lambda: is_live(house), within_s=SOON_S)


async def test_a_source_that_is_refused_by_now_is_a_failure_that_says_so(
    house: House, ffmpeg: Ffmpeg
) -> None:
    await house.add_camera("yard", source="http://169.254.169.254/video")
    async with house.supervision(ffmpeg):

        async def has_failed() -> bool:
            return "failed:source_refused" in await state_codes(house)

        await until(has_failed, within_s=SOON_S)


async def test_a_killed_ffmpeg_costs_no_archive(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    async with recorded(house, ffmpeg, peer, archive_seconds=ALL_DAY_S):
        archive_dir = house.recordings.archive_dir("yard")
        await until(lambda: safe_pictures(archive_dir) >= 25)
        (pid,) = pids_with(str(archive_dir))
        os.kill(pid, signal.SIGKILL)

        async def is_back() -> bool:
            return (await state_codes(house))[-2:] == ["reconnecting:killed", "live"]

        await until(is_back, within_s=SOON_S)

        async def is_saved() -> bool:
            return len(await house.segments()) == 1

        await until(is_saved, within_s=SOON_S)
        (row,) = await house.segments()
        assert (await probe_file(house.data_dir / row.video_path)).duration_s > 0.5


async def test_cameras_follow_the_table_at_once(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    async with recorded(house, ffmpeg, peer, archive_seconds=ALL_DAY_S):
        await house.cameras.enable("yard", enabled=False)

        async def is_stopped() -> bool:
            return await house.state("yard") == "stopped" and len(await house.segments()) == 1

        await until(is_stopped, within_s=SOON_S)
        live = house.recordings.live_dir("yard")
        await until(lambda: not any(live.iterdir()), within_s=SOON_S)
        assert pids_with(str(house.recordings.archive_dir("yard"))) == []
        await house.cameras.enable("yard", enabled=True)
        await until(lambda: is_live(house), within_s=SOON_S)
        played = peer.connections_count
        await house.cameras.update("yard", CameraUpdate(name="Other name", retention_days=1))
        await house.add_camera("gate", source=peer.url, archive_seconds=ALL_DAY_S)
        await until(lambda: is_live(house, "gate"), within_s=SOON_S)
        assert peer.playing_count == 2
        assert peer.connections_count - played <= 4  # the new camera's; the other's still runs
        assert (await state_codes(house))[-1] == "live"
        await house.cameras.update("yard", CameraUpdate(archive_seconds=60))

        async def is_restarted() -> bool:
            return (await state_codes(house))[-3:] == ["stopped", "starting", "live"]

        await until(is_restarted, within_s=SOON_S)


async def test_a_removed_camera_leaves_nothing_behind_when_its_archives_go_along(
    house: House, client: httpx.AsyncClient, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    async with recorded(house, ffmpeg, peer, archive_seconds=ALL_DAY_S):
        answer = await client.delete("/api/v1/cameras/yard?archives=delete")
        assert answer.status_code == 204
        assert await house.segments() == []
        assert list_archives(house.recordings.archive_dir("yard")) == []
        assert {job.status for job in await house.jobs()} == {"cancelled"}
    assert await house.segments() == []


async def test_a_removed_camera_leaves_its_archives_unless_told_otherwise(
    house: House, client: httpx.AsyncClient, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    async with recorded(house, ffmpeg, peer, archive_seconds=ALL_DAY_S):
        assert (await client.delete("/api/v1/cameras/yard")).status_code == 204

        async def is_registered() -> bool:
            return len(await house.segments()) == 1

        await until(is_registered, within_s=SOON_S)
    listed = (await client.get("/api/v1/cameras/yard/segments")).json()["items"]
    assert [segment["state"] for segment in listed] == ["finished"]
    assert (await client.get(listed[0]["video_url"])).status_code == 200
    assert (await client.get("/api/v1/cameras/nobody/segments")).status_code == 404


async def test_what_a_crash_left_is_tidied_up_and_adopted_while_cameras_record_already(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, video: Path
) -> None:
    await house.add_camera("off", enabled=False, state="live", state_reason=None)
    await house.add_camera("yard", source=peer.url, archive_seconds=ALL_DAY_S, state="stalled")
    old_live = house.recordings.live_dir("off")
    old_live.mkdir(parents=True)
    (old_live / "index.m3u8").write_text("#EXTM3U\n")
    house.file("yard", at("10:00:00"), content=video.read_bytes())
    house.file("off", at("10:00:00"), content=video.read_bytes())
    async with house.supervision(ffmpeg):
        await until(lambda: is_live(house), within_s=SOON_S)

        async def are_adopted() -> bool:
            rows = await house.segments()
            return [row.started_at for row in rows].count(at("10:00:00")) == 2

        await until(are_adopted, within_s=SOON_S)
        assert await house.state("off") == "stopped"
        assert not any(old_live.iterdir())
    paths = [row.video_path for row in await house.segments()]
    assert len(paths) == len(set(paths)) >= 3  # and what was being written, once


class RestlessDatabase(Database):
    """A database that can be away."""

    is_away = False

    def _look(self) -> None:
        if self.is_away:
            raise ConnectionRefusedError("database is away")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        self._look()
        async with super().read() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        self._look()
        async with super().write() as session:
            yield session


async def test_recording_goes_on_while_the_database_is_away_and_nothing_is_lost(
    sqlite: Database, nudges: Nudges, tmp_path: Path, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    database = RestlessDatabase(sqlite.url)
    house = House(database, nudges, tmp_path / "data")
    async with recorded(house, ffmpeg, peer):
        database.is_away = True
        house.cameras.changed.set()  # a look at the table fails, too
        before = len(list_archives(house.recordings.archive_dir("yard")))

        def three_more() -> bool:
            return len(list_archives(house.recordings.archive_dir("yard"))) >= before + 3

        await until(three_more, within_s=SOON_S)
        database.is_away = False

        async def all_but_the_growing_one() -> bool:
            files = list_archives(house.recordings.archive_dir("yard"))
            return len(await house.segments()) >= len(files) - 1

        await until(all_but_the_growing_one, within_s=SOON_S)
    names = {file.path.name for file in list_archives(house.recordings.archive_dir("yard"))}
    assert names == {Path(row.video_path).name for row in await house.segments()}
    assert len(await house.jobs()) == len(names)
    await database.close()


async def test_a_lost_archive_is_said_while_live_goes_on(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera
) -> None:
    async with recorded(house, ffmpeg, peer):
        archive_dir = house.recordings.archive_dir("yard")
        archive_dir.rename(archive_dir.with_name("lost"))  # at once: ffmpeg adds files to it

        async def is_said() -> bool:
            return (await state_codes(house))[-1].startswith("live:archive_failed")

        await until(is_said, within_s=SOON_S)


async def test_cameras_that_hang_are_stopped_together(
    house: House, ffmpeg: Ffmpeg, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, ending, all_end = SupervisedProcess.terminate, [], asyncio.Event()

    async def terminate(self: SupervisedProcess, grace_s: float = 3.0) -> int:
        """Ends none before the end of all has begun."""
        if grace_s == IMPATIENT.terminate_s:
            ending.append(self.pid)
            if len(ending) == len(peers):
                all_end.set()
            await asyncio.wait_for(all_end.wait(), SOON_S)
        return await end(self, grace_s)

    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(RtspCamera(video)) for _ in range(6)]
        for number, peer in enumerate(peers):
            await house.add_camera(f"cam-{number}", source=peer.url, archive_seconds=ALL_DAY_S)
        limits = replace(IMPATIENT, stall_s=UNHURRIED.stall_s)
        async with house.supervision(ffmpeg, limits=limits):

            async def all_live() -> bool:
                return (await house.cameras.states()).get("live") == len(peers)

            await until(all_live, within_s=2 * SOON_S)
            for peer in peers:
                await peer.hang()
            monkeypatch.setattr(SupervisedProcess, "terminate", terminate)
        assert all_end.is_set()
        assert await house.cameras.states() == {"stopped": len(peers)}


async def test_recorders_that_failed_as_a_whole_are_started_again(
    house: House, ffmpeg: Ffmpeg, peer: RtspCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.add_camera("yard", source=peer.url, archive_seconds=ALL_DAY_S)
    whole, breaks = CameraService.records, asyncio.Event()

    async def records(self: CameraService):
        if breaks.is_set():
            breaks.clear()
            raise ValueError("a fault that nobody foresaw")
        return await whole(self)

    monkeypatch.setattr(CameraService, "records", records)
    async with Supervisor() as supervisor:
        supervision = CameraSupervision(
            ffmpeg, house.cameras, house.recordings, house.clock, limits=UNHURRIED
        )
        supervisor.start("cameras", supervision.run)
        await until(lambda: is_live(house), within_s=SOON_S)
        breaks.set()
        house.cameras.changed.set()

        async def is_started_again() -> bool:
            return (await state_codes(house))[-3:] == ["stopped", "starting", "live"]

        await until(is_started_again, within_s=SOON_S)
