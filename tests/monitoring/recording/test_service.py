"""A finished archive: its segment, its job and its event, together or not at all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from backend.events.outbox import Outbox
from backend.kernel.errors import InvalidInput
from backend.media.archive import FinishedSegment
from tests.monitoring.findings import found, incident, store
from tests.monitoring.house import House, at


def finished(house: House, camera_id: str, clock_time: str) -> FinishedSegment:
    started_at = at(clock_time)
    path = house.file(camera_id, started_at)
    return FinishedSegment(path, started_at, 600.2, path.stat().st_size)


async def test_a_finished_archive_is_a_segment_a_job_and_an_event(any_house: House) -> None:
    camera = await any_house.add_camera("yard", name="Demo yard")
    await any_house.recordings.register(camera, finished(any_house, "yard", "10:00:00"))
    (segment,) = await any_house.segments()
    (job,) = await any_house.jobs()
    assert segment.video_path == "archive/yard/archive_20260301_100000.mp4"
    assert segment.job_id == job.id
    assert segment.ended_at == at("10:00:00") + timedelta(seconds=600.2)
    assert (job.kind, job.status, job.camera_id) == ("scene", "pending", "yard")
    assert job.video_path == segment.video_path
    assert (job.segment_start, job.segment_end) == (segment.started_at, segment.ended_at)
    assert job.dedup_key == "scene:archive/yard/archive_20260301_100000.mp4"
    assert job.payload == {"camera_name": "Demo yard", "demo": True}
    (event,) = await any_house.events("segment.recorded")
    assert (event["segment_id"], event["job_id"]) == (segment.id, job.id)


async def test_an_archive_that_is_told_of_twice_has_one_segment_and_one_job(
    any_house: House,
) -> None:
    camera = await any_house.add_camera()
    segment = finished(any_house, "yard", "10:00:00")
    for _ in range(3):
        await any_house.recordings.register(camera, segment)
    assert len(await any_house.segments()) == 1
    assert len(await any_house.jobs()) == 1
    assert len(await any_house.events("segment.recorded")) == 1


async def test_a_failure_half_way_leaves_neither_segment_nor_job(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await any_house.add_camera()
    segment = finished(any_house, "yard", "10:00:00")
    whole = Outbox.publish

    def die_at_the_last_step(self: Outbox, session, event, **options) -> None:
        if event.type == "segment.recorded":
            raise SystemError("killed between two statements")
        whole(self, session, event, **options)

    monkeypatch.setattr(Outbox, "publish", die_at_the_last_step)
    with pytest.raises(SystemError):
        await any_house.recordings.register(camera, segment)
    assert await any_house.segments() == []
    assert await any_house.jobs() == []
    assert await any_house.events("job.queued") == []
    monkeypatch.undo()
    await any_house.recordings.register(camera, segment)
    assert len(await any_house.segments()) == len(await any_house.jobs()) == 1


async def test_an_archive_that_somebody_deleted_meanwhile_is_forgotten(house: House) -> None:
    camera = await house.add_camera()
    segment = finished(house, "yard", "10:00:00")
    segment.path.unlink()
    await house.recordings.register(camera, segment)
    assert await house.segments() == []
    assert await house.jobs() == []


async def test_archives_found_late_are_analysed_after_fresh_ones(house: House) -> None:
    camera = await house.add_camera()
    await house.recordings.register(camera, finished(house, "yard", "10:00:00"))
    fresh = house.clock.now().replace(microsecond=0) - timedelta(seconds=600)
    path = house.file("yard", fresh)
    await house.recordings.register(camera, FinishedSegment(path, fresh, 600, 5))
    old, new = await house.jobs()
    assert new.priority < old.priority


async def test_pages_go_from_the_newest_archive_to_the_oldest(any_house: House) -> None:
    camera = await any_house.add_camera()
    other = await any_house.add_camera("gate")
    for minute in range(0, 50, 10):
        await any_house.add_segment(camera, at(f"10:{minute:02}:00"))
    await any_house.add_segment(other, at("10:00:00"))
    seen, cursor = [], None
    while True:
        page = await any_house.recordings.page(
            "yard", since=None, until=None, cursor=cursor, limit=2
        )
        assert len(page.items) <= 2
        seen += [view.started_at for view in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [at(f"10:{minute}:00") for minute in (40, 30, 20, 10)] + [at("10:00:00")]
    part = await any_house.recordings.page(
        "yard", since=at("10:15:00"), until=at("10:30:00"), cursor=None, limit=10
    )
    assert [view.started_at for view in part.items] == [at("10:20:00"), at("10:10:00")]
    with pytest.raises(InvalidInput):
        await any_house.recordings.page("yard", since=None, until=None, cursor="bm8", limit=2)


async def test_an_archive_shows_what_was_found_in_it(house: House) -> None:
    camera = await house.add_camera()
    row = await house.add_segment(camera, at("10:00:00"))
    async with house.database.write() as session:
        job = await session.get(type((await house.jobs())[0]), row.job_id)
        assert job is not None
        job.safety_score, job.incident_count = 70, 1
    seen = incident("fall", t=12.0, note="lies")
    await store(
        house,
        found(row.job_id, at("10:00:00"), seen),
        found(row.job_id + 1, at("10:10:00"), incident("running")),  # another archive's
    )
    page = await house.recordings.page("yard", since=None, until=None, cursor=None, limit=10)
    (view,) = page.items
    assert (view.state, view.job_status) == ("finished", "completed")
    assert (view.safety_score, view.incident_count) == (70, 1)
    (shown,) = view.incidents
    assert (shown.category, shown.t_start, shown.t_end) == ("fall", 12.0, 15.0)
    (evidence,) = shown.evidence
    assert (evidence.t, evidence.note, evidence.box) == (13.0, "lies", (0.1, 0.2, 0.3, 0.4))
    assert shown.starts_at == at("10:00:12")
    assert view.video_url == "/archive/yard/archive_20260301_100000.mp4"


async def test_the_archive_that_is_being_written_comes_first(house: House) -> None:
    camera = await house.add_camera()
    await house.add_segment(camera, at("10:00:00"))

    async def states() -> list[str]:
        page = await house.recordings.page("yard", since=None, until=None, cursor=None, limit=1)
        return [view.state for view in page.items]

    assert await states() == ["finished"]
    house.recordings.begin_writing("yard")
    assert await states() == ["finished"]  # nothing is written yet: that file is another run's
    growing = house.file("yard", house.clock.now())
    assert await states() == ["recording", "finished"]
    page = await house.recordings.page("yard", since=None, until=None, cursor=None, limit=1)
    assert page.items[0].id is None
    assert page.items[0].video_url == f"/archive/yard/{growing.name}"
    house.recordings.end_writing("yard")
    assert await states() == ["finished"]


async def test_gaps_know_what_was_before_and_what_is_being_written(any_house: House) -> None:
    house = any_house
    camera = await house.add_camera()
    now = house.clock.now()
    hour = timedelta(hours=1)
    assert await house.recordings.gaps("yard", now - 4 * hour, now) == []
    await house.add_segment(camera, now - 3 * hour, seconds=600)
    (gap,) = await house.recordings.gaps("yard", now - hour, now + hour)
    assert gap.started_at == now - hour
    assert gap.ended_at <= house.clock.now()  # the future is no gap
    assert 3600 <= gap.seconds < 3700  # since `now`
    house.recordings.begin_writing("yard")
    begun = house.clock.now()
    house.file("yard", begun)
    (gap,) = await house.recordings.gaps("yard", now - hour, now + hour)
    assert gap.ended_at <= begun
    house.clock.ahead = timedelta(minutes=10)  # and nothing was written to the file meanwhile
    _, new = await house.recordings.gaps("yard", now - hour, now + hour)
    assert 600 <= new.seconds < 700


async def test_storage_is_counted_by_camera(any_house: House) -> None:
    camera = await any_house.add_camera()
    assert (await any_house.recordings.storage("yard")).segments == 0
    await any_house.add_segment(camera, at("10:00:00"), size_bytes=3_000_000_000)
    await any_house.add_segment(camera, at("10:10:00"), size_bytes=2_000_000_000)
    storage = await any_house.recordings.storage("yard")
    assert (storage.segments, storage.size_bytes) == (2, 5_000_000_000)
    assert storage.oldest == at("10:00:00")


async def test_the_main_process_decodes_nothing_to_register_an_archive(house: House) -> None:
    """A file that is no video is registered: what it holds is for the worker to find out."""
    camera = await house.add_camera()
    segment = finished(house, "yard", "10:00:00")
    assert Path(segment.path).read_bytes() == b"video"
    await house.recordings.register(camera, segment)
    assert len(await house.jobs()) == 1
