"""Where the name of a model's server leads, and that no name holds up the worker."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from backend.analysis.scene.vlm.model import ModelBusy
from tests.analysis.scene.vlm.asked import VERDICT, fault_of, question, to, url_of
from tests.peers.model_server import ModelServer
from tests.peers.name_server import NameServer


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    names = NameServer({"models.example": ["127.0.0.1"]})
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.answer()


async def test_a_server_is_found_by_its_name(
    backend: str, server: ModelServer, names: NameServer
) -> None:
    url = url_of(backend, server).replace("127.0.0.1", "models.example")
    async with to(backend, url) as model:
        assert (await model.ask(question())).text == VERDICT
    assert names.asked == ["models.example"]


async def test_a_server_whose_name_is_not_answered_takes_one_thread_and_none_of_the_loops(
    backend: str, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.analysis.scene.vlm.transport.CONNECT_TIMEOUT_S", 0.05)
    async with to(backend, "https://silent.models.example/v1") as model:
        for _ in range(6):
            fault = await fault_of(model)
            assert (type(fault), fault.code) == (ModelBusy, "unreachable")
    assert len(names.asked) == 1
