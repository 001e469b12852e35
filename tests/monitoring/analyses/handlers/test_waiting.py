"""A model that does not answer: it is waited for, then the next in line takes over, and says so."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from backend.jobs.schemas import JobDetail
from tests.monitoring.analyses.handlers.answers import by_window, incident, json_of, questions, said
from tests.monitoring.analyses.handlers.bench import GEMINI_CALL, KEY, OPENAI_CALL, PRICES, Bench
from tests.peers.model_server import Received, Reply

BUSY = Reply(status=503, message="The model is overloaded.", retry_after="240")
NONSENSE = Reply("I would rather talk about something else.")


@pytest.fixture
async def bench(bench: Bench) -> Bench:
    """A camera that has chosen gemini."""
    await bench.add_camera(scene_backend="gemini", house_rules="No running.")
    return bench


async def test_a_busy_model_is_waited_for_as_long_as_it_asks(bench: Bench) -> None:
    bench.server.answer_with(BUSY)
    job = await bench.do(bench.video())
    assert (job.status, job.retry_count, job.error_code) == ("pending", 0, None)
    assert "waits for gemini: " in job.stage
    assert "The model is overloaded." in job.stage
    assert 180 < await bench.wait_s(job) <= 240
    assert questions(bench.server.requests) == [0]


async def test_waiting_costs_no_retry_and_ends_with_the_fallback(bench: Bench) -> None:
    bench.scene = {"wait_s": 600}
    bench.server.answer_with(BUSY)
    job = await bench.do(bench.video(summary="Two people."))
    for _ in range(2):
        assert job.status == "pending"
        await bench.later(250)
        job = await bench.attempt(job.id)
    assert job.status == "pending"
    assert 20 < await bench.wait_s(job) <= 600 - 2 * 250
    await bench.later(110)
    job = await bench.attempt(job.id)
    assert (job.status, job.attempt, job.retry_count) == ("completed", 4, 0)
    # it was not asked the fourth time, but what it said before is told
    check_local(job, "breaker_open", "The model is overloaded.")
    assert len(bench.server.requests) == 3
    (report,) = await bench.reports()
    assert (report.backend, report.fallback_from, report.summary) == (
        "fake",
        "gemini",
        "Two people.",
    )


async def test_a_model_that_comes_back_while_it_is_waited_for_gives_the_answer(
    bench: Bench,
) -> None:
    bench.server.answer_with(BUSY)
    job = await bench.do(bench.video())
    bench.server.answer_with(by_window())
    await bench.later(250)
    job = await bench.attempt(job.id)
    assert (job.status, job.analysis_result["fallback"]) == ("completed", [])
    assert await bench.breaker("gemini") is None


async def test_a_model_that_is_left_alone_is_not_asked_by_another_job(bench: Bench) -> None:
    bench.server.answer_with(BUSY)
    await bench.do(bench.video())
    job = await bench.do(bench.video("two.mp4"))
    assert len(bench.server.requests) == 1
    assert (job.status, job.retry_count) == ("pending", 0)
    assert "The model is overloaded." in job.stage
    assert "left alone" in job.stage
    assert 180 < await bench.wait_s(job) <= 240


async def test_without_patience_the_fallback_takes_over_at_once(bench: Bench) -> None:
    bench.scene = {"wait_s": 0}
    bench.server.answer_with(BUSY)
    check_local(await bench.do(bench.video()), "server_error", "overloaded")


async def test_without_a_fallback_a_job_waits_on(bench: Bench) -> None:
    bench.scene = {"wait_s": 10, "fallback": "none"}
    bench.server.answer_with(BUSY)
    job = await bench.do(bench.video())
    for _ in range(3):
        await bench.later(3600)
        job = await bench.attempt(job.id)
        assert (job.status, job.retry_count) == ("pending", 0)
        assert 180 < await bench.wait_s(job) <= 240


@pytest.mark.parametrize("backend", ["gemini", "openai"])
async def test_what_an_attempt_has_cost_is_kept_when_the_fallback_takes_over(
    bench: Bench, backend: str
) -> None:
    await bench.change_camera(scene_backend=backend)
    bench.scene = {"wait_s": 0}
    bench.server.answer_with(by_window(w2=BUSY))
    job = await bench.do(bench.video())
    check_local(job, "server_error", "overloaded", backend=backend)
    cost = 2 * (GEMINI_CALL if backend == "gemini" else OPENAI_CALL)
    assert job.analysis_result["cost_usd"] == pytest.approx(cost / 1e6)
    (report,) = await bench.reports()
    assert report.cost_microusd == cost


@pytest.mark.parametrize("backend", ["gemini", "openai"])
@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"{}_api_key": "not-the-right-key"}, "key_refused", "refused the key"),
        ({"{}_model": "nobody"}, "model_unknown", "has no model nobody"),
        ({"{}_base_url": "http://127.0.0.1:{port}/v1"}, "unreachable", "cannot be reached"),
    ],
)
async def test_a_model_that_is_wrongly_set_up_is_waited_for_too(
    bench: Bench, backend: str, settings: dict[str, str], code: str, words: str
) -> None:
    await bench.change_camera(scene_backend=backend)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        port = taken.getsockname()[1]
        bench.models = {
            name.format(backend): value.format(port=port) for name, value in settings.items()
        }
        bench.models["prices"] = {"nobody": {"input": 1, "output": 1}, **PRICES}
        job = await bench.do(bench.video())
        assert (job.status, job.retry_count) == ("pending", 0)
        assert words in job.stage
        await bench.later(1000)
        job = await bench.attempt(job.id)
    check_local(job, code, words, backend=backend)
    assert job.retry_count == 0
    told = str(job.analysis_result) + str(await bench.breaker(backend))
    assert KEY not in told
    assert "not-the-right-key" not in told


async def test_a_model_that_lacks_a_setting_is_waited_for_too(bench: Bench) -> None:
    bench.models = {"gemini_api_key": None, "gemini_base_url": None}
    job = await bench.do(bench.video())
    assert (job.status, job.stage) == ("pending", "waits for gemini: GEMINI_API_KEY is not set")
    await bench.later(1000)
    check_local(await bench.attempt(job.id), "not_configured", "GEMINI_API_KEY is not set")


async def test_the_next_model_in_line_is_asked_before_the_local_analyser(bench: Bench) -> None:
    bench.scene = {"wait_s": 0, "fallback": "openai,local"}
    bench.server.answer_with(by_protocol(gemini=BUSY))
    job = await bench.do(bench.video())
    result = job.analysis_result
    assert (job.status, result["backend"]) == ("completed", "openai")
    assert [one["backend"] for one in result["fallback"]] == ["gemini"]
    bench.server.answer_with(by_protocol(gemini=BUSY, openai=BUSY))
    await bench.later(250)
    job = await bench.do(bench.video("two.mp4"))
    result = job.analysis_result
    assert (job.status, result["backend"]) == ("completed", "fake")
    assert [one["backend"] for one in result["fallback"]] == ["gemini", "openai"]
    assert (await bench.reports())[-1].fallback_from == "gemini"
    asked = [received.protocol for received in bench.server.requests]
    assert asked == ["gemini", *["openai"] * 4, "gemini", "openai"]


async def test_a_budget_of_nothing_means_the_fallback_without_a_call(bench: Bench) -> None:
    bench.models = {"camera_budget_usd": 0}
    job = await bench.do(bench.video())
    assert bench.server.requests == []
    check_local(job, "budget_spent", "the camera's budget of the day is spent")
    assert job.analysis_result["cost_usd"] == 0


async def test_a_budget_of_all_cameras_holds_too(bench: Bench) -> None:
    bench.models = {"total_budget_usd": 0}
    job = await bench.do(bench.video())
    assert bench.server.requests == []
    check_local(job, "budget_spent", "all cameras' budget of the day is spent")


@pytest.mark.parametrize(("of_camera", "of_all", "by"), [(5, 0, "gemini"), (0, 5, "fake")])
async def test_a_cameras_own_budget_goes_before_the_one_for_cameras_that_set_none(
    bench: Bench, of_camera: int, of_all: int, by: str
) -> None:
    bench.models = {"camera_budget_usd": of_all}
    await bench.change_camera(daily_budget_usd=of_camera)
    job = await bench.do(bench.video())
    assert (job.status, job.analysis_result["backend"]) == ("completed", by)


async def test_a_budget_that_runs_out_within_an_archive_is_not_exceeded(bench: Bench) -> None:
    # each question reserves some 0.012 dollars, since it may be answered with 4096 tokens
    bench.models = {"camera_budget_usd": "0.0131", "window_s": 5, "windows_at_once": 3}
    bench.server.answer_with(Reply(json_of(said()), output_tokens=4000))  # 30 + 10 000
    job = await bench.do(bench.video())
    states = [one["state"] for one in job.analysis_result["windows"]]
    assert (job.status, states.count("analysed")) == ("completed", 1)
    accounts = await bench.accounts()
    assert accounts["yard"].spent_microusd == accounts[""].spent_microusd <= 13_100


async def test_a_model_that_costs_nothing_needs_no_budget(bench: Bench) -> None:
    bench.models = {"camera_budget_usd": 0, "prices": {}}
    await bench.change_camera(scene_backend="openai")
    job = await bench.do(bench.video())
    assert (job.status, job.analysis_result["backend"]) == ("completed", "openai")


async def test_without_a_fallback_a_spent_budget_means_waiting_for_tomorrow(bench: Bench) -> None:
    bench.scene = {"fallback": "none"}
    bench.models = {"camera_budget_usd": 0}
    job = await bench.do(bench.video())
    assert (job.status, job.retry_count) == ("pending", 0)
    assert job.stage.startswith("waits for tomorrow's budget: ")
    assert 0 < await bench.wait_s(job) <= 3600


@pytest.mark.parametrize("backend", ["gemini", "openai"])
async def test_a_question_that_is_refused_goes_to_the_next_in_line(
    bench: Bench, backend: str
) -> None:
    await bench.change_camera(scene_backend=backend)
    bench.server.answer_with(Reply(status=400, message="Video is too strange."))
    job = await bench.do(bench.video())
    check_local(job, "request_refused", "Video is too strange.", backend=backend)
    assert len(bench.server.requests) == 1


async def test_a_question_that_is_refused_ends_the_job_when_nobody_is_left(bench: Bench) -> None:
    bench.scene = {"fallback": "none"}
    bench.server.answer_with(Reply(status=400, message="Video is too strange."))
    job = await bench.do(bench.video())
    assert (job.status, job.retry_count, job.error_code) == ("failed", 0, "request_refused")
    assert "gemini: " in job.error_message
    assert "Video is too strange." in job.error_message


async def test_a_model_that_never_says_anything_usable_is_passed_over(bench: Bench) -> None:
    bench.server.answer_with(NONSENSE)
    job = await bench.do(bench.video())
    check_local(job, "malformed", "is not JSON")
    assert questions(bench.server.requests) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert job.analysis_result["cost_usd"] == pytest.approx(9 * GEMINI_CALL / 1e6)


async def test_a_model_that_never_says_anything_usable_costs_retries_when_nobody_is_left(
    bench: Bench,
) -> None:
    bench.scene = {"fallback": "none"}
    bench.server.answer_with(NONSENSE)
    job = await bench.do(bench.video(seconds=5))
    assert (job.status, job.retry_count, job.error_code) == ("pending", 1, "malformed")


async def test_patience_begins_anew_when_the_model_has_answered(bench: Bench) -> None:
    bench.scene = {"wait_s": 900}
    bench.server.answer_with(by_window(w0=BUSY))
    job = await bench.do(bench.video())
    await bench.later(1000)
    bench.server.answer_with(by_window(w1=BUSY))
    job = await bench.attempt(job.id)
    assert (job.status, questions(bench.server.requests)) == ("pending", [0, 0, 1])
    await bench.later(1000)
    check_local(await bench.attempt(job.id), "server_error", "overloaded")


async def test_patience_begins_anew_when_somebody_asks_for_the_job_again(bench: Bench) -> None:
    bench.scene = {"wait_s": 900}
    bench.server.answer_with(BUSY)
    job = await bench.do(bench.video())
    assert job.status == "pending"
    await bench.queue.cancel(job.id)
    await bench.later(1000)
    await bench.queue.retry(job.id)
    job = await bench.attempt(job.id)
    assert (job.status, len(bench.server.requests)) == ("pending", 2)


async def test_what_was_found_before_a_budget_is_spent_is_not_thrown_away(bench: Bench) -> None:
    # a window reserves less than 0.013 dollars; the second one does not fit any more
    bench.models = {"camera_budget_usd": "0.0140"}
    fire = said(incident("fire_smoke", severity=4))
    bench.server.answer_with(by_window(w0=Reply(json_of(fire), output_tokens=4000)))
    job = await bench.do(bench.video())
    result = job.analysis_result
    assert (job.status, result["backend"], result["fallback"]) == ("completed", "gemini", [])
    assert [one["category"] for one in result["incidents"]] == ["fire_smoke"]
    assert questions(bench.server.requests) == [0]
    skipped = "2 of 3 windows were not analysed: the day's budget is spent"
    assert skipped in result["coverage"]["skipped"]


def check_local(job: JobDetail, code: str, words: str, *, backend: str = "gemini") -> None:
    """The local analyser has answered, and the result says why."""
    assert (job.status, job.error_message) == ("completed", None)
    result: dict[str, Any] = job.analysis_result
    assert result["backend"] == "fake"
    (passed_over,) = result["fallback"]
    assert (passed_over["backend"], passed_over["code"]) == (backend, code)
    assert words in passed_over["reason"]


def by_protocol(**answers: Reply) -> Any:
    """Answers by who is asked; else that a person walks."""
    otherwise = by_window()

    def answer(received: Received) -> Any:
        return answers.get(received.protocol) or otherwise(received)

    return answer
