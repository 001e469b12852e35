"""What SQL dialects do not agree on holds on each of them."""

from __future__ import annotations

import asyncio
import errno
import socket
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.events.tables import EventRow
from backend.jobs.tables import JobRow
from backend.kernel.db import (
    Database,
    after_commit,
    database_url,
    is_disconnect,
    is_transient,
    reason_of,
    utc_after,
    utc_now,
)
from backend.settings import SettingsError

EARLIEST, LATEST = datetime(1990, 1, 1), datetime(2090, 1, 1)  # noqa: DTZ001  zones are drawn
ON_SERVERS = pytest.mark.parametrize("database", ["mysql", "postgresql"], indirect=True)


async def _scalar(database: Database, expression):
    async with database.read() as session:
        return (await session.execute(select(expression))).scalar_one()


async def test_the_databases_time_is_aware_utc_and_now(database: Database) -> None:
    before = datetime.now(UTC)
    now = await _scalar(database, utc_now())
    after = datetime.now(UTC)
    assert now.tzinfo is UTC
    slack = timedelta(seconds=5)
    assert before - slack < now < after + slack


@pytest.mark.parametrize("seconds", [30, -90, 0.25, 86400 * 40])
async def test_utc_after_counts_seconds_and_their_fractions(
    database: Database, seconds: float
) -> None:
    async with database.read() as session:
        before, after, later = (
            await session.execute(select(utc_now(), utc_after(seconds), utc_now()))
        ).one()
    slack = timedelta(milliseconds=2)
    wanted = timedelta(seconds=seconds)
    assert before + wanted - slack <= after <= later + wanted + slack


async def test_times_written_by_the_database_compare_with_times_bound_by_the_client(
    database: Database,
) -> None:
    async with database.write() as session:
        await session.execute(insert(JobRow).values(run_at=utc_after(-60), kind="early"))
        await session.execute(insert(JobRow).values(run_at=utc_after(60), kind="late"))
    bound = datetime.now(UTC)
    async with database.read() as session:
        early = (await session.scalars(select(JobRow.kind).where(JobRow.run_at < bound))).all()
        due = (await session.scalars(select(JobRow.kind).where(JobRow.run_at <= utc_now()))).all()
    assert early == due == ["early"]


@given(
    when=st.datetimes(EARLIEST, LATEST),
    offset_h=st.integers(-12, 14),
)
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_time_of_any_zone_comes_back_as_the_same_moment_to_the_microsecond(
    database: Database, when: datetime, offset_h: int
) -> None:
    given_time = when.replace(tzinfo=timezone(timedelta(hours=offset_h)))
    async with database.write() as session:
        row = JobRow(segment_start=given_time)
        session.add(row)
        await session.flush()
        job_id = row.id
    async with database.read() as session:
        stored = await session.scalar(select(JobRow.segment_start).where(JobRow.id == job_id))
    assert stored == given_time
    assert stored.tzinfo is UTC


async def test_a_naive_time_is_refused(sqlite: Database) -> None:
    with pytest.raises(StatementError, match="naive datetime"):
        await _add(sqlite, JobRow(segment_start=EARLIEST))


async def _add(database: Database, row: object) -> None:
    async with database.write() as session:
        session.add(row)


async def test_nested_json_and_unicode_come_back_as_they_were(database: Database) -> None:
    payload = {"a": [1, 2.5, None, True], "text": "Tür 門 \N{CAMERA}", "deep": {"x": {"y": []}}}
    await _add(database, JobRow(kind="k", payload=payload))
    assert await _scalar(database, JobRow.payload) == payload


async def test_no_payload_is_sql_null(database: Database) -> None:
    await _add(database, JobRow(kind="k", payload=None))
    count = select(func.count()).select_from(JobRow).where(text("payload IS NULL"))
    async with database.read() as session:
        assert await session.scalar(count) == 1


async def test_leaving_a_write_by_an_exception_undoes_all_of_it(database: Database) -> None:
    with pytest.raises(RuntimeError):
        await _add_and_fail(database)
    assert await _scalar(database, func.count(JobRow.id)) == 0


async def _add_and_fail(database: Database) -> None:
    async with database.write() as session:
        session.add(JobRow(kind="k"))
        await session.flush()
        raise RuntimeError


async def test_twenty_writers_that_read_first_all_get_their_turn(database: Database) -> None:
    """SELECT then UPDATE in one transaction: on SQLite this needs BEGIN IMMEDIATE."""
    await _add(database, JobRow(kind="counter", retry_count=0))

    async def work(session) -> None:
        row = (await session.scalars(select(JobRow).with_for_update())).one()
        row.retry_count += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(database.retrying(work))
    assert await _scalar(database, JobRow.retry_count) == 20


@ON_SERVERS
async def test_a_lost_deadlock_is_tried_again_and_both_writers_finish(database: Database) -> None:
    await _add(database, JobRow(id=1, kind="a"))
    await _add(database, JobRow(id=2, kind="b"))
    barrier = asyncio.Barrier(2)
    runs = 0

    def writer(first: int, second: int):
        tried = False

        async def work(session) -> None:
            nonlocal tried, runs
            runs += 1
            for job_id in (first, second):
                row = await session.get_one(JobRow, job_id, with_for_update=True)
                row.retry_count += 1
                await session.flush()
                if not tried:
                    tried = True
                    await barrier.wait()

        return work

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(database.retrying(writer(1, 2)))
        group.create_task(database.retrying(writer(2, 1)))
    assert runs == 3
    assert await _scalar(database, func.sum(JobRow.retry_count)) == 4


async def test_an_error_that_trying_again_does_not_mend_is_raised_at_once(
    database: Database,
) -> None:
    runs = 0

    async def work(session) -> None:
        nonlocal runs
        runs += 1
        for _ in range(2):
            session.add(EventRow(event_id="same", type="t", key="k", payload={}))
        await session.flush()

    with pytest.raises(IntegrityError):
        await database.retrying(work)
    assert runs == 1


@ON_SERVERS
async def test_a_session_reads_what_others_committed_meanwhile(database: Database) -> None:
    async with database.read() as session:
        assert await session.scalar(select(func.count(JobRow.id))) == 0
        await _add(database, JobRow(kind="k"))
        assert await session.scalar(select(func.count(JobRow.id))) == 1


async def test_sqlite_is_in_wal_mode_with_foreign_keys(sqlite: Database) -> None:
    async with sqlite.read() as session:
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1
        assert await session.scalar(text("PRAGMA busy_timeout")) >= 5000


async def test_after_commit_calls_once_and_only_after_the_commit(sqlite: Database) -> None:
    calls: list[str] = []

    def call() -> None:
        calls.append("called")

    async with sqlite.write() as session:
        after_commit(session, call)
        after_commit(session, call)
        await session.execute(text("SELECT 1"))
        assert calls == []
    assert calls == ["called"]


async def test_after_a_rollback_nothing_is_called(sqlite: Database) -> None:
    calls: list[str] = []
    with pytest.raises(RuntimeError):
        await _ask_and_fail(sqlite, calls)
    assert calls == []


async def _ask_and_fail(database: Database, calls: list[str]) -> None:
    async with database.write() as session:
        after_commit(session, lambda: calls.append("called"))
        raise RuntimeError


@pytest.mark.parametrize(
    ("configured", "drivername"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite"),
        ("mysql://u:p@h/d", "mysql+aiomysql"),
        ("mariadb://u:p@h/d", "mysql+aiomysql"),
        ("mysql+aiomysql://u:p@h/d", "mysql+aiomysql"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg"),
    ],
)
def test_short_urls_are_understood(configured: str, drivername: str, tmp_path: Path) -> None:
    assert database_url(configured, data_dir=tmp_path).drivername == drivername


@pytest.mark.parametrize("configured", ["oracle://h/d", "mysql+pymysql://h/d", "nonsense", "://"])
def test_other_urls_are_refused_without_showing_a_password(configured: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        database_url(configured, data_dir=tmp_path)


def test_the_embedded_database_lies_in_data_dir(tmp_path: Path) -> None:
    assert database_url(None, data_dir=tmp_path).database == str(tmp_path / "vap.sqlite3")


async def test_a_server_that_is_not_there_counts_as_a_lost_connection(
    refusing_tcp_port: int, tmp_path: Path
) -> None:
    for scheme in ("mysql", "postgresql"):
        url = database_url(f"{scheme}://u:p@127.0.0.1:{refusing_tcp_port}/d", data_dir=tmp_path)
        database = Database(url)
        with pytest.raises(Exception, match=r"\S") as caught:
            await _scalar(database, utc_now())
        assert is_disconnect(caught.value)
        await database.close()


def test_what_is_worth_trying_again_is_told_from_what_is_not() -> None:
    def error(original: Exception) -> DBAPIError:
        return OperationalError("UPDATE", {}, original)

    assert is_transient(error(Exception(1213, "Deadlock found")))
    assert is_transient(error(Exception("database is locked")))
    assert not is_transient(error(Exception(1064, "syntax")))
    assert is_disconnect(PoolTimeout("QueuePool limit reached"))
    assert not is_disconnect(ValueError())


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True),
        (OSError("Multiple exceptions: [Errno 111], [Errno 111]"), True),
        (socket.gaierror(-2, "Name or service not known"), True),
        (TimeoutError(), True),
        (FileNotFoundError(2, "No such file or directory", "/archive/a.mp4"), False),
        (PermissionError(13, "Permission denied", "/archive"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
    ],
    ids=str,
)
def test_a_network_that_fails_is_an_outage_and_a_file_that_fails_is_not(
    error: OSError, is_away: bool
) -> None:
    assert is_disconnect(error) is is_away


def test_a_reason_is_one_line_of_the_drivers_words_without_credentials() -> None:
    original = Exception("cannot reach\n  mysql://somebody:hunter22@db/vap")
    said = reason_of(OperationalError("SELECT 1", {}, original))
    assert said == "cannot reach mysql://***@db/vap"
    assert reason_of(TimeoutError()) == "TimeoutError"


def test_a_postgresql_that_is_starting_up_is_away_and_a_wrong_statement_is_not() -> None:
    class Refusal(Exception):
        def __init__(self, sqlstate: str) -> None:
            self.sqlstate = sqlstate

    not_away, away = ("42703", "22021"), ("57P03", "57P01", "53300", "28P01", "28000", "3D000")
    for sqlstate in (*away, *not_away):
        assert is_disconnect(DBAPIError("SELECT 1", {}, Refusal(sqlstate))) is (sqlstate in away)


async def test_an_embedded_database_that_is_damaged_is_away_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "vap.sqlite3").write_bytes(b"rubbish " * 1000)
    database = Database(database_url(None, data_dir=tmp_path))
    with pytest.raises(DBAPIError) as caught:
        await _scalar(database, utc_now())
    assert is_disconnect(caught.value)
    assert reason_of(caught.value) == "file is not a database"
    await database.close()


def test_an_embedded_database_where_no_folder_can_be_made_is_a_wrong_setting(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SettingsError, match=r"^DATA_DIR: cannot write"):
        Database(database_url(None, data_dir=tmp_path / "data"))
