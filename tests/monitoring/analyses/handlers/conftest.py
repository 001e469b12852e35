"""A worker in this process, with a server of models beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.analysis.pool import CHILD_ARGV, AnalysisPool
from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.media.ffmpeg import Ffmpeg
from backend.monitoring.analyses.handlers import archive
from tests.monitoring.analyses.handlers.answers import by_window
from tests.monitoring.analyses.handlers.bench import GEMINI, KEY, OPENAI, Bench
from tests.peers.model_server import ModelServer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of these tests are on loopback, whatever proxy this machine has."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(autouse=True)
def files_settle_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of these tests is still being written, unless a test says so."""
    monkeypatch.setattr(archive, "STABLE_FOR_S", 0.02)


@pytest.fixture
async def pool() -> AsyncIterator[AnalysisPool]:
    """One child that knows the fake analyser."""
    pool = AnalysisPool(children=1, argv=(*CHILD_ARGV, "--fakes"))
    yield pool
    await pool.aclose()


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    """A server that knows one key, and a model of each protocol."""
    async with ModelServer(key=KEY, models=(GEMINI, OPENAI)) as server:
        server.answer_with(by_window())
        yield server


@pytest.fixture
def bench(
    sqlite: Database,
    nudges: Nudges,
    tmp_path: Path,
    ffmpeg: Ffmpeg,
    pool: AnalysisPool,
    server: ModelServer,
) -> Bench:
    """The worker, on SQLite."""
    return Bench(sqlite, nudges, tmp_path / "data", ffmpeg, pool, server)
