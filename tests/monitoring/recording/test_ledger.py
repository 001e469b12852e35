"""Writes wait for a database that is away; none is lost, none is done out of order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from backend.kernel.retry import Backoff
from backend.monitoring.recording.ledger import Ledger
from tests.waiting import until


class FlakyDatabase:
    """Takes writes, unless it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.written: list[str] = []
        self.refused = 0

    def write(self, what: str):
        async def work() -> None:
            if self.is_away:
                self.refused += 1
                raise ConnectionRefusedError
            self.written.append(what)

        return work


@asynccontextmanager
async def running(ledger: Ledger) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(ledger.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


def impatient() -> Ledger:
    return Ledger(reconnect=Backoff(first_s=0.01, max_s=0.02))


async def test_writes_are_done_in_order() -> None:
    ledger, database = impatient(), FlakyDatabase()
    async with running(ledger):
        for number in range(20):
            ledger.put("x", database.write(str(number)))
        await until(lambda: len(ledger) == 0)
    assert database.written == [str(number) for number in range(20)]


async def test_writes_wait_for_a_database_that_is_away() -> None:
    ledger, database = impatient(), FlakyDatabase()
    database.is_away = True
    async with running(ledger):
        for name in ("a", "b", "c"):
            ledger.put("segment", database.write(name))
        await until(lambda: database.refused > 3)
        assert len(ledger) == 3
        database.is_away = False
        await until(lambda: len(ledger) == 0)
    assert database.written == ["a", "b", "c"]


async def test_only_the_last_state_is_kept_while_the_database_is_away_and_every_segment() -> None:
    ledger, database = impatient(), FlakyDatabase()
    database.is_away = True
    async with running(ledger):
        ledger.put("segment", database.write("segment 0"))
        await until(lambda: database.refused > 0)
        for number in range(100):
            ledger.put("state", database.write(f"state {number}"), replaces="state:gate")
        ledger.put("segment", database.write("segment 1"))
        ledger.put("state", database.write("yard"), replaces="state:yard")
        assert len(ledger) == 4
        database.is_away = False
        await until(lambda: len(ledger) == 0)
    assert database.written == ["segment 0", "state 99", "segment 1", "yard"]


async def test_every_state_is_written_while_the_database_is_there() -> None:
    ledger, database = impatient(), FlakyDatabase()
    for number in range(3):
        ledger.put("state", database.write(str(number)), replaces="state:gate")
    async with running(ledger):
        await until(lambda: len(ledger) == 0)
    assert database.written == ["0", "1", "2"]


async def test_a_write_that_can_never_be_done_does_not_block_the_others() -> None:
    ledger, database = impatient(), FlakyDatabase()

    async def impossible() -> None:
        raise ValueError("no such column")

    ledger.put("odd", impossible)
    ledger.put("fine", database.write("fine"))
    async with running(ledger):
        await until(lambda: len(ledger) == 0)
    assert database.written == ["fine"]


async def test_what_waits_is_written_when_the_ledger_stops() -> None:
    ledger, database = impatient(), FlakyDatabase()
    stop = asyncio.Event()
    stop.set()
    ledger.put("last", database.write("last"))
    await ledger.run(stop)
    assert database.written == ["last"]
