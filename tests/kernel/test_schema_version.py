"""A program works only on the schema that it was written for."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from backend.kernel.db import Database, database_url
from backend.kernel.schema_version import SchemaMismatch, check_schema, is_empty, upgrade_schema


async def test_the_migrated_database_is_accepted(database: Database) -> None:
    await check_schema(database)
    assert not await is_empty(database)


@pytest.fixture
async def new(tmp_path: Path):
    database = Database(database_url(None, data_dir=tmp_path))
    yield database
    await database.close()


async def test_a_new_database_is_empty_refused_and_accepted_once_migrated(new: Database) -> None:
    assert await is_empty(new)
    with pytest.raises(SchemaMismatch, match=r"run\.py migrate"):
        await check_schema(new)
    await upgrade_schema(new.url)
    await check_schema(new)
    await upgrade_schema(new.url)  # again changes nothing
    await check_schema(new)


async def test_another_version_is_refused_by_a_line_that_names_both(new: Database) -> None:
    await upgrade_schema(new.url)
    async with new.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch) as caught:
        await check_schema(new)
    message = caught.value.message
    assert "9999" in message
    assert "0003" in message
    assert "\n" not in message
    with pytest.raises(SchemaMismatch, match="9999"):
        await upgrade_schema(new.url)
