"""Slows down whoever guesses the password, without ever locking the right user out.

A wrong attempt is logged, and answered after half a second. Each address may have a few attempts
under way and some more waiting, in the order they came; nobody waits for another address. Beyond
that, attempts are refused unseen, so that waiting ones cannot pile up. An IPv6 network of 64 bits
is one address: its guests have as many as they like.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network

import structlog

from backend.kernel.errors import TooMany, Unauthenticated

log = structlog.get_logger(__name__)

Address = IPv4Address | IPv6Address | None

WRONG_TAKES_S = 0.5
AT_ONCE = 2
MOST_WAITING = 20


@dataclass(slots=True)
class _Door:
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    inside: int = 0


class LoginGuard:
    """Lets attempts through. One a process."""

    def __init__(self) -> None:
        self._doors: dict[str, _Door] = {}

    async def attempt(self, address: Address, check: Callable[[], str | None]) -> str:
        """What `check` gives for the right password.

        Raises:
            Unauthenticated: the password is wrong (half a second later).
            TooMany: too many attempts of this address wait already.
        """
        neighbours = _neighbours(address)
        door = self._doors.setdefault(neighbours, _Door())
        if door.inside >= AT_ONCE + MOST_WAITING:
            raise TooMany("too many attempts at once; try again in a moment")
        door.inside += 1
        try:
            async with door.turns:
                cookie = check()
                if cookie is None:
                    log.warning("wrong password", action="login.refused", address=str(address))
                    await asyncio.sleep(WRONG_TAKES_S)
                    raise Unauthenticated("the password is wrong", code="wrong_password")
                return cookie
        finally:
            door.inside -= 1
            if not door.inside:
                del self._doors[neighbours]


def _neighbours(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address)
