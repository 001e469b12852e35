"""What models cost, and the caps that no call may break.

A call reserves the most that it may cost before it is made, and is settled with what it did cost.
Both are guarded updates of a camera's day and of everybody's day, so that workers on any machine
share the caps. A worker that dies in a call leaves its reservation counted: a cap errs towards
spending less. Days are days of the site's zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.clock import Clock
from backend.kernel.db import Database
from backend.monitoring.analyses import queries
from backend.monitoring.analyses.schemas import Spent
from backend.monitoring.analyses.tables import SceneSpendingRow

ALL = ""
MICRO = 1_000_000


class CapReached(Exception):
    """A day's budget does not allow it; `whose` says which."""

    def __init__(self, whose: str) -> None:
        super().__init__(whose)
        self.whose = whose


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call may cost at most, counted already."""

    day: date
    camera_id: str
    microusd: int


class Spending:
    """Everybody's accounts. One a process."""

    def __init__(
        self, database: Database, clock: Clock, zone: tzinfo, *, total_usd: Decimal | None
    ) -> None:
        self._database = database
        self._clock = clock
        self._zone = zone
        self._total = _micro(total_usd)

    def today(self) -> date:
        """The day at the site."""
        return self._clock.now().astimezone(self._zone).date()

    def seconds_to_midnight(self) -> float:
        """How long the day at the site still lasts."""
        now = self._clock.now().astimezone(self._zone)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return max(tomorrow.timestamp() - now.timestamp(), 1.0)

    async def reserve(
        self, camera_id: str, microusd: int, *, camera_usd: Decimal | None
    ) -> Reservation:
        """Count what a call may cost at most. A call for no camera is on `ALL` alone.

        Raises:
            CapReached: the camera's or everybody's cap does not allow it; nothing is counted.
        """
        day = self.today()
        caps = {camera_id: _micro(camera_usd), ALL: self._total}
        for whose in caps:
            await self._open_account(day, whose)

        async def work(session: AsyncSession) -> None:
            for whose, cap in caps.items():
                if not await queries.add_spending(session, day, whose, microusd, cap=cap):
                    raise CapReached("all cameras'" if whose == ALL else "the camera's")

        await self._database.retrying(work)
        return Reservation(day, camera_id, microusd)

    async def settle(self, reservation: Reservation, spent: Spent) -> None:
        """Count what it cost instead."""
        change = spent.cost_microusd - reservation.microusd

        async def work(session: AsyncSession) -> None:
            for whose in {reservation.camera_id: None, ALL: None}:  # in the order of `reserve`
                await queries.settle_spending(session, reservation.day, whose, change, spent)

        await self._database.retrying(work)

    async def of_days(
        self, since: date, until: date, camera_id: str | None = None
    ) -> Sequence[SceneSpendingRow]:
        """Accounts from one day to another (both included), by day; `ALL` is everybody's."""
        async with self._database.read() as session:
            return await queries.select_spending(session, since, until, camera_id)

    async def of_today(self) -> Sequence[SceneSpendingRow]:
        """The accounts of this day at the site."""
        return await self.of_days(self.today(), self.today())

    async def delete_old(self, *, older_than_s: float) -> None:
        """Forget the accounts of long ago."""
        before = self.today() - timedelta(seconds=older_than_s)
        async with self._database.write() as session:
            await queries.delete_spending(session, before)

    async def _open_account(self, day: date, camera_id: str) -> None:
        """Have a row to count on, in a transaction of its own.

        A row that is new and counted on in one transaction makes a deadlock of those who wait for
        it, and MySQL's deadlocks end the savepoint that would tell that it was there.
        """
        async with self._database.read() as session:
            if await queries.has_account(session, day, camera_id):
                return

        async def work(session: AsyncSession) -> None:
            session.add(SceneSpendingRow(day=day, camera_id=camera_id))

        with suppress(IntegrityError):  # somebody else has just opened it
            await self._database.retrying(work)


def _micro(usd: Decimal | None) -> int | None:
    return None if usd is None else int(usd * MICRO)
