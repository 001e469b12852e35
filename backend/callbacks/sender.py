"""Sends callbacks: what is due, the oldest of each subject first, at all hosts side by side.

Started by the main process. A callback is delivered when a 2xx answer says so; everything else is
tried again after a growing delay, until its time is over and it is dead. Whatever happens between
sending and noting it, the callback is sent again: at least once, each time with the same
`webhook-id`. Guarantees:

- Of a subject, nothing is sent while something older is unsent or on its way.
- A host has two places of all `PLACES`, and `PER_HOST` once it has answered, until it does not; of
  long bodies, which take much memory, one. Hosts take turns: no host, nor many of them, can keep
  another one waiting for long.
- While the database is away the sender waits; what it has sent it notes when that is back.
- Once stopped it lets running requests end for `STOP_S`, then cuts them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.callbacks import queries
from backend.callbacks.posting import Outcome, Poster
from backend.callbacks.schemas import DueCallback
from backend.callbacks.signing import Signer
from backend.callbacks.states import CallbackState
from backend.callbacks.targets import CallbackTargets
from backend.kernel.clock import Clock, SystemClock, wait, wait_any
from backend.kernel.db import Database, is_disconnect, reason_of, utc_now
from backend.kernel.errors import InvalidInput
from backend.kernel.nudge import NudgeListener
from backend.kernel.retry import Backoff

log = structlog.get_logger(__name__)

PLACES = 16
PER_HOST = 4
WHILE_SILENT = 2
"""A request that hangs, and one that finds out whether the host answers others."""
LONG_BYTES = 1_000_000
LONG_PLACES = 4
INTERVAL_S = 1.0
STOP_S = 3.0
RETRY = Backoff(first_s=1.0, max_s=600.0, factor=2.0)
MOST_RETRY_AFTER_S = 3600.0
CLOCK_STEP_S = 60.0
"""What is put off by so much more than any delay was put off by another clock, and is sent now."""


class CallbackSender:
    """Sends what `Callbacks` has added. A service: `run(stop)`.

    Args:
        targets: asked again before each attempt, for hosts that have been taken off the list.
        poster: the HTTP client; the caller closes it.
    """

    def __init__(
        self,
        database: Database,
        nudge: NudgeListener,
        *,
        targets: CallbackTargets,
        signer: Signer,
        poster: Poster,
        retry: Backoff = RETRY,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._nudge = nudge
        self._targets = targets
        self._signer = signer
        self._poster = poster
        self._retry = retry
        self._clock = clock or SystemClock()
        self._on_the_way: dict[int, DueCallback] = {}  # by id: the rows being sent
        self._answers: dict[str, bool] = {}  # whether a host did, the last time
        self._last_host = ""
        self._has_ended = asyncio.Event()
        self._is_down = False

    async def run(self, stop: asyncio.Event) -> None:
        """Send until stopped."""
        self._on_the_way.clear()
        async with asyncio.TaskGroup() as group:
            tasks: set[asyncio.Task[None]] = set()
            while not stop.is_set():
                self._nudge.woken.clear()
                self._has_ended.clear()
                for row in await self._look():
                    self._on_the_way[row.id] = row
                    task = group.create_task(self._deliver(row, stop))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await wait_any(self._nudge.woken, self._has_ended, stop, timeout_s=INTERVAL_S)
            if tasks:
                await asyncio.wait(tasks, timeout=STOP_S)
            for task in tasks:
                task.cancel()

    async def _look(self) -> list[DueCallback]:
        """What there is to send and a place for; nothing while the database is away."""
        try:
            rows = await self._due()
        except Exception as error:
            if not is_disconnect(error):
                raise
            self._note_database(is_down=True, error=error)
            return []
        self._note_database(is_down=False)
        return rows

    async def _due(self) -> list[DueCallback]:
        """For each host, its due callbacks up to its places."""
        # before the reading begins: SQLite goes on showing what ends meanwhile as unsent
        running = list(self._on_the_way.values())
        found: list[DueCallback] = []
        async with self._database.read() as session, aclosing(self._hosts(session)) as hosts:
            async for host in hosts:
                rows = await self._due_at(session, host, [*running, *found])
                if rows:
                    self._last_host = host
                    found += rows
                if len(running) + len(found) >= PLACES:
                    break
        return found

    async def _hosts(self, session: AsyncSession) -> AsyncGenerator[str, None]:
        """All that something is unsent to, from the one after the last that was sent to."""
        host = last = self._last_host
        while host := await session.scalar(queries.next_host(host)) or "":
            yield host
        while host := await session.scalar(queries.next_host(host, up_to=last)) or "":
            yield host

    async def _due_at(
        self, session: AsyncSession, host: str, running: list[DueCallback]
    ) -> list[DueCallback]:
        at_host = Counter(row.host for row in running)[host]
        places = (PER_HOST if self._answers.get(host) else WHILE_SILENT) - at_host
        places = min(places, PLACES - len(running))
        if places <= 0:
            return []
        long = [row.host for row in running if row.size_bytes > LONG_BYTES]
        has_long_place = len(long) < LONG_PLACES and host not in long
        due = partial(
            queries.due,
            host,
            places,
            busy_subjects={row.subject for row in running},
            most_bytes=None if has_long_place else LONG_BYTES,
        )
        found = (await session.execute(due())).all()
        if not found and not at_host:  # was the database's clock set back?
            most_delay_s = max(self._retry.max_s, MOST_RETRY_AFTER_S)
            found = (await session.execute(due(put_off_by_s=most_delay_s + CLOCK_STEP_S))).all()
        rows = []
        for row in (DueCallback(*facts) for facts in found):
            if row.size_bytes > LONG_BYTES:
                if not has_long_place:
                    continue  # the next look takes it
                has_long_place = False
            rows.append(row)
        return rows

    async def _deliver(self, row: DueCallback, stop: asyncio.Event) -> None:
        try:
            outcome = await self._attempt(row, stop)
            if outcome is not None:
                self._note_host(row, outcome)
                await self._record(row, outcome, stop)
        finally:
            del self._on_the_way[row.id]
            self._has_ended.set()

    async def _attempt(self, row: DueCallback, stop: asyncio.Event) -> Outcome | None:
        """Send it once; None when there was nothing to send, or it could not be read."""
        try:
            url = self._targets.check(row.url).url
        except InvalidInput:
            return Outcome(error="callbacks may not be sent to this host any more")
        try:
            async with self._database.read() as session:
                body = await queries.select_body(session, row.id)
            if body is None:
                return None  # superseded or deleted meanwhile
            now = self._clock.now()
            # in a thread: the signature of a long body takes a while
            encoded, headers = await asyncio.to_thread(self._written, row.message_id, body, now)
            return await self._poster.post(url, encoded, headers, now=now)
        except Exception as error:  # one callback must not stop all others
            if is_disconnect(error):
                self._note_database(is_down=True, error=error)
                await wait(stop, INTERVAL_S)
                return None
            log.exception(
                "callback could not be sent", action="callback.broken", callback_id=row.id
            )
            return Outcome(error="an internal error; the log has it")

    def _written(self, message_id: str, body: str, now: datetime) -> tuple[bytes, dict[str, str]]:
        return body.encode(), self._signer.headers(message_id, body, now)

    async def _record(self, row: DueCallback, outcome: Outcome, stop: asyncio.Event) -> None:
        """Note the outcome; while the database is away, until that is back or we stop."""
        while True:
            try:
                state = await self._database.retrying(
                    lambda session: self._write(session, row, outcome)
                )
            except Exception as error:
                if not is_disconnect(error):
                    raise
                self._note_database(is_down=True, error=error)
                if await wait(stop, INTERVAL_S):
                    return
            else:
                if outcome.error is not None:
                    self._log_failure(row, outcome, is_dead=state is CallbackState.DEAD)
                return

    async def _write(
        self, session: AsyncSession, row: DueCallback, outcome: Outcome
    ) -> CallbackState:
        """Note the outcome; the state that the callback has then, if nobody moved it meanwhile."""
        facts = {"last_status": outcome.status, "last_error": outcome.error}
        if outcome.error is None:
            values = {**facts, "delivered_at": utc_now(), "attempts": row.attempts + 1}
            await queries.update_state(session, [row.id], CallbackState.DELIVERED, values)
            return CallbackState.DELIVERED
        delay_s = self._retry.delay_s(row.attempts + 1)
        if outcome.retry_after_s is not None:
            delay_s = max(delay_s, min(outcome.retry_after_s, MOST_RETRY_AFTER_S))
        await queries.update_after_failure(session, row.id, delay_s, facts)
        is_dead = await queries.update_expired(session, row.id)
        return CallbackState.DEAD if is_dead else CallbackState.PENDING

    def _log_failure(self, row: DueCallback, outcome: Outcome, *, is_dead: bool) -> None:
        facts = {
            "callback_id": row.id,
            "job_id": row.job_id,
            "trace_id": row.trace_id,
            "host": row.host,
            "attempts": row.attempts + 1,
            "error": outcome.error,
        }
        if is_dead:
            log.error("callback given up", action="callback.dead", **facts)
        elif row.attempts == 0:
            log.warning("callback will be tried again", action="callback.failed", **facts)
        else:
            log.debug("callback will be tried again", action="callback.failed", **facts)

    def _note_host(self, row: DueCallback, outcome: Outcome) -> None:
        answered_before = self._answers.get(row.host)
        if outcome.is_away:
            self._answers[row.host] = False
            if answered_before is not False:
                log.warning(
                    "a host does not answer callbacks",
                    action="callback.host_silent",
                    host=row.host,
                    error=outcome.error,
                )
        elif outcome.status is not None:
            self._answers[row.host] = True
            if answered_before is False:
                log.info(
                    "a host answers callbacks again", action="callback.host_back", host=row.host
                )

    def _note_database(self, *, is_down: bool, error: Exception | None = None) -> None:
        if is_down and not self._is_down and error is not None:
            log.warning(
                "callbacks wait for the database",
                action="callback.db_down",
                error=reason_of(error),
            )
        elif self._is_down and not is_down:
            log.info("callbacks go on", action="callback.db_back")
        self._is_down = is_down
