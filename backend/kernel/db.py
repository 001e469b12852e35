"""The database: one engine a process, short transactions, and what SQL dialects do not agree on.

- `Database.read()` and `Database.write()` open one session each; leaving the block commits, an
  exception rolls back. Writing on SQLite begins IMMEDIATE, so that a writer waits for its turn
  instead of failing half-way; on the servers every session is READ COMMITTED.
- `Database.retrying(work)` runs a whole write transaction again after a deadlock or a lost
  connection. The work must be safe to run again: it is, when all it does is in that transaction.
- `utc_now()` and `utc_after(seconds)` are the database's clock in SQL: leases and due times compare
  only with it, never with a worker's.
- Columns: `UtcDateTime` (aware UTC, microseconds), `JsonColumn`, `BigId`, `LongText`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    CursorResult,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
    UpdateBase,
    event,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute
from sqlalchemy.sql.expression import FunctionElement

from backend.kernel.packets import WANTED_BYTES, refuse_long_statements
from backend.kernel.redact import redact
from backend.kernel.retry import Backoff
from backend.settings import DatabaseSettings, SettingsError, StorageSettings

log = structlog.get_logger(__name__)

_Result = TypeVar("_Result")

ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "mysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
# lock wait timeout, deadlock, record changed since last read, no such savepoint: a deadlock took
# the transaction and the savepoint with it
RETRIED_MYSQL = {1205, 1213, 1020, 1305}
RETRIED_POSTGRES = {"40001", "40P01", "55P03"}  # serialization, deadlock, lock not available
# no connection, shutting down or starting up, all taken, not let in, no such database
AWAY_POSTGRES = ("08", "57P", "53300", "28", "3D000")
UNSTORABLE_POSTGRES = ("22021", "22P05")  # text with a NUL in it
UNREADABLE_SQLITE = {11, 26}  # the file is damaged, or is no database
FILE_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
RETRY = Backoff(first_s=0.05, max_s=1.0)
TRIES = 5


class Base(DeclarativeBase):
    """Parent of every table; names of constraints are fixed, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python, a plain UTC date and time with microseconds in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """MySQL drops microseconds unless asked."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=False))

    def process_bind_param(self, value: datetime | None, _: Dialect) -> datetime | None:
        """Refuse naive times; they have meant something else once too often."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        """Give back aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


JsonColumn = JSON(none_as_null=True)
BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only
LongText = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")  # TEXT ends at 64 KiB there


class utc_now(FunctionElement[datetime]):  # noqa: N801  named like the SQL function it is
    """The database's UTC time at this moment, to the microsecond (SQLite: millisecond)."""

    type = UtcDateTime()
    inherit_cache = True


class utc_after(FunctionElement[datetime]):  # noqa: N801
    """The database's UTC time, so many seconds from now (negative: ago)."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now, "mysql", "mariadb")
def _mysql_now(*_: Any, **__: Any) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(utc_now, "postgresql")
def _postgres_now(*_: Any, **__: Any) -> str:
    return "(statement_timestamp() AT TIME ZONE 'utc')"


@compiles(utc_now, "sqlite")
def _sqlite_now(*_: Any, **__: Any) -> str:
    # six digits, as SQLAlchemy stores them: the text compares and parses like a bound value
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(utc_after, "mysql", "mariadb")
def _mysql_after(element: Any, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(UTC_TIMESTAMP(6) + INTERVAL ROUND(1000000 * {seconds}) MICROSECOND)"


@compiles(utc_after, "postgresql")
def _postgres_after(element: Any, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return (
        "((statement_timestamp() AT TIME ZONE 'utc')"
        f" + CAST({seconds} AS DOUBLE PRECISION) * INTERVAL '1 second')"
    )


@compiles(utc_after, "sqlite")
def _sqlite_after(element: Any, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', {seconds})) || '000')"


def database_url(configured: str | None, *, data_dir: Path) -> URL:
    """The async URL of a configured (possibly short) one, or of the embedded database.

    Raises:
        ValueError: not a URL of a database that VAP knows.
    """
    if configured is None:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / "vap.sqlite3"))
    try:
        url = make_url(configured)
    except ArgumentError as error:
        raise ValueError("not a database URL") from error
    name = url.drivername.partition("+")[0]
    if name not in ASYNC_DRIVERS:
        raise ValueError(f"{name} is not one of SQLite, MySQL/MariaDB, PostgreSQL")
    if "+" in url.drivername and url.drivername != ASYNC_DRIVERS[name]:
        raise ValueError(f"use {ASYNC_DRIVERS[name]}://, not {url.drivername}://")
    return url.set(drivername=ASYNC_DRIVERS[name])


def configured_url(database: DatabaseSettings, storage: StorageSettings) -> URL:
    """The URL that the settings name.

    Raises:
        SettingsError: it is none.
    """
    configured = database.url.get_secret_value() if database.url else None
    try:
        return database_url(configured, data_dir=storage.data_dir)
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from error


class Database:
    """One process's connections. Close it before the loop ends."""

    def __init__(self, url: URL, *, pool_size: int = 10) -> None:
        self.url = url
        self.engine = _engine(url, pool_size)
        self._writing = self.engine.execution_options(vap_write=True)

    @property
    def dialect(self) -> str:
        """sqlite, mysql or postgresql."""
        return self.url.get_backend_name()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for a few SELECTs; keep it short."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are committed at the end of the block, or all undone."""
        async with AsyncSession(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    async def retrying(self, work: Callable[[AsyncSession], Awaitable[_Result]]) -> _Result:
        """Run `work` in a write transaction; again, when the database says that trying helps."""
        for failures in range(1, TRIES + 1):
            try:
                async with self.write() as session:
                    return await work(session)
            except DBAPIError as error:
                if failures == TRIES or not is_transient(error):
                    raise
                log.info(
                    "transaction will be tried again",
                    action="db.retry",
                    failures=failures,
                    error=str(error.orig),
                )
                await asyncio.sleep(RETRY.delay_s(failures))
        raise AssertionError("unreachable")

    async def delete_old(
        self,
        delete: Callable[[AsyncSession, float, int], Awaitable[int]],
        older_than_s: float,
        *,
        batch: int,
    ) -> int:
        """Run `delete(session, older_than_s, batch)` in small transactions until all are gone.

        Returns how many rows went.
        """
        total = 0
        while True:
            async with self.write() as session:
                removed = await delete(session, older_than_s, batch)
            total += removed
            if removed < batch:
                return total

    async def warn_of_short_statements(self) -> None:
        """Say in the log when the server's `max_allowed_packet` leaves long results outside."""
        if self.dialect != "mysql":
            return
        async with self.read() as session:
            most_bytes = await session.scalar(text("SELECT @@max_allowed_packet")) or 0
        if most_bytes < WANTED_BYTES:
            log.warning(
                "the database server's max_allowed_packet is small: long results are refused",
                action="db.short_statements",
                max_allowed_packet=most_bytes,
                wanted=WANTED_BYTES,
            )

    async def close(self) -> None:
        """Close every connection (aiomysql complains at exit otherwise)."""
        await self.engine.dispose()


async def select_old_ids(
    session: AsyncSession,
    ids: InstrumentedAttribute[int],
    at: InstrumentedAttribute[Any],
    older_than_s: float,
    limit: int,
    *also: ColumnElement[bool],
) -> Sequence[int]:
    """Ids of rows whose time `at` is long past, oldest first."""
    old = select(ids).where(at < utc_after(-older_than_s), *also).order_by(at).limit(limit)
    return (await session.scalars(old)).all()


def after_commit(session: AsyncSession, call: Callable[[], None]) -> None:
    """Call once when the session's transaction is committed, however often it was asked for."""
    pending: dict[Callable[[], None], None] = session.info.setdefault("after_commit", {})
    if not pending:

        @event.listens_for(session.sync_session, "after_commit", once=True)
        def _committed(_: object) -> None:
            for function in session.info.pop("after_commit", {}):
                function()

    pending[call] = None


async def changed_rows(session: AsyncSession, statement: UpdateBase) -> int:
    """Run an update or a delete; the number of rows it met. Objects in the session stay old."""
    result = await session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)  # noqa: S101  for the type checker
    return result.rowcount


def is_transient(error: DBAPIError) -> bool:
    """Whether the same transaction may well succeed when tried again."""
    if error.connection_invalidated:
        return True
    original = error.orig
    if getattr(original, "sqlstate", None) in RETRIED_POSTGRES:
        return True
    arguments = getattr(original, "args", ())
    if arguments and arguments[0] in RETRIED_MYSQL:
        return True
    return "database is locked" in str(original)


def is_disconnect(error: BaseException) -> bool:
    """Whether the database could not be used: down, restarting, the connection broke, damaged."""
    if isinstance(error, OSError):
        # drivers pass on what the network said; a file that cannot be used is another matter
        return error.filename is None and error.errno not in FILE_TROUBLE
    if isinstance(error, InterfaceError | PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
    return (
        error.connection_invalidated
        or isinstance(error, OperationalError)
        or sqlstate.startswith(AWAY_POSTGRES)
        or getattr(error.orig, "sqlite_errorcode", None) in UNREADABLE_SQLITE
    )


def is_unstorable_text(error: BaseException) -> bool:
    """Whether the database takes no text such as this: PostgreSQL has no NUL."""
    sqlstate = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return sqlstate in UNSTORABLE_POSTGRES


def reason_of(error: BaseException) -> str:
    """The driver's own words on one line, without credentials."""
    words = str(getattr(error, "orig", None) or error) or type(error).__name__
    return redact(" ".join(words.split()))[:300]


def _engine(url: URL, pool_size: int) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    engine = create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        pool_recycle=1800,
        pool_pre_ping=True,
    )
    if url.get_backend_name() == "mysql":
        refuse_long_statements(engine)
    return engine


def _sqlite_engine(url: URL) -> AsyncEngine:
    if url.database not in {None, "", ":memory:"}:
        folder = Path(str(url.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"DATA_DIR: cannot write {folder}: {error.strerror}") from error
    engine = create_async_engine(url, connect_args={"timeout": 10.0})

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing: _begin does
        # SQLite's own knows ASCII only, and searches for text ignore case by it
        connection.create_function("lower", 1, _lower, deterministic=True)
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=10000",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("vap_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
