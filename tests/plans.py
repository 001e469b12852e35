"""How a database would run a statement."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from sqlalchemy import SelectBase, text
from sqlalchemy.dialects import mysql, postgresql, sqlite

from backend.kernel.db import Database

DIALECTS = {"sqlite": sqlite, "mysql": mysql, "postgresql": postgresql}
SORTS = ("filesort", "sort", "temp b-tree")


async def analyze(database: Database, table: str) -> None:
    """Have the database look at how a table is filled."""
    statement = f"ANALYZE TABLE {table}" if database.dialect == "mysql" else "ANALYZE"
    async with database.engine.connect() as connection:
        await connection.execute(text(statement))
        await connection.commit()


async def fill(database: Database, into: str, rows: Iterable[str]) -> None:
    """Insert rows of SQL literals `into` a table (and columns), many in one statement.

    Drivers would send bound values row by row.
    """
    left = iter(rows)
    async with database.write() as session:
        while some := ", ".join(islice(left, 1000)):
            await session.execute(text(f"INSERT INTO {into} VALUES {some}"))


async def plan(database: Database, statement: SelectBase) -> str:
    """The database's plan of a statement, in lower case."""
    compiled = statement.compile(
        dialect=DIALECTS[database.dialect].dialect(), compile_kwargs={"literal_binds": True}
    )
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    async with database.engine.connect() as connection:
        found = await connection.exec_driver_sql(f"{explain} {compiled}".replace("%", "%%"))
        rows = [
            " ".join(str(value) for name, value in row.items() if name != "possible_keys")
            for row in found.mappings()
        ]
    return "\n".join(rows).lower()
