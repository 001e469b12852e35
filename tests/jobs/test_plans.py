"""The hot statements use their index on every database, whatever the backlog and the history."""

from __future__ import annotations

import re

import pytest

from backend.jobs import queries
from backend.jobs.states import Priority
from backend.kernel.db import Database
from tests.plans import SORTS, analyze, fill, plan


@pytest.fixture
async def backlog(database: Database) -> Database:
    """3,000 waiting and 6,000 finished jobs."""
    rows = (
        f"('scene', '{status}', 'camera {n % 20}')"
        for status, number in (("pending", 3000), ("completed", 6000))
        for n in range(number)
    )
    await fill(database, "analysis_jobs (kind, status, camera_id)", rows)
    await analyze(database, "analysis_jobs")
    return database


@pytest.mark.parametrize("newest_first", [False, True])
async def test_candidates_come_from_the_claim_index_in_order(
    backlog: Database, newest_first: bool
) -> None:
    statement = queries.candidates("scene", 64, newest_first=newest_first)
    found = await plan(backlog, statement)
    assert found.count("ix_analysis_jobs_claim") == len(Priority), found
    assert not any(word in found for word in SORTS), found


async def test_the_lock_looks_up_ids_and_passes_over_no_other_row(backlog: Database) -> None:
    if backlog.dialect == "sqlite":
        return  # SQLite's writing transaction is the lock: this statement is never sent
    async with backlog.read() as session:
        statement = queries.candidates("scene", 3, newest_first=False)
        ids = (await session.scalars(statement)).all()
    found = await plan(backlog, queries.lock(ids, 1))
    if backlog.dialect == "mysql":
        assert " primary " in found, found
        assert "ix_analysis_jobs" not in found, found
    else:  # PostgreSQL locks what it returns: any index will do that looks the ids up
        assert re.search(r"index cond: .*\bid = any", found), found


async def test_expired_leases_are_found_by_index(backlog: Database) -> None:
    found = await plan(backlog, queries.expired(100))
    assert "ix_analysis_jobs_status_id" in found, found
    assert not any(word in found for word in SORTS), found
