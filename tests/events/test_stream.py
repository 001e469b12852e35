"""Every event once, in one order, to everybody who listens; also to who comes back."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from backend.events import stream as stream_module
from backend.events.catalog import CameraChanged
from backend.events.outbox import Outbox
from backend.events.stream import EventStream, Listening
from backend.events.tables import EventRow
from backend.kernel.db import Database
from backend.kernel.lifecycle import Supervisor
from backend.kernel.nudge import EVENTS, NudgeListener, Nudges
from tests.waiting import WITHIN_S


async def _insert(database: Database, *ids: int) -> None:
    async with database.write() as session:
        for event_id in ids:
            session.add(
                EventRow(
                    id=event_id,
                    event_id=str(uuid4()),
                    type="camera.changed",
                    key="camera:gate",
                    payload={"camera_id": "gate"},
                )
            )


async def _all_of(listening: Listening) -> list[int]:
    """What a listener has got by now."""
    ids = [event.id async for event in listening.history]
    ids += [event.id for event in listening.missed]
    while not listening.inbox.empty():
        event = listening.inbox.get_nowait()
        assert event is not None
        ids.append(event.id)
    return ids


async def _ready(database: Database, nudge: NudgeListener) -> EventStream:
    stream = EventStream(database, nudge)
    await stream._look()
    assert stream.ready.is_set()
    return stream


async def test_a_listener_gets_events_from_now_on_and_not_the_past(
    database: Database, nudge: NudgeListener
) -> None:
    await _insert(database, 1, 2)
    stream = await _ready(database, nudge)
    with stream.listen() as listening:
        await _insert(database, 3, 4)
        await stream._look()
        assert await _all_of(listening) == [3, 4]


async def test_an_event_that_commits_below_one_already_seen_is_handed_out_late(
    database: Database, nudge: NudgeListener
) -> None:
    await _insert(database, 1)
    stream = await _ready(database, nudge)
    with stream.listen() as listening:
        await _insert(database, 2, 5)
        await stream._look()
        await _insert(database, 3)
        await stream._look()
        await _insert(database, 4, 6)
        await stream._look()
        assert await _all_of(listening) == [2, 5, 3, 4, 6]


async def test_an_event_that_was_in_flight_when_the_stream_began_is_not_lost(
    database: Database, nudge: NudgeListener
) -> None:
    await _insert(database, 1, 3)
    stream = await _ready(database, nudge)
    with stream.listen() as listening:
        await _insert(database, 2)
        await stream._look()
        assert await _all_of(listening) == [2]


class _Clock:
    def __init__(self) -> None:
        self.time_s = 0.0

    def monotonic(self) -> float:
        return self.time_s


async def test_an_id_that_never_comes_is_given_up(sqlite: Database, nudge: NudgeListener) -> None:
    clock = _Clock()
    await _insert(sqlite, 1)
    stream = EventStream(sqlite, nudge, clock=clock)
    await stream._look()
    await _insert(sqlite, 3)
    await stream._look()
    assert list(stream._gaps) == [2]
    clock.time_s = stream_module.GAP_S
    await stream._look()
    assert not stream._gaps


async def test_a_leap_of_ids_does_not_fill_the_memory(
    sqlite: Database, nudge: NudgeListener
) -> None:
    await _insert(sqlite, 1)
    stream = await _ready(sqlite, nudge)
    with stream.listen() as listening:
        await _insert(sqlite, 10_000_000)
        await stream._look()
        assert await _all_of(listening) == [10_000_000]
    assert len(stream._gaps) <= stream_module.MOST_GAPS


class _Client:
    """A browser that goes away and comes back with the last id it saw."""

    def __init__(self, stream: EventStream, *, last_seen: int) -> None:
        self.seen = [last_seen]
        self._stream = stream
        self._open: tuple[AbstractContextManager[Listening], Listening] | None = None

    def come(self) -> None:
        if self._open is None:
            context = self._stream.listen(self.seen[-1])
            self._open = (context, context.__enter__())

    async def leave(self) -> None:
        if self._open is not None:
            context, listening = self._open
            self.seen += await _all_of(listening)
            context.__exit__(None, None, None)
            self._open = None


async def _look_at_all(stream: EventStream) -> None:
    while await stream._look():
        pass


@given(data=st.data())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whoever_comes_and_goes_sees_every_event_exactly_once(
    data: st.DataObject, sqlite: Database, nudge: NudgeListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits in any order, looks and reconnections at any time, a memory shorter than the past."""
    async with sqlite.write() as session:
        await session.execute(EventRow.__table__.delete())
    monkeypatch.setattr(stream_module, "BATCH", 3)
    await _insert(sqlite, 1000)
    stream = await _ready(sqlite, nudge)
    order = data.draw(st.permutations(range(1001, 1013)), label="order of commits")
    moves = st.lists(st.sampled_from(["look", "leave", "come"]), max_size=3)
    client = _Client(stream, last_seen=1000)
    client.come()
    for event_id in order:
        for move in data.draw(moves, label=f"before {event_id}"):
            match move:
                case "look":
                    await _look_at_all(stream)
                case "leave":
                    await client.leave()
                case "come":
                    client.come()
        await _insert(sqlite, event_id)
    client.come()
    await _look_at_all(stream)
    await client.leave()
    assert sorted(client.seen[1:]) == list(range(1001, 1013))


async def test_what_is_older_than_the_memory_comes_from_the_database(
    database: Database, nudge: NudgeListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "REMEMBERED", 3)
    monkeypatch.setattr(stream_module, "BATCH", 2)
    monkeypatch.setattr(stream_module, "OVERLAP_S", 0.0)
    for event_id in range(1, 4):
        await _insert(database, event_id)
    stream = await _ready(database, nudge)
    await _insert(database, 4, 5, 6, 8)
    await _look_at_all(stream)
    with stream.listen(2) as listening:
        await _insert(database, 7, 9)
        await _look_at_all(stream)
        got = await _all_of(listening)
    assert sorted(set(got)) == [3, 4, 5, 6, 7, 8, 9]
    assert len(got) == len(set(got))


async def test_after_a_restart_an_event_committed_late_is_still_replayed(
    database: Database, nudge: NudgeListener
) -> None:
    """The old process had shown 12 before 11 was committed; the new one does not know that."""
    await _insert(database, 10, 12)
    await _insert(database, 11)
    stream = await _ready(database, nudge)
    with stream.listen(12) as listening:
        got = await _all_of(listening)
    assert 11 in got
    assert 12 not in got


async def test_a_slow_listener_is_let_go_and_the_others_go_on(
    sqlite: Database, nudge: NudgeListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "LISTENER_BACKLOG", 3)
    await _insert(sqlite, 1)
    stream = await _ready(sqlite, nudge)
    with stream.listen() as slow, stream.listen() as quick:
        got = []
        for event_id in range(2, 8):
            await _insert(sqlite, event_id)
            await stream._look()
            got += await _all_of(Listening(quick.history, [], quick.inbox))
        assert got == [2, 3, 4, 5, 6, 7]
        assert stream.listener_count == 1
        last = None
        while not slow.inbox.empty():
            last = slow.inbox.get_nowait()
        assert last is None


async def test_a_nudge_brings_an_event_at_once(
    database: Database, nudge: NudgeListener, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "INTERVAL_S", 10 * WITHIN_S)
    stream = EventStream(database, nudge)
    async with Supervisor() as supervisor:
        supervisor.start("events", stream.run)
        await stream.ready.wait()
        with stream.listen() as listening:
            async with database.write() as session:
                outbox.publish(session, CameraChanged(camera_id="gate"))
            async with asyncio.timeout(WITHIN_S):
                event = await listening.inbox.get()
        assert event is not None
        assert event.payload == {"camera_id": "gate"}
        assert 0 <= stream.lag_s < WITHIN_S
        monkeypatch.setattr(stream_module, "INTERVAL_S", 0.01)
        nudge.woken.set()


async def test_listeners_stay_through_an_outage_and_get_what_happened(
    sqlite: Database, nudge: NudgeListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "INTERVAL_S", 0.01)
    stream = EventStream(sqlite, nudge)
    is_down, tried = True, asyncio.Event()
    real = stream_module.queries.select_after

    async def failing(*arguments):
        if is_down:
            tried.set()
            raise OperationalError("SELECT", {}, Exception("gone away"))
        return await real(*arguments)

    async with Supervisor() as supervisor:
        supervisor.start("events", stream.run)
        await stream.ready.wait()
        monkeypatch.setattr(stream_module.queries, "select_after", failing)
        with stream.listen() as listening:
            await _insert(sqlite, 1)
            await tried.wait()
            assert stream.listener_count == 1
            is_down = False
            async with asyncio.timeout(WITHIN_S):
                event = await listening.inbox.get()
            assert event is not None


async def test_listeners_are_let_go_when_the_stream_stops(
    sqlite: Database, tmp_path: Path, nudges: Nudges
) -> None:
    async with NudgeListener(tmp_path / "run", EVENTS, "test") as nudge:
        stream = EventStream(sqlite, nudge)
        supervisor = Supervisor()
        supervisor.start("events", stream.run)
        await stream.ready.wait()
        with stream.listen() as listening:
            await supervisor.stop_all()
            assert listening.inbox.get_nowait() is None
