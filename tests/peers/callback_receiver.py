"""A receiver of callbacks for tests and by hand: a real HTTP server on loopback.

It keeps every request that reached it whole, with its headers and in order, and answers from a
script (`answer_with`) of `Answer`s: a status, or a fault. It can go away and come back on the same
port.

    async with CallbackReceiver() as receiver:
        receiver.answer_with(Answer(500), Answer())   # once 500, from then on 200
        ... receiver.url ... receiver.received ...
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from tests.peers.connections import Connections
from tests.peers.ports import held_port

PATH = "/api/v1/ml/ml-results"
Fault = Literal["hold", "cut", "cut_body", "huge", "endless_body", "drip"]


@dataclass(frozen=True)
class Answer:
    """What is answered, after `delay_s`.

    Faults: `hold` answers only after `release()`; `cut` closes within the head; `cut_body` within
    the body; `huge` sends for as long as it is read; `endless_body` sends a head and no more;
    `drip` sends the head so slowly that it never ends.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"received": true}'
    delay_s: float = 0.0
    fault: Fault | None = None


@dataclass
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float
    answered: int | None = None

    @property
    def json(self) -> Any:
        """Its body, decoded."""
        return json.loads(self.body)


Script = Callable[[Received], Answer]


class CallbackReceiver:
    """The server. Answers are used up one by one; the last one answers for ever.

    Args:
        tls: serve HTTPS with this.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._port = 0
        self._port_holder: socket.socket | None = None
        self._answers: deque[Answer] = deque([Answer()])
        self._script: Script | None = None
        self._released = asyncio.Event()
        self._connections = Connections(self._serve)
        self.received: list[Received] = []
        self.in_progress_count = 0
        self.most_in_progress_count = 0
        self.sent_bytes = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()
        if self._port_holder is not None:
            self._port_holder.close()

    async def start(self) -> None:
        """Listen, on the same port as before; it stays taken until the block ends."""
        if self._port_holder is None:
            self._port_holder = held_port()
            self._port = self._port_holder.getsockname()[1]
        self._port = await self._connections.listen(port=self._port, tls=self._tls)

    async def stop(self) -> None:
        """Go away: every connection is cut, and new ones are refused."""
        await self._connections.close()

    @property
    def origin(self) -> str:
        """scheme://host:port."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Where callbacks go."""
        return self.origin + PATH

    @property
    def bodies(self) -> list[Any]:
        """What was received, decoded."""
        return [one.json for one in self.received]

    @property
    def is_away(self) -> bool:
        """Whether it is stopped."""
        return not self._connections.is_listening

    @property
    def open_count(self) -> int:
        """How many connections are open now."""
        return self._connections.open_count

    @property
    def connections_count(self) -> int:
        """How many connections there were in all."""
        return self._connections.served_count

    def answer_with(self, *answers: Answer) -> None:
        """Answer with these from now on, in turn."""
        self._script, self._answers = None, deque(answers)

    def answer_by(self, script: Script) -> None:
        """Answer each request with what the function makes of it."""
        self._script = script

    def release(self) -> None:
        """Answer what is held, and hold nothing any more."""
        self._released.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await self._exchange(reader, writer):
            pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection may serve another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split("\r\n")[0].split(" ")
        lines = (line.partition(":") for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        received = Received(method, path, headers, body, time.monotonic())
        self.received.append(received)
        self.in_progress_count += 1
        self.most_in_progress_count = max(self.most_in_progress_count, self.in_progress_count)
        try:
            return await self._answer(received, reader, writer)
        finally:
            self.in_progress_count -= 1

    async def _answer(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        answer = self._next_answer(received)
        if answer.fault == "hold" and not await self._is_awaited(reader):
            return False
        await asyncio.sleep(answer.delay_s)
        received.answered = answer.status
        lines = {
            "Content-Type": "application/json",
            "Content-Length": str(len(answer.body)),
            "Set-Cookie": "session=theirs",
            **answer.headers,
        }
        head = f"HTTP/1.1 {answer.status} Told\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        match answer.fault:
            case None | "hold":
                await self._send(writer, head.encode() + answer.body)
                return True
            case "cut":
                await self._send(writer, head.encode()[:20])
                return await _close(writer)
            case "cut_body":
                await self._send(writer, head.encode() + answer.body[:5])
                return await _close(writer)
            case "huge":
                head = head.replace(
                    f"Content-Length: {len(answer.body)}", f"Content-Length: {2**40}"
                )
                await self._send(writer, head.encode())
                while True:
                    await self._send(writer, b"x" * 65_536)
            case "endless_body":
                await self._send(writer, head.encode())
                return bool(await reader.read(1))  # until the client leaves
            case "drip":
                await self._send(writer, b"HTTP/1.1 200 Told\r\n")
                while True:
                    await self._send(writer, b"X-Drip: drop\r\n")
                    await asyncio.sleep(0.02)

    async def _is_awaited(self, reader: asyncio.StreamReader) -> bool:
        """Wait for the release; whether the client is still there then."""
        left = asyncio.ensure_future(reader.read(1))
        released = asyncio.ensure_future(self._released.wait())
        try:
            await asyncio.wait((left, released), return_when=asyncio.FIRST_COMPLETED)
            return not left.done()
        finally:
            for one in (left, released):
                one.cancel()
            await asyncio.gather(left, released, return_exceptions=True)

    async def _send(self, writer: asyncio.StreamWriter, content: bytes) -> None:
        writer.write(content)
        await writer.drain()
        self.sent_bytes += len(content)

    def _next_answer(self, received: Received) -> Answer:
        if self._script:
            return self._script(received)
        return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]


async def _close(writer: asyncio.StreamWriter) -> bool:
    writer.close()  # politely: what was sent still arrives
    await writer.wait_closed()
    return False
