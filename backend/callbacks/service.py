"""The callbacks' doings: added with their cause, listed, sent again by hand, counted, forgotten.

Used by whoever has something to report, workers too, and by the API. Adding is a row in the
caller's transaction: the sender of the main process does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import structlog
from pydantic import TypeAdapter
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncSession

from backend.callbacks import queries
from backend.callbacks.schemas import (
    CallbackCounts,
    CallbackDetail,
    CallbackFilter,
    CallbackView,
)
from backend.callbacks.states import CALLBACK, CallbackKind, CallbackState
from backend.callbacks.tables import CallbackRow
from backend.callbacks.targets import CallbackTargets
from backend.kernel.db import Database, after_commit, utc_after, utc_now
from backend.kernel.errors import Conflict, InvalidInput, NotFound
from backend.kernel.http import Page, RowId, decode_cursor, encode_cursor
from backend.kernel.nudge import Nudges
from backend.kernel.redact import redact

log = structlog.get_logger(__name__)

CALLBACKS = "callbacks"
"""The topic of the sender's wake-ups."""
KEEP_TRYING_S = 24 * 3600.0
MOST_BODY_BYTES = 50 * 1000 * 1000
PIECE_CHARS = 500_000  # at most 4 bytes each: far below what any server takes in one statement
SHOWN_CHARS = 64_000
CURSOR = TypeAdapter(tuple[RowId])
CLEANUP_BATCH = 200


class CallbackTooLarge(InvalidInput):
    """The body is larger than any receiver takes; nothing was stored."""

    code = "callback_too_large"


class Callbacks:
    """The callbacks. One a process; safe to share."""

    def __init__(self, database: Database, nudges: Nudges, targets: CallbackTargets) -> None:
        self._database = database
        self._nudges = nudges
        self._targets = targets

    async def add(
        self,
        session: AsyncSession,
        *,
        url: str,
        subject: str,
        body: Mapping[str, Any],
        progress: int | None,
        is_final: bool,
        job_id: int | None = None,
        trace_id: str | None = None,
    ) -> int:
        """Have a body sent once the session's transaction is committed; the callback's id.

        It goes out after everything unsent of the same `subject` but the progress, which it
        replaces. Numbers that JSON does not have (NaN) are sent as null.

        Raises:
            CallbackTooLarge: the body has more than MOST_BODY_BYTES; nothing was changed.
            InvalidInput: see `CallbackTargets.check`; nothing was changed.
        """
        target = self._targets.check(url)
        text, size_bytes = _written(body)
        if size_bytes > MOST_BODY_BYTES:
            raise CallbackTooLarge(
                f"the result has {size_bytes / 1e6:.1f} MB; at most"
                f" {MOST_BODY_BYTES / 1e6:.0f} MB can be sent",
                size_bytes=size_bytes,
            )
        # first read, then locked by primary key: an update by index may deadlock with the sender
        older = (await session.scalars(queries.unsent_progress(subject))).all()
        if older:
            await queries.update_state(session, older, CallbackState.SUPERSEDED, {})
        pieces = _pieces(text)
        values = {
            "message_id": str(uuid4()),
            "url": target.url,
            "host": target.origin,
            "subject": subject,
            "kind": CallbackKind.RESULT if is_final else CallbackKind.PROGRESS,
            "progress": progress,
            "body": next(pieces),
            "size_bytes": size_bytes,
            "job_id": job_id,
            "trace_id": trace_id,
        }
        callback_id = await queries.insert_callback(session, values, KEEP_TRYING_S, pieces)
        after_commit(session, self._notify)
        return callback_id

    async def withdraw(self, session: AsyncSession, subject: str) -> None:
        """Send nothing more of a subject, in the caller's transaction: it begins anew as another.

        What is on its way at this moment may still arrive.
        """
        unsent = (await session.scalars(queries.unsent(subject))).all()
        if unsent:
            await queries.update_state(session, unsent, CallbackState.SUPERSEDED, {})

    async def page(
        self, wanted: CallbackFilter, cursor: str | None, limit: int
    ) -> Page[CallbackView]:
        """Callbacks, newest first."""
        (before,) = decode_cursor(cursor, CURSOR) if cursor else (None,)
        async with self._database.read() as session:
            rows = (await session.scalars(queries.page(wanted, before, limit + 1))).all()
        items = [CallbackView.model_validate(_facts(row)) for row in rows[:limit]]
        more = encode_cursor(items[-1].id) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    async def read(self, callback_id: int) -> CallbackDetail:
        """One callback with its body, which is cut past SHOWN_CHARS.

        Raises:
            NotFound: there is none.
        """
        async with self._database.read() as session:
            row = await queries.select_callback(session, callback_id, with_body=True)
        if row is None:
            raise _missing(callback_id)
        shown = row.body[:SHOWN_CHARS]
        return CallbackDetail.model_validate(
            {**_facts(row), "body": shown, "is_body_cut": len(shown.encode()) < row.size_bytes}
        )

    async def redeliver(self, callback_id: int, *, by: str) -> CallbackDetail:
        """Send a delivered or dead callback again, from now on for KEEP_TRYING_S.

        Raises:
            NotFound: there is none.
            Conflict: it is unsent or superseded (`invalid_state`), or something newer was said of
                its subject, which the receiver must not take for older (`callback_outdated`).
        """

        async def work(session: AsyncSession) -> None:
            row = await queries.select_callback(session, callback_id)
            if row is None:
                raise _missing(callback_id)
            CALLBACK.check(CallbackState(row.state), CallbackState.PENDING)
            newest_id = await queries.select_newest_id(session, row.subject)
            if newest_id != callback_id:
                raise Conflict(
                    "a newer message was written about the same job; send that one again",
                    code="callback_outdated",
                    newest_id=newest_id,
                )
            values = {
                "attempts": 0,
                "next_at": utc_now(),
                "expires_at": utc_after(KEEP_TRYING_S),
                "delivered_at": None,
            }
            await queries.update_state(session, [callback_id], CallbackState.PENDING, values)
            after_commit(session, self._notify)

        await self._database.retrying(work)
        log.info(
            "callback to be sent again",
            action="callback.redeliver",
            callback_id=callback_id,
            by=by,
        )
        return await self.read(callback_id)

    async def counts(self) -> CallbackCounts:
        """How many are in each state; since when the longest waiting is to be sent."""
        async with self._database.read() as session:
            found = {row.state: row.number for row in await queries.count_by_state(session)}
            first_expiry, now = await queries.select_first_expiry(session)
        age_s = None
        if first_expiry is not None:
            age_s = max(KEEP_TRYING_S - (first_expiry - now).total_seconds(), 0.0)
        return CallbackCounts({state: found.get(state, 0) for state in CallbackState}, age_s)

    async def delete_old(self, *, older_than_s: float) -> int:
        """Forget callbacks of long ago, in small transactions; says how many. Unsent ones stay."""
        return await self._database.delete_old(
            queries.delete_old, older_than_s, batch=CLEANUP_BATCH
        )

    def _notify(self) -> None:
        self._nudges.send(CALLBACKS)


def _written(body: Mapping[str, Any]) -> tuple[str, int]:
    """The body as JSON, and its size in UTF-8."""
    try:
        encoded = to_json(body, inf_nan_mode="null")
    except ValueError:  # half a surrogate pair, which UTF-8 cannot say but an escape can
        encoded = json.dumps(body).encode()
    return encoded.decode(), len(encoded)


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS))


def _facts(row: CallbackRow) -> dict[str, Any]:
    fields: Sequence[str] = [name for name in CallbackView.model_fields if name != "url"]
    facts = {name: getattr(row, name) for name in fields}
    if row.state != CallbackState.PENDING:
        facts |= {"next_at": None, "expires_at": None}
    return {**facts, "url": redact(row.url)}


def _missing(callback_id: int) -> NotFound:
    return NotFound(f"there is no callback {callback_id}")
