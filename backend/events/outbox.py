"""Writing events: a row in the caller's transaction, and a nudge once that is committed."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from backend.events import queries
from backend.events.catalog import Event
from backend.events.tables import EventRow
from backend.kernel.db import Database, after_commit
from backend.kernel.nudge import EVENTS, Nudges

CLEANUP_BATCH = 1000


class Outbox:
    """Writes events. One a process; safe to share."""

    def __init__(self, nudges: Nudges) -> None:
        self._nudges = nudges

    def publish(self, session: AsyncSession, event: Event, *, trace_id: str | None = None) -> None:
        """Add the event to the session's transaction."""
        session.add(
            EventRow(
                event_id=str(uuid4()),
                type=event.type,
                key=event.key,
                payload=event.model_dump(mode="json"),
                trace_id=trace_id,
            )
        )
        after_commit(session, self._notify)

    def _notify(self) -> None:
        self._nudges.send(EVENTS)


async def delete_old_events(database: Database, *, older_than_s: float) -> int:
    """Remove events past their time, in small transactions; says how many."""
    return await database.delete_old(queries.delete_old, older_than_s, batch=CLEANUP_BATCH)
