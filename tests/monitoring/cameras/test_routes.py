"""/api/v1/cameras as a client sees it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import structlog

from tests.monitoring.house import House
from tests.peers.rtsp_server import RtspCamera

CAMERAS = "/api/v1/cameras"


async def test_a_camera_lives_its_life_over_the_api(client: httpx.AsyncClient, video: Path) -> None:
    async with RtspCamera(video, user="admin", password="s3cret") as peer:
        probed = (await client.post(f"{CAMERAS}/probe", json={"source": peer.url})).json()
        assert probed["ok"]
        assert probed["probe"]["codec"] == "h264"
        answer = await client.post(CAMERAS, json={"name": "Gate", "source": peer.url})
        assert answer.status_code == 201
        created = answer.json()
        assert created["id"] == "gate"
        assert created["state"] == "stopped"
        assert created["probe_answer"]["ok"]
        assert created["probe"]["fps"] == pytest.approx(25, abs=1)
    listed = (await client.get(CAMERAS)).json()
    assert [camera["id"] for camera in listed["items"]] == ["gate"]
    assert listed["next_cursor"] is None
    changed = await client.patch(f"{CAMERAS}/gate", json={"name": "Front gate"})
    assert changed.json()["name"] == "Front gate"
    assert (await client.post(f"{CAMERAS}/gate/disable")).json()["enabled"] is False
    assert (await client.post(f"{CAMERAS}/gate/enable")).json()["enabled"] is True
    assert (await client.delete(f"{CAMERAS}/gate")).status_code == 204
    assert (await client.get(f"{CAMERAS}/gate")).json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "x", "source": "http://169.254.169.254/"}, 400, "source_refused"),
        ({"name": "x", "source": "file:/etc/passwd"}, 400, "source_refused"),
        ({"name": " ", "source": "demo:"}, 400, "invalid_input"),
        ({"name": "x", "source": "demo:", "id": "Not A Slug"}, 400, "invalid_input"),
        ({"name": "x", "source": "demo:", "id": "../../etc"}, 400, "invalid_input"),
        ({"name": "x", "source": "demo:", "archive_seconds": 1}, 400, "invalid_input"),
        ({"name": "x", "source": "demo:", "surprise": 1}, 400, "invalid_input"),
        ({"name": "x", "source": "demo:", "id": "yard"}, 409, "id_taken"),
    ],
)
async def test_what_is_wrong_with_a_new_camera_is_said(
    client: httpx.AsyncClient, house: House, body: dict[str, object], status: int, code: str
) -> None:
    await house.add_camera("yard")
    answer = await client.post(CAMERAS, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert len(await house.cameras.views()) == 1


async def test_an_unreachable_source_is_a_reason_not_an_error(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{CAMERAS}/probe", json={"source": "rtsp://127.0.0.1:1/cam"})
    assert answer.status_code == 200
    assert answer.json()["reason"] == "unreachable"
    assert answer.json()["message"]


async def test_credentials_are_in_no_answer_no_event_and_no_log(
    client: httpx.AsyncClient, house: House, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "s3cret-pa55"
    said: list[str] = []
    with structlog.testing.capture_logs() as logs:
        async with RtspCamera(video, user="root-user", password=secret) as peer:
            wrong = peer.url_as("root-user", f"{secret}-wrong")
            for body in (
                {"name": "Gate", "source": peer.url, "substream": peer.url},
                {"name": "Gate", "source": wrong, "substream": wrong},
                {"name": "Bad", "source": f"rtsp://root-user:{secret}@169.254.1.1/"},
                {"name": "Bad", "source": f"gopher://root-user:{secret}@127.0.0.1/"},
                {"name": 7, "source": f"rtsp://root-user:{secret}@127.0.0.1/"},
            ):
                said.append((await client.post(CAMERAS, json=body)).text)
                said.append((await client.post(f"{CAMERAS}/probe", json=body)).text)
            said.append((await client.get(CAMERAS)).text)
            patch = {"source": f"rtsp://root-user:{secret}@127.0.0.1:1/"}
            said.append((await client.patch(f"{CAMERAS}/gate", json=patch)).text)
            said.append((await client.get(f"{CAMERAS}/gate")).text)
    said += [str(event) for event in await house.events("camera.changed")]
    said += [str(line) for line in logs]
    said += list(capsys.readouterr())
    for text in said:
        assert secret not in text
        assert "root-user" not in text


async def test_a_camera_says_what_its_analysis_is_to_know(client: httpx.AsyncClient) -> None:
    yard = {"id": "yard", "name": "Yard", "source": "demo:"}
    plain = (await client.post(CAMERAS, json=yard)).json()
    assert (plain["house_rules"], plain["categories"]) == ("", None)
    assert (plain["scene_backend"], plain["daily_budget_usd"]) == (None, None)
    facts = {
        "house_rules": "Helmets are worn. 안전모를 쓴다.",
        "categories": ["intrusion", "fall"],
        "scene_backend": "gemini",
        "daily_budget_usd": 0.25,
    }
    body = {"id": "gate", "name": "Gate", "source": "demo:", **facts}
    created = (await client.post(CAMERAS, json=body)).json()
    assert {name: created[name] for name in facts} == facts
    changed = await client.patch(f"{CAMERAS}/yard", json=facts)
    assert {name: changed.json()[name] for name in facts} == facts
    renamed = (await client.patch(f"{CAMERAS}/yard", json={"name": "Yard 2"})).json()
    assert {name: renamed[name] for name in facts} == facts
    assert (await client.get(f"{CAMERAS}/yard")).json() == renamed
    cleared = {
        "house_rules": "",
        "categories": None,
        "scene_backend": None,
        "daily_budget_usd": None,
    }
    bare = (await client.patch(f"{CAMERAS}/yard", json=cleared)).json()
    assert {name: bare[name] for name in cleared} == cleared
    nothing = await client.patch(f"{CAMERAS}/yard", json={"daily_budget_usd": 0})
    assert nothing.json()["daily_budget_usd"] == 0


@pytest.mark.parametrize(
    "facts",
    [
        {"house_rules": "x" * 5001},
        {"categories": []},
        {"categories": ["earthquake"]},
        {"categories": ["fall"] * 13},
        {"scene_backend": "nobody"},
        {"daily_budget_usd": -0.01},
        {"daily_budget_usd": 10_001},
        {"daily_budget_usd": "much"},
    ],
    ids=lambda facts: str(facts)[:40],
)
async def test_what_an_analysis_could_not_use_is_refused(
    client: httpx.AsyncClient, house: House, facts: dict[str, object]
) -> None:
    before = await house.add_camera("yard")
    created = await client.post(CAMERAS, json={"name": "x", "source": "demo:", **facts})
    changed = await client.patch(f"{CAMERAS}/yard", json=facts)
    for answer in (created, changed):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")
    assert await house.cameras.records() == [before]


async def test_house_rules_cannot_be_null(client: httpx.AsyncClient, house: House) -> None:
    await house.add_camera("yard")
    answer = await client.patch(f"{CAMERAS}/yard", json={"house_rules": None})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")


async def test_a_text_that_the_database_does_not_take_is_refused_in_words(
    any_house: House,
) -> None:
    transport = httpx.ASGITransport(app=any_house.app(), client=("127.0.0.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        new = {"name": "a\0b", "source": "file:later.mp4"}
        created = await client.post("/api/v1/cameras", json=new)
        found = await client.get("/api/v1/cameras/a%00b")
    if any_house.database.dialect == "postgresql":
        assert (created.status_code, found.status_code) == (400, 400)
        assert created.json()["error"]["message"] == "a text holds a character that is not stored"
    else:
        assert (created.status_code, found.status_code) == (201, 404)
