"""Waiting for a condition with a deadline: the only waiting that tests do.

The deadline tells a product that never gets there from a machine that is slow.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

WITHIN_S = 30.0


async def until(condition: Callable[[], Any], *, within_s: float = WITHIN_S, what: str = "") -> Any:
    """The first true value of the condition (plain or async); fails past the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s} s: {what or condition}"
        await asyncio.sleep(0.01)


def eventually(condition: Callable[[], Any], *, within_s: float = WITHIN_S, what: str = "") -> Any:
    """The same without an event loop."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s} s: {what or condition}"
        time.sleep(0.02)
