"""The speech API over each database, and a caller on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from tests.speech.desk import Desk


@pytest.fixture
def desk(database: Database, nudges: Nudges, tmp_path: Path) -> Desk:
    """The parts on every database."""
    return Desk(database, nudges, tmp_path / "data")


@pytest.fixture
def small_desk(sqlite: Database, nudges: Nudges, tmp_path: Path) -> Desk:
    """The parts on SQLite."""
    return Desk(sqlite, nudges, tmp_path / "data")


@pytest.fixture
async def client(small_desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The ECG backend on this machine, or a person at the page."""
    async with small_desk.client() as client:
        yield client
