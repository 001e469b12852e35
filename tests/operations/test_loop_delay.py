"""The figures are those of the delays of the last minute."""

from __future__ import annotations

import asyncio

from backend.operations.loop_delay import REMEMBERED_TICKS, TICK_S, LoopDelay
from tests.waiting import WITHIN_S, until


def test_the_worst_delay_is_of_the_last_minute() -> None:
    seen: list[float] = []
    delay = LoopDelay(seen.append)
    assert delay.max_s == 0.0
    delay._note(0.9)
    for number in range(REMEMBERED_TICKS):
        delay._note(number / 10_000)
    assert delay.max_s == (REMEMBERED_TICKS - 1) / 10_000  # 0.9 is older than a minute
    assert len(seen) == REMEMBERED_TICKS + 1


async def test_it_ticks_until_stopped() -> None:
    seen: list[float] = []
    stop = asyncio.Event()
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(2 * WITHIN_S), asyncio.TaskGroup() as group:
        group.create_task(LoopDelay(seen.append).run(stop))
        await until(lambda: len(seen) >= 3)
        stop.set()
    took_s = asyncio.get_running_loop().time() - began
    assert all(late_s >= 0 for late_s in seen)
    assert sum(seen) + len(seen) * TICK_S <= took_s + 0.01
