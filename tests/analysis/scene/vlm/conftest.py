"""A server of models, and a model of each protocol on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backend.analysis.scene.vlm.model import VisionModel
from tests.analysis.scene.vlm.asked import KEY, NAME, VERDICT, to, url_of
from tests.peers.model_server import ModelServer, Reply


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of these tests are on loopback, whatever proxy this machine has."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(params=["gemini", "openai"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which of the two protocols."""
    return str(request.param)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    """A server that knows one key and one model."""
    async with ModelServer(key=KEY, models=(NAME,)) as server:
        server.answer_with(Reply(VERDICT))
        yield server


@pytest.fixture
async def model(backend: str, server: ModelServer) -> AsyncIterator[VisionModel]:
    """A model on that server."""
    async with to(backend, url_of(backend, server)) as model:
        yield model
