"""/api/v1/scene and what cameras have of it, as clients see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from backend.jobs.states import Priority
from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.settings import ModelSettings, SceneSettings, ServerSettings
from tests.monitoring.findings import found, incident, report, store_reports
from tests.monitoring.house import House, at

SCENE = "/api/v1/scene"
YARD = "/api/v1/cameras/yard"
VIEWER = "viewers-key-0123456789"
KEY = "AIza-not-to-be-shown"

Open = Callable[..., AbstractAsyncContextManager[tuple[httpx.AsyncClient, House]]]


@pytest.fixture
def opened(sqlite: Database, nudges: Nudges, house: House) -> Open:
    """A house with settings of its own, over the same database and folder, and a caller."""

    @asynccontextmanager
    async def open_(
        *, peer: str = "127.0.0.1", server: dict[str, str] | None = None, **settings: Any
    ) -> AsyncIterator[tuple[httpx.AsyncClient, House]]:
        other = House(
            sqlite,
            nudges,
            house.data_dir,
            server=ServerSettings.model_validate(server or {}),
            scene=SceneSettings.model_validate(
                {name: value for name, value in settings.items() if name.startswith("SCENE_")}
            ),
            models=ModelSettings.model_validate(
                {name: value for name, value in settings.items() if not name.startswith("SCENE_")}
            ),
        )
        transport = httpx.ASGITransport(app=other.app(), client=(peer, 50000))
        address = "http://127.0.0.1" if peer == "127.0.0.1" else "http://vap.example"
        async with httpx.AsyncClient(transport=transport, base_url=address) as client:
            yield client, other

    return open_


async def backends(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    answer = await client.get(f"{SCENE}/backends")
    assert answer.status_code == 200, answer.text
    assert KEY not in answer.text
    return {item["name"]: item for item in answer.json()["items"]}


# --- who can look


async def test_the_rules_on_this_machine_are_the_default_and_need_nothing(
    client: httpx.AsyncClient, house: House
) -> None:
    await house.add_camera("yard")
    await house.add_camera("gate", scene_backend="gemini")
    seen = await backends(client)
    assert list(seen) == ["local", "gemini", "openai"]
    assert seen["local"] == {
        "name": "local",
        "configured": True,
        "missing": None,
        "model": None,
        "endpoint": None,
        "leaves_machine": False,
        "is_default": True,
        "fallback": [],
        "input_usd_per_million": None,
        "output_usd_per_million": None,
        "cameras": ["yard"],
        "breaker": None,
    }
    gemini = seen["gemini"]
    assert (gemini["configured"], gemini["missing"]) == (False, "GEMINI_API_KEY is not set")
    assert (gemini["is_default"], gemini["fallback"]) == (False, ["local"])
    assert gemini["cameras"] == ["gate"]
    assert gemini["leaves_machine"]
    openai = seen["openai"]
    assert (openai["configured"], openai["missing"]) == (False, "OPENAI_BASE_URL is not set")
    assert (openai["endpoint"], openai["leaves_machine"]) == (None, False)


async def test_a_backend_that_is_set_up_says_where_footage_goes_and_what_it_costs(
    opened: Open, house: House
) -> None:
    await house.add_camera("yard")
    await house.add_camera("gate", scene_backend="openai")
    settings = {
        "SCENE_BACKEND": "gemini",
        "SCENE_FALLBACK": "openai,local",
        "GEMINI_API_KEY": SecretStr(KEY),
        "OPENAI_BASE_URL": f"http://somebody:{KEY}@vllm.example:8000/v1?token={KEY}",
        "OPENAI_API_KEY": SecretStr(KEY),
        "OPENAI_MODEL": "qwen",
    }
    async with opened(**settings) as (client, _):
        seen = await backends(client)
    gemini, openai = seen["gemini"], seen["openai"]
    assert (gemini["configured"], gemini["missing"], gemini["is_default"]) == (True, None, True)
    assert gemini["model"] == "gemini-3.5-flash-lite"
    assert (gemini["input_usd_per_million"], gemini["output_usd_per_million"]) == (0.3, 2.5)
    assert gemini["endpoint"] == "generativelanguage.googleapis.com"
    assert (gemini["cameras"], gemini["fallback"]) == (["yard"], ["openai", "local"])
    assert (openai["configured"], openai["model"], openai["cameras"]) == (True, "qwen", ["gate"])
    assert (openai["endpoint"], openai["leaves_machine"]) == ("vllm.example", True)
    assert openai["fallback"] == ["local"]
    assert (openai["input_usd_per_million"], openai["output_usd_per_million"]) == (0, 0)
    assert (seen["local"]["is_default"], seen["local"]["cameras"]) == (False, [])


@pytest.mark.parametrize("host", ["127.0.0.1:11434", "localhost:8000", "[::1]:8000"])
async def test_what_is_sent_to_this_machine_does_not_leave_it(opened: Open, host: str) -> None:
    settings = {"OPENAI_BASE_URL": f"http://{host}/v1", "GEMINI_BASE_URL": f"http://{host}"}
    async with opened(**settings) as (client, _):
        seen = await backends(client)
    openai, gemini = seen["openai"], seen["gemini"]
    assert not openai["leaves_machine"]
    assert openai["missing"] == "OPENAI_MODEL is not set"
    assert not gemini["leaves_machine"]
    assert gemini["configured"]  # a server of one's own may want no key


async def test_a_gemini_model_without_a_price_is_not_set_up(opened: Open) -> None:
    settings = {"GEMINI_API_KEY": SecretStr(KEY), "GEMINI_MODEL": "gemini-9"}
    async with opened(**settings) as (client, _):
        gemini = (await backends(client))["gemini"]
    assert gemini["missing"] == "MODEL_PRICES has no price for gemini-9"


async def test_a_model_that_is_left_alone_shows_why(
    client: httpx.AsyncClient, house: House
) -> None:
    await house.breakers.failed(
        "gemini", "rate_limited", "too many questions", hint_s=60, is_lasting=False
    )
    seen = await backends(client)
    breaker = seen["gemini"]["breaker"]
    assert (breaker["is_open"], breaker["failures"]) == (True, 1)
    assert (breaker["code"], breaker["reason"]) == ("rate_limited", "too many questions")
    assert breaker["open_until"].endswith("Z")
    assert seen["openai"]["breaker"] is None


# --- tries


async def test_a_test_of_a_backend_is_an_urgent_job_that_is_tried_once(
    client: httpx.AsyncClient, house: House
) -> None:
    answer = await client.post(f"{SCENE}/backends/openai/test")
    assert answer.status_code == 202
    (job,) = await house.jobs()
    assert answer.json() == {"job_id": job.id}
    assert (job.kind, job.payload) == ("backend_test", {"backend": "openai"})
    assert (job.priority, job.max_retries, job.status) == (Priority.HIGH, 0, "pending")
    assert (job.camera_id, job.video_path) == (None, None)


async def test_the_rules_on_this_machine_cannot_be_tested(
    client: httpx.AsyncClient, house: House
) -> None:
    answer = await client.post(f"{SCENE}/backends/local/test")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_a_model")
    assert (await client.post(f"{SCENE}/backends/nobody/test")).status_code == 400
    assert await house.jobs() == []


async def test_a_dry_run_is_an_urgent_job_on_the_last_archive(
    client: httpx.AsyncClient, house: House
) -> None:
    camera = await house.add_camera("yard")
    await house.add_segment(camera, at("10:10:00"))
    await house.add_segment(camera, at("10:00:00"))
    body = {
        "backend": "openai",
        "house_rules": "  helmets are worn  ",
        "categories": ["fall", "intrusion"],
        "description": None,
    }
    answer = await client.post(f"{YARD}/dry-run", json=body)
    assert answer.status_code == 202
    job = (await house.jobs())[-1]
    assert answer.json() == {"job_id": job.id}
    assert job.kind == "dry_run"
    assert job.payload == {
        "backend": "openai",
        "house_rules": "helmets are worn",
        "categories": ["fall", "intrusion"],
    }
    assert (job.priority, job.max_retries, job.camera_id) == (Priority.HIGH, 0, "yard")
    assert job.video_path == "archive/yard/archive_20260301_101000.mp4"
    assert job.segment_start == at("10:10:00")
    assert job.segment_end == at("10:20:00")
    assert (await client.post(f"{YARD}/dry-run", json={})).status_code == 202
    assert (await house.jobs())[-1].payload == {}


async def test_a_dry_run_needs_a_camera_an_archive_and_sense(
    client: httpx.AsyncClient, house: House
) -> None:
    answer = await client.post(f"{YARD}/dry-run", json={})
    assert answer.status_code == 404
    camera = await house.add_camera("yard")
    answer = await client.post(f"{YARD}/dry-run", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_archive")
    await house.add_segment(camera, at("10:00:00"))
    for body in (
        {"backend": "nobody"},
        {"categories": []},
        {"categories": ["earthquake"]},
        {"house_rules": "x" * 5001},
        {"surprise": 1},
    ):
        assert (await client.post(f"{YARD}/dry-run", json=body)).status_code == 400, body
    assert [job.kind for job in await house.jobs()] == ["scene"]


# --- scores, days, costs


async def test_scores_are_of_the_last_day_or_the_last_month(
    client: httpx.AsyncClient, house: House
) -> None:
    await house.add_camera("yard")
    now = house.clock.now()
    for job_id, hours in enumerate((1, 23, 25, 24 * 31, 24 * 33)):
        seen = found(job_id, now - timedelta(hours=hours), incident())
        await store_reports(house, report(seen, safety_score=70))

    async def archives(**parameters: Any) -> int:
        answer = await client.get(f"{YARD}/scores", params=parameters)
        assert answer.status_code == 200, answer.text
        return sum(point["archives"] for point in answer.json()["items"])

    assert await archives() == 2
    assert await archives(by="hour") == 2
    assert await archives(by="day") == 4
    yesterday = (now - timedelta(hours=24)).isoformat()
    assert await archives(since=yesterday) == 2
    assert await archives(until=yesterday) == 1
    assert await archives(by="day", since=(now - timedelta(days=40)).isoformat()) == 5
    for parameters in (
        {"by": "minute"},
        {"since": "soon"},
        {"since": (now - timedelta(days=40)).isoformat()},
    ):
        answer = await client.get(f"{YARD}/scores", params=parameters)
        assert answer.status_code == 400, parameters
    assert (await client.get("/api/v1/cameras/roof/scores")).status_code == 404


async def test_a_day_is_read_with_its_filters(opened: Open, house: House) -> None:
    for job_id, camera_id in ((1, "yard"), (2, "gate")):
        seen = found(job_id, at("15:30:00"), incident(note="a forklift"), camera_id=camera_id)
        await store_reports(house, report(seen, summary="Work in the yard.", safety_score=64))
    async with opened(server={"VAP_TIMEZONE": "Asia/Seoul"}) as (client, _):
        answer = await client.get(f"{SCENE}/day", params={"day": "2026-03-02"})
        assert answer.status_code == 200
        view = answer.json()
        assert (view["day"], view["timezone"], view["truncated"]) == (
            "2026-03-02",
            "Asia/Seoul",
            False,
        )
        assert view["starts_at"] == "2026-03-02T00:00:00+09:00"
        assert view["entries"][0] == {
            "at": "2026-03-01T15:30:00Z",
            "until": "2026-03-01T15:40:00Z",
            "camera_id": "yard",
            "job_id": 1,
            "summary": "Work in the yard.",
            "safety_score": 64,
            "incident_count": 1,
            "backend": "gemini",
            "fallback_from": None,
            "video_url": None,
        }
        for parameters, job_ids in (
            ({"camera_id": "gate"}, [2]),
            ({"text": "FORKLIFT"}, [1, 2]),
            ({"text": "forklift", "camera_id": "gate"}, [2]),
            ({"text": "nothing"}, []),
        ):
            answer = await client.get(f"{SCENE}/day", params={"day": "2026-03-02", **parameters})
            assert [entry["job_id"] for entry in answer.json()["entries"]] == job_ids, parameters
        empty = await client.get(f"{SCENE}/day", params={"day": "2026-03-01"})
        assert empty.json()["entries"] == []
        for parameters in ({"day": "tomorrow"}, {"text": "x" * 201}, {"camera_id": "c" * 51}):
            assert (await client.get(f"{SCENE}/day", params=parameters)).status_code == 400


async def test_costs_are_read_with_their_days(client: httpx.AsyncClient, house: House) -> None:
    await house.spending.reserve("yard", 1_250_000, camera_usd=None)
    today = house.spending.today().isoformat()
    view = (await client.get(f"{SCENE}/costs")).json()
    assert [(entry["camera_id"], entry["cost_usd"]) for entry in view["entries"]] == [
        (None, 1.25),
        ("yard", 1.25),
    ]
    of_yard = await client.get(
        f"{SCENE}/costs", params={"since": today, "until": today, "camera_id": "yard"}
    )
    assert of_yard.json()["entries"] == [
        {
            "day": today,
            "camera_id": "yard",
            "cost_usd": 1.25,
            "calls": 0,
            "input_tokens": 0,
            "output_tokens": 0,
        }
    ]
    for parameters in (
        {"since": "2026-03-02", "until": "2026-03-01"},
        {"since": "2020-01-01", "until": "2026-03-01"},
        {"since": "never"},
    ):
        assert (await client.get(f"{SCENE}/costs", params=parameters)).status_code == 400


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_a_day_at_the_end_of_the_calendar_is_refused(
    client: httpx.AsyncClient, day: str
) -> None:
    for address, parameters in (
        (f"{SCENE}/day", {"day": day}),
        (f"{SCENE}/costs", {"until": day}),
    ):
        answer = await client.get(address, params=parameters)
        assert answer.status_code == 400, (address, answer.text)


async def test_a_viewer_may_look_and_try_nothing(opened: Open, house: House) -> None:
    camera = await house.add_camera("yard")
    await house.add_segment(camera, at("10:00:00"))
    headers = {"Authorization": f"Bearer {VIEWER}"}
    server = {"VAP_API_KEYS": f"viewer:{VIEWER}"}
    async with opened(peer="192.0.2.7", server=server) as (client, _):
        for address in (
            f"{SCENE}/backends",
            f"{SCENE}/day",
            f"{SCENE}/costs",
            f"{YARD}/scores",
        ):
            assert (await client.get(address)).status_code == 401
            assert (await client.get(address, headers=headers)).status_code == 200
        for address in (f"{SCENE}/backends/gemini/test", f"{YARD}/dry-run"):
            answer = await client.post(address, json={}, headers=headers)
            assert answer.status_code == 403
    assert [job.kind for job in await house.jobs()] == ["scene"]
