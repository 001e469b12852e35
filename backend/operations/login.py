"""Slows down whoever guesses the password, without ever locking the right user out.

A wrong attempt is answered after half a second. Each address may have a few attempts under way and
some more waiting, in the order they came; nobody waits for another address. Beyond that, attempts
are refused unseen, so that waiting ones cannot pile up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from backend.kernel.errors import TooMany, Unauthenticated

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
        self._doors: dict[Hashable, _Door] = {}

    async def attempt(self, caller: Hashable, check: Callable[[], str | None]) -> str:
        """What `check` gives for the right password.

        Raises:
            Unauthenticated: the password is wrong (half a second later).
            TooMany: too many attempts of this caller wait already.
        """
        door = self._doors.setdefault(caller, _Door())
        if door.inside >= AT_ONCE + MOST_WAITING:
            raise TooMany("too many attempts at once; try again in a moment")
        door.inside += 1
        try:
            async with door.turns:
                cookie = check()
                if cookie is None:
                    await asyncio.sleep(WRONG_TAKES_S)
                    raise Unauthenticated("the password is wrong", code="wrong_password")
                return cookie
        finally:
            door.inside -= 1
            if not door.inside:
                del self._doors[caller]
