"""Logging in and out, and what guessing costs."""

from __future__ import annotations

import asyncio
import time
from http.cookies import SimpleCookie
from ipaddress import ip_address

import pytest
from httpx import AsyncClient

from backend.kernel.auth import COOKIE, SESSION_S
from backend.kernel.errors import TooMany, Unauthenticated
from backend.operations import login
from backend.operations.login import LoginGuard
from backend.version import __version__
from tests.operations.conftest import MakeSettings, opened
from tests.waiting import WITHIN_S

SESSION = "/api/v1/session"
PASSWORD = "correct horse"
LAN = {"peer": "192.168.1.20", "base_url": "http://vap.lan:8080"}
ATTACKER, OWNER, SAME = (ip_address(f"192.168.1.{number}") for number in (66, 2, 7))
OPEN = {"VAP_HOST": "0.0.0.0", "VAP_ADMIN_PASSWORD": PASSWORD}


def _cookie(header: str):
    return SimpleCookie(header)[COOKIE]


async def test_the_local_operator_needs_no_login(client: AsyncClient) -> None:
    answer = await client.get(SESSION)
    assert answer.json() == {
        "authenticated": True,
        "name": "local",
        "role": "admin",
        "password_login": False,
        "version": __version__,
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_a_stranger_is_told_that_a_password_helps(make_settings: MakeSettings) -> None:
    async with opened(make_settings(**OPEN), **LAN) as (_, client):
        body = (await client.get(SESSION)).json()
        assert (body["authenticated"], body["role"]) == (False, "public")
        assert body["password_login"] is True
        assert (await client.get("/api/v1/jobs")).status_code == 401


async def test_the_right_password_opens_everything_until_logged_out(
    make_settings: MakeSettings,
) -> None:
    async with opened(make_settings(**OPEN), **LAN) as (_, client):
        answer = await client.post(SESSION, json={"password": PASSWORD})
        assert answer.status_code == 200
        assert answer.json()["role"] == "admin"
        cookie = _cookie(answer.headers["set-cookie"])
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "strict"
        assert cookie["path"] == "/"
        assert cookie["max-age"] == str(SESSION_S)
        assert not cookie["secure"]
        assert (await client.get("/api/v1/jobs")).status_code == 200
        assert (await client.get(SESSION)).json()["authenticated"] is True
        answer = await client.delete(SESSION)
        assert answer.status_code == 204
        assert _cookie(answer.headers["set-cookie"])["max-age"] == "0"
        assert (await client.get("/api/v1/jobs")).status_code == 401


async def test_behind_an_https_proxy_the_cookie_is_for_https_only(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(**OPEN, TRUSTED_PROXIES="10.0.0.1")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.168.1.20"}
    async with opened(settings, peer="10.0.0.1") as (_, client):
        answer = await client.post(SESSION, json={"password": PASSWORD}, headers=headers)
        assert _cookie(answer.headers["set-cookie"])["secure"] is True
        answer = await client.delete(SESSION, headers=headers)
        assert _cookie(answer.headers["set-cookie"])["secure"] is True


async def test_a_wrong_password_is_refused_after_half_a_second_and_sets_nothing(
    make_settings: MakeSettings,
) -> None:
    async with opened(make_settings(**OPEN), **LAN) as (_, client):
        started = time.monotonic()
        answer = await client.post(SESSION, json={"password": "wrong"})
        assert time.monotonic() - started >= login.WRONG_TAKES_S
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "wrong_password"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "body", [{}, {"password": 7}, {"password": "x" * 5000}, {"password": "x", "more": 1}]
)
async def test_a_body_that_is_no_login_is_refused_and_not_repeated(
    make_settings: MakeSettings, body: dict[str, object]
) -> None:
    async with opened(make_settings(**OPEN), **LAN) as (_, client):
        answer = await client.post(SESSION, json=body)
    assert answer.status_code == 400
    assert "xxxxx" not in answer.text


def _wrong() -> None:
    return None


async def test_one_address_guesses_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "WRONG_TAKES_S", 0.05)
    guard = LoginGuard()
    started = time.monotonic()
    tries = [guard.attempt(ATTACKER, _wrong) for _ in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert all(isinstance(result, Unauthenticated) for result in results)
    assert time.monotonic() - started >= 20 / login.AT_ONCE * 0.05
    assert not guard._doors


async def test_attempts_that_cannot_wait_are_refused_unseen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login, "WRONG_TAKES_S", 0.05)
    guard = LoginGuard()
    seen = 0

    def check() -> str | None:
        nonlocal seen
        seen += 1
        return None

    most = login.AT_ONCE + login.MOST_WAITING
    tries = [guard.attempt(ATTACKER, check) for _ in range(most + 10)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, TooMany) for result in results) == 10
    assert seen == most


async def test_the_guests_of_one_ipv6_network_are_one_attacker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login, "WRONG_TAKES_S", 0.01)
    guard = LoginGuard()
    most = login.AT_ONCE + login.MOST_WAITING
    addresses = [ip_address(f"2001:db8:0:1::{number:x}") for number in range(most + 10)]
    tries = [guard.attempt(address, _wrong) for address in addresses]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, TooMany) for result in results) == 10


async def test_a_wrong_password_is_logged_with_its_address_and_without_itself(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[dict[str, object]] = []
    monkeypatch.setattr(login.log, "warning", lambda _, **facts: logged.append(facts))
    async with opened(make_settings(**OPEN), **LAN) as (_, client):
        await client.post(SESSION, json={"password": "hunter22"})
    assert logged == [{"action": "login.refused", "address": "192.168.1.20"}]


async def test_a_password_that_no_keyboard_makes_is_only_wrong(
    make_settings: MakeSettings,
) -> None:
    headers = {"Content-Type": "application/json"}
    async with opened(make_settings(**OPEN), **LAN) as (_, client):
        answer = await client.post(SESSION, content=rb'{"password": "\ud800"}', headers=headers)
    assert answer.status_code == 401


async def test_the_right_user_elsewhere_is_not_kept_waiting_by_an_attacker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login, "WRONG_TAKES_S", 10 * WITHIN_S)
    guard = LoginGuard()
    async with asyncio.TaskGroup() as group:
        attacks = [group.create_task(guard.attempt(ATTACKER, _wrong)) for _ in range(6)]
        await asyncio.sleep(0)
        async with asyncio.timeout(WITHIN_S):
            assert await guard.attempt(OWNER, lambda: "cookie") == "cookie"
        assert not any(attack.done() for attack in attacks)
        for attack in attacks:
            attack.cancel()


async def test_the_right_user_at_the_attackers_address_gets_in_after_a_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login, "WRONG_TAKES_S", 0.02)
    guard = LoginGuard()
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(_ignored(guard.attempt(SAME, _wrong)))
        await asyncio.sleep(0)
        assert await guard.attempt(SAME, lambda: "cookie") == "cookie"


async def _ignored(attempt) -> None:
    with pytest.raises(Unauthenticated):
        await attempt
