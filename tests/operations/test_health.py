"""/health answers while VAP serves, whatever the database does, and tells nobody's secrets."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from httpx import AsyncClient
from sqlalchemy.exc import OperationalError

from backend.jobs.schemas import NewJob
from backend.monitoring.cameras.schemas import CameraCreate
from backend.monitoring.cameras.states import CameraState
from backend.operations import health, vitals
from backend.version import __version__
from tests.operations.conftest import MakeSettings, always_fresh, opened
from tests.waiting import WITHIN_S, until

ANSWER_WITHIN_S = vitals.ANSWER_WITHIN_S


async def test_a_healthy_server_says_so_in_figures(client: AsyncClient) -> None:
    started = time.monotonic()
    answer = await client.get("/health")
    took_ms = 1000 * (time.monotonic() - started)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["status"] == "ok"
    assert body["problems"] == []
    assert body["version"] == __version__
    assert body["database"]["ok"] is True
    assert body["database"]["dialect"] == "sqlite"
    assert 0 <= body["database"]["latency_ms"] <= took_ms
    disk = body["disk"]
    assert 0 < disk["free_bytes"] < disk["total_bytes"]
    assert disk["used_percent"] == pytest.approx(
        100 * (1 - disk["free_bytes"] / disk["total_bytes"]), abs=0.06
    )
    assert body["cameras"] == {}
    assert body["queue"] == {
        "counts": {},
        "pending": 0,
        "processing": 0,
        "oldest_pending_age_s": None,
    }
    assert body["workers_alive"] == 0
    assert body["event_loop_delay_ms"] >= 0


async def test_waiting_jobs_that_no_worker_takes_are_a_problem(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_fresh(monkeypatch)
    async with opened(make_settings()) as (app, client):
        async with app.state.vitals._database.write() as session:
            await app.state.jobs.enqueue(session, NewJob("scene", camera_id="gate"))
        body = (await client.get("/health")).json()
        assert body["queue"]["counts"] == {"scene": {"pending": 1}}
        assert body["problems"] == ["no_workers"]
        await app.state.workers.register(
            "w1", "i1", hostname="h", pid=1, slots={"scene": 1}, info={}
        )
        body = (await client.get("/health")).json()
        assert body["workers_alive"] == 1
        assert body["status"] == "ok"


async def test_a_camera_that_failed_is_a_problem_until_it_does_something_else(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_fresh(monkeypatch)
    async with opened(make_settings()) as (app, client):
        cameras = app.state.cameras
        await cameras.create(CameraCreate(id="gate", name="Gate", source="file:later.mp4"))
        since = datetime(2026, 1, 1, tzinfo=UTC)
        for state, problems in (
            (CameraState.RECONNECTING, []),
            (CameraState.FAILED, ["cameras_failed"]),
            (CameraState.LIVE, []),
        ):
            await cameras.note_state("gate", state, "a reason", since)
            assert (await client.get("/health")).json()["problems"] == problems


async def test_a_nearly_full_disk_is_a_problem(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LEAST_FREE_BYTES", 1 << 60)
    assert (await client.get("/health")).json()["problems"] == ["disk_full"]


def test_an_answer_is_given_within_two_seconds() -> None:
    assert ANSWER_WITHIN_S <= 2.0


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
async def test_with_the_database_down_it_answers_degraded_and_soon(
    make_settings: MakeSettings,
    refusing_tcp_port: int,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vitals, "ANSWER_WITHIN_S", 10 * WITHIN_S)  # nobody waits for this limit
    url = f"{scheme}://somebody:hunter22@127.0.0.1:{refusing_tcp_port}/vap"
    async with opened(make_settings(url)) as (_, client), asyncio.timeout(WITHIN_S):
        answer = await client.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "degraded"
    assert body["problems"] == ["database_unreachable"]
    assert body["database"] == {"ok": False, "dialect": scheme, "latency_ms": None}
    assert body["queue"] is None
    assert body["disk"] is not None
    assert "hunter22" not in answer.text
    assert "somebody" not in answer.text


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
async def test_with_a_database_that_accepts_and_says_nothing_it_answers_within_its_limit(
    make_settings: MakeSettings, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(vitals, "READ_WITHIN_S", 10 * WITHIN_S)
    closing = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closing.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with opened(make_settings(f"{scheme}://u:p@127.0.0.1:{port}/vap")) as (_, client):
        for _ in range(2):
            async with asyncio.timeout(WITHIN_S):
                body = (await client.get("/health")).json()
            assert body["problems"] == ["database_unreachable"]
        closing.set()
    server.close()
    await server.wait_closed()


async def test_it_recovers_when_the_database_is_back(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_fresh(monkeypatch)
    async with opened(make_settings()) as (app, client):
        real = app.state.vitals._cameras

        async def down() -> dict[str, int]:
            raise OperationalError("SELECT", {}, Exception("gone away"))

        app.state.vitals._cameras = down
        assert (await client.get("/health")).json()["status"] == "degraded"
        app.state.vitals._cameras = real
        assert (await client.get("/health")).json()["status"] == "ok"


async def test_many_who_ask_at_once_share_one_reading(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "FRESH_S", vitals.FRESH_AT_MOST_S)
    async with opened(make_settings()) as (app, client):
        reads = 0
        real = app.state.vitals._cameras

        async def counted() -> dict[str, int]:
            nonlocal reads
            reads += 1
            return await real()

        app.state.vitals._cameras = counted
        answers = await asyncio.gather(*(client.get("/health") for _ in range(30)))
        assert {answer.json()["status"] for answer in answers} == {"ok"}
        assert reads <= 2


async def test_a_reading_that_took_long_is_shared_for_longer(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "FRESH_S", 0.0)
    async with opened(make_settings()) as (app, _):
        assert app.state.vitals._shared_for_s(100.0) == 0.0  # nothing was read yet
        await app.state.vitals.get()
        assert app.state.vitals._shared_for_s(0.5) == 10.0
        assert app.state.vitals._shared_for_s(100.0) == vitals.FRESH_AT_MOST_S


async def test_the_public_answer_names_no_path_and_no_camera(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    async with opened(make_settings()) as (_, client):
        answer = await client.get("/health", headers={"Host": "evil.example"})
    assert answer.status_code == 200
    assert str(tmp_path) not in answer.text


async def test_the_loop_delay_of_a_held_loop_shows(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(make_settings()) as (app, client):
        await until(lambda: len(app.state.loop_delay._delays_s) > 2)
        _hold_loop(0.4)
        await until(lambda: app.state.loop_delay.max_s > 0.25)
        body = (await client.get("/health")).json()
        assert body["event_loop_delay_ms"] > 250
        monkeypatch.setattr(health, "HELD_S", 0.2)
        assert (await client.get("/health")).json()["problems"] == ["event_loop_held"]


def _hold_loop(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
