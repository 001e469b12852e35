"""/metrics says what it should, by names and labels that stay."""

from __future__ import annotations

from datetime import timedelta

import pytest
from httpx import AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from backend.jobs.claims import KindOrder
from backend.jobs.schemas import NewJob
from backend.monitoring.analyses.schemas import Spent
from backend.monitoring.analyses.spending import Spending
from backend.monitoring.analyses.tables import SceneSpendingRow
from tests.operations.conftest import MakeSettings, always_fresh, opened


async def _scrape(client: AsyncClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def _labels(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


async def test_jobs_workers_disk_and_loop_are_there(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_fresh(monkeypatch)
    async with opened(make_settings()) as (app, client):
        async with app.state.vitals._database.write() as session:
            for _ in range(3):
                await app.state.jobs.enqueue(session, NewJob("scene", camera_id="gate"))
        await app.state.jobs.claim(KindOrder("scene", newest_first=True), 1, "w1", 30)
        await app.state.workers.register(
            "w1", "i1", hostname="h", pid=1, slots={"scene": 1}, info={}
        )
        figures = await _scrape(client)
    nothing = _labels()
    assert figures["vap_jobs", _labels(kind="scene", status="pending")] == 2
    assert figures["vap_jobs", _labels(kind="scene", status="processing")] == 1
    assert 0 <= figures["vap_oldest_pending_job_age_seconds", nothing] < 60
    assert figures["vap_workers_alive", nothing] == 1
    assert figures["vap_database_up", nothing] == 1
    assert figures["vap_disk_free_bytes", nothing] > 0
    assert ("vap_event_loop_delay_seconds_count", nothing) in figures
    assert ("vap_event_stream_lag_seconds", nothing) in figures
    assert figures["vap_event_listeners", nothing] == 0


async def test_what_models_cost_today_and_which_are_left_alone_is_told(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_fresh(monkeypatch)
    async with opened(make_settings()) as (app, client):
        before = await _scrape(client)
        database, clock = app.state.vitals._database, app.state.clock
        zone = app.state.settings.server.zone
        spending = Spending(database, clock, zone, total_usd=None)
        held = await spending.reserve("gate", 2_000_000, camera_usd=None)
        await spending.settle(held, Spent(1_250_000, 3, 900, 40))
        await spending.reserve("yard", 500, camera_usd=None)
        async with database.write() as session:
            yesterday = spending.today() - timedelta(days=1)
            session.add(SceneSpendingRow(day=yesterday, camera_id="roof", spent_microusd=9))
        await app.state.breakers.failed("gemini", "busy", "later", hint_s=60, is_lasting=False)
        await app.state.breakers.failed("openai", "busy", "later", hint_s=None, is_lasting=False)
        figures = await _scrape(client)
    everybody = _labels(camera_id="")
    assert before["vap_scene_cost_today_usd", everybody] == 0
    assert before["vap_scene_calls_today", everybody] == 0
    assert before["vap_model_breaker_open", _labels(backend="gemini")] == 0

    def of_cameras(name: str) -> dict[str, float]:
        return {dict(labels)["camera_id"]: v for (n, labels), v in figures.items() if n == name}

    assert of_cameras("vap_scene_cost_today_usd") == {"": 1.2505, "gate": 1.25, "yard": 0.0005}
    assert of_cameras("vap_scene_calls_today") == {"": 3, "gate": 3, "yard": 0}
    assert figures["vap_model_breaker_open", _labels(backend="gemini")] == 1
    assert figures["vap_model_breaker_open", _labels(backend="openai")] == 0
    assert ("vap_model_breaker_open", _labels(backend="local")) not in figures


async def test_answers_are_counted_by_route_template_and_never_by_address(
    client: AsyncClient,
) -> None:
    for number in range(3):
        await client.get(f"/api/v1/jobs/{number + 7}")
    for path in ("/ui/a/b", "/ui/c", "/../../etc", "/nope/1", "/nope/2"):
        await client.get(path)
    await client.request("BREW", "/health")
    figures = await _scrape(client)
    route = "/api/v1/jobs/{job_id}"
    counted = {
        labels["route"]: value
        for (name, frozen), value in figures.items()
        if name == "vap_http_requests_total" and (labels := dict(frozen))
    }
    assert set(counted) == {route, "/ui", "unmatched", "/health"}
    asked = _labels(method="GET", route=route, status="404")
    assert figures["vap_http_requests_total", asked] == 3
    timed = _labels(method="GET", route=route)
    assert figures["vap_http_time_to_answer_seconds_count", timed] == 3
    assert figures["vap_http_sent_bytes_total", _labels(route=route)] > 0


async def test_with_the_database_down_the_rest_is_still_told(
    make_settings: MakeSettings, refusing_tcp_port: int
) -> None:
    url = f"postgresql://u:p@127.0.0.1:{refusing_tcp_port}/vap"
    async with opened(make_settings(url)) as (_, client):
        figures = await _scrape(client)
    assert figures["vap_database_up", _labels()] == 0
    assert figures["vap_disk_size_bytes", _labels()] > 0
    assert not [name for name, _ in figures if name == "vap_jobs"]


async def test_two_scrapes_at_once_do_not_disturb_each_other(client: AsyncClient) -> None:
    import asyncio

    answers = await asyncio.gather(*(client.get("/metrics") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.text.count("\nvap_database_up 1.0") == 1 for answer in answers)
