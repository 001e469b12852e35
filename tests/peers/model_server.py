"""A server of vision-language models for tests and by hand: Gemini's protocol and OpenAI's.

    POST /v1beta/models/{model}:generateContent   Gemini; x-goog-api-key or ?key=
    POST /v1/chat/completions                     OpenAI; Authorization: Bearer
    GET  /v1/models                               OpenAI's list

It keeps every request that it took, refuses what the real services refuse, and answers from a
script: `answer_with`. Faults (see `Reply`) are part of that script.

    async with ModelServer() as server: ...           in async tests
    with running_model_server() as server: ...        in plain ones, on a thread of its own
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from tests.peers.connections import Connections
from tests.peers.model_protocols import Protocol, Received, Refused, Reply, answer_json
from tests.peers.model_protocols import read_request as _read_request
from tests.peers.on_thread import on_thread

__all__ = ["ModelServer", "Received", "Reply", "RunningModelServer", "running_model_server"]

Script = Reply | str | Mapping[str, Any]
"""A reply; or the text of one; or the JSON of that text."""

_CALL_TIMEOUT_S = 60
_BOMB_MB = 200
_ENDLESS_PIECE = b'{"candidates": "' + b"x" * 65_000
_HTML = b"<!doctype html><title>Welcome</title><p>The proxy of this network.</p>"


class ModelServer:
    """The server. Replies are used up one by one; the last one answers for ever.

    Args:
        key: the only one that it takes; None takes any and none.
        models: the names that it knows; empty knows every name.
        largest_request_bytes: more is answered with 413.
    """

    def __init__(
        self, *, key: str | None = None, models: tuple[str, ...] = (), largest_request_bytes=10**8
    ) -> None:
        self.key, self.models = key, set(models)
        self.largest_request_bytes = largest_request_bytes
        self.requests: list[Received] = []
        self.in_progress_count = 0
        self.most_in_progress_count = 0
        self._script: deque[Script] = deque([Reply()])
        self._answer: Callable[[Received], Script] | None = None
        self._released = asyncio.Event()
        self._connections = Connections(self._serve)

    async def __aenter__(self) -> Self:
        self._port = await self._connections.listen()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._connections.close()

    @property
    def url(self) -> str:
        """The server itself."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def gemini_url(self) -> str:
        """The base URL of Gemini's protocol."""
        return self.url

    @property
    def openai_url(self) -> str:
        """The base URL of OpenAI's protocol."""
        return f"{self.url}/v1"

    @property
    def open_count(self) -> int:
        """How many connections are open now."""
        return self._connections.open_count

    @property
    def connections_count(self) -> int:
        """How many connections there were in all."""
        return self._connections.served_count

    def answer_with(self, *script: Script | Callable[[Received], Script]) -> None:
        """Answer with these from now on, in turn; or with what a function makes of each request."""
        first = script[0]
        if callable(first):
            self._answer = first
        else:
            self._answer = None
            self._script = deque(one for one in script if not callable(one))

    def release(self) -> None:
        """Answer what is held, and hold nothing any more."""
        self._released.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await self._exchange(reader, writer):
            pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection may serve another."""
        first = await reader.readexactly(1)
        if not first.isalpha():  # TLS, for one
            return _send(writer, 400, b"", close=True)
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n")[0].split(" ")
        lines = (line.partition(":") for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in lines}
        size = int(headers.get("content-length", 0))
        content = await reader.readexactly(size)
        if method == "GET" and target == "/v1/models":
            return _send_json(writer, 200, self._list())
        protocol: Protocol = "openai" if "chat" in target else "gemini"
        if size > self.largest_request_bytes:
            reply = Reply(status=413, message="Request payload size exceeds the limit.")
            return _send_json(writer, 413, answer_json(protocol, reply, ""))
        try:
            received = _read_request(target, headers, content, key=self.key, models=self.models)
        except Refused as no:
            return _send_json(writer, no.reply.status, answer_json(no.protocol, no.reply, ""))
        if received is None or method != "POST":
            return _send(writer, 404, _HTML, {"Content-Type": "text/html"})
        self.requests.append(received)
        self.in_progress_count += 1
        self.most_in_progress_count = max(self.most_in_progress_count, self.in_progress_count)
        try:
            return await self._reply(received, reader, writer)
        finally:
            self.in_progress_count -= 1

    async def _reply(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        reply = self._next_reply(received)
        if (reply.held or reply.delay_s) and not await self._is_awaited(reply, reader):
            received.was_abandoned = True
            return False
        body = json.dumps(answer_json(received.protocol, reply, received.model)).encode()
        if reply.fault:
            return await self._misbehave(reply, body, writer)
        headers = {"Retry-After": reply.retry_after} if reply.retry_after else {}
        return _send(writer, reply.status, body, headers)

    def _next_reply(self, received: Received) -> Reply:
        if self._answer:
            return _as_reply(self._answer(received))
        return _as_reply(self._script.popleft() if len(self._script) > 1 else self._script[0])

    async def _misbehave(self, reply: Reply, body: bytes, writer: asyncio.StreamWriter) -> bool:
        match reply.fault:
            case "html":
                return _send(writer, reply.status, _HTML, {"Content-Type": "text/html"})
            case "other_json":
                return _send(writer, reply.status, b'{"hello": "world"}')
            case "redirect":
                return _send(writer, 302, b"", {"Location": f"{self.url}/elsewhere"})
            case "gzip_bomb":
                return _send(writer, 200, _bomb(), {"Content-Encoding": "gzip"})
            case "cut":
                _send(writer, 200, body, cut_at=len(body) // 2)
                writer.close()  # politely: what was sent still arrives
                await writer.wait_closed()
            case "endless":
                _send(writer, 200, b"", size=10**12)
                while True:
                    writer.write(_ENDLESS_PIECE)
                    await writer.drain()
        return False

    async def _is_awaited(self, reply: Reply, reader: asyncio.StreamReader) -> bool:
        """Wait as the reply says; whether the client is still there then."""
        left = asyncio.ensure_future(reader.read(1))
        due = asyncio.ensure_future(self._released.wait())
        limit_s = None if reply.held else reply.delay_s
        try:
            await asyncio.wait((left, due), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            return not left.done()
        finally:
            for one in (left, due):
                one.cancel()
            await asyncio.gather(left, due, return_exceptions=True)

    def _list(self) -> dict[str, Any]:
        about = {"object": "model", "created": 1, "owned_by": "tests"}
        return {"object": "list", "data": [{"id": name, **about} for name in sorted(self.models)]}


def _as_reply(script: Script) -> Reply:
    if isinstance(script, Reply):
        return script
    return Reply(text=script if isinstance(script, str) else json.dumps(script))


def _bomb() -> bytes:
    """gzip, a thousandth of what is in it."""
    packer = zlib.compressobj(level=1, wbits=31)
    pieces = [packer.compress(b" " * 2**20) for _ in range(_BOMB_MB)]
    return b"".join([*pieces, packer.flush()])


def _send_json(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> bool:
    return _send(writer, status, json.dumps(body).encode())


def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    headers: Mapping[str, str] = {},
    *,
    size: int | None = None,
    cut_at: int | None = None,
    close: bool = False,
) -> bool:
    """Send an answer; whether the connection may serve another request."""
    body = b"" if status == 204 else body
    fields = {"Content-Type": "application/json", **headers}
    fields["Content-Length"] = str(len(body) if size is None else size)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} Told\r\n{lines}\r\n".encode() + body[:cut_at])
    return not close


class RunningModelServer:
    """A `ModelServer` on another thread's loop: the same names, without await."""

    def __init__(self, server: ModelServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server, self._loop = server, loop
        self.gemini_url, self.openai_url = server.gemini_url, server.openai_url

    @property
    def requests(self) -> list[Received]:
        """The requests that it took so far."""
        return list(self.server.requests)

    @property
    def most_in_progress_count(self) -> int:
        """How many requests it had at once, at most."""
        return self.server.most_in_progress_count

    def answer_with(self, *script: Script | Callable[[Received], Script]) -> None:
        """See `ModelServer.answer_with`; a function is called on the server's thread."""
        self._loop.call_soon_threadsafe(self.server.answer_with, *script)

    def release(self) -> None:
        """See `ModelServer.release`."""
        self._loop.call_soon_threadsafe(self.server.release)


@contextmanager
def running_model_server(**options: Any) -> Iterator[RunningModelServer]:
    """A `ModelServer` with these options, on a thread of its own until the block ends."""
    with on_thread(lambda: ModelServer(**options), "model server") as (peer, loop):
        yield RunningModelServer(peer, loop)
