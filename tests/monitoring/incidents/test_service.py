"""Incidents as they are stored, listed, judged and forgotten, on every database."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from backend.findings.incident import Evidence, Incident, IncidentCategory
from backend.kernel.errors import InvalidInput, NotFound
from backend.monitoring.incidents.schemas import IncidentFilter, IncidentView, Verdict
from backend.monitoring.incidents.service import snapshot_path
from backend.monitoring.incidents.states import IncidentState
from tests.monitoring.findings import found, incident, store
from tests.monitoring.house import House, at

ALL = IncidentFilter()


async def listed(house: House, wanted: IncidentFilter = ALL) -> list[IncidentView]:
    return (await house.incidents.page(wanted, None, 500)).items


async def starts(house: House, **wanted: Any) -> list[str]:
    return [f"{one.starts_at:%H:%M:%S}" for one in await listed(house, IncidentFilter(**wanted))]


async def only(house: House) -> IncidentView:
    (one,) = await listed(house)
    return one


async def test_what_was_found_is_stored_with_an_event_for_each(any_house: House) -> None:
    house = any_house
    nowhere = Incident(IncidentCategory.OTHER, 0.0, 0.0, 0, 1.0)
    seen = found(7, at("10:00:00"), incident("fall", t=12.5), nowhere)
    await store(house, seen)
    fall, other = await listed(house)
    assert (fall.starts_at, fall.ends_at) == (
        at("10:00:00") + timedelta(seconds=12.5),
        at("10:00:00") + timedelta(seconds=15.5),
    )
    assert (fall.t_start, fall.t_end, fall.severity, fall.confidence) == (12.5, 15.5, 3, 0.8)
    assert (fall.job_id, fall.camera_id, fall.category) == (7, "yard", "fall")
    assert (fall.backend, fall.model) == ("gemini", "gemini-3.5-flash-lite")
    (evidence,) = fall.evidence
    assert evidence.model_dump() == {
        "t": 13.5,
        "note": "lies",
        "track_id": 4,
        "box": (0.1, 0.2, 0.3, 0.4),
    }
    assert (fall.state, fall.reviewed_at, fall.reviewed_by) == ("open", None, None)
    assert (other.category, other.evidence) == ("other", [])
    events = await house.events("incident.found")
    assert {event["incident_id"] for event in events} == {fall.id, other.id}
    assert events[0] == {
        "camera_id": "yard",
        "incident_id": fall.id,
        "job_id": 7,
        "category": "fall",
        "severity": 3,
        "confidence": 0.8,
        "starts_at": "2026-03-01T10:00:12.500000Z",
    }


async def test_a_job_that_is_done_again_replaces_what_it_found(any_house: House) -> None:
    house = any_house
    start = at("10:00:00")
    await store(
        house, found(1, start, incident(t=1), incident(t=2)), found(2, start, incident(t=3))
    )
    await store(house, found(1, start, incident("running", t=9)))
    by_job = await house.incidents.by_jobs([1, 2, 3])
    assert {id_: [one.t_start for one in views] for id_, views in by_job.items()} == {
        1: [9.0],
        2: [3.0],
    }
    await store(house, found(1, start))
    assert set(await house.incidents.by_jobs([1, 2])) == {2}
    assert await house.incidents.by_jobs([]) == {}


async def test_a_list_keeps_what_is_asked_for(any_house: House) -> None:
    house = any_house
    await store(
        house,
        found(1, at("10:00:00"), incident("fall", t=0, severity=4, note="a man lies")),
        found(2, at("10:10:00"), incident("running", t=0, severity=1, note="100% sure_ly runs")),
        found(3, at("10:20:00"), incident("loitering", t=0, severity=2), camera_id="gate"),
    )
    newest_first = ["10:20:00", "10:10:00", "10:00:00"]
    assert await starts(house) == newest_first
    assert await starts(house, camera_id="yard") == newest_first[1:]
    assert await starts(house, category=("fall", "loitering")) == ["10:20:00", "10:00:00"]
    assert await starts(house, category=("intrusion",)) == []
    assert await starts(house, least_severity=2) == ["10:20:00", "10:00:00"]
    assert await starts(house, least_severity=0) == newest_first
    assert await starts(house, since=at("10:10:00")) == newest_first[:2]
    assert await starts(house, until=at("10:10:00")) == ["10:00:00"]
    assert await starts(house, since=at("10:05:00"), until=at("10:15:00")) == ["10:10:00"]
    fall = (await listed(house, IncidentFilter(category=("fall",))))[0]
    await house.incidents.judge(fall.id, Verdict.CONFIRMED, "ana")
    assert await starts(house, state=("confirmed",)) == ["10:00:00"]
    assert await starts(house, state=("open", "rejected")) == newest_first[:2]
    assert await starts(house, camera_id="yard", state=("open",), least_severity=1) == ["10:10:00"]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("FALLEN", ["10:00:00"]),
        ("on the floor", ["10:00:00"]),
        ("100%", ["10:10:00"]),
        ("%", ["10:10:00"]),
        ("_", ["10:10:00"]),
        ("/", ["10:10:00"]),
        ("\\", ["10:20:00"]),
        ("'", ["10:20:00"]),
        ("넘어", ["10:20:00"]),
        ("넘어졌다. HELP", ["10:20:00"]),
        ("nothing like it", []),
        ("", ["10:20:00", "10:10:00", "10:00:00"]),
    ],
)
async def test_a_text_is_found_in_evidence_in_any_case_and_taken_literally(
    any_house: House, text: str, times: list[str]
) -> None:
    house = any_house
    first = incident(t=0, note="A man has fallen")
    two_notes = Incident(
        first.category,
        0,
        3,
        3,
        0.8,
        (*first.evidence, Evidence(1.0, "He lies on the Floor")),
    )
    await store(
        house,
        found(1, at("10:00:00"), two_notes),
        found(2, at("10:10:00"), incident(t=0, note="runs at 100% and/or so_fast")),
        found(3, at("10:20:00"), incident(t=0, note="사람이 넘어졌다. help \\ it's")),
    )
    assert await starts(house, text=text) == times


async def test_pages_lose_nothing_and_repeat_nothing_among_equal_times(any_house: House) -> None:
    house = any_house
    await store(
        house,
        found(1, at("10:00:00"), *(incident(t=5) for _ in range(5))),
        found(2, at("10:00:00"), *(incident(t=5) for _ in range(3)), camera_id="gate"),
        found(3, at("09:59:00"), incident(t=1), incident(t=65)),
    )
    for wanted in (ALL, IncidentFilter(camera_id="yard")):
        for limit in (1, 2, 3, 7, 10):
            seen: list[int] = []
            cursor = None
            while True:
                page = await house.incidents.page(wanted, cursor, limit)
                assert 1 <= len(page.items) <= limit
                seen += [one.id for one in page.items]
                assert len(seen) <= 10
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert seen == [one.id for one in await listed(house, wanted)]
            assert len(seen) == len(set(seen))
    with pytest.raises(InvalidInput):
        await house.incidents.page(ALL, "bm8", 2)


async def test_a_verdict_says_who_and_when_and_can_be_changed_and_taken_back(
    any_house: House,
) -> None:
    house = any_house
    await store(house, found(7, at("10:00:00"), incident()))
    one = await only(house)
    before = house.clock.now()
    confirmed = await house.incidents.judge(one.id, Verdict.CONFIRMED, "ana")
    assert (confirmed.state, confirmed.reviewed_by) == (IncidentState.CONFIRMED, "ana")
    assert confirmed.reviewed_at is not None
    assert before <= confirmed.reviewed_at <= house.clock.now()
    house.clock.ahead = timedelta(hours=2)
    rejected = await house.incidents.judge(one.id, Verdict.REJECTED, "b" * 300)
    assert (rejected.state, rejected.reviewed_by) == (IncidentState.REJECTED, "b" * 100)
    assert rejected.reviewed_at is not None
    assert rejected.reviewed_at > confirmed.reviewed_at + timedelta(hours=1)
    reopened = await house.incidents.judge(one.id, Verdict.OPEN, "ana")
    assert (reopened.state, reopened.reviewed_at, reopened.reviewed_by) == ("open", None, None)
    assert await house.events("incident.reviewed") == [
        {"camera_id": "yard", "incident_id": one.id, "job_id": 7, "state": state}
        for state in ("confirmed", "rejected", "open")
    ]


async def test_the_same_verdict_again_changes_nothing_and_tells_nobody(any_house: House) -> None:
    house = any_house
    await store(house, found(7, at("10:00:00"), incident()))
    one = await only(house)
    await house.incidents.judge(one.id, Verdict.OPEN, "ana")
    assert await house.events("incident.reviewed") == []
    first = await house.incidents.judge(one.id, Verdict.CONFIRMED, "ana")
    house.clock.ahead = timedelta(hours=2)
    assert await house.incidents.judge(one.id, Verdict.CONFIRMED, "bob") == first
    assert len(await house.events("incident.reviewed")) == 1


async def test_an_unknown_incident_is_not_found(any_house: House) -> None:
    incidents = any_house.incidents
    for call in (
        incidents.read(4711),
        incidents.judge(4711, Verdict.CONFIRMED, "ana"),
        incidents.snapshot(4711),
    ):
        with pytest.raises(NotFound):
            await call


async def test_precision_is_the_share_of_the_reviewed_that_were_right(any_house: House) -> None:
    house = any_house
    await store(
        house,
        found(1, at("10:00:00"), *(incident("fall", t=n) for n in range(5))),
        found(2, at("10:10:00"), incident("running"), incident("running")),
        found(3, at("10:20:00"), incident("fall"), camera_id="gate"),
    )
    falls = await listed(house, IncidentFilter(camera_id="yard", category=("fall",)))
    verdicts = [Verdict.CONFIRMED, Verdict.CONFIRMED, Verdict.CONFIRMED, Verdict.REJECTED]
    for fall, verdict in zip(falls, verdicts, strict=False):
        await house.incidents.judge(fall.id, verdict, "ana")
    (at_gate,) = await listed(house, IncidentFilter(camera_id="gate"))
    await house.incidents.judge(at_gate.id, Verdict.REJECTED, "ana")

    def figures(views: list[Any]) -> list[tuple[Any, ...]]:
        return [tuple(view.model_dump().values()) for view in views]

    yard = [("yard", "fall", 3, 1, 1, 0.75), ("yard", "running", 0, 0, 2, None)]
    gate = [("gate", "fall", 0, 1, 0, 0.0)]
    assert figures(await house.incidents.precision(None, None)) == gate + yard
    assert figures(await house.incidents.precision("yard", None)) == yard
    assert figures(await house.incidents.precision(None, at("10:15:00"))) == gate
    assert await house.incidents.precision("nowhere", None) == []


async def test_an_incident_has_a_video_and_a_picture_while_they_are_there(house: House) -> None:
    archive = house.file("yard", at("10:00:00"))
    seen = found(1, at("10:00:00"), incident(t=1), incident(t=2), snapshots=frozenset({1}))
    await store(house, seen)
    with_picture, without = await listed(house)
    url = "/archive/yard/archive_20260301_100000.mp4"
    assert (without.video_url, without.snapshot_url) == (url, None)
    assert with_picture.video_url == url
    assert with_picture.snapshot_url == f"/api/v1/incidents/{with_picture.id}/snapshot"
    picture = snapshot_path(archive, 1)
    assert picture.name == "archive_20260301_100000_1.jpg"
    picture.write_bytes(b"jpeg")
    assert await house.incidents.snapshot(with_picture.id) == picture
    with pytest.raises(NotFound):
        await house.incidents.snapshot(without.id)
    archive.unlink()
    gone = await house.incidents.read(with_picture.id)
    assert (gone.video_url, gone.snapshot_url) == (None, None)


async def test_old_incidents_are_forgotten_in_small_steps(
    any_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = any_house
    monkeypatch.setattr("backend.monitoring.incidents.service.CLEANUP_BATCH", 2)
    day = timedelta(days=1)
    now = house.clock.now()
    await store(
        house,
        found(1, now - 30 * day, *(incident(t=n) for n in range(5))),
        found(2, now - 2 * day, incident()),
    )
    assert await house.incidents.delete_old(older_than_s=31 * 86_400) == 0
    assert await house.incidents.delete_old(older_than_s=10 * 86_400) == 5
    assert [one.job_id for one in await listed(house)] == [2]
    assert await house.incidents.delete_old(older_than_s=10 * 86_400) == 0


async def test_of_two_people_who_judge_at_once_the_last_one_counts(any_house: House) -> None:
    house = any_house
    await store(house, found(1, at("10:00:00"), incident()))
    one = await only(house)
    await asyncio.gather(
        house.incidents.judge(one.id, Verdict.CONFIRMED, "ana"),
        house.incidents.judge(one.id, Verdict.REJECTED, "bob"),
    )
    now = await house.incidents.read(one.id)
    by = {"confirmed": "ana", "rejected": "bob"}
    assert now.reviewed_by == by[now.state]
    states = [event["state"] for event in await house.events("incident.reviewed")]
    assert sorted(states) == ["confirmed", "rejected"]
    assert states[-1] == now.state


@pytest.mark.parametrize("text", ["überquert", "ÜBERQUERT", "ЧЕЛОВЕК", "человек"])
async def test_a_text_is_found_in_any_case_beyond_ascii_too(any_house: House, text: str) -> None:
    note = "Er ÜberQuert den Hof. Человек бежит."
    await store(any_house, found(1, at("10:00:00"), incident(t=0, note=note)))
    assert await starts(any_house, text=text) == ["10:00:00"]


async def test_precision_is_of_a_stretch_of_time(any_house: House) -> None:
    house = any_house
    for n in range(3):
        await store(house, found(n, at(f"10:{n}0:00"), incident("fall", t=0)))

    async def counted(since: str, until: str) -> int:
        views = await house.incidents.precision(None, at(since), until=at(until))
        return sum(view.open for view in views)

    assert await counted("10:00:00", "10:20:00") == 2  # as in the list: what begins before
    assert await counted("10:10:00", "10:20:01") == 2
    assert await counted("10:00:01", "10:10:00") == 0
