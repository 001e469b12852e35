"""Cameras as rows: each change with its event, over every database."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.kernel.errors import Conflict, InvalidInput, NotFound
from backend.monitoring.cameras.schemas import CameraCreate, CameraUpdate
from tests.monitoring.house import House
from tests.peers.rtsp_server import RtspCamera


@pytest.fixture
def media_file(any_house: House, video: Path) -> str:
    """A `file:` source that can be read."""
    folder = any_house.data_dir / "media"
    folder.mkdir(parents=True)
    (folder / "yard.mp4").write_bytes(video.read_bytes())
    return "file:yard.mp4"


async def test_a_new_camera_is_saved_with_what_its_source_is(
    any_house: House, media_file: str
) -> None:
    cameras = any_house.cameras
    created = await cameras.create(CameraCreate(name="Hof Süd (hinten)", source=media_file))
    assert created.id == "hof-sud-hinten"
    assert created.probe_answer.ok
    assert created.probe is not None
    assert (created.probe.codec, created.probe.width, created.probe.height) == ("h264", 320, 240)
    assert not created.probe.transcoded
    assert created.live_url == "/live/hof-sud-hinten/index.m3u8"
    assert created.archive_seconds == 600
    assert cameras.changed.is_set()
    assert await any_house.events("camera.changed") == [{"camera_id": "hof-sud-hinten"}]


async def test_what_was_seen_at_creation_is_used_once_and_for_that_source_only(
    house: House, video: Path
) -> None:
    media = house.data_dir / "media"
    media.mkdir(parents=True)
    (media / "yard.mp4").write_bytes(video.read_bytes())
    for name in ("Gate", "Yard"):
        await house.cameras.create(CameraCreate(name=name, source="file:yard.mp4"))
    await house.cameras.update("gate", CameraUpdate(source="file:other.mp4"))
    gate, yard = await house.cameras.records()
    assert house.cameras.take_fresh_probe(gate) is None
    found = house.cameras.take_fresh_probe(yard)
    assert found is not None
    assert found.codec == "h264"
    assert house.cameras.take_fresh_probe(yard) is None


async def test_a_camera_that_cannot_be_read_now_is_saved_all_the_same(any_house: House) -> None:
    created = await any_house.cameras.create(CameraCreate(name="Gate", source="file:later.mp4"))
    assert not created.probe_answer.ok
    assert created.probe_answer.reason == "not_found"
    assert (await any_house.cameras.read("gate")).probe is None


async def test_a_refused_source_is_not_saved(any_house: House) -> None:
    for source in ("http://169.254.169.254/", "ftp://10.0.0.5/"):
        with pytest.raises(InvalidInput):
            await any_house.cameras.create(CameraCreate(name="x", source=source))
        with pytest.raises(InvalidInput):
            await any_house.cameras.create(
                CameraCreate(name="x", source="file:a.mp4", substream=source)
            )
    assert await any_house.cameras.views() == []
    assert await any_house.events("camera.changed") == []


async def test_names_that_are_alike_get_ids_that_are_not(any_house: House) -> None:
    ids = [
        (await any_house.cameras.create(CameraCreate(name=name, source="file:later.mp4"))).id
        for name in ("Gate", "gate!", "GATE", "정문", "뒷문", "x" * 100)
    ]
    assert ids == ["gate", "gate-2", "gate-3", "camera", "camera-2", "x" * 44]


async def test_an_id_that_is_taken_is_a_conflict(any_house: House) -> None:
    await any_house.add_camera("gate", name="Old gate")
    with pytest.raises(Conflict):
        await any_house.cameras.create(CameraCreate(id="gate", name="New", source="file:x.mp4"))
    assert (await any_house.cameras.read("gate")).name == "Old gate"


async def test_an_update_changes_what_is_given_and_keeps_masked_credentials(
    any_house: House,
) -> None:
    source = "rtsp://admin:s3cret@127.0.0.1:1/live"
    substream = "rtsp://admin:s3cret@127.0.0.1:1/small"
    await any_house.add_camera("gate", source=source, substream=substream, retention_days=3)
    shown = await any_house.cameras.read("gate")
    assert shown.source == "rtsp://***@127.0.0.1:1/live"
    await any_house.cameras.update(
        "gate",
        CameraUpdate(
            name="Gate", source=shown.source, substream=shown.substream, retention_days=None
        ),
    )
    (record,) = await any_house.cameras.records()
    assert (record.name, record.source, record.retention_days) == ("Gate", source, None)
    await any_house.cameras.update("gate", CameraUpdate(source="rtsp://***@127.0.0.1:1/other"))
    (record,) = await any_house.cameras.records()
    assert record.source == "rtsp://admin:s3cret@127.0.0.1:1/other"
    with pytest.raises(InvalidInput):
        await any_house.cameras.update("gate", CameraUpdate(source="rtsp://***@127.0.0.2:1/live"))
    await any_house.cameras.update("gate", CameraUpdate(substream=None))
    assert (await any_house.cameras.read("gate")).substream is None


async def test_a_new_source_makes_the_old_look_at_it_void(any_house: House) -> None:
    facts = {
        "codec": "h264",
        "width": 1,
        "height": 1,
        "has_audio": False,
        "has_b_frames": False,
        "transcoded": False,
    }
    await any_house.add_camera("gate", source="file:a.mp4", probe=facts)
    await any_house.cameras.update("gate", CameraUpdate(description="by the road"))
    assert (await any_house.cameras.read("gate")).probe is not None
    await any_house.cameras.update("gate", CameraUpdate(source="file:b.mp4"))
    assert (await any_house.cameras.read("gate")).probe is None


@pytest.mark.parametrize("field", ["name", "source", "description", "archive_seconds"])
async def test_what_a_camera_needs_cannot_be_emptied(house: House, field: str) -> None:
    await house.add_camera("gate")
    with pytest.raises(InvalidInput):
        await house.cameras.update("gate", CameraUpdate.model_validate({field: None}))


async def test_a_camera_is_disabled_enabled_and_removed(any_house: House) -> None:
    cameras = any_house.cameras
    await any_house.add_camera("gate")
    assert not (await cameras.enable("gate", enabled=False)).enabled
    assert (await cameras.enable("gate", enabled=True)).enabled
    await cameras.delete("gate")
    assert await any_house.events("camera.deleted") == [{"camera_id": "gate"}]
    for call in (
        cameras.read("gate"),
        cameras.delete("gate"),
        cameras.enable("gate", enabled=True),
    ):
        with pytest.raises(NotFound):
            await call


async def test_the_demo_camera_is_made_where_there_is_none_and_archives_every_minute(
    house: House,
) -> None:
    await house.cameras.create_demo()
    await house.cameras.create_demo()
    (view,) = await house.cameras.views()
    assert (view.id, view.name, view.source) == ("demo", "Demo yard", "demo:")
    assert view.archive_seconds == 60
    assert view.probe is not None
    assert not view.probe.transcoded


async def test_a_probe_may_borrow_the_credentials_of_a_camera(house: House, video: Path) -> None:
    async with RtspCamera(video, user="admin", password="s3cret/@") as peer:
        await house.add_camera("gate", source=peer.url)
        shown = (await house.cameras.read("gate")).source
        assert (await house.cameras.probe(shown, lender="gate")).ok
        wrong = await house.cameras.probe(peer.url_as("admin", "wrong"))
        assert (wrong.ok, wrong.reason) == (False, "auth")
        with pytest.raises(InvalidInput):
            await house.cameras.probe(shown)


async def test_a_record_of_a_camera_does_not_show_its_source(house: House) -> None:
    record = await house.add_camera("gate", source="rtsp://admin:s3cret@127.0.0.1:1/live")
    assert "s3cret" not in repr(record)
