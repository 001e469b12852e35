"""The real app on a new SQLite database: called directly, or served on a loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from backend.main import create_app
from backend.media.ffmpeg import Ffmpeg
from backend.operations import health, serving, vitals
from backend.operations.serving import Server, bind, page_address
from backend.settings import (
    CallbackSettings,
    DatabaseSettings,
    FetchSettings,
    ModelSettings,
    RecordingSettings,
    SceneSettings,
    ServerSettings,
    Settings,
    SpeechApiSettings,
    StorageSettings,
    WorkerSettings,
)

LOCAL = "http://127.0.0.1:8080"
FFMPEG = Ffmpeg(Path("ffmpeg"), version=(), has_hybrid_fragmented=False)
"""Nothing is recorded here: none needs to be found, which starts processes."""
MakeSettings = Callable[..., Settings]
Open = Callable[..., AbstractAsyncContextManager[AsyncClient]]


@pytest.fixture
def make_settings(tmp_path: Path, migrated_sqlite: Path) -> MakeSettings:
    """Settings of a main process on a new database; server settings and DATABASE_URL may be set."""
    (tmp_path / "vap.sqlite3").write_bytes(migrated_sqlite.read_bytes())

    def make(database_url: str | None = None, **server: str) -> Settings:
        return Settings(
            server=ServerSettings.model_validate(server),
            storage=StorageSettings.model_validate({"DATA_DIR": str(tmp_path)}),
            database=DatabaseSettings.model_validate({"DATABASE_URL": database_url}),
            recording=RecordingSettings.model_validate({"DEMO_CAMERA": "false"}),
            worker=WorkerSettings.model_validate({}),
            scene=SceneSettings.model_validate({}),
            models=ModelSettings.model_validate({}),
            fetch=FetchSettings.model_validate({}),
            callbacks=CallbackSettings.model_validate({}),
            speech=SpeechApiSettings.model_validate({}),
        )

    return make


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no database that is down, no fault of ours, and no slow reader."""
    monkeypatch.setattr(vitals, "ANSWER_WITHIN_S", 60.0)
    monkeypatch.setattr(vitals, "READ_WITHIN_S", 60.0)
    monkeypatch.setattr(health, "HELD_S", 600.0)
    monkeypatch.setattr(serving, "ANSWERS_END_WITHIN_S", 60.0)


def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have vital signs read again for everybody who asks."""
    monkeypatch.setattr(vitals, "FRESH_S", 0.0)
    monkeypatch.setattr(vitals, "FRESH_PER_SECOND_OF_READING", 0.0)


@asynccontextmanager
async def opened(
    settings: Settings, *, peer: str = "127.0.0.1", base_url: str = LOCAL
) -> AsyncIterator[tuple[FastAPI, AsyncClient]]:
    """The app with its services running, and a client that calls it from `peer`."""
    app = create_app(settings, ffmpeg=FFMPEG)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app, client=(peer, 4000)), base_url=base_url) as client,
    ):
        yield app, client


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[FastAPI, AsyncClient, Server]]:
    """The app behind its real HTTP server on a free port, and a client with real connections."""
    app = create_app(settings, ffmpeg=FFMPEG)
    is_serving = asyncio.Event()
    server = Server(app, on_serving=is_serving.set)
    bound = bind("127.0.0.1", 0)
    address = page_address(bound)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[bound]))
        await is_serving.wait()
        try:
            async with AsyncClient(base_url=address, timeout=60) as client:
                yield app, client, server
        finally:
            server.should_exit = True


@pytest.fixture
async def client(make_settings: MakeSettings) -> AsyncIterator[AsyncClient]:
    """The local operator."""
    async with opened(make_settings()) as (_, client):
        yield client
