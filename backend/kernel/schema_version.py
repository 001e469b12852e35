"""Which revision of the schema a database has, and which one this program was written for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, inspect

from backend.kernel.db import Database
from backend.kernel.errors import VapError

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


class SchemaMismatch(VapError):
    """The database belongs to another version of the program; the message says what to do."""

    code = "schema_mismatch"


async def check_schema(database: Database) -> None:
    """Make sure that the database has the schema that this program knows.

    Raises:
        SchemaMismatch: it has another one, or none.
    """
    expected = ScriptDirectory.from_config(_config(database.url)).get_current_head()
    async with database.engine.connect() as connection:
        found = await connection.run_sync(_revision)
    if found == expected:
        return
    if found is None:
        raise SchemaMismatch("the database has no tables yet: run 'python run.py migrate'")
    raise SchemaMismatch(
        f"the database has schema {found}, this version needs {expected}: update VAP, or run"
        " 'python run.py migrate' after a backup"
    )


async def is_empty(database: Database) -> bool:
    """Whether the database has no table at all."""
    async with database.engine.connect() as connection:
        return not await connection.run_sync(lambda c: inspect(c).get_table_names())


async def upgrade_schema(url: URL) -> None:
    """Bring a database to this program's schema.

    Raises:
        SchemaMismatch: a newer program has migrated it.
    """
    try:
        # in a thread: Alembic starts an event loop of its own
        await asyncio.to_thread(command.upgrade, _config(url), "head")
    except CommandError as error:
        raise SchemaMismatch(f"the database cannot be migrated: {error}; update VAP") from error


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(url: URL) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    return config
