"""Runs the migrations on DATABASE_URL, or on the URL that a program hands over.

Migrations never import backend tables; this file does, so that `alembic revision --autogenerate`
can compare.
"""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import URL, Connection

from backend.kernel.db import Base, Database, configured_url
from backend.settings import load_settings
from backend.tables import ALL_TABLES

config = context.config
TABLES = ALL_TABLES  # imported so that Base.metadata knows them


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _connect_and_run() -> None:
    database = Database(_url())
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await database.close()


def _url() -> URL:
    given = config.attributes.get("url")
    if given is not None:
        return given
    settings = load_settings()
    return configured_url(settings.database, settings.storage)


asyncio.run(_connect_and_run())
