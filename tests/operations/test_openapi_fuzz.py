"""Every operation of the API's description, called with whatever the description allows and more.

A running server is sent generated requests, right and wrong ones. None is answered with a 5xx, and
every answer is what the description says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.main_process import started

EXAMPLES = 12
PATIENT_S = 60.0
STREAM = "/api/v1/events"  # has no end: only its head is looked at
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


async def _fill(client: httpx.AsyncClient) -> None:
    """Give the lists something to show."""
    camera = {"name": "Gate", "source": "demo:", "enabled": False}
    video = {"job_id": "test-123", "video_url": "https://b.example/a.mp4"}
    result = {"job_id": "test-123", "status": "completed", "result": {"segments": []}}
    for path, body in (
        ("/api/v1/cameras", camera),
        ("/api/upload-video/process-video", video),
        ("/api/v1/ml/ml-results", result),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code < 300, answer.text
    cancelled = await client.post("/api/v1/jobs/1/cancel")
    assert cancelled.status_code == 200, cancelled.text


def _operations(address: str) -> Iterator[tuple[str, Any]]:
    document = httpx.get(f"{address}/openapi.json", timeout=PATIENT_S).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=address)
    for found in schema.get_all_operations():
        operation = found.ok()
        yield f"{operation.method.upper()} {operation.path}", operation


def _fuzz(address: str) -> dict[str, str]:
    """What went wrong, by operation."""
    failures: dict[str, str] = {}
    called = 0
    for name, operation in _operations(address):
        if operation.path == STREAM:
            continue
        for mode in GenerationMode:
            try:
                _call(operation, mode)
            except Unsatisfiable:
                continue  # of an operation that takes nothing, no request is wrong
            except Exception as error:  # noqa: BLE001  all of them are wanted, not the first
                failures[f"{name} ({mode.value})"] = _words(error)
        called += 1
    assert called > 30
    return failures


def _words(error: BaseException) -> str:
    inner = getattr(error, "exceptions", None)
    return "\n".join(map(_words, inner)) if inner else f"{type(error).__name__}: {error}"[:1500]


def _call(operation: Any, mode: GenerationMode) -> None:
    strategy = operation.as_strategy(generation_mode=mode)

    @given(strategy)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, timeout=PATIENT_S)

    send()


async def _stream(address: str) -> None:
    async with httpx.AsyncClient(base_url=address, timeout=PATIENT_S) as client:
        for last in ("", "0", "-1", "9" * 400, "x", "\u00e9", "1,2"):
            headers = {"Last-Event-ID": last.encode("latin-1")}
            async with client.stream("GET", STREAM, headers=headers) as answer:
                assert answer.status_code < 500, last


async def test_no_request_makes_the_server_fail_and_answers_are_as_described(
    tmp_path: Path,
) -> None:
    async with started(tmp_path, SPEECH_REQUESTS_PER_MINUTE="1000000") as running:
        address = running.address.rstrip("/")
        async with httpx.AsyncClient(base_url=address, timeout=PATIENT_S) as client:
            await _fill(client)
        failures = await asyncio.to_thread(_fuzz, address)
        assert not failures, "\n\n".join(f"{name}\n{words}" for name, words in failures.items())
        await _stream(address)
        ended = await running.stop()
    assert ended.code == 0
    assert "Traceback" not in ended.err
