"""The sender's statements use their index on every database, whatever the backlog and history."""

from __future__ import annotations

import re

import pytest

from backend.callbacks import queries
from backend.kernel.db import Database
from tests.plans import SORTS, analyze, fill, plan

NOT_WANTED = (*SORTS, "temporary")
HOST = "http://backend:8000"
PENDING, DELIVERED = 3000, 6000


@pytest.fixture
async def backlog(database: Database) -> Database:
    """3,000 unsent and 6,000 delivered callbacks to two hosts."""
    rows = (
        f"('m', 'u', '{(HOST, 'http://other:80')[n % 2]}', 's{n}', 'progress', '{{}}', 2,"
        f" '{state}', '2026-01-01', '2026-01-02')"
        for state, number in (("pending", PENDING), ("delivered", DELIVERED))
        for n in range(number)
    )
    columns = "message_id, url, host, subject, kind, body, size_bytes, state, next_at, expires_at"
    await fill(database, f"callbacks ({columns})", rows)
    await analyze(database, "callbacks")
    return database


@pytest.mark.parametrize("put_off_by_s", [None, 3600.0])
@pytest.mark.parametrize("most_bytes", [None, 1000])
async def test_what_is_due_comes_from_its_index_in_order(
    backlog: Database, most_bytes: int | None, put_off_by_s: float | None
) -> None:
    statement = queries.due(
        HOST,
        4,
        busy_subjects={"s0", "s2"},
        most_bytes=most_bytes,
        put_off_by_s=put_off_by_s,
    )
    found = await plan(backlog, statement)
    assert "ix_callbacks_due" in found, found
    assert "ix_callbacks_subject_state_id" in found, found
    assert not any(word in found for word in NOT_WANTED), found
    if backlog.dialect != "mysql":  # which names no conditions: its index is the same one
        assert re.search(r"(index cond: |\()\(*\S*state\S* ?=.* and \S*host\S* ?=", found), found


@pytest.mark.parametrize("up_to", [None, "http://other:80"])
async def test_the_next_host_is_looked_up_in_the_index(
    backlog: Database, up_to: str | None
) -> None:
    found = await plan(backlog, queries.next_host(HOST, up_to=up_to))
    assert "ix_callbacks_due" in found, found
    assert not any(word in found for word in NOT_WANTED), found


async def test_unsent_progress_of_a_subject_is_looked_up(backlog: Database) -> None:
    found = await plan(backlog, queries.unsent_progress("s7"))
    assert "ix_callbacks_subject_state_id" in found, found
    assert not any(word in found for word in NOT_WANTED), found
