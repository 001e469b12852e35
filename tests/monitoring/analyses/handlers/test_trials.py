"""Tries: whether a backend can be asked, and what a prompt gives; they leave nothing behind."""

from __future__ import annotations

import io
import json
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import av
import pytest

from backend.jobs.schemas import JobDetail
from backend.monitoring.analyses.schemas import DryRunRequest
from backend.monitoring.analyses.trials import Trials
from backend.monitoring.demo import DEMO_SCENE
from backend.settings import SceneBackend
from tests.monitoring.analyses.handlers.answers import by_window, incident, json_of, questions, said
from tests.monitoring.analyses.handlers.bench import (
    GEMINI,
    GEMINI_CALL,
    KEY,
    OPENAI,
    OPENAI_CALL,
    PRICES,
    START,
    Bench,
)
from tests.peers.model_server import Reply

BUSY = Reply(status=503, message="The model is overloaded.", retry_after="42")
CALL = {"gemini": GEMINI_CALL, "openai": OPENAI_CALL}


@dataclass(frozen=True)
class Archive:
    """The newest one."""

    video_path: str
    started_at: datetime = START
    ended_at: datetime = START + timedelta(minutes=10)


async def tried(bench: Bench, backend: str) -> JobDetail:
    """The job of a test of a backend, done."""
    trials = Trials(bench.database, bench.queue)
    return await bench.attempt(await trials.test_backend(SceneBackend(backend)))


async def dry_run(bench: Bench, video_path: str, **request: Any) -> JobDetail:
    """The job of a dry run, done."""
    trials = Trials(bench.database, bench.queue)
    asked = DryRunRequest(**request)
    return await bench.attempt(await trials.dry_run("yard", Archive(video_path), asked))


@pytest.mark.parametrize(("backend", "model"), [("gemini", GEMINI), ("openai", OPENAI)])
async def test_a_backend_that_answers_names_its_model_and_what_the_test_cost(
    bench: Bench, backend: str, model: str
) -> None:
    answer = json_of(said(summary="A yard."))
    bench.server.answer_with(Reply(answer, version=f"{model}-2026-01"))
    job = await tried(bench, backend)
    assert (job.status, job.error_message) == ("completed", None)
    result = job.analysis_result
    assert (result["backend"], result["model"]) == (backend, model)
    assert (result["model_version"], result["summary"]) == (f"{model}-2026-01", "A yard.")
    assert result["usage"]["cost_usd"] == pytest.approx(CALL[backend] / 1e6)
    (account,) = (await bench.accounts()).values()
    assert (account.camera_id, account.spent_microusd, account.calls) == ("", CALL[backend], 1)


async def test_nobodys_footage_is_sent_for_a_test_but_the_demo_scene(bench: Bench) -> None:
    await bench.add_camera(name="Bedroom", description="Private.", scene_backend="gemini")
    bench.video()
    await tried(bench, "gemini")
    (asked,) = bench.server.requests
    assert "Bedroom" not in asked.text
    assert "Private" not in asked.text
    with av.open(io.BytesIO(asked.mp4 or b"")) as clip, av.open(DEMO_SCENE) as demo:
        sent = next(clip.decode(video=0)).reformat(width=64, height=36, format="gray")
        shown = next(demo.decode(video=0)).reformat(width=64, height=36, format="gray")
    difference = abs(sent.to_ndarray().astype(int) - shown.to_ndarray().astype(int))
    assert difference.mean() < 4


async def test_a_test_that_succeeds_closes_an_open_breaker(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(BUSY)
    job = await bench.do(bench.video())
    assert job.status == "pending"
    breaker = await bench.breaker("gemini")
    assert breaker
    assert breaker.is_open
    bench.server.answer_with(by_window())
    assert (await tried(bench, "gemini")).status == "completed"
    assert await bench.breaker("gemini") is None
    assert (await bench.attempt(job.id)).analysis_result["backend"] == "gemini"


@pytest.mark.parametrize("backend", ["gemini", "openai"])
@pytest.mark.parametrize(
    ("settings", "reply", "code", "words"),
    [
        ({"{}_api_key": "not-the-right-key"}, None, "key_refused", "refused the key"),
        ({"{}_model": "nobody"}, None, "model_unknown", "no model nobody"),
        ({"{}_base_url": "http://127.0.0.1:{port}"}, None, "unreachable", "cannot be reached"),
        ({"{}_base_url": None, "{}_api_key": None}, None, "not_configured", "is not set"),
        ({"total_budget_usd": 0}, None, "budget_spent", "all cameras' budget"),
        ({}, BUSY, "server_error", "The model is overloaded."),
        ({}, Reply(status=429), "rate_limited", "too many requests"),
        ({}, Reply(status=400, message="No video."), "request_refused", "No video."),
        ({}, Reply("I am a teapot."), "malformed", "is not JSON"),
        ({}, Reply(fault="html"), "endpoint_wrong", "does not speak this protocol"),
        ({}, Reply(finish="blocked"), "blocked", ""),
    ],
)
async def test_a_test_that_fails_says_why_and_is_not_repeated(
    bench: Bench, backend: str, settings: dict[str, Any], reply: Reply | None, code: str, words: str
) -> None:
    if reply is not None:
        bench.server.answer_with(reply)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        port = taken.getsockname()[1]
        bench.models = {
            name.format(backend): value.format(port=port) if isinstance(value, str) else value
            for name, value in settings.items()
        } | {"prices": {"nobody": {"input": 1, "output": 1}, **PRICES}}
        job = await tried(bench, backend)
    assert (job.status, job.error_code, job.retry_count) == ("failed", code, 0)
    assert words in job.error_message
    assert KEY not in job.error_message
    assert "not-the-right-key" not in job.error_message


async def test_a_test_is_not_held_up_by_jobs_that_wait_for_the_model(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(BUSY)
    job = await bench.do(bench.video())
    bench.server.answer_with(by_window(w0=Reply(held=True)))
    await bench.later(43)
    await bench.make_due(job.id)
    async with bench.worker():
        await bench.until_asked(2)  # one question finds out whether it answers again
        bench.server.answer_with(by_window())
        trials = Trials(bench.database, bench.queue)
        test_id = await trials.test_backend(SceneBackend.GEMINI)
        await bench.until(test_id, lambda job: job.status == "completed")
        bench.server.release()
        await bench.until(job.id, lambda job: job.status == "completed")


async def test_a_dry_run_shows_question_answer_and_cost(bench: Bench) -> None:
    await bench.add_camera(name="Gate", scene_backend="gemini", house_rules="No running.")
    bench.server.answer_with(by_window(w1=said(incident("running"), summary="Somebody runs.")))
    job = await dry_run(bench, bench.video(motion=[[0, 1], [6, 10], [10, 12]]))
    assert (job.status, job.error_message) == ("completed", None)
    assert questions(bench.server.requests) == [1], "the window with the most motion"
    (asked,) = bench.server.requests
    result = job.analysis_result
    assert (result["backend"], result["model"], result["error"]) == ("gemini", GEMINI, None)
    assert result["window"] == {"index": 1, "t_start": 5.0, "t_end": 10.0}
    request = result["request"]
    assert (request["instructions"], request["text"]) == (asked.instructions, asked.text)
    assert request["schema"] == asked.schema
    assert request["clip"] == {"seconds": 5.0, "fps": 1.0, "bytes": len(asked.mp4)}
    assert json.loads(result["text"])["summary"] == "Somebody runs."
    assert result["answer"]["incidents"][0]["category"] == "running"
    assert result["usage"]["cost_usd"] == pytest.approx(GEMINI_CALL / 1e6)
    accounts = await bench.accounts()
    assert {name: row.spent_microusd for name, row in accounts.items()} == {
        "": GEMINI_CALL,
        "yard": GEMINI_CALL,
    }
    await check_nothing_kept(bench, job)


async def test_a_dry_run_uses_what_is_to_be_tried_and_does_not_save_it(bench: Bench) -> None:
    await bench.add_camera(
        scene_backend="gemini", house_rules="Old rules.", description="Old words.", categories=None
    )
    job = await dry_run(
        bench,
        bench.video(seconds=5),
        backend="openai",
        house_rules="New rules.",
        description="New words.",
        categories=["loitering", "other"],
    )
    assert (job.status, job.analysis_result["backend"]) == ("completed", "openai")
    (asked,) = bench.server.requests
    assert asked.protocol == "openai"
    assert "New rules." in asked.text
    assert "New words." in asked.text
    assert "Old" not in asked.text
    category = asked.schema["properties"]["incidents"]["items"]["properties"]["category"]
    assert category["enum"] == ["loitering", "other"]
    assert len(job.analysis_result["request"]["pictures"]) == len(asked.pictures) > 0
    camera = await bench.cameras.read("yard")
    assert (camera.house_rules, camera.description) == ("Old rules.", "Old words.")
    assert (camera.categories, camera.scene_backend) == (None, "gemini")
    await check_nothing_kept(bench, job)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("I see a yard.", "is not JSON"),
        ('{"visibility": "clear"}', "field required"),
        (json_of(said(incident("fall"))), "must be one of other"),
    ],
)
async def test_a_dry_run_shows_an_answer_that_cannot_be_used_and_why(
    bench: Bench, text: str, error: str
) -> None:
    await bench.add_camera(scene_backend="gemini", categories=["other"])
    bench.server.answer_with(Reply(text))
    job = await dry_run(bench, bench.video(seconds=5))
    assert job.status == "completed"
    result = job.analysis_result
    assert (result["text"], result["answer"]) == (text, None)
    assert error in result["error"]
    assert result["usage"]["calls"] == 1
    assert len(bench.server.requests) == 1, "it is not asked again"
    await check_nothing_kept(bench, job)


async def test_a_dry_run_that_is_blocked_says_so_and_what_it_cost(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(Reply(finish="blocked"))
    job = await dry_run(bench, bench.video(seconds=5))
    assert job.status == "completed"
    assert (job.analysis_result["answer"], bool(job.analysis_result["error"])) == (None, True)
    assert job.analysis_result["usage"]["calls"] == 1


async def test_a_dry_run_of_the_local_analyser_shows_its_answer(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    job = await dry_run(bench, bench.video(summary="Nobody."), backend="local")
    result = job.analysis_result
    assert (job.status, result["backend"], result["request"]) == ("completed", "local", None)
    assert result["answer"]["summary"] == "Nobody."
    assert bench.server.requests == []
    await check_nothing_kept(bench, job)


async def test_a_dry_run_that_finds_the_model_busy_says_so_at_once(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(BUSY)
    job = await dry_run(bench, bench.video(seconds=5))
    assert (job.status, job.error_code, job.retry_count) == ("failed", "server_error", 0)
    assert "The model is overloaded." in job.error_message
    await check_nothing_kept(bench, job)


async def check_nothing_kept(bench: Bench, job: JobDetail) -> None:
    """A try is no analysis: no score, no incidents, no report, no picture."""
    assert (job.safety_score, job.incident_count) == (None, None)
    assert await bench.incidents() == []
    assert await bench.reports() == []
    assert list(bench.data_dir.rglob("*.jpg")) == []
    assert bench.work_files() == []
