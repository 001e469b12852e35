"""Waits end with their event, or with their time."""

from __future__ import annotations

import asyncio
from datetime import UTC

from backend.kernel.clock import SystemClock, wait, wait_any
from tests.waiting import WITHIN_S


async def test_wait_says_whether_the_event_came() -> None:
    event = asyncio.Event()
    assert await wait(event, 0.01) is False
    assert await wait(event, -1) is False
    event.set()
    assert await wait(event, 0) is True
    assert await wait(event, 60) is True


async def test_wait_any_ends_with_the_first_event_and_leaves_no_task() -> None:
    one, other = asyncio.Event(), asyncio.Event()
    tasks = asyncio.all_tasks()
    async with asyncio.timeout(WITHIN_S):
        await wait_any(one, other, timeout_s=0.01)
        asyncio.get_running_loop().call_soon(other.set)
        await wait_any(one, other, timeout_s=10 * WITHIN_S)
    assert not one.is_set()
    assert asyncio.all_tasks() == tasks


def test_the_systems_clock_is_aware_and_does_not_go_backwards() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    assert clock.monotonic() >= first
