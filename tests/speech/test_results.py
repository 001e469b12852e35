"""The receiving side: whatever order callbacks arrive in, and however often."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.speech.results import MlResults
from backend.speech.routes import ML_RESULTS
from backend.speech.schemas import MlResult
from backend.speech.states import RESULT as MACHINE
from backend.speech.states import SpeechStatus
from tests.speech.desk import RESULT, Desk

STATUS_OF = "/api/v1/ml/job-status"
NUMBERS = itertools.count()


def _progress(percent: int, message: str = "") -> dict[str, Any]:
    return {"status": "processing", "progress": percent, "message": message or f"at {percent}"}


COMPLETED = {"status": "completed", "progress": 100, "result": RESULT}
FAILED = {
    "status": "failed",
    "progress": 40,
    "error_message": "no speech",
    "error_code": "TRANSCRIPTION_ERROR",
}
ACCEPTED = {"status": "accepted", "progress": 0}
CALLBACKS = st.one_of(
    st.builds(_progress, st.integers(0, 100)),
    st.sampled_from([COMPLETED, FAILED, ACCEPTED, _progress(10), _progress(75)]),
)


def _new_id() -> str:
    return f"job {next(NUMBERS)}"


async def _take(results: MlResults, job_id: str, body: dict[str, Any]) -> bool:
    return (await results.take(MlResult.model_validate({"job_id": job_id, **body}))).applied


def _expected(sent: Sequence[dict[str, Any]]) -> tuple[str, int, Any]:
    """What a receiver that goes forward only knows after these: status, progress, result."""
    progress, begun = 0, False
    for body in sent:
        if body["status"] == "completed":
            return "completed", 100, body["result"]
        if body["status"] == "failed":
            return "failed", body["progress"], None
        if body["status"] == "processing":
            begun, progress = True, max(progress, body["progress"])
    return ("processing" if begun else "accepted"), progress, None


async def _follow(results: MlResults, sent: Sequence[dict[str, Any]]) -> None:
    job_id = _new_id()
    before: tuple[SpeechStatus, int] = (SpeechStatus.ACCEPTED, 0)
    for number, body in enumerate(sent, start=1):
        await _take(results, job_id, body)
        now = await results.status(job_id)
        assert (now.status, now.progress, now.result) == _expected(sent[:number])
        if MACHINE.is_final(before[0]):
            assert (now.status, now.progress) == before
        elif not MACHINE.is_final(now.status):
            assert now.progress >= before[1]
        before = (now.status, now.progress)


@given(st.lists(CALLBACKS, min_size=1, max_size=12))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_job_never_goes_back_whatever_arrives(
    sqlite: Database, sent: list[dict[str, Any]]
) -> None:
    await _follow(MlResults(sqlite), sent)


@given(st.permutations([*map(_progress, (10, 25, 40, 75)), COMPLETED, _progress(40), COMPLETED]))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_jobs_callbacks_in_any_order_with_some_twice_end_with_its_result(
    sqlite: Database, sent: list[dict[str, Any]]
) -> None:
    results = MlResults(sqlite)
    await _follow(results, sent)
    job_id = f"job {next(NUMBERS) - 1}"
    assert (await results.status(job_id)).result == RESULT


@pytest.mark.parametrize(
    "sent",
    [
        [_progress(75), _progress(40), _progress(75, "still"), COMPLETED, _progress(80)],
        [COMPLETED, FAILED, _progress(10), COMPLETED, ACCEPTED],
        [FAILED, COMPLETED, _progress(99), FAILED],
        [_progress(0), ACCEPTED, _progress(0), _progress(100), FAILED],
        [ACCEPTED, ACCEPTED, _progress(25)],
    ],
)
async def test_a_job_never_goes_back_on_any_database(
    database: Database, sent: list[dict[str, Any]]
) -> None:
    await _follow(MlResults(database), sent)


async def test_a_callback_that_comes_many_times_at_once_is_taken_once(database: Database) -> None:
    results = MlResults(database)
    job_id = _new_id()
    taken = await asyncio.gather(*(_take(results, job_id, COMPLETED) for _ in range(10)))
    assert sorted(taken) == [False] * 9 + [True]
    assert (await results.status(job_id)).result == RESULT


async def test_all_callbacks_of_a_job_at_once_end_it(database: Database) -> None:
    results = MlResults(database)
    for _ in range(5):
        job_id = _new_id()
        sent = [_progress(percent) for percent in (10, 25, 40, 75, 90)]
        await asyncio.gather(*(_take(results, job_id, body) for body in (*sent, COMPLETED, *sent)))
        status = await results.status(job_id)
        assert (status.status, status.progress, status.result) == ("completed", 100, RESULT)


async def test_only_what_is_old_is_forgotten(desk: Desk) -> None:
    await _take(desk.results, "a", COMPLETED)
    await desk.results.delete_old(older_than_s=3600)
    assert (await desk.results.status("a")).status == "completed"
    await desk.results.delete_old(older_than_s=-1)
    async with desk.client() as client:
        assert (await client.get(f"{STATUS_OF}/a")).status_code == 404


# --- over HTTP


async def test_a_whole_job_is_received_and_looked_up(client: httpx.AsyncClient) -> None:
    receipts = []
    for body in (_progress(10), _progress(75), _progress(40), COMPLETED, COMPLETED):
        headers = {"User-Agent": "ML-Server/1.0"}
        answer = await client.post(ML_RESULTS, json={"job_id": "사람", **body}, headers=headers)
        assert answer.status_code == 200
        receipts.append(answer.json())
    assert [one["applied"] for one in receipts] == [True, True, False, True, False]
    assert receipts[2] == {
        "job_id": "사람",
        "status": "processing",
        "progress": 75,
        "applied": False,
    }
    status = (await client.get(f"{STATUS_OF}/사람")).json()
    assert (status["status"], status["progress"], status["result"]) == ("completed", 100, RESULT)


async def test_a_failure_is_received_with_its_code(client: httpx.AsyncClient) -> None:
    await client.post(ML_RESULTS, json={"job_id": "a", **FAILED, "unknown": [1]})
    status = (await client.get(f"{STATUS_OF}/a")).json()
    assert (status["status"], status["progress"]) == ("failed", 40)
    assert (status["error_code"], status["error_message"]) == ("TRANSCRIPTION_ERROR", "no speech")


@pytest.mark.parametrize(
    "body",
    [
        b"{nope",
        b'{"job_id": "a", "status": "completed", "result": {"pitch": NaN}}',
        b'{"job_id": "a", "status": "completed", "result": {"pitch": -Infinity}}',
        b'{"job_id": "a", "status": "completed", "result": {"pitch": 1e999}}',
        {"status": "processing"},
        {"job_id": "a"},
        {"job_id": "a", "status": "done"},
        {"job_id": "a", "status": "processing", "progress": -1},
        {"job_id": "a", "status": "processing", "progress": 101},
        {"job_id": "a", "status": "processing", "progress": "much"},
        {"job_id": "a", "status": "processing", "progress": "55"},
        {"job_id": "a", "status": "processing", "progress": True},
        {"job_id": "a", "status": "completed", "progress": 100},
        {"job_id": "a", "status": "completed", "result": None},
        {"job_id": "a", "status": "processing", "message": 5},
        {"job_id": "a", "status": "processing", "message": "x" * 3000},
        {"job_id": "a", "status": "completed", "result": [1]},
        {"job_id": "a", "status": "failed", "error_code": "x" * 65},
        {"job_id": "", "status": "failed"},
    ],
)
async def test_a_callback_that_is_wrong_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, body: Any
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await client.post(ML_RESULTS, content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert (await client.get(f"{STATUS_OF}/a")).status_code == 404


@pytest.mark.parametrize(
    "more",
    [
        {"message": "a\x00b \N{GRINNING FACE}"},
        {"message": "\N{GRINNING FACE}" * 2000},
        {"error_message": "\x00" * 2000, "error_code": "\x00"},
        {"status": "completed", "result": {"a\x00": "b\x00", "\N{GRINNING FACE}": [2**70, -0.0]}},
        {"status": "completed", "result": {"n": int("9" * 4000)}},
        {"progress": 74.9},
        {"result": RESULT},
    ],
)
async def test_odd_callbacks_are_taken_on_every_database(desk: Desk, more: dict[str, Any]) -> None:
    async with desk.client() as client:
        body = {"job_id": "a", "status": "processing", "progress": 50, **more}
        answer = await client.post(ML_RESULTS, content=json.dumps(body).encode())
        assert answer.status_code == 200, answer.text
        answer = await client.get(f"{STATUS_OF}/a")
        assert answer.status_code == 200


async def test_a_long_result_is_received_and_one_past_50_mb_is_not(
    sqlite: Database, nudges: Nudges, tmp_path: Path
) -> None:
    desk = Desk(sqlite, nudges, tmp_path / "data")
    long = "x" * 12_000_000
    async with desk.client() as client:
        body = {"job_id": "a", "status": "completed", "result": {"text": long}}
        assert (await client.post(ML_RESULTS, json=body)).status_code == 200
        body["result"] = {"text": long * 5}
        answer = await client.post(ML_RESULTS, json={**body, "job_id": "b"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert (await client.get(f"{STATUS_OF}/a")).json()["result"] == {"text": long}
        assert (await client.get(f"{STATUS_OF}/b")).status_code == 404


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
async def test_a_result_past_what_the_database_takes_is_refused_once_for_all(desk: Desk) -> None:
    """The server would hang up: an outage, by the look of it, which the sender waits out."""
    async with desk.database.read() as session:
        most_bytes = await session.scalar(text("SELECT @@max_allowed_packet"))
    body = {"job_id": "a", "status": "completed", "result": {"text": "x" * most_bytes}}
    async with desk.client() as client:
        answer = await client.post(ML_RESULTS, json=body)
        assert answer.status_code == 413
        error = answer.json()["error"]
        assert (error["code"], error["job_id"]) == ("PAYLOAD_TOO_LARGE", "a")
        assert "max_allowed_packet" in error["message"]
        assert (await client.get(f"{STATUS_OF}/a")).status_code == 404
