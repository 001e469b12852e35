"""What is deleted, what is spared, and what a crash leaves to be finished."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
import structlog

from backend.media.archive import DiskUsage
from backend.monitoring.recording import retention as module
from backend.monitoring.recording.tables import SegmentRow
from tests.monitoring.house import GB, House, at

TEN_MINUTES = timedelta(minutes=10)


async def names(house: House) -> list[str]:
    """Beginnings of the segments that are left, checked against the files that are left."""
    rows = await house.segments()
    assert all(row.deleted_at is None for row in rows)
    files = {str(path.relative_to(house.data_dir)) for path in house.data_dir.rglob("*.mp4")}
    assert files == {row.video_path for row in rows}
    return [f"{row.started_at:%H:%M}" for row in sorted(rows, key=lambda row: row.started_at)]


async def test_archives_past_their_age_are_deleted_by_each_cameras_own_limit(
    any_house: House,
) -> None:
    house = any_house
    now = house.clock.now()
    short = await house.add_camera("short", retention_days=1)
    usual = await house.add_camera("usual")
    for camera in (short, usual):
        for days in (8, 2, 0.5):
            await house.add_segment(camera, now - timedelta(days=days))
    await house.retention.run()
    left = sorted((row.camera_id, (now - row.started_at).days) for row in await house.segments())
    assert left == [("short", 0), ("usual", 0), ("usual", 2)]
    events = await house.events("segment.deleted")
    assert len(events) == 3
    assert {event["reason"] for event in events} == {module.TOO_OLD}


async def test_archives_of_a_camera_that_is_gone_are_kept_as_long_as_by_default(
    house: House,
) -> None:
    now = house.clock.now()
    gone = await house.add_camera("gone", retention_days=100)
    for days in (8, 6):
        await house.add_segment(gone, now - timedelta(days=days))
    await house.cameras.delete("gone")
    await house.retention.run()
    (left,) = await house.segments()
    assert (now - left.started_at).days == 6


async def test_archives_of_a_camera_that_is_removed_are_kept_as_long_as_it_kept_them(
    any_house: House,
) -> None:
    now = any_house.clock.now()
    transport = httpx.ASGITransport(app=any_house.app(), client=("127.0.0.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for name, days in (("long", 30), ("private", 1), ("usual", None)):
            camera = await any_house.add_camera(name, retention_days=days)
            for age in (40, 20, 6, 0.5):
                await any_house.add_segment(camera, now - timedelta(days=age))
            answer = await client.delete(f"/api/v1/cameras/{name}?archives=keep")
            assert answer.status_code == 204
    await any_house.retention.run()
    kept = [(one.camera_id, (now - one.started_at).days) for one in await any_house.segments()]
    assert sorted(kept) == [
        ("long", 0), ("long", 6), ("long", 20), ("private", 0), ("usual", 0), ("usual", 6)
    ]  # fmt: skip


async def test_archives_that_wait_for_analysis_are_spared_by_age_and_do_not_hide_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    camera = await house.add_camera()
    for minute, job in enumerate(("pending", "pending", "processing", "completed", "failed")):
        await house.add_segment(camera, at(f"10:{minute:02}:00"), job=job)
    await house.retention.run()
    assert await names(house) == ["10:00", "10:01", "10:02"]


async def test_a_camera_that_takes_too_many_bytes_loses_its_oldest(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = any_house
    monkeypatch.setattr(module, "BATCH", 2)
    camera = await house.add_camera(retention_bytes=25_000_000)
    other = await house.add_camera("other")
    now = house.clock.now()
    begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    for number, job in enumerate(("pending", "completed", "cancelled", "completed", "completed")):
        started_at = begin + number * TEN_MINUTES
        await house.add_segment(camera, started_at, size_bytes=10_000_000, job=job)
        await house.add_segment(other, started_at, size_bytes=10_000_000)
    await house.retention.run()
    left = [row for row in await house.segments() if row.camera_id == "yard"]
    assert [(row.started_at - begin) // TEN_MINUTES for row in left] == [0, 4]
    assert sum(row.camera_id == "other" for row in await house.segments()) == 5


async def add_hour(house: House, jobs: list[str]) -> None:
    """An archive of 1 GB every ten minutes, of two cameras in turn."""
    cameras = [await house.add_camera("gate"), await house.add_camera("yard")]
    begin = house.clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    for number, job in enumerate(jobs):
        camera = cameras[number % 2]
        await house.add_segment(camera, begin + number * TEN_MINUTES, size_bytes=GB, job=job)


async def left_minutes(house: House) -> list[int]:
    return [int(name.partition(":")[2]) for name in await names(house)]


async def test_a_disk_that_is_too_full_loses_the_oldest_of_all_cameras(any_house: House) -> None:
    house = any_house
    await add_hour(house, ["completed"] * 6)
    house.disk = DiskUsage(100 * GB, 18 * GB)  # 82 % of 80 %: 2 GB too many
    await house.retention.run()
    assert await left_minutes(house) == [20, 30, 40, 50]
    reasons = {event["reason"] for event in await house.events("segment.deleted")}
    assert reasons == {module.DISK_FULL}


async def test_a_disk_that_is_full_enough_loses_nothing(house: House) -> None:
    await add_hour(house, ["completed"] * 6)
    house.disk = DiskUsage(100 * GB, 20 * GB)
    await house.retention.run()
    assert await left_minutes(house) == [0, 10, 20, 30, 40, 50]


async def test_the_disk_takes_analysed_archives_before_those_that_wait(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    await add_hour(house, ["pending", "pending", "pending", "processing", "completed", "failed"])
    house.disk = DiskUsage(100 * GB, 18 * GB)
    await house.retention.run()
    assert await left_minutes(house) == [0, 10, 20, 30]
    assert [job.status for job in await house.jobs()][:3] == ["pending"] * 3


async def test_the_disk_forces_what_waits_and_its_job_ends_with_that_reason(
    any_house: House,
) -> None:
    house = any_house
    await add_hour(house, ["pending", "processing", "pending", "completed"])
    house.disk = DiskUsage(100 * GB, 18 * GB)
    await house.retention.run()
    assert await left_minutes(house) == [10, 20]
    jobs = await house.jobs()
    assert [job.status for job in jobs] == ["failed", "processing", "pending", "completed"]
    assert jobs[0].error_code == "archive_removed"
    assert "disk" in jobs[0].error_message
    (event,) = await house.events("job.failed")
    assert (event["job_id"], event["error_code"]) == (jobs[0].id, "archive_removed")


async def test_a_full_disk_on_which_nothing_can_be_freed_is_said(house: House) -> None:
    await add_hour(house, ["processing"])
    house.disk = DiskUsage(100 * GB, 1 * GB)
    with structlog.testing.capture_logs() as logs:
        await house.retention.run()
    assert await left_minutes(house) == [0]
    (said,) = [line for line in logs if line["action"] == "retention.disk_full"]
    assert said["log_level"] == "error"
    assert said["missing_megabytes"] == 19_000


async def test_deletions_that_free_nothing_are_said(house: House) -> None:
    await add_hour(house, ["completed"] * 3)
    house.disk = DiskUsage(100 * GB, 19 * GB)
    with structlog.testing.capture_logs() as logs:
        await house.retention.run()
    assert "retention.frees_nothing" in [line["action"] for line in logs]


async def test_an_empty_database_deletes_nothing(house: House) -> None:
    files = [house.file("yard", at(f"10:{minute}:00")) for minute in (10, 20, 30)]
    house.disk = DiskUsage(100 * GB, 0)
    house.clock.ahead = timedelta(days=1000)
    await house.retention.run()
    assert all(file.exists() for file in files)


@pytest.mark.parametrize("file_is_gone", [False, True])
async def test_a_deletion_that_a_crash_cut_short_is_finished(
    any_house: House, file_is_gone: bool
) -> None:
    house = any_house
    camera = await house.add_camera()
    row = await house.add_segment(camera, house.clock.now() - TEN_MINUTES)
    async with house.database.write() as session:
        marked = await session.get(SegmentRow, row.id)
        assert marked is not None
        marked.deleted_at = house.clock.now()
    if file_is_gone:
        (house.data_dir / row.video_path).unlink()
    page = await house.recordings.page("yard", since=None, until=None, cursor=None, limit=10)
    assert page.items == []
    await house.retention.run()
    assert await names(house) == []


async def test_a_file_that_resists_does_not_keep_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    camera = await house.add_camera()
    rows = [await house.add_segment(camera, at(f"10:{minute}:00")) for minute in range(10, 15)]
    stuck = house.data_dir / rows[1].video_path
    stuck.unlink()
    stuck.mkdir()  # unlinking it fails, also for root
    await house.retention.run()
    (left,) = await house.segments()
    assert left.id == rows[1].id
    assert left.deleted_at is not None
    stuck.rmdir()
    await house.retention.run()
    assert await house.segments() == []


async def test_a_removed_camera_takes_all_its_archives_along_and_its_jobs_are_called_off(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = any_house
    monkeypatch.setattr(module, "BATCH", 2)
    camera, other = await house.add_camera("gone"), await house.add_camera("other")
    for minute, job in enumerate(("pending", "processing", "completed", "failed", "pending")):
        await house.add_segment(camera, at(f"10:{minute:02}:00"), job=job)
    await house.add_segment(other, house.clock.now() - TEN_MINUTES)
    await house.retention.delete_all("gone")
    (left,) = await house.segments()
    assert left.camera_id == "other"
    jobs = await house.jobs()
    assert [job.status for job in jobs[:5]] == [
        "cancelled",
        "processing",
        "completed",
        "failed",
        "cancelled",
    ]
    assert jobs[1].cancel_requested
