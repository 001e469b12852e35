"""Callbacks on each database, a receiver, and senders that look often and wait long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.callbacks import posting
from backend.callbacks import sender as sender_module
from backend.callbacks.tables import CallbackPieceRow, CallbackRow
from backend.kernel.db import Base, Database
from backend.kernel.nudge import Nudges
from tests.callbacks.office import Office
from tests.peers.callback_receiver import CallbackReceiver

TABLES = [CallbackRow.__table__, CallbackPieceRow.__table__]


async def _with_tables(database: Database) -> Database:
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))
    return database


@pytest.fixture
async def database(database: Database) -> Database:
    """The database of the product with the tables of callbacks."""
    return await _with_tables(database)


@pytest.fixture
async def sqlite(sqlite: Database) -> Database:
    """The same on SQLite alone."""
    return await _with_tables(sqlite)


@pytest.fixture
async def receiver() -> AsyncIterator[CallbackReceiver]:
    async with CallbackReceiver() as receiver:
        yield receiver


@pytest.fixture
def office(database: Database, nudges: Nudges, tmp_path: Path) -> Office:
    """Adds and sends, on every database."""
    return Office(database, nudges, tmp_path / "run")


@pytest.fixture
def small_office(sqlite: Database, nudges: Nudges, tmp_path: Path) -> Office:
    """Adds and sends, on SQLite."""
    return Office(sqlite, nudges, tmp_path / "run")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "INTERVAL_S", 0.02)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no host that is away."""
    monkeypatch.setattr(posting, "CONNECT_TIMEOUT_S", 60.0)
    monkeypatch.setattr(posting, "ANSWER_TIMEOUT_S", 60.0)
