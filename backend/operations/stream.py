"""Server-sent events: what a browser gets of the event stream, as bytes.

A client that comes back with its last id gets what it missed, then what happens, without loss or
doubles. While the database is down the connection stays and pings go on. The answer ends when VAP
stops, when the client is gone, when it reads so slowly that its events pile up, or after an hour,
so that a session that has ended gets no events for longer; browsers then come back by themselves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Send

from backend.events.stream import EventStream, Inbox, StreamedEvent
from backend.kernel.clock import wait
from backend.kernel.db import is_disconnect

log = structlog.get_logger(__name__)

RETRY_MS = 2000
PING_S = 15.0
SEND_WITHIN_S = 30.0
GOODBYE_WITHIN_S = 1.0
LONGEST_S = 3600.0
TRY_AGAIN_S = 1.0
HELLO = f"retry: {RETRY_MS}\n\n".encode()
PING = b": ping\n\n"
END = {"type": "http.response.body", "body": b"", "more_body": False}
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStreamResponse(StreamingResponse):
    """The answer that follows the event stream after an id, or from now on."""

    media_type = "text/event-stream"

    def __init__(
        self,
        stream: EventStream,
        *,
        after_id: int | None,
        stopping: asyncio.Event,
        hang_up: Callable[[], None],
        ping_s: float = PING_S,
        send_within_s: float = SEND_WITHIN_S,
    ) -> None:
        self._chunks = _chunks(stream, after_id, ping_s)
        super().__init__(self._chunks, headers=HEADERS)
        self._stopping = stopping
        self._hang_up = hang_up
        self._send_within_s = send_within_s

    async def stream_response(self, send: Send) -> None:
        """Send until the events, the client's patience or the server ends."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send_events(send))
            stopping = group.create_task(self._stopping.wait())
            ends = {sending, stopping}
            await asyncio.wait(ends, timeout=LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
            sending.cancel()
            stopping.cancel()
        if not await _send_within(send, b"", GOODBYE_WITHIN_S, more_body=False):
            self._hang_up()
            await send(END)  # returns when the connection is gone

    async def _send_events(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                if not await _send_within(send, chunk, self._send_within_s, more_body=True):
                    log.info("slow event listener cut off", action="events.slow_listener")
                    return


async def _send_within(send: Send, body: bytes, timeout_s: float, *, more_body: bool) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await send({"type": "http.response.body", "body": body, "more_body": more_body})
    except TimeoutError:
        return False
    return True


async def _chunks(
    stream: EventStream, after_id: int | None, ping_s: float
) -> AsyncGenerator[bytes, None]:
    yield HELLO
    while not await wait(stream.ready, ping_s):
        yield PING
    while True:
        has_sent = False
        with stream.listen(after_id) as listening:
            try:
                async for event in listening.history:
                    has_sent = True
                    yield format_event(event)
            except Exception as error:
                if not is_disconnect(error):
                    raise
                if has_sent:  # the client knows how far it came
                    return
            else:
                for event in listening.missed:
                    yield format_event(event)
                async for chunk in _live(listening.inbox, ping_s):
                    yield chunk
                return
        yield PING
        await asyncio.sleep(TRY_AGAIN_S)


async def _live(inbox: Inbox, ping_s: float) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(ping_s):
                event = await inbox.get()
        except TimeoutError:
            yield PING
            continue
        if event is None:
            return
        yield format_event(event)


def format_event(event: StreamedEvent) -> bytes:
    """The event as server-sent: JSON on one line."""
    data = json.dumps(event.payload, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.id}\nevent: {event.type}\ndata: {data}\n\n".encode()
