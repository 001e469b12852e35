"""Fixtures of the monitoring tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.media import commands
from backend.media import ffmpeg as finding
from backend.media.ffmpeg import Ffmpeg, find_ffmpeg
from backend.media.probe import probe_source
from backend.monitoring.cameras import service
from backend.monitoring.recording import ledger
from tests.migrating import apart
from tests.monitoring.house import House
from tests.peers.videos import make_video


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    """The ffmpeg that VAP finds on this machine."""
    found: list[Ffmpeg] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "ANSWER_WITHIN_S", 60.0)
        apart(lambda: found.append(asyncio.run(find_ffmpeg())))
    return found[0]


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look, no recording and no write is given up because the machine is slow."""
    monkeypatch.setattr(commands, "SOCKET_TIMEOUT_US", 100_000_000)
    monkeypatch.setattr(service, "probe_source", partial(probe_source, timeout_s=60))
    monkeypatch.setattr(ledger, "FLUSH_WITHIN_S", 60.0)


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of H.264."""
    return make_video(tmp_path_factory.mktemp("video") / "video.mp4", seconds=4, size=(320, 240))


@pytest.fixture
def house(sqlite: Database, nudges: Nudges, tmp_path: Path) -> House:
    """The cameras' part of the main process, on SQLite."""
    return House(sqlite, nudges, tmp_path / "data")


@pytest.fixture
def any_house(database: Database, nudges: Nudges, tmp_path: Path) -> House:
    """The same on every database."""
    return House(database, nudges, tmp_path / "data")


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A caller on this machine."""
    transport = httpx.ASGITransport(app=house.app(), client=("127.0.0.1", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
