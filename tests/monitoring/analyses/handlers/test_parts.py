"""What was answered is paid for once: a second attempt asks only for the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backend.jobs.queries import Claim
from backend.jobs.schemas import JobDetail
from backend.jobs.states import JobStatus
from tests.monitoring.analyses.handlers.answers import (
    by_window,
    incident,
    json_of,
    merged,
    questions,
    said,
)
from tests.monitoring.analyses.handlers.bench import GEMINI_CALL, OPENAI_CALL, Bench
from tests.peers.model_server import Received, Reply
from tests.waiting import until

DROPPED = Reply(fault="drop")
CALL = {"gemini": GEMINI_CALL, "openai": OPENAI_CALL}
OUTPUT_PRICE = {"gemini": 2.5, "openai": 10}
FALL = said(incident("fall", t=1), summary="Somebody falls.")


@pytest.mark.parametrize("backend", ["gemini", "openai"])
async def test_what_was_answered_before_a_failure_is_not_asked_again(
    bench: Bench, backend: str
) -> None:
    await bench.add_camera(scene_backend=backend)
    bench.server.answer_with(by_window(w0=FALL, w1=DROPPED))
    job = await bench.do(bench.video())
    assert (job.status, job.retry_count) == ("pending", 0)
    assert "broke off" in job.stage
    bench.server.answer_with(by_window(w0=said(), merge=merged(summary="A fall, then a walk.")))
    job = await bench.attempt(job.id)
    assert (job.status, job.attempt, job.retry_count) == ("completed", 2, 0)
    assert questions(bench.server.requests) == [0, 1, 1, 2, "merge"]
    result = job.analysis_result
    assert [one["category"] for one in result["incidents"]] == ["fall"]
    assert result["summary"] == "A fall, then a walk."
    assert result["usage"] == {
        "input_tokens": 4 * 100,
        "output_tokens": 4 * 20,
        "cost_usd": pytest.approx(4 * CALL[backend] / 1e6),
        "calls": 4 + 1,  # the one that broke off was made, too
        "latency_ms": result["usage"]["latency_ms"],
    }
    assert result["cost_usd"] == pytest.approx(4 * CALL[backend] / 1e6)
    (report,) = await bench.reports()
    assert report.cost_microusd == 4 * CALL[backend]
    # what broke off may be charged all the same: budgets count the most that it may cost
    most = 4096 * OUTPUT_PRICE[backend]
    for account in (await bench.accounts()).values():
        assert (account.input_tokens, account.output_tokens, account.calls) == (400, 80, 5)
        assert most < account.spent_microusd - 4 * CALL[backend] < 1.3 * most


async def test_a_call_that_was_refused_costs_nothing(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(by_window(w1=Reply(status=503, retry_after="5")))
    job = await bench.do(bench.video())
    bench.server.answer_with(by_window())
    await bench.later(6)
    job = await bench.attempt(job.id)
    assert questions(bench.server.requests) == [0, 1, 1, 2, "merge"]
    await check_cost(bench, job, microusd=4 * GEMINI_CALL, tokens=(400, 80))


async def test_the_local_pass_is_made_once_for_all_attempts(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(by_window(w0=DROPPED))
    video_path = bench.video(motion=[[0, 15]])
    job = await bench.do(video_path)
    assert job.status == "pending"
    bench.server.answer_with(by_window())
    script = bench.data_dir / f"{video_path}.json"
    script.write_text('{"then": "fail"}')
    job = await bench.attempt(job.id)
    assert (job.status, job.error_message) == ("completed", None)


async def test_a_job_that_another_worker_goes_on_with_pays_only_for_the_rest(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(by_window(w0=FALL, w2=Reply(held=True)))
    job_id = await bench.add_job(bench.video())
    async with bench.worker() as worker:
        await until(lambda: questions(bench.server.requests) == [0, 1, 2])
        claimed = await bench.queue.read(job_id)
        worker.hand_back.set()
    job = await bench.queue.read(job_id)
    assert (job.status, job.retry_count) == ("pending", 0)
    await until(lambda: bench.server.requests[-1].was_abandoned)
    bench.server.answer_with(by_window())
    job = await bench.attempt(job_id)
    assert job.status == "completed"
    assert questions(bench.server.requests) == [0, 1, 2, 2, "merge"]
    late = Claim(job_id, claimed.attempt, "one")
    assert not await bench.queue.save_part(late, "window-9", {}), "the old claim is void"
    assert job.analysis_result["cost_usd"] == pytest.approx(4 * GEMINI_CALL / 1e6)
    # the call that was cut off may be charged: all of it stays reserved
    accounts = await bench.accounts()
    assert accounts["yard"].calls == 5
    assert accounts["yard"].spent_microusd > 4 * GEMINI_CALL + 4096 * 2.5


async def test_unusable_answers_are_paid_for_too(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    turns = iter([Reply("no JSON", input_tokens=1000, output_tokens=7)])

    def answer(received: Received) -> Any:
        return next(turns, None) or by_window()(received)

    bench.server.answer_with(answer)
    job = await bench.do(bench.video())
    assert questions(bench.server.requests) == [0, 0, 1, 2, "merge"]
    assert "could not be used" in bench.server.requests[1].text
    # 1000 * 0.30 + 7 * 2.50 = 317.5, rounded up
    cost = 318 + 4 * GEMINI_CALL
    assert job.analysis_result["usage"]["cost_usd"] == pytest.approx(cost / 1e6)
    await check_cost(bench, job, microusd=cost, tokens=(1400, 87))


async def test_thinking_is_charged_as_output(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(
        by_window(
            w0=Reply(json_of(said()), input_tokens=2000, output_tokens=100, thought_tokens=900)
        )
    )
    job = await bench.do(bench.video(seconds=5))
    assert questions(bench.server.requests) == [0]
    # 2000 * 0.30 + 1000 * 2.50
    await check_cost(bench, job, microusd=600 + 2500, tokens=(2000, 1000))


async def test_an_archive_that_is_looked_at_anew_has_the_new_answer_only(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(by_window(w0=FALL))
    job = await bench.do(bench.video(seconds=5))
    assert (job.incident_count, len(await bench.incidents())) == (1, 1)
    await bench.again(job.id)
    bench.server.answer_with(by_window(w0=said(summary="Nobody falls.")))
    job = await bench.attempt(job.id)
    assert (job.status, job.incident_count, await bench.incidents()) == ("completed", 0, [])
    (report,) = await bench.reports()
    assert report.summary == "Nobody falls."
    assert questions(bench.server.requests) == [0, 0]
    assert job.analysis_result["cost_usd"] == pytest.approx(GEMINI_CALL / 1e6)
    assert (await bench.accounts())["yard"].spent_microusd == 2 * GEMINI_CALL


async def test_windows_that_are_asked_about_at_once_are_each_asked_once(bench: Bench) -> None:
    bench.models = {"windows_at_once": 3}
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(Reply(json_of(said()), held=True))
    job_id = await bench.add_job(bench.video())
    async with bench.worker():
        await until(lambda: bench.server.in_progress_count == 3)
        bench.server.answer_with(by_window())
        bench.server.release()
        job = await bench.until(job_id, lambda job: job.status == JobStatus.COMPLETED)
    assert sorted(questions(bench.server.requests)[:3]) == [0, 1, 2]
    assert len(bench.server.requests) == 4
    await check_cost(bench, job, microusd=4 * GEMINI_CALL, tokens=(400, 80))


async def test_two_cameras_at_the_same_time_have_accounts_of_their_own(bench: Bench) -> None:
    await bench.add_camera("yard", scene_backend="gemini")
    await bench.add_camera("gate", scene_backend="openai")
    ids = [
        await bench.add_job(bench.video("one.mp4", seconds=5), camera_id="yard"),
        await bench.add_job(bench.video("two.mp4", seconds=5), camera_id="gate"),
    ]
    async with bench.worker(slots=2):
        await asyncio.gather(
            *(bench.until(one, lambda job: job.status == JobStatus.COMPLETED) for one in ids)
        )
    accounts = {name: row.spent_microusd for name, row in (await bench.accounts()).items()}
    assert accounts == {
        "yard": GEMINI_CALL,
        "gate": OPENAI_CALL,
        "": GEMINI_CALL + OPENAI_CALL,
    }


async def check_cost(
    bench: Bench, job: JobDetail, *, microusd: int, tokens: tuple[int, int]
) -> None:
    """The result, the report and the accounts agree on what the job has cost."""
    assert job.analysis_result["cost_usd"] == pytest.approx(microusd / 1e6)
    (report,) = await bench.reports()
    assert report.cost_microusd == microusd
    for account in (await bench.accounts()).values():
        assert account.spent_microusd == microusd
        assert (account.input_tokens, account.output_tokens) == tokens
    assert set(await bench.accounts()) == {"", "yard"}
