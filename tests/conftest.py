"""Fixtures that every test may use, and the rule that nothing is skipped where all is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
import structlog
from sqlalchemy import URL, text

from backend.kernel.db import Base, Database, database_url
from backend.kernel.nudge import Nudges
from backend.tables import ALL_TABLES
from tests.migrating import apart, migrate
from tests.peers.ports import held_port

STRICT = os.environ.get("VAP_TEST_STRICT") == "1"
ROOT = Path(__file__).resolve().parent.parent
SERVERS = {"mysql": "TEST_MYSQL_URL", "postgresql": "TEST_POSTGRES_URL"}


# how long an example takes says more of the machine than of what it is an example of
hypothesis.settings.register_profile(
    "no time limits",
    parent=hypothesis.settings.default,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("no time limits")

# without this, traces are painted with all their variables: seconds each
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer(colors=False),
    ]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: none is begun while the other processes are done."""
    items.sort(key=lambda item: not any(map(item.get_closest_marker, ("system", "browser"))))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """With VAP_TEST_STRICT=1 a skipped test is a failed one."""
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under VAP_TEST_STRICT=1: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real videos, weights and labels."""
    folder = Path(os.environ.get("TESTDATA_DIR", ROOT.parent / "shared" / "testdata"))
    if not folder.is_dir():
        pytest.skip("no test data: set TESTDATA_DIR")
    return folder


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database of the current schema, to be copied."""
    file = tmp_path_factory.mktemp("schema") / "vap.sqlite3"
    migrate(database_url(None, data_dir=file.parent))
    return file


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[URL]:
    """A migrated database of its own on the MySQL/MariaDB server."""
    yield from _database_on_server("mysql")


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[URL]:
    """A migrated database of its own on the PostgreSQL server."""
    yield from _database_on_server("postgresql")


@pytest.fixture(params=["sqlite", "mysql", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty, migrated database: the test runs on SQLite, MySQL/MariaDB and PostgreSQL."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("migrated_sqlite")
        (tmp_path / "vap.sqlite3").write_bytes(template.read_bytes())
        url = database_url(None, data_dir=tmp_path)
    else:
        url = request.getfixturevalue(f"{request.param}_url")
    database = Database(url)
    if request.param != "sqlite":
        await _empty(database)  # whatever a test before this one left there
    yield database
    await database.close()


@pytest.fixture
async def sqlite(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty, migrated SQLite database."""
    (tmp_path / "vap.sqlite3").write_bytes(migrated_sqlite.read_bytes())
    database = Database(database_url(None, data_dir=tmp_path))
    yield database
    await database.close()


@pytest.fixture
def refusing_tcp_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections; nobody else can listen there meanwhile."""
    with held_port() as held:
        yield held.getsockname()[1]


@pytest.fixture
def nudges(tmp_path: Path) -> Iterator[Nudges]:
    """Wake-ups within this test."""
    nudges = Nudges(tmp_path / "run")
    yield nudges
    nudges.close()


def _database_on_server(dialect: str) -> Iterator[URL]:
    configured = os.environ.get(SERVERS[dialect])
    if not configured:
        pytest.skip(f"no {dialect} server: set {SERVERS[dialect]}")
    server = database_url(configured, data_dir=Path())
    name = f"vap_test_{uuid4().hex[:12]}"
    apart(lambda: asyncio.run(_execute(server, f"CREATE DATABASE {name}")))
    url = server.set(database=name)
    migrate(url)
    yield url
    force = " WITH (FORCE)" if dialect == "postgresql" else ""
    apart(lambda: asyncio.run(_execute(server, f"DROP DATABASE {name}{force}")))


async def _execute(server: URL, statement: str) -> None:
    database = Database(server)
    try:
        async with database.engine.connect() as connection:
            committing = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await committing.execute(text(statement))
    finally:
        await database.close()


async def _empty(database: Database) -> None:
    assert ALL_TABLES
    async with database.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            await session.execute(table.delete())
