"""How late the event loop runs things: the first figure to look at when live video stutters.

A service of the main process: it asks to be woken every 100 ms and notes how late that is. Nothing
in the main process may hold the loop, so a high figure is a bug or a starved machine.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from backend.kernel.clock import wait

log = structlog.get_logger(__name__)

TICK_S = 0.1
REMEMBERED_TICKS = 600
WARN_S = 1.0


class LoopDelay:
    """Measures the delay of the running loop over the last minute. A service: `run(stop)`."""

    def __init__(self, observe: Callable[[float], None] | None = None) -> None:
        """`observe` gets every delay in seconds; it must be quick."""
        self._delays_s: deque[float] = deque(maxlen=REMEMBERED_TICKS)
        self._observe = observe

    async def run(self, stop: asyncio.Event) -> None:
        """Measure until stopped."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_S
            if await wait(stop, TICK_S):
                return
            self._note(max(loop.time() - due, 0.0))

    @property
    def max_s(self) -> float:
        """The worst delay of the last minute in seconds."""
        return max(self._delays_s, default=0.0)

    def _note(self, delay_s: float) -> None:
        self._delays_s.append(delay_s)
        if self._observe is not None:
            self._observe(delay_s)
        if delay_s > WARN_S:
            log.warning("event loop was held", action="loop.held", delay_s=round(delay_s, 2))
