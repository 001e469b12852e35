"""How models of both protocols fail: every fault of a server, seen as one of our errors."""

from __future__ import annotations

import logging
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from backend.analysis.scene.vlm.faults import LONGEST_HINT_S, LONGEST_WORDS
from backend.analysis.scene.vlm.model import (
    ModelBusy,
    ModelError,
    ModelMisconfigured,
    ModelRefused,
    UnusableAnswer,
    VisionModel,
)
from tests.analysis.scene.vlm.asked import (
    KEY,
    VERDICT,
    fault_of,
    question,
    raw_server,
    to,
    url_of,
)
from tests.peers.model_protocols import wrong_key
from tests.peers.model_server import ModelServer, Reply

# What goes wrong


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply(status=401), ModelMisconfigured, "key_refused"),
        (Reply(status=402), ModelMisconfigured, "key_refused"),
        (Reply(status=403), ModelMisconfigured, "key_refused"),
        (Reply(status=403, fault="html"), ModelMisconfigured, "key_refused"),
        (Reply(status=404, message="No such model."), ModelMisconfigured, "model_unknown"),
        (Reply(status=404, message="File Not Found"), ModelMisconfigured, "endpoint_wrong"),
        (Reply(status=404, fault="html"), ModelMisconfigured, "endpoint_wrong"),
        (Reply(status=404, fault="other_json"), ModelMisconfigured, "endpoint_wrong"),
        (Reply(status=405, fault="html"), ModelMisconfigured, "endpoint_wrong"),
        (Reply(fault="html"), ModelMisconfigured, "endpoint_wrong"),
        (Reply(fault="other_json"), ModelMisconfigured, "endpoint_wrong"),
        (Reply(fault="redirect"), ModelMisconfigured, "endpoint_wrong"),
        (Reply(status=204), ModelMisconfigured, "endpoint_wrong"),
        (Reply(status=429), ModelBusy, "rate_limited"),
        (Reply(status=408), ModelBusy, "server_error"),
        (Reply(status=500), ModelBusy, "server_error"),
        (Reply(status=503), ModelBusy, "server_error"),
        (Reply(status=502, fault="html"), ModelBusy, "server_error"),
        (Reply(status=413), ModelRefused, "request_too_large"),
        (Reply(status=400), ModelRefused, "request_refused"),
        (Reply(status=422), ModelRefused, "request_refused"),
        (Reply(fault="drop"), ModelBusy, "connection_lost"),
        (Reply(fault="cut"), ModelBusy, "connection_lost"),
        (Reply(fault="endless"), UnusableAnswer, "too_large"),
        (Reply(fault="gzip_bomb"), UnusableAnswer, "too_large"),
    ],
)
async def test_every_failure_has_its_code(
    model: VisionModel, server: ModelServer, reply: Reply, kind: type[ModelError], code: str
):
    server.answer_with(reply, Reply(VERDICT))
    fault = await fault_of(model)
    assert (type(fault), fault.code) == (kind, code)
    assert (fault.usage.calls, fault.usage.cost_microusd) == (1, 0)
    assert len(server.requests) == 1  # no retry in here
    assert (await model.ask(question())).text == VERDICT  # and the next one works


async def test_a_key_that_the_server_does_not_know_is_refused(backend: str, server: ModelServer):
    async with to(backend, url_of(backend, server), api_key="sk-of-somebody-else") as model:
        fault = await fault_of(model)
    assert (type(fault), fault.code) == (ModelMisconfigured, "key_refused")
    assert "sk-of-somebody-else" not in fault.message


async def test_a_model_that_the_server_does_not_know_is_named(backend: str, server: ModelServer):
    async with to(backend, url_of(backend, server), model="watcher-2") as model:
        fault = await fault_of(model)
    assert (type(fault), fault.code) == (ModelMisconfigured, "model_unknown")
    assert "watcher-2" in fault.message


async def test_a_path_that_is_none_of_the_protocol_is_a_wrong_endpoint(
    backend: str, server: ModelServer
):
    async with to(backend, f"{server.url}/somewhere/else") as model:
        assert (await fault_of(model)).code == "endpoint_wrong"


@pytest.mark.parametrize(
    "url",
    ["nonsense", "http://[bad", "ftp://127.0.0.1/", "http://127.0.0.1:99999", "https://{peer}"],
)
async def test_an_address_that_cannot_be_called_is_a_wrong_endpoint(
    backend: str, server: ModelServer, url: str
):
    peer = server.url.removeprefix("http://")
    async with to(backend, url.replace("{peer}", peer)) as model:
        fault = await fault_of(model)
    assert (type(fault), fault.code) == (ModelMisconfigured, "endpoint_wrong")


async def test_a_server_that_is_not_there_is_unreachable(backend: str):
    with socket.socket() as down:  # nobody else gets the port meanwhile
        down.bind(("127.0.0.1", 0))
        async with to(backend, f"http://127.0.0.1:{down.getsockname()[1]}") as model:
            fault = await fault_of(model)
    assert (type(fault), fault.code) == (ModelBusy, "unreachable")


async def test_gemini_without_a_key_is_not_asked_at_google():
    for key in (None, "", "  "):
        async with to("gemini", None, api_key=key) as model:
            fault = await fault_of(model)
        assert (type(fault), fault.code) == (ModelMisconfigured, "key_missing")
        assert fault.usage.calls == 0


async def test_a_key_that_no_header_can_hold_is_refused_at_once(backend: str, server: ModelServer):
    for key in ("ключ", "two\nlines"):
        async with to(backend, url_of(backend, server), api_key=key) as model:
            fault = await fault_of(model)
        assert (type(fault), fault.code) == (ModelMisconfigured, "key_refused")
        assert key not in fault.message
    assert not server.requests


async def test_a_request_that_is_too_large_is_said_to_be(backend: str):
    async with (
        ModelServer(largest_request_bytes=1000) as server,
        to(backend, url_of(backend, server)) as model,
    ):
        fault = await fault_of(model)
    assert (type(fault), fault.code) == (ModelRefused, "request_too_large")


async def test_a_schema_that_the_server_refuses_comes_back_in_its_own_words(
    model: VisionModel, backend: str
):
    fault = await fault_of(model, question(schema={"type": "object", "$ref": "#/$defs/a"}))
    assert (type(fault), fault.code) == (ModelRefused, "request_refused")
    assert "$ref is not supported" in fault.message


async def test_openai_is_asked_strictly(server: ModelServer):
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    async with to("openai", server.openai_url) as model:
        assert (await fault_of(model, question(schema=loose))).code == "request_refused"


async def test_a_failure_that_a_gateway_wraps_in_a_good_answer_is_seen(
    backend: str, server: ModelServer
):
    body = b'{"error": {"code": 429, "message": "Upstream is busy"}}'
    async with raw_server(body) as url, to(backend, url) as model:
        assert (await fault_of(model)).code == "rate_limited"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1]",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"choices": "none", "candidates": 5}',
        b'{"choices": [1], "candidates": [1]}',
        b'{"choices": [{"message": {"content": 5}}], "candidates": [{"content": 5}]}',
    ],
)
async def test_an_answer_of_another_shape_is_a_wrong_endpoint(backend: str, body: bytes):
    async with raw_server(body) as url, to(backend, url) as model:
        fault = await fault_of(model)
    assert (type(fault), fault.code) == (ModelMisconfigured, "endpoint_wrong")
    assert fault.usage.calls == 1


# Hints


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("said", "hint_s"),
    [("7", 7), ("2.5", 2.5), ("0", 0), ("999999", LONGEST_HINT_S), ("soon", None), ("", None)],
)
async def test_a_hint_in_seconds_is_kept(
    model: VisionModel, server: ModelServer, status: int, said: str, hint_s: float | None
):
    server.answer_with(Reply(status=status, retry_after=said))
    fault = await fault_of(model)
    assert isinstance(fault, ModelBusy)
    assert fault.retry_after_s == hint_s


@pytest.mark.parametrize(
    ("in_s", "least_s", "most_s"), [(90, 60, 90), (-90, 0, 0), (99_999, 3600, 3600)]
)
async def test_a_hint_as_a_date_is_kept(
    model: VisionModel, server: ModelServer, in_s: float, least_s: float, most_s: float
):
    then = datetime.now(UTC) + timedelta(seconds=in_s)
    server.answer_with(Reply(status=429, retry_after=format_datetime(then, usegmt=True)))
    fault = await fault_of(model)
    assert isinstance(fault, ModelBusy)
    assert fault.retry_after_s is not None
    assert least_s <= fault.retry_after_s <= most_s


@pytest.mark.parametrize(
    ("delay", "hint_s"), [("23s", 23), ("1.5s", 1.5), ("99999s", LONGEST_HINT_S), ("23", None)]
)
async def test_geminis_own_hint_is_kept(server: ModelServer, delay: str, hint_s: float | None):
    server.answer_with(Reply(status=429, retry_delay=delay))
    async with to("gemini", server.gemini_url) as model:
        fault = await fault_of(model)
    assert isinstance(fault, ModelBusy)
    assert fault.retry_after_s == hint_s


@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "Fri, 31 Dec 2027 23:59:59 +99999999"]
)
async def test_a_date_that_is_none_is_no_hint(model: VisionModel, server: ModelServer, date: str):
    server.answer_with(Reply(status=429, retry_after=date))
    fault = await fault_of(model)
    assert isinstance(fault, ModelBusy)
    assert fault.retry_after_s is None


# Secrets


async def test_the_servers_words_come_cut_and_without_secrets(
    model: VisionModel, server: ModelServer
):
    words = f"No {KEY}\n\x1b[31m at https://me:hunter2@host/?api_key=abc123 " + "blah " * 200
    server.answer_with(Reply(status=400, message=words))
    fault = await fault_of(model)
    assert "hunter2" not in fault.message
    assert "abc123" not in fault.message
    assert fault.message.isprintable()
    assert len(fault.message) < LONGEST_WORDS + 100
    assert "No *** [31m at https://***@host/?api_key=*** blah" in fault.message


@pytest.mark.parametrize(
    "reply", [Reply(VERDICT), Reply(status=500), Reply(fault="cut"), Reply(fault="drop")]
)
async def test_no_log_line_holds_the_key_or_the_pictures(
    backend: str, server: ModelServer, reply: Reply, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    server.answer_with(reply, wrong_key("gemini" if backend == "gemini" else "openai"))
    async with to(backend, url_of(backend, server)) as model:
        for _ in range(2):
            try:
                await model.ask(question())
            except ModelError:
                logging.getLogger("test").exception("as whoever asks may do")
    assert len(server.requests) == 2
    assert "HTTP Request" in caplog.text  # so that the client did log
    assert KEY not in caplog.text
    for jpeg in ("/9j/", "_9j_", "\\xff\\xd8"):  # how every JPEG begins
        assert jpeg not in caplog.text
