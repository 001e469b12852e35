"""Following the outbox: every event once, to everybody who listens in this process.

Ids are given out before their transaction commits, so an event can appear below one that was seen
already. The stream therefore remembers the ids that it has passed over and looks for them until no
transaction can still be holding them. It hands events out in one order, and remembers the latest
in that order, so that a listener who comes back with the last id it saw gets exactly what it
missed: from the database what is older than that memory, then the memory, then what happens.

Started by the main process. While the database is down the stream waits and listeners stay; a
listener that is too slow is cut off and comes back with its last id. Where the stream does not
remember that id any more (the process was restarted, or the listener was long away), the listener
may see the events again that were written just before the last one it saw, but misses none.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from backend.events import queries
from backend.events.tables import EventRow
from backend.kernel.clock import Clock, SystemClock, wait_any
from backend.kernel.db import Database, is_disconnect
from backend.kernel.nudge import NudgeListener

log = structlog.get_logger(__name__)

BATCH = 500
REMEMBERED = 2000
LISTENER_BACKLOG = 1000
INTERVAL_S = 1.0
GAP_S = 60.0  # longer than any transaction waits for a lock
MOST_GAPS = 1000
OVERLAP_S = 5.0
OVERLAP_IDS = 200


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """An event as a listener gets it."""

    id: int
    type: str
    payload: dict[str, Any]
    created_at: datetime


Inbox = asyncio.Queue[StreamedEvent | None]


@dataclass(frozen=True, slots=True)
class Listening:
    """What a listener gets, in this order and without loss or doubles.

    `history` is read from the database as it is followed (raising OSError or DBAPIError while that
    is down), `missed` was remembered, `inbox` gets what happens; None in it says that it ends here.
    """

    history: AsyncIterator[StreamedEvent]
    missed: list[StreamedEvent]
    inbox: Inbox


class EventStream:
    """Reads new events and hands them to listeners. A service: `run(stop)`."""

    def __init__(
        self, database: Database, listener: NudgeListener, *, clock: Clock | None = None
    ) -> None:
        self._database = database
        self._nudge = listener
        self._clock = clock or SystemClock()
        self._inboxes: set[Inbox] = set()
        self._remembered: OrderedDict[int, StreamedEvent] = OrderedDict()
        self._gaps: OrderedDict[int, float] = OrderedDict()  # id -> when it is given up
        self._last_id: int | None = None
        self._is_down = False
        self.lag_s = 0.0
        self.ready = asyncio.Event()

    @property
    def listener_count(self) -> int:
        """How many listen now."""
        return len(self._inboxes)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the outbox until stopped; listeners are let go at the end."""
        try:
            while not stop.is_set():
                self._nudge.woken.clear()
                if not await self._look():
                    await wait_any(self._nudge.woken, stop, timeout_s=INTERVAL_S)
        finally:
            for inbox in self._inboxes:
                _let_go(inbox)

    @contextmanager
    def listen(self, after_id: int | None = None) -> Iterator[Listening]:
        """Everything after this event; without an id, what happens from now on. Needs `ready`."""
        missed, history = self._missed(after_id)
        inbox: Inbox = asyncio.Queue(LISTENER_BACKLOG)
        self._inboxes.add(inbox)
        try:
            yield Listening(history, missed, inbox)
        finally:
            self._inboxes.discard(inbox)

    def _missed(
        self, after_id: int | None
    ) -> tuple[list[StreamedEvent], AsyncIterator[StreamedEvent]]:
        if after_id is None:
            return [], _nothing()
        events = list(self._remembered.values())
        if after_id in self._remembered:
            later = itertools.dropwhile(lambda event: event.id != after_id, events)
            return list(later)[1:], _nothing()
        elsewhere = {*self._remembered, *self._gaps, after_id}
        return events, self._history(after_id, self._last_id or 0, elsewhere)

    async def _history(
        self, after_id: int, up_to: int, elsewhere: set[int]
    ) -> AsyncIterator[StreamedEvent]:
        async with self._database.read() as session:
            start = await queries.select_overlap_start(
                session, after_id, seconds=OVERLAP_S, most_ids=OVERLAP_IDS
            )
        last = start - 1
        while last < up_to:
            async with self._database.read() as session:
                rows = await queries.select_after(session, last, BATCH)
            for row in rows:
                if row.id <= up_to and row.id not in elsewhere:
                    yield _event(row)
            if len(rows) < BATCH:
                return
            last = rows[-1].id

    async def _look(self) -> bool:
        """Read what is new; whether there is more to read at once."""
        try:
            is_more = await self._read()
        except Exception as error:
            if not is_disconnect(error):
                raise
            if not self._is_down:
                log.warning("event stream waits for the database", action="events.db_down")
            self._is_down = True
            return False
        if self._is_down:
            log.info("event stream goes on", action="events.db_back")
        self._is_down = False
        return is_more

    async def _read(self) -> bool:
        async with self._database.read() as session:
            if self._last_id is None:
                await self._begin(await queries.select_last_id(session), session)
                return False
            late: Sequence[EventRow] = []
            if self._gaps:
                late = await queries.select_by_ids(session, list(self._gaps))
            new = await queries.select_after(session, self._last_id, BATCH)
            now = await queries.select_now(session) if new or late else None
        for row in late:
            del self._gaps[row.id]
            self._hand_out(_event(row))
        for row in new:
            self._note_gap(self._last_id + 1, row.id)
            self._last_id = row.id
            self._hand_out(_event(row))
        if now is not None:
            newest = max(row.created_at for row in (*late, *new))
            self.lag_s = max((now - newest).total_seconds(), 0.0)
        self._give_up_gaps()
        return len(new) == BATCH

    async def _begin(self, last_id: int, session: Any) -> None:
        there = await queries.select_ids_between(session, last_id - OVERLAP_IDS, last_id)
        self._last_id = last_id
        for event_id in range(max(last_id - OVERLAP_IDS, 0) + 1, last_id):
            if event_id not in there:
                self._note_gap(event_id, event_id + 1)
        self.ready.set()

    def _note_gap(self, start: int, end: int) -> None:
        give_up_at = self._clock.monotonic() + GAP_S
        for event_id in range(max(start, end - MOST_GAPS), end):
            self._gaps[event_id] = give_up_at

    def _give_up_gaps(self) -> None:
        now = self._clock.monotonic()
        while self._gaps:
            event_id, give_up_at = next(iter(self._gaps.items()))
            if give_up_at > now and len(self._gaps) <= MOST_GAPS:
                return
            del self._gaps[event_id]

    def _hand_out(self, event: StreamedEvent) -> None:
        self._remembered[event.id] = event
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        for inbox in list(self._inboxes):
            try:
                inbox.put_nowait(event)
            except asyncio.QueueFull:
                self._inboxes.discard(inbox)
                _let_go(inbox)


def _let_go(inbox: Inbox) -> None:
    while inbox.full():
        inbox.get_nowait()
    inbox.put_nowait(None)


async def _nothing() -> AsyncIterator[StreamedEvent]:
    return
    yield


def _event(row: EventRow) -> StreamedEvent:
    return StreamedEvent(row.id, row.type, row.payload, row.created_at)
