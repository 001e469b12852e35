"""From a name to a connection, so that a name server that does not answer holds nobody else up.

The system's resolver keeps a thread until it knows, for minutes at worst, and nothing can stop it.
uvloop has four threads for that in the whole process, the connections of the database among them:
four names with a silent name server would stop them all. `LookUps` has threads of its own:

- A name that is being looked up is not looked up again: who asks meanwhile gets the same answer.
- At most `most` names are looked up at a time, and `per_domain` that end alike. Who finds no place
  waits for one, no longer than for an answer.
- No thread keeps the program from ending.

`NamedBackend` connects by them (`net.connect_by` has an HTTP client do so). TLS and the Host header
keep the name.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import httpcore2

IPAddress = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks up the addresses of a host for a port; raises OSError where there are none."""

RESOLVE_WITHIN_S = 10.0
MOST_ADDRESSES_TRIED = 6
_LEAST_TRY_S = 2.0


class LookUps:
    """The system's resolver, as a `Resolver`; event loops and threads may share one."""

    def __init__(self, *, most: int = 32, per_domain: int = 4) -> None:
        self._most, self._per_domain = most, per_domain
        self._lock = threading.Lock()
        self._running: dict[str, Future[list[str]]] = {}
        self._next_end: Future[None] = _begun()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host.

        Raises:
            OSError: there are none, or none within `RESOLVE_WITHIN_S`.
        """
        host = host.lower()
        async with asyncio.timeout(RESOLVE_WITHIN_S):
            while True:
                with self._lock:
                    an_end = self._next_end
                    found = self._running.get(host)
                    if found is None and self._has_place(host):
                        found = self._start(host, port)
                if found is not None:
                    return await asyncio.wrap_future(found)
                await asyncio.wrap_future(an_end)

    def _has_place(self, host: str) -> bool:
        alike = sum(_domain(name) == _domain(host) for name in self._running)
        return len(self._running) < self._most and alike < self._per_domain

    def _start(self, host: str, port: int) -> Future[list[str]]:
        found: Future[list[str]] = _begun()
        # no ThreadPoolExecutor: the interpreter would wait for its threads when it ends
        thread = threading.Thread(
            target=self._look_up, args=(host, port, found), name="look-up", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError("no thread for looking a name up") from error
        self._running[host] = found
        return found

    def _look_up(self, host: str, port: int, found: Future[list[str]]) -> None:
        addresses: list[str] = []
        failed: Exception | None = None
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            failed = error
        with self._lock:  # held until the start is noted
            del self._running[host]
            ended, self._next_end = self._next_end, _begun()
        if failed is None:
            found.set_result(addresses)
        else:
            found.set_exception(failed)
        ended.set_result(None)


class NamedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections: looks the name up, connects to what is found."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the library's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers; `timeout` is for the look-up, and again."""
        limit_s = RESOLVE_WITHIN_S if timeout is None else timeout
        addresses = (await self._addresses(host, port, limit_s))[:MOST_ADDRESSES_TRIED]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        failed: httpcore2.ConnectError | httpcore2.ConnectTimeout | None = None
        for index, address in enumerate(addresses):
            left_s = max(deadline - loop.time(), 0.0)
            try_s = min(left_s, max(left_s / (len(addresses) - index), _LEAST_TRY_S))
            try:
                return await self._sockets.connect_tcp(
                    str(address), port, try_s, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore2.ConnectError("no address")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _addresses(self, host: str, port: int, limit_s: float) -> Sequence[IPAddress]:
        """All addresses of the host."""
        literal = literal_address(host)
        if literal is not None:
            return [literal]
        try:
            async with asyncio.timeout(limit_s):
                found = await self._resolver(host, port)
            return [ip_address(address) for address in found]
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("the name was not looked up in time") from error
        except (OSError, ValueError) as error:  # UnicodeError is a ValueError
            raise httpcore2.ConnectError("the name leads to no address") from error


def literal_address(host: str) -> IPAddress | None:
    """The address that the host is; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _begun() -> Future[Any]:
    """A future that nobody who waits for it can cancel for the others."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


def _domain(host: str) -> str:
    """What names of one owner mostly end in."""
    return ".".join(host.removesuffix(".").split(".")[-2:])


# Apart, so that strangers who choose names keep nobody from the hosts that the operator named.
FOR_STRANGERS: Final = LookUps()
FOR_OPERATOR: Final = LookUps()
