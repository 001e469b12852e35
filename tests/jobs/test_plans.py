"""The hot statements use their index on every database, whatever the backlog and the history."""

from __future__ import annotations

import pytest
from sqlalchemy import Select, text
from sqlalchemy.dialects import mysql, postgresql, sqlite

from backend.jobs import queries
from backend.jobs.states import Priority
from backend.kernel.db import Database

DIALECTS = {"sqlite": sqlite, "mysql": mysql, "postgresql": postgresql}
ANALYZE = {"mysql": "ANALYZE TABLE analysis_jobs"}
SORTS = ("filesort", "sort", "temp b-tree")


@pytest.fixture
async def backlog(database: Database) -> Database:
    """3,000 waiting and 6,000 finished jobs."""
    async with database.write() as session:
        for status, number in (("pending", 3000), ("completed", 6000)):
            await session.execute(
                text(
                    "INSERT INTO analysis_jobs (kind, status, camera_id)"
                    " VALUES ('scene', :status, :camera_id)"
                ),
                [{"status": status, "camera_id": f"camera {n % 20}"} for n in range(number)],
            )
    async with database.engine.connect() as connection:
        await connection.execute(text(ANALYZE.get(database.dialect, "ANALYZE")))
        await connection.commit()
    return database


async def plan(database: Database, statement: Select[int]) -> str:
    """The database's plan of a statement, in lower case."""
    compiled = statement.compile(
        dialect=DIALECTS[database.dialect].dialect(), compile_kwargs={"literal_binds": True}
    )
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    async with database.engine.connect() as connection:
        rows = await connection.exec_driver_sql(f"{explain} {compiled}".replace("%", "%%"))
        return "\n".join(" ".join(str(value) for value in row) for row in rows).lower()


@pytest.mark.parametrize("newest_first", [False, True])
async def test_candidates_come_from_the_claim_index_in_order(
    backlog: Database, newest_first: bool
) -> None:
    statement = queries.candidates("scene", Priority.NORMAL, 64, newest_first=newest_first)
    found = await plan(backlog, statement)
    assert "ix_analysis_jobs_claim" in found
    assert not any(word in found for word in SORTS), found


async def test_the_lock_goes_by_primary_key(backlog: Database) -> None:
    if not backlog.locks_rows:
        return  # SQLite's writing transaction is the lock: this statement is never sent
    async with backlog.read() as session:
        statement = queries.candidates("scene", Priority.NORMAL, 3, newest_first=False)
        ids = (await session.scalars(statement)).all()
    found = await plan(backlog, queries.lock(ids, 1))
    assert "primary" in found or "pk_analysis_jobs" in found
    assert "ix_analysis_jobs" not in found


async def test_expired_leases_are_found_by_index(backlog: Database) -> None:
    found = await plan(backlog, queries.expired(100))
    assert "ix_analysis_jobs_lease" in found
    assert not any(word in found for word in SORTS), found
