"""An event exists if and only if its cause was committed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from backend.events.catalog import CameraChanged
from backend.events.outbox import Outbox, delete_old_events
from backend.events.tables import EventRow
from backend.kernel.db import Database, utc_after
from backend.kernel.nudge import EVENTS, NudgeListener, Nudges
from tests.waiting import until


async def _count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count(EventRow.id))) or 0


async def test_an_event_is_stored_with_its_key_payload_and_trace(
    database: Database, outbox: Outbox
) -> None:
    async with database.write() as session:
        outbox.publish(session, CameraChanged(camera_id="gate"), trace_id="t-1")
    async with database.read() as session:
        row = (await session.scalars(select(EventRow))).one()
    assert (row.type, row.key, row.trace_id) == ("camera.changed", "camera:gate", "t-1")
    assert row.payload == {"camera_id": "gate"}
    assert row.published_at is None


class _CountedNudges(Nudges):
    sent = 0

    def send(self, topic: str) -> None:
        self.sent += topic == EVENTS
        super().send(topic)


async def _publish_and_fail(database: Database, outbox: Outbox) -> None:
    async with database.write() as session:
        outbox.publish(session, CameraChanged(camera_id="gate"))
        await session.flush()
        raise RuntimeError("undone")


async def test_a_rolled_back_cause_leaves_no_event_and_wakes_nobody(
    database: Database, tmp_path: Path
) -> None:
    nudges = _CountedNudges(tmp_path / "run")
    with pytest.raises(RuntimeError, match="undone"):
        await _publish_and_fail(database, Outbox(nudges))
    assert await _count(database) == 0
    assert nudges.sent == 0
    nudges.close()


async def test_a_commit_wakes_listeners_once_however_many_events_it_has(
    database: Database, tmp_path: Path, nudge: NudgeListener
) -> None:
    nudges = _CountedNudges(tmp_path / "run")
    outbox = Outbox(nudges)
    async with database.write() as session:
        for _ in range(3):
            outbox.publish(session, CameraChanged(camera_id="gate"))
        await session.flush()
        assert nudges.sent == 0
    assert nudges.sent == 1
    await until(nudge.woken.is_set)
    nudges.close()


async def test_only_events_past_their_time_are_deleted(database: Database, outbox: Outbox) -> None:
    async with database.write() as session:
        for _ in range(3):
            outbox.publish(session, CameraChanged(camera_id="gate"))
    async with database.write() as session:
        newest = await session.scalar(select(func.max(EventRow.id)))
        rows = (await session.scalars(select(EventRow).where(EventRow.id < newest))).all()
        for row in rows:
            row.created_at = utc_after(-7200)
    assert await delete_old_events(database, older_than_s=3600) == 2
    assert await _count(database) == 1


async def test_an_id_is_never_given_twice_even_after_a_clean_up(
    database: Database, outbox: Outbox
) -> None:
    seen = []
    for _ in range(2):
        async with database.write() as session:
            outbox.publish(session, CameraChanged(camera_id="gate"))
        async with database.read() as session:
            seen.append(await session.scalar(select(func.max(EventRow.id))))
        async with database.write() as session:
            await session.execute(text("DELETE FROM events"))
    assert seen[1] > seen[0]
