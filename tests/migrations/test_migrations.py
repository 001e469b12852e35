"""The migrations build the schema that the tables describe, on every database, and take it down."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import URL, inspect, text

from backend.kernel.db import Database, database_url
from tests.migrating import config, migrate


@pytest.fixture(params=["sqlite", "mysql", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        url = database_url(None, data_dir=tmp_path)
        migrate(url)
        return url
    return request.getfixturevalue(f"{request.param}_url")


async def _tables(url: URL) -> set[str]:
    database = Database(url)
    async with database.engine.connect() as connection:
        names = await connection.run_sync(lambda c: inspect(c).get_table_names())
    await database.close()
    return set(names)


def test_the_migrated_schema_is_the_one_the_tables_describe(url: URL) -> None:
    command.check(config(url))


def test_migrations_go_down_to_nothing_and_up_again(url: URL) -> None:
    import asyncio

    command.downgrade(config(url), "base")
    assert asyncio.run(_tables(url)) <= {"alembic_version"}
    migrate(url)
    assert "analysis_jobs" in asyncio.run(_tables(url))


async def test_a_client_of_the_contract_can_insert_a_job_with_the_contracts_columns(
    database: Database,
) -> None:
    async with database.write() as session:
        await session.execute(
            text(
                "INSERT INTO analysis_jobs (camera_id, video_path, segment_start, segment_end)"
                " VALUES ('gate', 'archive/gate/a.mp4', '2026-01-01 10:00:00',"
                " '2026-01-01 10:10:00')"
            )
        )
        row = (
            await session.execute(
                text("SELECT kind, status, retry_count, max_retries FROM analysis_jobs")
            )
        ).one()
    assert tuple(row) == ("scene", "pending", 0, 3)
