"""Models of both protocols, what they are asked here, and how they are expected to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import cv2
import numpy as np
import pytest

from backend.analysis.scene.vlm.gemini import GeminiModel
from backend.analysis.scene.vlm.model import ModelError, Picture, Question, VisionModel
from backend.analysis.scene.vlm.openai_compatible import OpenAICompatibleModel
from backend.analysis.scene.vlm.price import Price
from tests.peers.model_server import ModelServer
from tests.waiting import until

KEY = "sk-very-secret-0123456789"
NAME = "watcher-1"
PRICE = Price(Decimal("0.30"), Decimal("2.50"))
SCHEMA = {
    "type": "object",
    "properties": {
        "what_is_seen": {"type": "string"},
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"kind": {"type": "string", "enum": ["fall", "other"]}},
                "required": ["kind"],
                "additionalProperties": False,
            },
        },
        "also": {"type": "integer"},
    },
    "required": ["what_is_seen", "events", "also"],
    "additionalProperties": False,
}
VERDICT = '{"what_is_seen": "a yard", "events": [], "also": 1}'


def jpeg(shade: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((16, 16, 3), shade, np.uint8))[1])


PICTURES = (Picture(jpeg(10), 0.0), Picture(jpeg(99), 2.5), Picture(jpeg(200), 12.5))


def question(**changes: Any) -> Question:
    """A question with three pictures, or changed."""
    asked = {"pictures": PICTURES, "max_output_tokens": 777, "schema": SCHEMA} | changes
    return Question("You watch a yard.", "What happens? t=1 s is the start.", "verdict", **asked)


def model_of(backend: str, base_url: str | None, **changes: Any) -> VisionModel:
    """A model of the protocol, to be closed by who asked for it."""
    settings = {"api_key": KEY, "model": NAME, "timeout_s": 120.0, "price": PRICE} | changes
    made = {"gemini": GeminiModel, "openai": OpenAICompatibleModel}[backend]
    return made(base_url=base_url, **settings)


def url_of(backend: str, server: ModelServer) -> str:
    """The base URL of the protocol."""
    return server.gemini_url if backend == "gemini" else server.openai_url


def make_impatient(model: VisionModel, timeout_s: float) -> None:
    """From now on an answer is waited for so long, over the connection that it has."""
    assert model._http is not None, "it was not asked yet"
    model._http._timeout_s = timeout_s


@asynccontextmanager
async def to(backend: str, base_url: str | None, **changes: Any) -> AsyncIterator[VisionModel]:
    """A model of the protocol while the block runs."""
    model = model_of(backend, base_url, **changes)
    try:
        yield model
    finally:
        await model.aclose()


async def fault_of(model: VisionModel, asked: Question | None = None) -> ModelError:
    """The error that a question comes to, which never names the key."""
    with pytest.raises(ModelError) as caught:
        await model.ask(asked or question())
    assert KEY not in str(caught.value)
    return caught.value


RAW_OPEN: set[asyncio.StreamWriter] = set()
"""Connections to any `raw_server` that are open."""


@asynccontextmanager
async def raw_server(
    body: bytes, *, every_s: float | None = None, first: bytes | None = None
) -> AsyncIterator[str]:
    """A server that says 200 and these bytes to anything; with `every_s`, again and again.

    With `first`, that is what it says to the first request of a connection.
    """
    stopped = asyncio.Event()

    async def read(reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))

    def begin(writer: asyncio.StreamWriter, body: bytes, size: int) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first is not None:
            await read(reader)
            begin(writer, first, len(first))
        await read(reader)
        begin(writer, body, len(body) if every_s is None else 10**9)
        RAW_OPEN.add(writer)
        try:
            while every_s is not None and not stopped.is_set() and not reader.at_eof():
                await asyncio.sleep(every_s)
                writer.write(body)
                await writer.drain()
        except ConnectionError:
            pass  # the client left
        finally:
            RAW_OPEN.discard(writer)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        stopped.set()
        listening.close()
        await until(lambda: not RAW_OPEN)
        await listening.wait_closed()
