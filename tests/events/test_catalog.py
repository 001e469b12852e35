"""The catalogue is complete and its events survive the trip through JSON."""

from __future__ import annotations

import json

from backend.events import catalog
from backend.events.catalog import CATALOG, CameraDeleted, Event, JobProgress


def _concrete(event: type[Event]) -> list[type[Event]]:
    below = [found for child in event.__subclasses__() for found in _concrete(child)]
    return below or [event]


def test_every_event_is_in_the_catalogue_under_its_type() -> None:
    assert {event.type: event for event in _concrete(Event)} == CATALOG


def test_an_event_type_names_its_subject_and_fits_its_column() -> None:
    for name in CATALOG:
        subject, _, what = name.partition(".")
        assert subject in {"camera", "segment", "incident", "job", "worker"}
        assert what
        assert len(name) <= 64


def test_a_key_fits_its_column_with_the_longest_ids() -> None:
    assert len(CameraDeleted(camera_id="c" * 50).key) <= 128
    assert len(catalog.WorkerChanged(worker_id="w" * 100, state="dead").key) <= 128


def test_events_about_one_thing_share_a_key() -> None:
    facts = {"kind": "scene", "camera_id": "gate", "status": "processing"}
    one = JobProgress(job_id=7, progress=10, message="", **facts)
    other = catalog.JobCancelled(job_id=7, **facts)
    assert one.key == other.key != JobProgress(job_id=8, progress=1, message="", **facts).key


def test_a_payload_is_plain_json() -> None:
    event = catalog.CameraStateChanged(
        camera_id="gate", state="live", reason=None, since="2026-01-02T03:04:05Z"
    )
    payload = json.loads(json.dumps(event.model_dump(mode="json")))
    assert payload == {
        "camera_id": "gate",
        "state": "live",
        "reason": None,
        "since": "2026-01-02T03:04:05Z",
    }
