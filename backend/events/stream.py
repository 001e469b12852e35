"""Following the outbox: every event once, to everybody who listens in this process.

Ids are given out before their transaction commits, so an event can appear below one that was seen
already. Each look therefore reads a short overlap again and drops what it has seen. Started by the
main process; a listener that is too slow is cut off and comes back with its last id.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.events import queries
from backend.events.tables import EventRow
from backend.kernel.clock import wait
from backend.kernel.db import Database
from backend.kernel.nudge import NudgeListener

OVERLAP_IDS = 200
SEEN_IDS = 5000
BATCH = 500
LISTENER_BACKLOG = 1000
INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """An event as a listener gets it."""

    id: int
    type: str
    payload: dict[str, Any]
    created_at: datetime


class EventStream:
    """Reads new events and hands them to listeners. A service: `run(stop)`."""

    def __init__(self, database: Database, listener: NudgeListener) -> None:
        self._database = database
        self._nudge = listener
        self._listeners: set[asyncio.Queue[StreamedEvent | None]] = set()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._last_id: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the outbox until stopped; listeners are let go at the end."""
        try:
            while not stop.is_set():
                await self._look()
                await wait(self._nudge.woken, INTERVAL_S)
                self._nudge.woken.clear()
        finally:
            for queue in self._listeners:
                _let_go(queue)

    async def replay(self, after_id: int) -> AsyncIterator[StreamedEvent]:
        """Stored events after this id, oldest first."""
        while True:
            async with self._database.read() as session:
                rows = await queries.select_after(session, after_id, BATCH)
            for row in rows:
                yield _event(row)
            if len(rows) < BATCH:
                return
            after_id = rows[-1].id

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[StreamedEvent | None]]:
        """A queue of the events from now on; None says that it ends here."""
        queue: asyncio.Queue[StreamedEvent | None] = asyncio.Queue(LISTENER_BACKLOG)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    async def _look(self) -> None:
        async with self._database.read() as session:
            if self._last_id is None:
                self._last_id = await queries.select_last_id(session)
                rows = await queries.select_after(session, self._last_id - OVERLAP_IDS, BATCH)
                self._remember(rows)
                return
            rows = await queries.select_after(session, self._last_id - OVERLAP_IDS, BATCH)
        for row in rows:
            if row.id not in self._seen:
                self._hand_out(_event(row))
        self._remember(rows)
        if len(rows) == BATCH:
            self._nudge.woken.set()

    def _remember(self, rows: Sequence[EventRow]) -> None:
        for row in rows:
            self._seen[row.id] = None
            self._last_id = max(self._last_id or 0, row.id)
        while len(self._seen) > SEEN_IDS:
            self._seen.popitem(last=False)

    def _hand_out(self, event: StreamedEvent) -> None:
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                _let_go(queue)


def _let_go(queue: asyncio.Queue[StreamedEvent | None]) -> None:
    while queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


def _event(row: EventRow) -> StreamedEvent:
    return StreamedEvent(row.id, row.type, row.payload, row.created_at)
