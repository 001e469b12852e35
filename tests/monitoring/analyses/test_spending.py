"""What models cost is counted to the millionth of a dollar, and no cap is ever broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from backend.kernel.clock import SystemClock
from backend.kernel.db import Database
from backend.monitoring.analyses.schemas import Spent
from backend.monitoring.analyses.spending import ALL, CapReached, Reservation, Spending

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)


class StoppedClock(SystemClock):
    """A clock that shows what it was set to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


Make = Callable[..., Spending]


@pytest.fixture
def make(database: Database, clock: StoppedClock) -> Make:
    """Accounts with a cap of all cameras, in a zone."""

    def of(total: str | None = None, zone: str = "UTC") -> Spending:
        usd = None if total is None else Decimal(total)
        return Spending(database, clock, ZoneInfo(zone), total_usd=usd)

    return of


async def accounts(spending: Spending, day: date = DAY) -> dict[str, tuple[int, int, int, int]]:
    return {
        row.camera_id: (row.spent_microusd, row.calls, row.input_tokens, row.output_tokens)
        for row in await spending.of_days(day, day)
    }


async def test_a_call_is_counted_at_its_most_and_then_at_what_it_cost(make: Make) -> None:
    spending = make()
    first = await spending.reserve("yard", 5_000, camera_usd=None)
    assert first == Reservation(DAY, "yard", 5_000)
    assert await accounts(spending) == {"yard": (5_000, 0, 0, 0), ALL: (5_000, 0, 0, 0)}
    second = await spending.reserve("yard", 7_000, camera_usd=None)
    await spending.reserve("gate", 300, camera_usd=None)
    await spending.settle(first, Spent(1_234, 1, 4_000, 13))
    assert await accounts(spending) == {
        "yard": (7_000 + 1_234, 1, 4_000, 13),
        "gate": (300, 0, 0, 0),
        ALL: (7_000 + 1_234 + 300, 1, 4_000, 13),
    }
    await spending.settle(second, Spent(9_001, 2, 500, 70))  # it was asked again: dearer than said
    assert await accounts(spending) == {
        "yard": (1_234 + 9_001, 3, 4_500, 83),
        "gate": (300, 0, 0, 0),
        ALL: (1_234 + 9_001 + 300, 3, 4_500, 83),
    }


async def test_a_call_that_was_never_made_costs_nothing(make: Make) -> None:
    spending = make()
    reservation = await spending.reserve("yard", 5_000, camera_usd=None)
    await spending.settle(reservation, Spent())
    assert await accounts(spending) == {"yard": (0, 0, 0, 0), ALL: (0, 0, 0, 0)}


async def test_a_call_for_no_camera_is_counted_once_under_all(make: Make) -> None:
    spending = make("0.01")
    reservation = await spending.reserve(ALL, 4_000, camera_usd=Decimal("0.001"))
    assert await accounts(spending) == {ALL: (4_000, 0, 0, 0)}
    await spending.settle(reservation, Spent(1_500, 1, 10, 1))
    assert await accounts(spending) == {ALL: (1_500, 1, 10, 1)}


async def test_a_cap_may_be_reached_and_not_passed(make: Make) -> None:
    spending = make()
    cap = Decimal("0.01")
    await spending.reserve("yard", 10_000, camera_usd=cap)
    with pytest.raises(CapReached) as caught:
        await spending.reserve("yard", 1, camera_usd=cap)
    assert caught.value.whose == "the camera's"
    await spending.reserve("gate", 10_000, camera_usd=cap)  # each camera has its own
    await spending.reserve("yard", 1, camera_usd=Decimal("0.010001"))
    assert await accounts(spending) == {
        "yard": (10_001, 0, 0, 0),
        "gate": (10_000, 0, 0, 0),
        ALL: (20_001, 0, 0, 0),
    }


async def test_a_cap_of_nothing_allows_nothing_that_costs(make: Make) -> None:
    spending = make()
    with pytest.raises(CapReached):
        await spending.reserve("yard", 1, camera_usd=Decimal(0))
    await spending.reserve("yard", 0, camera_usd=Decimal(0))  # a model of one's own


async def test_a_cap_that_is_reached_leaves_nothing_counted_on_either_account(make: Make) -> None:
    spending = make("0.01")
    await spending.reserve("yard", 6_000, camera_usd=None)
    before = await accounts(spending)
    with pytest.raises(CapReached) as caught:
        await spending.reserve("yard", 4_001, camera_usd=Decimal(1))
    assert caught.value.whose == "all cameras'"
    with pytest.raises(CapReached):
        await spending.reserve("yard", 3_000, camera_usd=Decimal("0.0089"))
    with pytest.raises(CapReached):
        await spending.reserve("gate", 4_001, camera_usd=None)
    now = await accounts(spending)
    assert now.pop("gate", (0, 0, 0, 0)) == (0, 0, 0, 0)
    assert now == before


async def test_money_that_was_given_back_can_be_spent(make: Make) -> None:
    spending = make("0.01")
    reservation = await spending.reserve("yard", 10_000, camera_usd=None)
    await spending.settle(reservation, Spent(2_000, 1, 1, 1))
    await spending.reserve("gate", 8_000, camera_usd=None)
    with pytest.raises(CapReached):
        await spending.reserve("gate", 1, camera_usd=None)


@pytest.fixture
async def workers(database: Database, clock: StoppedClock) -> AsyncIterator[list[Spending]]:
    """Twenty workers' accounts on five pools of connections."""
    pools = [Database(database.url) for _ in range(5)]
    yield [
        Spending(pools[n % 5], clock, ZoneInfo("UTC"), total_usd=Decimal("0.01")) for n in range(20)
    ]
    for pool in pools:
        await pool.close()


async def _reserve_all(workers: list[Spending], cameras: list[str], camera_usd: str | None) -> int:
    """How many of the workers that reserve 1,000 at the same time may."""
    cap = None if camera_usd is None else Decimal(camera_usd)
    ready = asyncio.Barrier(len(workers))

    async def one(worker: Spending, camera_id: str) -> bool:
        await ready.wait()
        try:
            await worker.reserve(camera_id, 1_000, camera_usd=cap)
        except CapReached:
            return False
        return True

    turns = (one(worker, cameras[n % len(cameras)]) for n, worker in enumerate(workers))
    async with asyncio.timeout(120):
        return sum(await asyncio.gather(*turns))


async def test_twenty_who_reserve_at_once_break_no_cap_of_a_camera(workers: list[Spending]) -> None:
    assert await _reserve_all(workers, ["yard"], "0.0075") == 7
    assert await accounts(workers[0]) == {"yard": (7_000, 0, 0, 0), ALL: (7_000, 0, 0, 0)}


async def test_twenty_who_reserve_at_once_break_no_cap_of_all(workers: list[Spending]) -> None:
    cameras = ["gate", "yard", "hall", "roof"]
    assert await _reserve_all(workers, cameras, None) == 10
    counted = await accounts(workers[0])
    assert counted.pop(ALL) == (10_000, 0, 0, 0)
    assert sum(spent for spent, *_ in counted.values()) == 10_000


async def test_twenty_who_settle_at_once_are_all_counted(workers: list[Spending]) -> None:
    reservations = [await workers[0].reserve("yard", 100, camera_usd=None) for _ in workers]
    async with asyncio.timeout(120):
        await asyncio.gather(
            *(
                worker.settle(reservation, Spent(51, 1, 7, 3))
                for worker, reservation in zip(workers, reservations, strict=True)
            )
        )
    assert await accounts(workers[0]) == {"yard": (1020, 20, 140, 60), ALL: (1020, 20, 140, 60)}


async def test_a_new_day_begins_at_midnight_of_the_site(make: Make, clock: StoppedClock) -> None:
    spending = make(zone="Asia/Seoul")
    cap = Decimal("0.001")
    clock.time = datetime(2026, 3, 1, 14, 59, 50, tzinfo=UTC)
    assert spending.today() == date(2026, 3, 1)
    assert spending.seconds_to_midnight() == 10
    late = await spending.reserve("yard", 1_000, camera_usd=cap)
    clock.time = datetime(2026, 3, 1, 15, 0, 0, tzinfo=UTC)
    assert spending.today() == date(2026, 3, 2)
    assert spending.seconds_to_midnight() == 86_400
    await spending.reserve("yard", 900, camera_usd=cap)
    await spending.settle(late, Spent(400, 1, 1, 1))  # on the day on which it was asked
    both = {"yard": (400, 1, 1, 1), ALL: (400, 1, 1, 1)}
    assert await accounts(spending, date(2026, 3, 1)) == both
    assert await accounts(spending, date(2026, 3, 2)) == {
        "yard": (900, 0, 0, 0),
        ALL: (900, 0, 0, 0),
    }


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [
        (datetime(2026, 3, 28, 23, tzinfo=UTC), 23),  # clocks go forward on the 29th
        (datetime(2026, 10, 24, 22, tzinfo=UTC), 25),  # and back on October 25th
        (datetime(2026, 7, 1, 22, tzinfo=UTC), 24),
    ],
)
def test_a_day_lasts_as_long_as_the_clocks_at_the_site_say(
    clock: StoppedClock, midnight: datetime, hours: int, sqlite: Database
) -> None:
    spending = Spending(sqlite, clock, ZoneInfo("Europe/Berlin"), total_usd=None)
    clock.time = midnight
    assert spending.seconds_to_midnight() == hours * 3600
    clock.time = midnight - timedelta(seconds=1)
    assert spending.seconds_to_midnight() == 1
    clock.time = midnight + timedelta(hours=hours, seconds=-0.25)
    assert spending.seconds_to_midnight() == 1  # nobody waits for less
    clock.time = midnight + timedelta(hours=12)
    assert spending.seconds_to_midnight() == (hours - 12) * 3600


async def test_accounts_are_listed_by_day_and_camera(make: Make, clock: StoppedClock) -> None:
    spending = make()
    for day in (1, 2, 3):
        clock.time = datetime(2026, 3, day, 12, tzinfo=UTC)
        for camera_id in ("yard", "gate"):
            await spending.reserve(camera_id, day, camera_usd=None)

    async def listed(*of: object) -> list[tuple[int, str, int]]:
        rows = await spending.of_days(*of)  # type: ignore[arg-type]
        return [(row.day.day, row.camera_id, row.spent_microusd) for row in rows]

    first, second, third = (date(2026, 3, day) for day in (1, 2, 3))
    assert await listed(first, second) == [
        (1, ALL, 2),
        (1, "gate", 1),
        (1, "yard", 1),
        (2, ALL, 4),
        (2, "gate", 2),
        (2, "yard", 2),
    ]
    assert await listed(first, third, "yard") == [(1, "yard", 1), (2, "yard", 2), (3, "yard", 3)]
    assert await listed(third, first) == []


async def test_old_accounts_are_forgotten(make: Make, clock: StoppedClock) -> None:
    spending = make()
    for day in (1, 2, 3):
        clock.time = datetime(2026, 3, day, 12, tzinfo=UTC)
        await spending.reserve("yard", 1, camera_usd=None)
    await spending.delete_old(older_than_s=86_400)
    assert [row.day.day for row in await spending.of_days(DAY, date(2026, 3, 3), ALL)] == [2, 3]
