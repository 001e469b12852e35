"""Fixtures of the system tests: a fresh installation, on the embedded database and on a server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from backend.kernel.db import Database, database_url
from tests.migrating import apart
from tests.peers.videos import make_video
from tests.system.programs import Installation


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of H.264."""
    return make_video(tmp_path_factory.mktemp("video") / "video.mp4", seconds=4, size=(320, 240))


@pytest.fixture
def sqlite_installation(tmp_path: Path) -> Iterator[Installation]:
    """VAP with its embedded database; nothing of it may run on when the test is over."""
    installation = Installation(tmp_path)
    installation.migrate()
    yield installation
    installation.until_alone()


@pytest.fixture(params=["sqlite", "mysql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """VAP with its embedded database, and with one on MySQL/MariaDB."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_installation")
        return
    configured = os.environ.get("TEST_MYSQL_URL")
    if not configured:
        pytest.skip("no mysql server: set TEST_MYSQL_URL")
    name = f"vap_system_{uuid4().hex[:12]}"
    _on_server(configured, f"CREATE DATABASE {name}")
    try:
        url = database_url(configured, data_dir=tmp_path).set(database=name)
        installation = Installation(tmp_path, database=url.render_as_string(hide_password=False))
        installation.migrate()
        yield installation
        installation.until_alone()
    finally:
        _on_server(configured, f"DROP DATABASE {name}")


def _on_server(configured: str, statement: str) -> None:
    async def execute() -> None:
        database = Database(database_url(configured, data_dir=Path()))
        try:
            async with database.engine.connect() as connection:
                await connection.execute(text(statement))
        finally:
            await database.close()

    apart(lambda: asyncio.run(execute()))
