"""/api/v1/incidents as clients see it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.monitoring.incidents.service import snapshot_path
from backend.settings import ServerSettings
from tests.monitoring.findings import found, incident, store
from tests.monitoring.house import House, at

INCIDENTS = "/api/v1/incidents"
VIEWER, OPERATOR = "viewers-key-0123456789", "operators-key-0123456789"


async def _list(client: httpx.AsyncClient, **wanted: object) -> list[dict]:
    answer = await client.get(INCIDENTS, params=wanted)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_incidents_are_listed_with_every_filter(
    client: httpx.AsyncClient, house: House
) -> None:
    await store(
        house,
        found(1, at("10:00:00"), incident("fall", severity=4, note="lies still")),
        found(2, at("10:10:00"), incident("running", severity=1), camera_id="gate"),
    )
    newest, oldest = await _list(client)
    assert (newest["category"], oldest["category"]) == ("running", "fall")
    assert oldest["starts_at"] == "2026-03-01T10:00:12Z"
    assert oldest["evidence"][0]["note"] == "lies still"
    for wanted in (
        {"camera_id": "yard"},
        {"category": ["fall", "loitering"]},
        {"severity": 2},
        {"until": "2026-03-01T19:05:00+09:00"},
        {"text": "STILL"},
    ):
        assert await _list(client, **wanted) == [oldest], wanted
    assert await _list(client, since="2026-03-01T10:05:00") == [newest]
    assert await _list(client, state=["confirmed", "rejected"]) == []
    first = (await client.get(INCIDENTS, params={"limit": 1})).json()
    assert first["items"] == [newest]
    second = await client.get(INCIDENTS, params={"limit": 1, "cursor": first["next_cursor"]})
    assert second.json() == {"items": [oldest], "next_cursor": None}


@pytest.mark.parametrize(
    "wanted",
    [
        {"category": "earthquake"},
        {"state": "forgotten"},
        {"severity": 5},
        {"since": "yesterday"},
        {"cursor": "bm8"},
        {"limit": 0},
        {"limit": 501},
        {"text": "x" * 201},
    ],
    ids=str,
)
async def test_a_filter_that_means_nothing_is_refused(
    client: httpx.AsyncClient, wanted: dict[str, object]
) -> None:
    answer = await client.get(INCIDENTS, params=wanted)  # type: ignore[arg-type]
    assert answer.status_code == 400


async def test_a_verdict_is_given_and_seen(client: httpx.AsyncClient, house: House) -> None:
    await store(house, found(1, at("10:00:00"), incident()))
    (one,) = await _list(client)
    address = f"{INCIDENTS}/{one['id']}"
    judged = await client.post(f"{address}/verdict", json={"verdict": "confirmed"})
    assert judged.status_code == 200
    assert judged.json()["state"] == "confirmed"
    assert judged.json()["reviewed_by"]
    assert (await client.get(address)).json() == judged.json()
    precision = await client.get(f"{INCIDENTS}/precision", params={"camera_id": "yard"})
    assert precision.json()["items"] == [
        {
            "camera_id": "yard",
            "category": "fall",
            "confirmed": 1,
            "rejected": 0,
            "open": 0,
            "precision": 1.0,
        }
    ]
    later = await client.get(f"{INCIDENTS}/precision", params={"since": "2026-03-02"})
    assert later.json()["items"] == []
    for body in ({"verdict": "maybe"}, {}, {"verdict": "open", "by": "me"}):
        assert (await client.post(f"{address}/verdict", json=body)).status_code == 400


async def test_what_is_not_there_is_404(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get(f"{INCIDENTS}/4711"),
        await client.get(f"{INCIDENTS}/4711/snapshot"),
        await client.post(f"{INCIDENTS}/4711/verdict", json={"verdict": "confirmed"}),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"
    assert (await client.get(f"{INCIDENTS}/{2**63}")).status_code == 400


async def test_a_snapshot_is_given_while_it_is_there(
    client: httpx.AsyncClient, house: House
) -> None:
    archive = house.file("yard", at("10:00:00"))
    await store(house, found(1, at("10:00:00"), incident(), snapshots=frozenset({0})))
    (one,) = await _list(client)
    missing = await client.get(one["snapshot_url"])
    assert missing.status_code == 404
    snapshot_path(archive, 0).write_bytes(b"\xff\xd8 a picture")
    picture = await client.get(one["snapshot_url"])
    assert picture.status_code == 200
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content == b"\xff\xd8 a picture"


@pytest.fixture
async def stranger(
    sqlite: Database, nudges: Nudges, house: House
) -> AsyncIterator[httpx.AsyncClient]:
    """A caller from elsewhere, known by a key or not at all."""
    keys = f"viewer:{VIEWER},operator:{OPERATOR}"
    server = ServerSettings.model_validate({"VAP_API_KEYS": keys})
    guarded = House(sqlite, nudges, house.data_dir, server=server)
    transport = httpx.ASGITransport(app=guarded.app(), client=("192.0.2.7", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://vap.example") as client:
        yield client


async def test_a_viewer_may_look_and_not_judge(stranger: httpx.AsyncClient, house: House) -> None:
    await store(house, found(1, at("10:00:00"), incident()))
    viewer = {"Authorization": f"Bearer {VIEWER}"}
    operator = {"Authorization": f"Bearer {OPERATOR}"}
    assert (await stranger.get(INCIDENTS)).status_code == 401
    listed = await stranger.get(INCIDENTS, headers=viewer)
    (one,) = listed.json()["items"]
    verdict = {"verdict": "rejected"}
    address = f"{INCIDENTS}/{one['id']}/verdict"
    assert (await stranger.post(address, json=verdict)).status_code == 401
    assert (await stranger.post(address, json=verdict, headers=viewer)).status_code == 403
    assert (await house.incidents.read(one["id"])).state == "open"
    assert await house.events("incident.reviewed") == []
    judged = await stranger.post(address, json=verdict, headers=operator)
    assert judged.status_code == 200
    assert judged.json()["state"] == "rejected"


async def test_precision_is_asked_for_up_to_a_day(client: httpx.AsyncClient, house: House) -> None:
    await store(house, found(1, at("10:00:00"), incident("fall", t=0)))
    for until, rows in (("2026-03-02", 1), ("2026-03-01T10:00:00Z", 0), ("2026-03-01", 0)):
        answer = await client.get(f"{INCIDENTS}/precision", params={"until": until})
        assert (answer.status_code, len(answer.json()["items"])) == (200, rows)
