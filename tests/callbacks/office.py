"""The callbacks' part of a program, as its composition root would put it together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from backend.callbacks.posting import Poster
from backend.callbacks.sender import PLACES, CallbackSender
from backend.callbacks.service import CALLBACKS, Callbacks
from backend.callbacks.signing import Signer
from backend.callbacks.tables import CallbackRow
from backend.callbacks.targets import CallbackTargets
from backend.kernel.db import Database
from backend.kernel.lifecycle import Supervisor
from backend.kernel.nudge import NudgeListener, Nudges
from backend.kernel.retry import Backoff
from tests.peers.callback_receiver import CallbackReceiver
from tests.waiting import WITHIN_S, until

SOON = Backoff(first_s=0.01, max_s=0.05)


class Office:
    """Adds callbacks to `127.0.0.1`, and runs senders for them."""

    def __init__(self, database: Database, nudges: Nudges, run_dir: Path) -> None:
        self.database = database
        self.targets = CallbackTargets(None, ["127.0.0.1"])
        self.callbacks = Callbacks(database, nudges, self.targets)
        self._run_dir = run_dir

    async def add(
        self,
        url: str,
        progress: int | None = None,
        *,
        subject: str = "job-1",
        is_final: bool = False,
        **more: Any,
    ) -> int:
        """Add a callback of this progress in a transaction of its own."""
        status = "completed" if is_final else "processing"
        body = {"job_id": subject, "status": status, "progress": progress}

        async def work(session: Any) -> int:
            return await self.callbacks.add(
                session,
                url=url,
                subject=subject,
                progress=progress,
                is_final=is_final,
                **{"body": body, **more},
            )

        return await self.database.retrying(work)

    @asynccontextmanager
    async def sending(
        self,
        *,
        retry: Backoff = SOON,
        secret: str | None = None,
        timeout_s: float = 60.0,
        targets: CallbackTargets | None = None,
        tls: Any = None,
    ) -> AsyncIterator[CallbackSender]:
        """A sender at work."""
        async with NudgeListener(self._run_dir, CALLBACKS, "test") as nudge:
            poster = Poster(most_at_once=PLACES, timeout_s=timeout_s, tls=tls)
            sender = CallbackSender(
                self.database,
                nudge,
                targets=targets or self.targets,
                signer=Signer(secret),
                poster=poster,
                retry=retry,
            )
            try:
                async with Supervisor(stop_within_s=2 * WITHIN_S) as supervisor:
                    supervisor.start("callbacks", sender.run)
                    yield sender
            finally:
                await poster.aclose()

    async def meet(self, receiver: CallbackReceiver) -> None:
        """Have a receiver answer once, so that it gets all of its places; then forget that."""
        await self.add(receiver.url, 0, subject="a first one")
        await self.until_sent()
        await self.callbacks.delete_old(older_than_s=-60)
        receiver.received.clear()

    async def rows(self) -> Sequence[CallbackRow]:
        """All callbacks, oldest first."""
        async with self.database.read() as session:
            return (await session.scalars(select(CallbackRow).order_by(CallbackRow.id))).all()

    async def row(self, callback_id: int) -> CallbackRow:
        """One callback as it stands."""
        return next(row for row in await self.rows() if row.id == callback_id)

    async def states(self) -> list[str]:
        """The states of all, oldest first."""
        return [row.state for row in await self.rows()]

    async def until_sent(self, *, within_s: float = WITHIN_S) -> None:
        """Wait until nothing is unsent."""

        async def is_sent() -> bool:
            return "pending" not in await self.states()

        await until(is_sent, within_s=within_s, what="everything sent")

    async def until_attempts(self, callback_id: int, number: int) -> CallbackRow:
        """Wait until a callback has been tried so often."""

        async def row() -> CallbackRow | None:
            found = await self.row(callback_id)
            return found if found.attempts >= number else None

        return await until(row, what=f"{number} attempts")

    async def pass_time(self, **time: float) -> None:
        """Let so much time go by for all callbacks: `hours=24`."""
        passed = timedelta(**time)
        async with self.database.write() as session:
            for row in (await session.scalars(select(CallbackRow))).all():
                row.next_at -= passed
                row.expires_at -= passed
                row.created_at -= passed
