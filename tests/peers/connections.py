"""The connections of a test's server, to be counted and cut: what asyncio's server lacks yet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ROUNDS = 10
"""Turns of the loop until a connection that was accepted just now is served, and can be cut."""


class Connections:
    """Serves each connection with a function, and forgets none.

    A peer that leaves ends its connection quietly; so does `close`.
    """

    def __init__(self, serve: Serve) -> None:
        self._serve_one = serve
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.served_count = 0

    @property
    def is_listening(self) -> bool:
        """Whether connections are accepted."""
        return self._server is not None

    @property
    def open_count(self) -> int:
        """How many are open now."""
        return len(self._tasks)

    async def listen(
        self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None
    ) -> int:
        """Accept connections; the port."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Refuse new ones, and cut every one that is open."""
        if self._server is None:
            return
        self._server.close()
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports close their sockets in a turn of their own
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.served_count += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError):  # the peer left; ssl's are OSError
                await self._serve_one(reader, writer)
        except asyncio.CancelledError:
            pass  # by `close`; streams would log it
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
