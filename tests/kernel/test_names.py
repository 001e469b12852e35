"""A name server that does not answer holds up nobody but who asked for its names."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpcore2
import httpx2
import pytest

from backend.kernel import names as names_module
from backend.kernel.names import LookUps, NamedBackend
from backend.kernel.net import UrlPolicy, guarded_client
from tests.peers.name_server import NameServer
from tests.waiting import WITHIN_S, until

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    server = NameServer({f"{name}.example": ["127.0.0.1"] for name in ("one", "two", "three")})
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    monkeypatch.setattr(names_module, "RESOLVE_WITHIN_S", 2 * WITHIN_S)  # not on a slow machine
    yield server
    server.answer()


async def test_each_address_of_a_name_is_found_once(server: NameServer) -> None:
    server.known["many.example"] = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
    assert await LookUps()("many.example", 443) == ["127.0.0.1", "127.0.0.2"]


async def test_a_name_that_is_not_known_is_an_error(server: NameServer) -> None:
    server.answer()
    look_ups = LookUps()
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await look_ups("silent.example", 443)
    assert len(server.asked) == 2


async def test_a_name_that_is_being_looked_up_is_not_looked_up_again(server: NameServer) -> None:
    look_ups = LookUps()
    server.known["silent.example"] = ["127.0.0.1"]
    async with asyncio.TaskGroup() as group:
        first = group.create_task(look_ups("silent.example", 443))
        await until(lambda: server.asked)
        second = group.create_task(look_ups("Silent.Example", 80))
        third = group.create_task(look_ups("silent.example", 443))
        await asyncio.sleep(0)  # both wait now
        first.cancel()  # which takes nothing from the others
        await asyncio.wait([first])
        server.answer()
    assert await second == await third == ["127.0.0.1"]
    assert server.asked == ["silent.example"]


async def test_a_look_up_that_was_given_up_is_joined_by_the_next_try(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_ups = LookUps()
    server.known["silent.example"] = ["127.0.0.1"]
    with monkeypatch.context() as patch:
        patch.setattr(names_module, "RESOLVE_WITHIN_S", 0.01)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await look_ups("silent.example", 443)
    again = asyncio.ensure_future(look_ups("silent.example", 443))
    await asyncio.sleep(0)
    server.answer()
    assert await again == ["127.0.0.1"]
    assert server.asked == ["silent.example"]


async def test_the_names_of_one_domain_cannot_take_all_places(server: NameServer) -> None:
    look_ups = LookUps(most=4, per_domain=2)
    hostile = [asyncio.ensure_future(look_ups(f"a{n}.silent.evil", 443)) for n in range(9)]
    await until(lambda: len(server.asked) == 2)
    for name in ("one.example", "two.example", "three.example"):
        assert await look_ups(name, 443) == ["127.0.0.1"]
    assert server.asked[2:] == ["one.example", "two.example", "three.example"]
    server.answer()
    failed = await asyncio.gather(*hostile, return_exceptions=True)
    assert all(isinstance(error, socket.gaierror) for error in failed)


async def test_who_finds_no_place_waits_for_one(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_ups = LookUps(most=2)
    hanging = [asyncio.ensure_future(look_ups(f"silent.{n}", 443)) for n in range(2)]
    await until(lambda: len(server.asked) == 2)
    with monkeypatch.context() as patch:
        patch.setattr(names_module, "RESOLVE_WITHIN_S", 0.01)
        with pytest.raises(TimeoutError):
            await look_ups("one.example", 443)
    waiting = [asyncio.ensure_future(look_ups(f"{name}.example", 443)) for name in ("one", "two")]
    await asyncio.sleep(0)
    assert len(server.asked) == 2
    server.answer()
    assert await asyncio.gather(*waiting) == [["127.0.0.1"]] * 2
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_machine_without_threads_to_spare_is_no_lasting_failure(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    look_ups = LookUps()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="no thread"):
            await look_ups("one.example", 443)
    assert await look_ups("one.example", 443) == ["127.0.0.1"]


async def test_downloads_from_silent_names_leave_the_loops_own_threads_free(
    server: NameServer,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(4))  # as many as uvloop has
    async with guarded_client(UrlPolicy(), connect_timeout_s=0.2) as client:
        fetched = [client.get(f"https://a{n}.silent.evil/") for n in range(8)]
        failed = await asyncio.gather(*fetched, return_exceptions=True)
        assert {type(error) for error in failed} == {httpx2.ConnectTimeout}
    async with asyncio.timeout(WITHIN_S):  # for ever, if the threads were taken
        assert await loop.getaddrinfo("localhost", 80)


@pytest.mark.parametrize("host", ["no.silent.example", "a" * 70 + ".example", "a..example"])
async def test_a_name_that_leads_nowhere_cannot_be_connected_to(
    server: NameServer, host: str
) -> None:
    server.answer()
    with pytest.raises(httpcore2.ConnectError):
        await NamedBackend(LookUps()).connect_tcp(host, 80)


def test_a_program_ends_although_a_look_up_hangs() -> None:
    program = """
import asyncio, socket, threading
from backend.kernel import names
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
names.RESOLVE_WITHIN_S = 0.1
try:
    asyncio.run(names.FOR_OPERATOR("silent.example", 443))
except TimeoutError:
    print([thread.name for thread in threading.enumerate()][1:])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=150,  # for ever, if it waited
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['look-up']\n", "")
