"""Callbacks to a name: who it leads to, and that no name holds up others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.callbacks.posting import Outcome, Poster
from backend.kernel.net import UrlPolicy, guarded_client
from tests.peers.callback_receiver import PATH, CallbackReceiver
from tests.peers.file_server import make_certificates
from tests.peers.name_server import NameServer
from tests.waiting import WITHIN_S, until

BACKEND = "backend.example"


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    names = NameServer({BACKEND: ["127.0.0.1"]})
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.answer()


async def post(poster: Poster, url: str) -> Outcome:
    return await poster.post(url, b"{}", {}, now=datetime.now(UTC))


def by_name(receiver: CallbackReceiver, name: str = BACKEND) -> str:
    return receiver.url.replace("127.0.0.1", name)


async def test_the_host_header_and_the_certificate_are_those_of_the_name(
    names: NameServer, tmp_path: Path
) -> None:
    names.known["other.example"] = ["127.0.0.1"]
    made = make_certificates(tmp_path, BACKEND)
    poster = Poster(most_at_once=1, tls=made.client)
    async with CallbackReceiver(tls=made.server) as receiver:
        assert await post(poster, by_name(receiver)) == Outcome(200)
        (got,) = receiver.received
        assert got.headers["host"] == by_name(receiver).split("/")[2]
        for refused in (by_name(receiver, "other.example"), receiver.url):
            assert "certificate" in str((await post(poster, refused)).error)
        await poster.aclose()


async def test_the_name_of_a_proxy_is_looked_up_in_the_same_way(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.known["proxy.example"] = ["127.0.0.1"]
    async with CallbackReceiver() as proxy:
        monkeypatch.setenv("http_proxy", by_name(proxy, "proxy.example").removesuffix(PATH))
        poster = Poster(most_at_once=1)
        assert await post(poster, f"http://{BACKEND}/x") == Outcome(200)
        assert [got.path for got in proxy.received] == [f"http://{BACKEND}/x"]
        assert names.asked == ["proxy.example"]
        await poster.aclose()


@pytest.mark.parametrize("proxy", [None, "http://silent.proxy.example:3128"])
async def test_a_backend_or_proxy_with_a_silent_name_takes_one_thread_and_none_of_the_loops(
    names: NameServer, monkeypatch: pytest.MonkeyPatch, proxy: str | None
) -> None:
    monkeypatch.setattr("backend.callbacks.posting.CONNECT_TIMEOUT_S", 0.05)
    if proxy:
        monkeypatch.setenv("https_proxy", proxy)
    poster = Poster(most_at_once=1)
    for _ in range(12):
        outcome = await post(poster, "https://silent.backend.example/x")
        assert outcome == Outcome(error="no connection within 0.05 s", is_away=True)
    assert len(names.asked) == 1
    await poster.aclose()


async def test_names_that_strangers_chose_hold_up_no_callback(names: NameServer) -> None:
    poster = Poster(most_at_once=1)
    async with CallbackReceiver() as receiver, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(guarded_client(UrlPolicy())) for _ in range(20)]
        fetched = [
            asyncio.ensure_future(client.get(f"https://{n}.silent.evil{domain}/"))
            for domain, client in enumerate(clients)
            for n in range(5)
        ]
        await until(lambda: len(names.asked) == 32)  # all places for names of strangers
        async with asyncio.timeout(WITHIN_S):
            assert await post(poster, by_name(receiver)) == Outcome(200)
        assert names.asked[32:] == [BACKEND]
        for one in fetched:
            one.cancel()
        await asyncio.gather(*fetched, return_exceptions=True)
    await poster.aclose()
