"""The contract of the ECG backend over HTTP: every status, one shape, one list of codes."""

from __future__ import annotations

import json
import socket
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.kernel.db import Database, database_url
from backend.kernel.nudge import Nudges
from backend.settings import SpeechApiSettings
from backend.speech.failures import CODES
from backend.speech.routes import ML_RESULTS, MOST_CONTRACT_BYTES, PROCESS_VIDEO
from backend.speech.states import ErrorCode, error_code
from tests.speech.desk import ECG_HEADERS, FRESH, OTHER, VIDEO, Desk

STATUS_OF = "/api/v1/ml/job-status"
KEY = "service-key-0123456789"


async def _post(client: httpx.AsyncClient, body: object, path: str = PROCESS_VIDEO) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(path, content=content, headers=ECG_HEADERS)


def _is_refusal(
    answer: httpx.Response, status: int, *words: str, job_id: str | None = None
) -> None:
    """In the contract's shape, with a code of its list, and telling nothing of what is inside."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"code", "message"} | ({"job_id"} if job_id is not None else set())
    assert error["code"] == CODES[status]
    assert error.get("job_id") == job_id
    for word in words:
        assert word in error["message"]
    told = answer.text.lower()
    for secret in (
        "traceback",
        "pydantic",
        "sqlalchemy",
        "starlette",
        "site-packages",
        ".py",
        "/tmp",
    ):
        assert secret not in told


# --- taking a video on


async def test_a_video_is_accepted_as_the_contract_says(
    client: httpx.AsyncClient, small_desk: Desk
) -> None:
    answer = await _post(client, {"job_id": "test-123", "video_url": VIDEO})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert isinstance(body.pop("estimated_time"), int)
    assert body == {"job_id": "test-123", "status": "accepted", "message": "Processing started"}
    (job,) = await small_desk.jobs()
    assert (job.kind, job.status, job.callback_id) == ("speech", "pending", "test-123")
    assert job.callback_url == f"http://127.0.0.1:8080{ML_RESULTS}"
    row = await small_desk.row()
    assert (row.url, row.filename, row.queue_job_id) == (VIDEO, "talk.mp4", job.id)


async def test_a_video_is_accepted_at_once_without_a_look_at_where_it_is(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def note(*what: object, **_: object) -> None:
        asked.append(what)
        raise OSError("nobody is to be asked")

    monkeypatch.setattr(socket, "getaddrinfo", note)
    monkeypatch.setattr(socket.socket, "connect", note)
    monkeypatch.setattr(socket.socket, "connect_ex", note)
    answer = await _post(client, {"job_id": "test-123", "video_url": VIDEO})
    assert answer.status_code == 200
    assert asked == []


async def test_the_same_request_again_is_accepted_without_a_second_job(
    client: httpx.AsyncClient, small_desk: Desk
) -> None:
    for url in (VIDEO, VIDEO, FRESH):
        answer = await _post(client, {"job_id": "test-123", "video_url": url})
        assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
    assert len(await small_desk.jobs()) == 1


async def test_an_id_that_is_in_use_for_another_video_is_refused(
    client: httpx.AsyncClient, small_desk: Desk
) -> None:
    await _post(client, {"job_id": "test-123", "video_url": VIDEO})
    answer = await _post(client, {"job_id": "test-123", "video_url": OTHER})
    _is_refusal(answer, 400, "in use", job_id="test-123")
    assert len(await small_desk.jobs()) == 1


async def test_fields_that_nobody_named_are_ignored(client: httpx.AsyncClient) -> None:
    body = {"job_id": "a", "video_url": VIDEO, "priority": 9, "callback_url": "http://evil/"}
    assert (await _post(client, body)).status_code == 200


@pytest.mark.parametrize(
    "job_id",
    [
        "0b5e2a7c-6f0c-4f0e-9d5b-3f0f5a3c1d2e",
        "비디오-테스트",
        "\N{GRINNING FACE}\N{CJK UNIFIED IDEOGRAPH-4EBA}",
        "'; DROP TABLE speech_jobs; --",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "x" * 190,
        "\N{GRINNING FACE}" * 190,
    ],
)
async def test_an_id_may_be_any_text_and_is_given_back_as_it_came(desk: Desk, job_id: str) -> None:
    async with desk.client() as client:
        answer = await _post(client, {"job_id": job_id, "video_url": VIDEO})
        assert answer.status_code == 200
        assert answer.json()["job_id"] == job_id
    (job,) = await desk.jobs()
    assert job.callback_id == job_id
    assert (await desk.results.status(job_id)).status == "accepted"


@pytest.mark.parametrize(
    ("body", "message", "job_id"),
    [
        (b"", "not a JSON object", None),
        (b"{nope", "not a JSON object", None),
        (b"null", "not a JSON object", None),
        (b"[]", "not a JSON object", None),
        (b'"text"', "not a JSON object", None),
        (b"\xff\xfe{}", "not a JSON object", None),
        (b'{"job_id": "\\ud800", "video_url": "x"}', "not a JSON object", None),
        (b"[" * 100_000, "not a JSON object", None),
        (b'{"a":' * 100_000, "not a JSON object", None),
        (b'{"job_id": NaN, "video_url": "x"}', "not a JSON object", None),
        (b"job_id=a&video_url=b", "not a JSON object", None),
        ({}, "job_id is required", None),
        ({"video_url": VIDEO}, "job_id is required", None),
        ({"job_id": "a"}, "video_url is required", "a"),
        ({"job_id": None, "video_url": VIDEO}, "job_id is wrong", None),
        ({"job_id": 5, "video_url": VIDEO}, "job_id is wrong", None),
        ({"job_id": ["a"], "video_url": VIDEO}, "job_id is wrong", None),
        ({"job_id": {"$ne": 1}, "video_url": VIDEO}, "job_id is wrong", None),
        ({"job_id": True, "video_url": VIDEO}, "job_id is wrong", None),
        ({"job_id": "", "video_url": VIDEO}, "job_id is wrong", ""),
        ({"job_id": "  ", "video_url": VIDEO}, "job_id is wrong", "  "),
        ({"job_id": "a\x00b", "video_url": VIDEO}, "job_id is wrong", "a\x00b"),
        ({"job_id": "a\nb", "video_url": VIDEO}, "job_id is wrong", "a\nb"),
        ({"job_id": "x" * 191, "video_url": VIDEO}, "job_id is wrong", "x" * 191),
        ({"job_id": "x" * 1_000_000, "video_url": VIDEO}, "job_id is wrong", "x" * 200),
        ({"job_id": "a", "video_url": None}, "video_url is wrong", "a"),
        ({"job_id": "a", "video_url": 5}, "video_url is wrong", "a"),
        ({"job_id": "a", "video_url": [VIDEO]}, "video_url is wrong", "a"),
        ({"job_id": "a", "video_url": ""}, "video_url is wrong", "a"),
        ({"job_id": "a", "video_url": VIDEO + "x" * 9000}, "video_url is wrong", "a"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_and_starts_nothing(
    client: httpx.AsyncClient, small_desk: Desk, body: object, message: str, job_id: str | None
) -> None:
    _is_refusal(await _post(client, body), 400, message, job_id=job_id)
    assert await small_desk.jobs() == []


@pytest.mark.parametrize(
    "url",
    [
        "no url at all",
        "//bucket.s3.amazonaws.com/a.mp4",
        "http://bucket.s3.amazonaws.com/a.mp4",
        "ftp://bucket.s3.amazonaws.com/a.mp4",
        "file:///etc/passwd",
        "s3://bucket/a.mp4",
        "data:video/mp4;base64,AAAA",
        "javascript:alert(1)",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "https://",
        "https:///a.mp4",
        "https://user:word@bucket.s3.amazonaws.com/a.mp4",
        "https://127.0.0.1/a.mp4",
        "https://localhost/a.mp4",
        "https://[::1]/a.mp4",
        "https://[::ffff:127.0.0.1]/a.mp4",
        "https://0x7f000001/a.mp4",
        "https://2130706433/a.mp4",
        "https://0/a.mp4",
        "https://10.0.0.1/a.mp4",
        "https://192.168.0.1/a.mp4",
        "https://169.254.169.254/latest/meta-data/",
        "https://metadata.google.internal/computeMetadata/v1/",
        "https://[fd00:ec2::254]/latest/",
        "https://bucket.s3.amazonaws.com:99999/a.mp4",
        "https://bucket.s3.amazonaws.com\\@127.0.0.1/a.mp4",
        "https://buck et/a.mp4",
        "https://bucket/a\r\nHost: evil",
        "https://[::1",
        "https://\N{FULLWIDTH DIGIT ONE}27.0.0.1/a.mp4",
    ],
)
async def test_a_url_that_may_not_be_fetched_is_refused_at_once(
    client: httpx.AsyncClient, small_desk: Desk, url: str
) -> None:
    answer = await _post(client, {"job_id": "a", "video_url": url})
    _is_refusal(answer, 400, job_id="a")
    assert url not in answer.text
    assert await small_desk.jobs() == []


# --- what the contract does not name


async def test_a_body_past_50_mb_is_refused_and_never_held_whole(
    client: httpx.AsyncClient,
) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'{"job_id": "'
        for _ in range(400):
            sent += 1_000_000
            yield b"x" * 1_000_000

    tracemalloc.start()
    try:
        answer = await client.post(PROCESS_VIDEO, content=body(), headers=ECG_HEADERS)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    _is_refusal(answer, 413, "50000000")
    assert sent <= MOST_CONTRACT_BYTES + 2_000_000
    assert most_bytes < 1.5 * MOST_CONTRACT_BYTES


async def test_a_body_that_says_itself_that_it_is_too_long_is_not_read(
    client: httpx.AsyncClient,
) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 1_000_000

    headers = {**ECG_HEADERS, "Content-Length": str(10 * 1000**3)}
    answer = await client.post(PROCESS_VIDEO, content=body(), headers=headers)
    _is_refusal(answer, 413)
    assert read == 0


async def test_a_wrong_method_and_a_stray_path_are_refused_in_shape(
    client: httpx.AsyncClient,
) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = await client.request(method, PROCESS_VIDEO)
        _is_refusal(answer, 405)
        assert answer.headers["allow"] == "POST"
    _is_refusal(await client.get(ML_RESULTS), 405)
    _is_refusal(await client.post(f"{STATUS_OF}/a"), 405)
    _is_refusal(await client.get(f"{STATUS_OF}/nobody"), 404, "no such job")


@pytest.mark.parametrize("job_id", ["a%00b", "%ff", "x" * 5000, "%F0%9F%98%80", "..", "%0a"])
async def test_a_job_that_cannot_be_is_not_found_on_any_database(desk: Desk, job_id: str) -> None:
    async with desk.client() as client:
        for path in (f"{STATUS_OF}/{job_id}", f"/api/v1/speech/jobs/{job_id}"):
            assert (await client.get(path)).status_code in {404, 405}


async def test_who_calls_too_often_is_told_when_to_come_back(
    sqlite: Database, nudges: Nudges, tmp_path: Path
) -> None:
    desk = Desk(sqlite, nudges, tmp_path / "data", speech={"SPEECH_REQUESTS_PER_MINUTE": "3"})
    async with desk.client() as client:
        for number in range(3):
            body = {"job_id": f"job {number}", "video_url": VIDEO}
            assert (await _post(client, body)).status_code == 200
        answer = await _post(client, {"job_id": "one more", "video_url": VIDEO})
        _is_refusal(answer, 429, "too many")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        # callbacks are not counted: a job that is done is heard of, however many there are
        answer = await _post(client, {"job_id": "a", "status": "processing"}, ML_RESULTS)
        assert answer.status_code == 200
    assert len(await desk.jobs()) == 3


async def test_each_client_has_a_count_of_its_own(
    sqlite: Database, nudges: Nudges, tmp_path: Path
) -> None:
    server = {
        "VAP_HOST": "0.0.0.0",
        "VAP_API_KEYS": f"service:{KEY}",
        "TRUSTED_PROXIES": "10.0.0.1",
    }
    desk = Desk(
        sqlite,
        nudges,
        tmp_path / "data",
        server=server,
        speech={"SPEECH_REQUESTS_PER_MINUTE": "1"},
    )
    async with desk.client(peer="10.0.0.1") as client:
        for number, (address, status) in enumerate(
            [("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)]
        ):
            headers = {"Authorization": f"Bearer {KEY}", "X-Forwarded-For": address}
            body = {"job_id": f"job {number}", "video_url": VIDEO}
            answer = await client.post(PROCESS_VIDEO, json=body, headers=headers)
            assert answer.status_code == status


def test_the_default_limit_leaves_sixty_requests_a_minute() -> None:
    assert SpeechApiSettings().requests_per_minute >= 60


async def test_a_stranger_is_refused_and_a_service_or_a_key_is_let_in(
    sqlite: Database, nudges: Nudges, tmp_path: Path
) -> None:
    server = {
        "VAP_HOST": "0.0.0.0",
        "VAP_API_KEYS": f"service:{KEY}",
        "SERVICE_ALLOWED_HOSTS": "192.0.2.0/24",
    }
    desk = Desk(sqlite, nudges, tmp_path / "data", server=server)
    body = {"job_id": "test-123", "video_url": VIDEO}
    async with desk.client(peer="198.51.100.7") as stranger:
        _is_refusal(await _post(stranger, body), 401)
        _is_refusal(await _post(stranger, {"job_id": "a", "status": "failed"}, ML_RESULTS), 401)
        _is_refusal(await stranger.get(f"{STATUS_OF}/test-123"), 401)
        by_key = await stranger.post(
            PROCESS_VIDEO, json=body, headers={"Authorization": f"Bearer {KEY}"}
        )
        assert by_key.status_code == 200
        assert (await stranger.get("/api/v1/speech/jobs")).status_code == 401
    async with desk.client(peer="192.0.2.7") as backend:
        assert (await _post(backend, body)).status_code == 200
        assert (await backend.get(f"{STATUS_OF}/test-123")).status_code == 200
        assert (await backend.get("/api/v1/speech/jobs")).status_code == 403


async def test_with_the_database_away_it_says_later(nudges: Nudges, tmp_path: Path) -> None:
    away = Database(database_url("postgresql://nobody@127.0.0.1:1/vap", data_dir=tmp_path))
    desk = Desk(away, nudges, tmp_path / "data")
    try:
        async with desk.client() as client:
            answer = await _post(client, {"job_id": "a", "video_url": VIDEO})
            _is_refusal(answer, 503, "later", job_id="a")
            assert int(answer.headers["retry-after"]) >= 1
            answer = await client.get(f"{STATUS_OF}/a")
            _is_refusal(answer, 503)
            assert "retry-after" in answer.headers
    finally:
        await away.close()


async def test_a_mistake_of_ours_says_nothing_of_itself(
    client: httpx.AsyncClient, sqlite: Database
) -> None:
    from sqlalchemy import text

    async with sqlite.write() as session:
        await session.execute(text("DROP TABLE speech_jobs"))
    answer = await _post(client, {"job_id": "a", "video_url": VIDEO})
    assert answer.status_code in {500, 503}
    _is_refusal(answer, answer.status_code, job_id="a")
    assert "speech_jobs" not in answer.text


# --- codes of callbacks


@pytest.mark.parametrize(
    ("code", "progress", "told"),
    [
        ("timeout", 50, ErrorCode.PROCESSING_TIMEOUT),
        ("worker_lost", 50, ErrorCode.INSUFFICIENT_RESOURCES),
        ("out_of_memory", 0, ErrorCode.INSUFFICIENT_RESOURCES),
        ("disk_full", 0, ErrorCode.INSUFFICIENT_RESOURCES),
        ("callback_too_large", 75, ErrorCode.INSUFFICIENT_RESOURCES),
        ("internal_error", 0, ErrorCode.DOWNLOAD_ERROR),
        ("internal_error", 10, ErrorCode.AUDIO_EXTRACTION_ERROR),
        ("cancelled", 25, ErrorCode.TRANSCRIPTION_ERROR),
        ("internal_error", 99, ErrorCode.TRANSCRIPTION_ERROR),
        ("download_error", 99, ErrorCode.DOWNLOAD_ERROR),
        ("video_missing", 60, ErrorCode.DOWNLOAD_ERROR),
        ("insufficient_resources", 1, ErrorCode.INSUFFICIENT_RESOURCES),
        ("storage_failed", 0, ErrorCode.INSUFFICIENT_RESOURCES),
        ("device_missing", 60, ErrorCode.INSUFFICIENT_RESOURCES),
        ("too_long", 60, ErrorCode.AUDIO_EXTRACTION_ERROR),
        ("analysis_crashed", 12, ErrorCode.AUDIO_EXTRACTION_ERROR),
        ("analysis_crashed", 60, ErrorCode.TRANSCRIPTION_ERROR),
        ("model_missing", 60, ErrorCode.TRANSCRIPTION_ERROR),
    ],
)
def test_a_failure_of_a_speech_job_is_told_as_one_of_the_five(
    code: str, progress: int, told: ErrorCode
) -> None:
    assert error_code("speech", code, progress) == told


def test_other_jobs_tell_their_own_codes() -> None:
    assert error_code("scene", "worker_lost", 10) == "worker_lost"
