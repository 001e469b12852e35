"""/api/v1/events over real connections: replay, live, pings, ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy.exc import OperationalError

from backend.events import stream as stream_module
from backend.events.catalog import CameraChanged, CameraStateChanged
from backend.events.outbox import Outbox
from backend.operations import stream as sse
from tests.operations.conftest import MakeSettings, opened, served
from tests.waiting import WITHIN_S, until

EVENTS = "/api/v1/events"


async def _publish(app: FastAPI, *camera_ids: str) -> None:
    outbox = Outbox(app.state.jobs._nudges)
    for camera_id in camera_ids:
        async with app.state.jobs._database.write() as session:
            outbox.publish(session, CameraChanged(camera_id=camera_id))


async def _frames(answer: Response) -> AsyncIterator[dict[str, str]]:
    """The server-sent frames of an answer, field by field; comments under an empty name."""
    frame: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            yield frame
            frame = {}
        else:
            name, _, value = line.partition(": ")
            frame[name] = value


async def _until_frame(
    frames: AsyncIterator[dict[str, str]], is_it: Callable[[dict[str, str]], bool]
) -> dict[str, str]:
    async with asyncio.timeout(WITHIN_S):
        async for frame in frames:
            if is_it(frame):
                return frame
    raise AssertionError("the stream ended before it came")


def _is_event(frame: dict[str, str]) -> bool:
    return "id" in frame


async def test_an_event_arrives_with_id_type_and_payload_on_one_line(
    make_settings: MakeSettings,
) -> None:
    async with (
        served(make_settings()) as (app, client, _),
        client.stream("GET", EVENTS) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        frames = _frames(answer)
        assert (await _until_frame(frames, bool)) == {"retry": "2000"}
        await until(lambda: app.state.events.listener_count == 1)
        async with app.state.jobs._database.write() as session:
            event = CameraStateChanged(
                camera_id="gate",
                state="failed",
                reason="two\nlines — and ünicode",
                since="2026-01-02T03:04:05Z",
            )
            Outbox(app.state.jobs._nudges).publish(session, event)
        frame = await _until_frame(frames, _is_event)
    assert set(frame) == {"id", "event", "data"}
    assert int(frame["id"]) > 0
    assert frame["event"] == "camera.state_changed"
    payload = json.loads(frame["data"])
    assert payload["reason"] == "two\nlines — and ünicode"


@pytest.mark.parametrize("way", ["header", "query", "header wins"])
async def test_a_client_that_comes_back_gets_what_it_missed_and_then_what_happens(
    make_settings: MakeSettings, way: str
) -> None:
    async with served(make_settings()) as (app, client, _):
        async with client.stream("GET", EVENTS) as answer:
            frames = _frames(answer)
            await _until_frame(frames, bool)
            await until(lambda: app.state.events.listener_count == 1)
            await _publish(app, "one")
            last_id = (await _until_frame(frames, _is_event))["id"]
        await until(lambda: app.state.events.listener_count == 0)
        await _publish(app, "two", "three")
        headers = {"Last-Event-ID": last_id} if way != "query" else {}
        params = {"header": {}, "query": {"last_event_id": last_id}}.get(way, {"last_event_id": 0})
        async with client.stream("GET", EVENTS, headers=headers, params=params) as answer:
            frames = _frames(answer)
            got = [json.loads((await _until_frame(frames, _is_event))["data"]) for _ in range(2)]
            await _publish(app, "four")
            got.append(json.loads((await _until_frame(frames, _is_event))["data"]))
        assert [payload["camera_id"] for payload in got] == ["two", "three", "four"]


async def test_events_that_happen_during_a_long_replay_come_once_and_after_it(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "BATCH", 7)
    monkeypatch.setattr(stream_module, "REMEMBERED", 20)
    monkeypatch.setattr(stream_module, "OVERLAP_S", 0.0)
    async with served(make_settings()) as (app, client, _):
        await _publish(app, *(f"c{n}" for n in range(100)))
        await until(lambda: app.state.events._last_id == 100)
        async with client.stream("GET", EVENTS, headers={"Last-Event-ID": "1"}) as answer:
            frames = _frames(answer)
            ids = []
            while len(ids) < 129:
                frame = await _until_frame(frames, _is_event)
                ids.append(int(frame["id"]))
                if len(ids) in {5, 50, 95}:
                    await _publish(app, *(f"d{n}" for n in range(10)))
        assert ids == list(range(2, 131))


async def test_a_silent_stream_is_pinged(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sse.EventStreamResponse.__init__.__kwdefaults__["ping_s"] == 15.0
    monkeypatch.setitem(sse.EventStreamResponse.__init__.__kwdefaults__, "ping_s", 0.05)
    async with (
        served(make_settings()) as (_, client, _),
        client.stream("GET", EVENTS) as answer,
    ):
        frames = _frames(answer)
        for _ in range(3):
            assert await _until_frame(frames, lambda frame: frame.get("") == "ping")


async def test_a_stopping_server_ends_the_stream_in_order(make_settings: MakeSettings) -> None:
    async with (
        served(make_settings()) as (app, client, server),
        client.stream("GET", EVENTS) as answer,
    ):
        frames = _frames(answer)
        await _until_frame(frames, bool)
        server.should_exit = True
        async with asyncio.timeout(WITHIN_S):  # it would be broken off later than that
            async for _ in frames:
                pass  # it ends by itself: a broken-off answer would raise
        assert app.state.stopping.is_set()


async def test_a_client_that_is_gone_is_forgotten(make_settings: MakeSettings) -> None:
    async with served(make_settings()) as (app, client, _):
        async with client.stream("GET", EVENTS) as answer:
            frames = _frames(answer)
            await _until_frame(frames, bool)
            await until(lambda: app.state.events.listener_count == 1)
        await until(lambda: app.state.events.listener_count == 0)


async def test_a_client_that_does_not_read_is_cut_off_and_others_go_on(
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sse.EventStreamResponse.__init__.__kwdefaults__, "send_within_s", 0.2)
    monkeypatch.setattr(sse, "GOODBYE_WITHIN_S", 0.1)
    async with served(make_settings()) as (app, client, server):
        address = urlsplit(str(client.base_url))
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.to_thread(deaf.connect, (address.hostname, address.port))
        deaf.sendall(f"GET {EVENTS} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await until(lambda: app.state.events.listener_count == 1)
        monkeypatch.setitem(sse.EventStreamResponse.__init__.__kwdefaults__, "send_within_s", 60.0)
        async with client.stream("GET", EVENTS) as answer:
            frames = _frames(answer)
            await until(lambda: app.state.events.listener_count == 2)
            big = "x" * 100_000
            for event_id in range(1, 200):
                event = stream_module.StreamedEvent(event_id, "camera.changed", {"c": big}, None)
                app.state.events._hand_out(event)
                if event_id % 20 == 0:
                    await _until_frame(frames, lambda f, n=event_id: f.get("id") == str(n))
            await until(lambda: app.state.events.listener_count == 1)
            # hung up on: what it did not read does not wait for it in memory for ever
            await until(lambda: len(server.server_state.connections) == 1)
        deaf.close()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_stream_ends_after_an_hour_so_that_who_may_read_is_asked_again(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sse.LONGEST_S == 3600
    monkeypatch.setattr(sse, "LONGEST_S", 0.1)
    async with (
        served(make_settings()) as (_, client, _),
        client.stream("GET", EVENTS) as answer,
        asyncio.timeout(WITHIN_S),
    ):
        assert await answer.aread()  # in order: a broken-off answer would raise


async def test_an_outage_of_the_database_keeps_the_stream_open_and_replays_after_it(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "TRY_AGAIN_S", 0.01)
    real, is_down = stream_module.queries.select_overlap_start, True

    async def failing(*arguments, **options):
        if is_down:
            raise OperationalError("SELECT", {}, Exception("gone away"))
        return await real(*arguments, **options)

    monkeypatch.setattr(stream_module.queries, "select_overlap_start", failing)
    monkeypatch.setattr(stream_module, "REMEMBERED", 1)
    async with served(make_settings()) as (app, client, _):
        await _publish(app, "one", "two", "three")
        await until(lambda: app.state.events._last_id == 3)
        async with client.stream("GET", EVENTS, headers={"Last-Event-ID": "1"}) as answer:
            frames = _frames(answer)
            await _until_frame(frames, lambda frame: frame.get("") == "ping")
            is_down = False
            ids = [(await _until_frame(frames, _is_event))["id"] for _ in range(2)]
        assert ids == ["2", "3"]


@pytest.mark.parametrize("last_id", ["-1", "x", "1.5", "", str(2**63)])
async def test_an_id_that_is_none_is_refused(client: AsyncClient, last_id: str) -> None:
    answer = await client.get(EVENTS, params={"last_event_id": last_id})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_input"


async def test_a_stranger_gets_no_event(make_settings: MakeSettings) -> None:
    async with opened(make_settings(), base_url="http://evil.example") as (_, client):
        assert (await client.get(EVENTS)).status_code == 401
