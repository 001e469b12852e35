"""Time, taken from one place so that a test can set it; and waits that end early when asked to."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is: for people (UTC) and for measuring (monotonic seconds)."""

    def now(self) -> datetime:
        """Aware UTC time of day."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware UTC time of day."""
        return datetime.now(UTC)  # noqa: TID251  the one place

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()


async def wait(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for the event, at most so long; says whether it is set."""
    try:
        async with asyncio.timeout(max(timeout_s, 0)):
            return await event.wait()
    except TimeoutError:
        return event.is_set()


async def wait_any(*events: asyncio.Event, timeout_s: float | None = None) -> None:
    """Wait until one of the events is set, at most so long where a limit is given."""
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(event.wait()) for event in events]
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
