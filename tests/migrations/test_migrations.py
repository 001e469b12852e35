"""The migrations build the schema that the tables describe, on every database, and take it down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import URL, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

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


# --- an installation that is in use

TABLES = ("cameras", "analysis_jobs", "events", "segments", "worker_processes")
EMPTIED_0002 = ("job_parts", "incidents", "scene_reports", "scene_spending", "model_breakers")
EMPTIED_0003 = ("callbacks", "callback_pieces", "speech_jobs", "ml_results")
EMPTIED = EMPTIED_0002 + EMPTIED_0003


def _statements(url: URL, revision: str) -> list[str]:
    """The rows that a test has of a schema, as SQL of its database."""
    sql = (Path(__file__).parent / f"rows_of_{revision}.sql").read_text(encoding="utf-8")
    if url.get_backend_name() == "mysql":
        sql = sql.replace('"key"', "`key`")
    lines = [line for line in sql.splitlines() if not line.startswith("--")]
    return [one for one in "\n".join(lines).split(";\n") if one.strip()]


def _execute(url: URL, *statements: str) -> list[list[tuple[object, ...]]]:
    """Run plain SQL in one transaction; the rows of each statement."""

    async def run() -> list[list[tuple[object, ...]]]:
        database = Database(url)
        try:
            async with database.write() as session:
                results = []
                for statement in statements:
                    result = await session.execute(text(statement))
                    rows = [tuple(row) for row in result] if result.returns_rows else []  # type: ignore[attr-defined]
                    results.append(rows)
                return results
        finally:
            await database.close()

    return asyncio.run(run())


def _shape(url: URL, table: str) -> tuple[dict[str, object], dict[str, object]]:
    """Columns and indexes of a table, as far as databases tell."""

    async def run() -> tuple[dict[str, object], dict[str, object]]:
        database = Database(url)
        async with database.engine.connect() as connection:
            columns = await connection.run_sync(lambda c: inspect(c).get_columns(table))
            indexes = await connection.run_sync(lambda c: inspect(c).get_indexes(table))
        await database.close()
        shapes = {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in columns}
        return shapes, {i["name"]: (i["column_names"], bool(i["unique"])) for i in indexes}

    return asyncio.run(run())


def _columns(url: URL) -> dict[str, list[str]]:
    async def run() -> dict[str, list[str]]:
        database = Database(url)
        async with database.engine.connect() as connection:
            found = {
                table: await connection.run_sync(lambda c, t=table: inspect(c).get_columns(t))
                for table in TABLES
            }
        await database.close()
        return {table: [column["name"] for column in columns] for table, columns in found.items()}

    return asyncio.run(run())


@pytest.fixture
def first_schema(url: URL) -> Iterator[URL]:
    """A database of schema 0001; the current schema and no rows afterwards."""
    command.downgrade(config(url), "base")
    migrate(url, "0001")
    yield url
    command.downgrade(config(url), "base")
    migrate(url)


def test_an_installation_in_use_keeps_its_rows_up_down_and_up_again(first_schema: URL) -> None:
    url = first_schema
    key = '"key"' if url.get_backend_name() != "mysql" else "`key`"
    _execute(url, *_statements(url, "0001"))
    columns = {
        table: ", ".join(key if name == "key" else name for name in names)
        for table, names in _columns(url).items()
    }
    everything = [
        f"SELECT {names} FROM {table} ORDER BY {names.partition(',')[0]}"
        for table, names in columns.items()
    ]
    before = _execute(url, *everything)
    assert [len(rows) for rows in before] == [2, 2, 1, 1, 1]

    migrate(url)
    assert _execute(url, *everything) == before
    new = "SELECT id, house_rules, categories, scene_backend, daily_budget_usd FROM cameras"
    assert _execute(url, f"{new} ORDER BY id") == [
        [("gate", "", None, None, None), ("yard", "", None, None, None)]
    ]
    command.check(config(url))
    _execute(url, *_statements(url, "0002"), *_statements(url, "0003"))

    command.downgrade(config(url), "0001")
    assert _execute(url, *everything) == before
    assert ", ".join(_columns(url)["cameras"]) == columns["cameras"]

    migrate(url)
    assert _execute(url, *everything) == before
    assert _execute(url, f"{new} ORDER BY id")[0][1] == ("yard", "", None, None, None)
    counts = _execute(url, *(f"SELECT count(*) FROM {table}" for table in EMPTIED))
    assert counts == [[(0,)]] * len(EMPTIED)


def test_what_the_database_adds_by_itself_is_still_added_after_both_ways(first_schema: URL) -> None:
    """SQLite has no other way to change a table than to write it anew."""
    url = first_schema

    def add(camera_id: str, **more: str) -> None:
        names = "".join(f", {name}" for name in more)
        values = "".join(f", '{value}'" for value in more.values())
        _execute(
            url,
            f"INSERT INTO cameras (id, name, description, source, state{names})"
            f" VALUES ('{camera_id}', 'x', '', 'demo:', 'live'{values})",
        )

    migrate(url)
    add("above", house_rules="")
    with pytest.raises(DBAPIError):
        add("twice")  # nobody forgets the rules: there is no default for them
    with pytest.raises(IntegrityError):
        add("above", house_rules="")
    command.downgrade(config(url), "0001")
    add("below")
    rows = _execute(
        url,
        "SELECT id, enabled, archive_seconds, created_at IS NOT NULL, state_since IS NOT NULL,"
        " updated_at IS NOT NULL FROM cameras ORDER BY id",
    )[0]
    assert [tuple(row) for row in rows] == [
        ("above", True, 600, True, True, True),
        ("below", True, 600, True, True, True),
    ]


@pytest.fixture
def second_schema(first_schema: URL) -> URL:
    """A database of schema 0002 in use."""
    _execute(first_schema, *_statements(first_schema, "0001"))
    migrate(first_schema, "0002")
    _execute(first_schema, *_statements(first_schema, "0002"))
    return first_schema


def test_jobs_that_wait_and_run_outlive_0003_both_ways(second_schema: URL) -> None:
    url = second_schema
    names = ", ".join(_columns(url)["analysis_jobs"])
    everything = [
        f"SELECT {names} FROM analysis_jobs ORDER BY id",
        *(f"SELECT count(*) FROM {table}" for table in EMPTIED_0002),
    ]
    before, shape = _execute(url, *everything), _shape(url, "analysis_jobs")

    migrate(url, "0003")
    assert _execute(url, *everything) == before
    new = "SELECT callback_url, callback_id, callback_progress FROM analysis_jobs"
    assert _execute(url, new) == [[(None, None, 0)] * 2]
    command.check(config(url))
    _execute(url, *_statements(url, "0003"))
    told = _execute(
        url,
        "SELECT state, attempts, next_at IS NOT NULL, created_at IS NOT NULL FROM callbacks",
        "SELECT keeps_video, created_at IS NOT NULL FROM speech_jobs",
        "SELECT updated_at IS NOT NULL FROM ml_results",
    )
    assert told == [[("pending", 0, True, True)], [(False, True)], [(True,)]]
    with pytest.raises(IntegrityError):
        _execute(
            url,
            "INSERT INTO speech_jobs (job_id, queue_job_id, object_hash, filename)"
            " VALUES ('test-123', 8, 'h', 'a.mp4')",
        )
    with pytest.raises(DBAPIError):
        _execute(url, "UPDATE callbacks SET state = 'nonsense'")

    command.downgrade(config(url), "0002")
    assert _execute(url, *everything) == before
    assert _shape(url, "analysis_jobs") == shape
    _execute(url, "INSERT INTO analysis_jobs (camera_id) VALUES ('later')")
    status = "SELECT status, retry_count, max_retries FROM analysis_jobs WHERE camera_id = 'later'"
    assert _execute(url, status) == [[("pending", 0, 3)]]
    with pytest.raises(IntegrityError):
        _execute(url, "INSERT INTO analysis_jobs (dedup_key) VALUES ('scene:a')")

    migrate(url, "0003")
    after = _execute(url, everything[0])[0]
    assert all(row in after for row in before[0])
    counts = _execute(url, *(f"SELECT count(*) FROM {table}" for table in EMPTIED_0003))
    assert counts == [[(0,)]] * len(EMPTIED_0003)
    _execute(url, *_statements(url, "0003"))


def test_ids_of_callers_are_told_apart_by_every_letter(url: URL) -> None:
    insert = "INSERT INTO ml_results (job_id, status, progress) VALUES ('{}', 'accepted', 0)"
    for job_id in ("a", "A", "\N{LATIN SMALL LETTER A WITH ACUTE}", "\N{GRINNING FACE}"):
        _execute(url, insert.format(job_id))
    _execute(url, "DELETE FROM ml_results")
