"""A peer of asyncio's on a thread of its own, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

Peer = TypeVar("Peer")
WITHIN_S = 60


@contextmanager
def on_thread(
    make: Callable[[], AbstractAsyncContextManager[Peer]], name: str
) -> Iterator[tuple[Peer, asyncio.AbstractEventLoop]]:
    """The peer and its loop; both end with the block."""
    ready: Future[tuple[Peer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        try:
            async with make() as peer:
                stop = asyncio.Event()
                ready.set_result((peer, asyncio.get_running_loop(), stop))
                await stop.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name=name, daemon=True)
    thread.start()
    peer, loop, stop = ready.result(WITHIN_S)
    try:
        yield peer, loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WITHIN_S)
