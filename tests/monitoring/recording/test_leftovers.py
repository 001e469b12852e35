"""Files without a row: adopted once, whatever left them behind; never deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from backend.monitoring.recording.ledger import Ledger
from backend.monitoring.recording.leftovers import adopt, find_leftovers
from tests.monitoring.house import House, at


async def take_in(house: House) -> None:
    """What the recorders do with leftovers when they start."""
    known = {camera.id: camera for camera in await house.cameras.records()}
    ledger, stop = Ledger(), asyncio.Event()
    leftovers = await find_leftovers(house.recordings)
    await adopt(leftovers, house.recordings, ledger, find_camera=known.get)
    stop.set()
    await ledger.run(stop)


async def test_leftovers_are_adopted_once_with_their_true_length(house: House, video: Path) -> None:
    camera = await house.add_camera("yard", name="Demo yard")
    known = await house.add_segment(camera, at("09:00:00"))
    for clock_time in ("10:00:00", "10:10:00"):
        house.file("yard", at(clock_time), content=video.read_bytes())
    for _ in range(2):
        await take_in(house)
        assert len(await house.segments()) == len(await house.jobs()) == 3
    adopted = [row for row in await house.segments() if row.id != known.id]
    assert {row.started_at for row in adopted} == {at("10:00:00"), at("10:10:00")}
    for row in adopted:
        assert (row.ended_at - row.started_at).total_seconds() == 4.0
        assert row.size_bytes == len(video.read_bytes())
    assert {job.payload["camera_name"] for job in await house.jobs()} == {"Demo yard"}


async def test_archives_outlive_a_lost_database(house: House, video: Path) -> None:
    """Nobody knows these cameras any more; their archives are kept, shown and aged all the same."""
    for camera_id in ("yard", "gate"):
        house.file(camera_id, at("10:00:00"), content=video.read_bytes())
    await house.retention.run()
    await take_in(house)
    await house.retention.run()  # they are old, and wait for analysis: spared
    rows = await house.segments()
    assert {row.camera_id for row in rows} == {"yard", "gate"}
    assert all((house.data_dir / row.video_path).exists() for row in rows)


async def test_what_cannot_be_read_is_moved_aside_not_deleted(house: House, video: Path) -> None:
    await house.add_camera()
    empty = house.file("yard", at("10:00:00"), content=b"")
    broken = house.file("yard", at("10:10:00"), content=b"no video at all" * 100)
    whole = house.file("yard", at("10:20:00"), content=video.read_bytes())
    await take_in(house)
    (row,) = await house.segments()
    assert row.video_path.endswith(whole.name)
    assert not empty.exists()
    quarantine = house.data_dir / "quarantine" / "yard"
    assert (quarantine / broken.name).read_bytes() == b"no video at all" * 100
    assert (quarantine / empty.name).exists()


async def test_other_files_are_left_alone(house: House, video: Path) -> None:
    folder = house.recordings.archive_dir("yard")
    folder.mkdir(parents=True)
    strange = [
        folder / "notes.txt",
        folder / "archive_20260301_100000.mp4.part",
        folder / "archive_20261399_100000.mp4",
        house.recordings.archives_dir / "Not a camera" / "archive_20260301_100000.mp4",
        house.recordings.archives_dir / "archive_20260301_100000.mp4",
    ]
    for path in strange:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(video.read_bytes())
    await take_in(house)
    assert await house.segments() == []
    assert all(path.exists() for path in strange)


async def test_a_segment_on_its_way_to_deletion_is_no_leftover(house: House, video: Path) -> None:
    camera = await house.add_camera()
    row = await house.add_segment(camera, at("10:00:00"))
    house.file("yard", at("10:00:00"), content=video.read_bytes())
    async with house.database.write() as session:
        marked = await session.get(type(row), row.id)
        assert marked is not None
        marked.deleted_at = house.clock.now()
    assert await find_leftovers(house.recordings) == []
