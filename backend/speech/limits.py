"""How many requests of the speech contract one client may make in a minute."""

from __future__ import annotations

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from backend.kernel.auth import Gate
from backend.kernel.clock import Clock
from backend.kernel.errors import TooMany


class RequestLimit:
    """Counts requests by address, in memory. One a process."""

    def __init__(self, gate: Gate, clock: Clock, *, per_minute: int) -> None:
        self._gate = gate
        self._clock = clock
        self._allowed = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, request: Request) -> None:
        """Count a request.

        Raises:
            TooMany: there were too many in the last minute; `retry_after_s` says when one is taken.
        """
        client = str(self._gate.client_address(request))
        if self._limiter.hit(self._allowed, client):
            return
        frees_at = self._limiter.get_window_stats(self._allowed, client).reset_time
        wait_s = max(1, round(frees_at - self._clock.now().timestamp()))
        raise TooMany("too many requests; try again later", retry_after_s=wait_s)
