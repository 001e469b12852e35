"""Both protocols of vision-language models, against a real server: asking and being answered.

One behaviour, two wires: nearly every test runs over both.
"""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.analysis.scene.vlm.model import (
    Clip,
    ModelBusy,
    UnusableAnswer,
    VisionModel,
)
from backend.analysis.scene.vlm.transport import LARGEST_ANSWER_BYTES
from tests.analysis.scene.vlm.asked import (
    KEY,
    NAME,
    PICTURES,
    RAW_OPEN,
    SCHEMA,
    VERDICT,
    fault_of,
    make_impatient,
    model_of,
    question,
    raw_server,
    to,
    url_of,
)
from tests.peers.model_protocols import Fault
from tests.peers.model_server import ModelServer, Received, Reply, running_model_server
from tests.peers.videos import make_video
from tests.waiting import until

# What is sent


async def test_a_question_arrives_as_it_was_asked(
    model: VisionModel, server: ModelServer, backend: str
):
    await model.ask(question())

    (received,) = server.requests
    assert (received.protocol, received.model, received.key) == (backend, NAME, KEY)
    assert received.instructions == "You watch a yard."
    assert received.text == "What happens? t=1 s is the start."
    assert received.max_output_tokens == 777
    assert received.headers["content-type"] == "application/json"


async def test_the_schema_keeps_the_order_of_its_properties(
    model: VisionModel, server: ModelServer, backend: str
):
    await model.ask(question())

    (received,) = server.requests
    assert json.dumps(received.schema) == json.dumps(SCHEMA)
    assert received.schema_name == ("verdict" if backend == "openai" else None)


async def test_pictures_are_sent_in_order_each_after_its_time(
    model: VisionModel, server: ModelServer
):
    await model.ask(question())

    (received,) = server.requests
    assert received.pictures == [(picture.t, picture.jpeg) for picture in PICTURES]
    assert received.order == ["time", "picture"] * 3 + ["text"]


async def test_gemini_is_shown_a_clip_as_one_mp4(server: ModelServer, tmp_path: Path):
    mp4 = make_video(tmp_path / "clip.mp4", seconds=1, fps=5, size=(64, 48)).read_bytes()
    async with to("gemini", server.gemini_url) as model:
        assert model.takes_video
        await model.ask(question(clip=Clip(mp4, seconds=1, fps=5), pictures=()))
        await model.ask(question(clip=Clip(mp4, seconds=1, fps=60), pictures=()))

    slow, fast = server.requests
    assert (slow.mp4, slow.fps, slow.order) == (mp4, 5, ["video", "text"])
    assert fast.fps == 24  # more than the service takes would be refused


def test_only_gemini_takes_video():
    assert not model_of("openai", "http://127.0.0.1:1/v1").takes_video


async def test_the_name_and_the_protocol_are_those_configured(model: VisionModel, backend: str):
    assert (model.name, model.backend) == (NAME, backend)


async def test_no_key_is_sent_where_none_is_set(
    backend: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    for name in ("OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "somebody-elses-key")
    async with ModelServer() as server, to(backend, url_of(backend, server), api_key=" ") as model:
        await model.ask(question())

    (received,) = server.requests
    assert received.key is None
    assert "somebody-elses-key" not in str(received.headers)


async def test_the_environment_does_not_choose_the_service(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "elsewhere")
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v7")
    async with to("gemini", server.gemini_url) as model:
        assert (await model.ask(question())).text == VERDICT


# What comes back


async def test_an_answer_has_its_text_and_what_it_cost(model: VisionModel, server: ModelServer):
    server.answer_with(
        Reply(VERDICT, input_tokens=1_000_001, output_tokens=400, thought_tokens=600, version="w-7")
    )
    began = time.monotonic()
    answer = await model.ask(question())
    took_ms = (time.monotonic() - began) * 1000

    assert (answer.text, answer.model) == (VERDICT, "w-7")
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.calls) == (1_000_001, 1_000, 1)
    # 1,000,001 x $0.30 / M = 300,000.3 millionths; 1,000 x $2.50 / M = 2,500; rounded up
    assert usage.cost_microusd == 302_501
    assert 0 <= usage.latency_ms <= took_ms + 1  # it is rounded


async def test_a_server_that_reports_no_usage_is_not_guessed_at(
    model: VisionModel, server: ModelServer
):
    server.answer_with(Reply(VERDICT, input_tokens=None))
    usage = (await model.ask(question())).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cost_microusd) == (0, 0, 0)
    assert usage.calls == 1


@pytest.mark.parametrize("text", ['{"what_is_seen": "a ya', "I see a yard.", '{"events": "none"}'])
async def test_text_after_no_schema_is_handed_on_to_be_checked(
    model: VisionModel, server: ModelServer, text: str
):
    server.answer_with(text)
    assert (await model.ask(question())).text == text


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply('{"what', finish="truncated"), "truncated"),
        (Reply("", finish="truncated"), "truncated"),
        (Reply(finish="blocked"), "blocked"),
        (Reply(finish="refused"), "blocked"),
        (Reply(finish="question_blocked"), "blocked"),
        (Reply(""), "empty"),
        (Reply(" \n"), "empty"),
    ],
)
async def test_an_answer_that_is_none_says_why_and_what_it_cost(
    model: VisionModel, server: ModelServer, reply: Reply, code: str
):
    server.answer_with(reply)
    fault = await fault_of(model)
    assert isinstance(fault, UnusableAnswer)
    assert fault.code == code
    assert (fault.usage.input_tokens, fault.usage.output_tokens, fault.usage.calls) == (100, 20, 1)
    assert fault.usage.cost_microusd == 80  # 100 x 0.30 + 20 x 2.50


# Time, connections, memory


async def test_a_slow_answer_is_waited_for(model: VisionModel, server: ModelServer):
    server.answer_with(Reply(VERDICT, delay_s=0.2))
    answer = await model.ask(question())
    assert answer.text == VERDICT
    assert answer.usage.latency_ms >= 200


async def test_an_answer_that_does_not_come_times_out(model: VisionModel, server: ModelServer):
    server.answer_with(Reply(VERDICT), Reply(held=True))
    await model.ask(question())
    make_impatient(model, 0.3)
    fault = await fault_of(model)
    assert (type(fault), fault.code) == (ModelBusy, "timeout")
    assert fault.usage.latency_ms >= 300
    await until(lambda: server.open_count == 0)
    # on a slow machine the second one may not get there in time
    assert all(received.was_abandoned for received in server.requests[1:])


async def test_an_answer_that_trickles_in_for_ever_times_out(backend: str):
    async with (
        raw_server(b" ", every_s=0.02, first=b"{}") as url,
        to(backend, url) as model,
    ):
        assert (await fault_of(model)).code == "endpoint_wrong"
        make_impatient(model, 0.3)
        fault = await fault_of(model)
    assert (type(fault), fault.code) == (ModelBusy, "timeout")


async def test_a_cancelled_question_closes_its_connection_at_once(
    model: VisionModel, server: ModelServer
):
    server.answer_with(Reply(held=True))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(model.ask(question()))
        await until(lambda: server.in_progress_count == 1)
        asking.cancel()
    await until(lambda: server.requests[0].was_abandoned)
    await until(lambda: server.open_count == 0)


async def test_a_question_cancelled_while_its_answer_streams_in_closes_its_connection(
    backend: str,
):
    async with raw_server(b" ", every_s=0.01) as url, to(backend, url) as model:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(model.ask(question()))
            await until(lambda: RAW_OPEN)
            asking.cancel()
        await until(lambda: not RAW_OPEN)


async def test_questions_are_asked_at_once_over_kept_connections(
    model: VisionModel, server: ModelServer
):
    server.answer_with(lambda received: Reply(received.text, held=True))
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(model.ask(question(pictures=()))) for _ in range(8)]
        await until(lambda: server.in_progress_count == 8)
        server.release()
    assert {task.result().text for task in asked} == {"What happens? t=1 s is the start."}
    await model.ask(question())
    assert server.connections_count == 8


@pytest.mark.parametrize("fault", ["endless", "gzip_bomb"])
async def test_an_answer_that_is_given_up_closes_its_connection(
    model: VisionModel, server: ModelServer, fault: Fault
):
    server.answer_with(Reply(fault=fault))
    await fault_of(model)
    await until(lambda: server.open_count == 0)


async def test_closing_closes_the_connections(model: VisionModel, server: ModelServer):
    await model.ask(question())
    assert server.open_count == 1
    await model.aclose()
    await until(lambda: server.open_count == 0)


async def test_closing_before_any_question_is_fine(backend: str):
    await model_of(backend, "http://127.0.0.1:1").aclose()


@pytest.mark.parametrize("fault", ["endless", "gzip_bomb"])
async def test_an_answer_without_end_takes_no_more_memory_than_the_bound(backend: str, fault: Any):
    with running_model_server() as server:
        url = server.gemini_url if backend == "gemini" else server.openai_url
        async with to(backend, url) as model:
            await model.ask(question())  # what is loaded once is loaded now
            server.answer_with(Reply(fault=fault))
            tracemalloc.start()
            try:
                assert (await fault_of(model)).code == "too_large"
                _, most_bytes = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert most_bytes < 3 * LARGEST_ANSWER_BYTES


async def test_an_answer_just_within_the_bound_is_taken(model: VisionModel, server: ModelServer):
    text = "x" * (LARGEST_ANSWER_BYTES - 1000)
    server.answer_with(text)
    assert (await model.ask(question())).text == text


# The peer itself, where system tests lean on it


async def test_the_peer_runs_on_a_thread_of_its_own_and_answers_by_turns(backend: str):
    def count(received: Received) -> dict[str, Any]:
        return {"pictures": len(received.pictures)}

    with running_model_server(models=(NAME,)) as server:
        url = server.gemini_url if backend == "gemini" else server.openai_url
        server.answer_with({"turn": 1}, {"turn": 2})
        async with to(backend, url) as model:
            texts = [(await model.ask(question())).text for _ in range(3)]
            server.answer_with(count)
            texts.append((await model.ask(question())).text)
        assert [request.model for request in server.requests] == [NAME] * 4
    assert texts == ['{"turn": 1}', '{"turn": 2}', '{"turn": 2}', '{"pictures": 3}']


async def test_the_peer_lists_its_models_and_takes_a_key_in_the_query(server: ModelServer):
    async with httpx.AsyncClient() as client:
        listed = (await client.get(f"{server.openai_url}/models")).json()
        asked = {"contents": [{"parts": [{"text": "Hello"}]}]}
        path = f"{server.gemini_url}/v1beta/models/{NAME}:generateContent"
        answers = [await client.post(f"{path}?key={key}", json=asked) for key in (KEY, "other")]
        answers.append(await client.post(path, json=asked))
    assert [one["id"] for one in listed["data"]] == [NAME]
    assert [answer.status_code for answer in answers] == [200, 400, 403]
    assert answers[1].json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
