"""Who is let in: a table of requests, each with the role it gets."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fastapi import Depends, FastAPI, Request
from httpx import ASGITransport, AsyncClient

from backend.kernel import auth
from backend.kernel.auth import COOKIE, Gate, Requires, Role, session_key
from backend.kernel.http import install_errors
from backend.settings import ServerSettings

PASSWORD = "correct horse"
KEYS = (
    "operator-key-0123456789,viewer:viewer-key-0123456789,"
    "service:service-key-0123456789,admin:admin-key-0123456789"
)
LAN = "192.168.1.20"
PROXY = "10.0.0.1"


def _settings(**values: str) -> ServerSettings:
    return ServerSettings.model_validate(values)


LOCAL = _settings()
LOCAL_ELSEWHERE = _settings(VAP_HOST="127.0.0.2")
ONE_ADDRESS = _settings(VAP_HOST=LAN, VAP_ADMIN_PASSWORD=PASSWORD)
LOCAL_BEHIND_PROXY = _settings(TRUSTED_PROXIES="127.0.0.1")
LOCAL_WITH_PASSWORD = _settings(VAP_ADMIN_PASSWORD=PASSWORD)
OPEN = _settings(VAP_HOST="0.0.0.0", VAP_ADMIN_PASSWORD=PASSWORD, VAP_API_KEYS=KEYS)
BEHIND_PROXY = _settings(
    VAP_HOST="0.0.0.0", VAP_ADMIN_PASSWORD=PASSWORD, TRUSTED_PROXIES=f"{PROXY},10.0.1.0/24"
)
SERVICES = _settings(
    VAP_HOST="0.0.0.0",
    VAP_ADMIN_PASSWORD=PASSWORD,
    SERVICE_ALLOWED_HOSTS="192.168.1.0/24,2001:db8::/32",
    TRUSTED_PROXIES=PROXY,
)


@dataclass(frozen=True)
class Sent:
    """A request as it arrives, and the role that it gets (None: nobody)."""

    what: str
    settings: ServerSettings
    role: Role | None
    peer: str = "127.0.0.1"
    headers: dict[str, str] = field(default_factory=dict)
    logged_in: bool = False


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


HERE = {"Host": "127.0.0.1:8080"}
EVIL = "http://evil.example"

TABLE = [
    # the local operator
    Sent("a browser on this machine", LOCAL, Role.ADMIN, headers=HERE),
    Sent("by the name localhost", LOCAL, Role.ADMIN, headers={"Host": "localhost:8080"}),
    Sent("by IPv6", LOCAL, Role.ADMIN, peer="::1", headers={"Host": "[::1]:8080"}),
    Sent("by IPv4 in IPv6", LOCAL, Role.ADMIN, peer="::ffff:127.0.0.1", headers=HERE),
    Sent("its own page writes", LOCAL, Role.ADMIN,
         headers={**HERE, "Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}),
    Sent("with a password set it is local all the same", LOCAL_WITH_PASSWORD, Role.ADMIN,
         headers=HERE),
    Sent("by another loopback address", LOCAL_ELSEWHERE, Role.ADMIN,
         headers={"Host": "127.0.0.2:8080"}),
    Sent("another site's page writes", LOCAL, None, headers={**HERE, "Origin": EVIL}),
    Sent("another site's page reads an image", LOCAL, None,
         headers={**HERE, "Sec-Fetch-Site": "cross-site"}),
    Sent("a page of another port of this machine", LOCAL, None,
         headers={**HERE, "Origin": "http://127.0.0.1:3000"}),
    Sent("another port, in an older browser's words", LOCAL, None,
         headers={**HERE, "Sec-Fetch-Site": "same-site"}),
    Sent("a page in a sandbox", LOCAL, None, headers={**HERE, "Origin": "null"}),
    Sent("DNS rebinding: a strange Host", LOCAL, None,
         headers={"Host": "evil.example:8080"}),
    Sent("DNS rebinding: Host and Origin agree", LOCAL, None,
         headers={"Host": "evil.example:8080", "Origin": "http://evil.example:8080"}),
    Sent("DNS rebinding: a name that begins well", LOCAL, None,
         headers={"Host": "127.0.0.1.evil.example"}),
    Sent("DNS rebinding: user info", LOCAL, None,
         headers={"Host": "127.0.0.1@evil.example"}),
    Sent("no Host", LOCAL, None, headers={"Host": ""}),
    Sent("a Host that is none", LOCAL, None, headers={"Host": "[::1"}),
    Sent("an Origin that is none", LOCAL, None, headers={**HERE, "Origin": "http://["}),
    Sent("neither Host nor Origin", LOCAL, None, headers={"Host": "", "Origin": "null"}),
    # forwarded requests are never local
    *(
        Sent(f"forwarded by {name}", LOCAL, None, headers={**HERE, name: value})
        for name, value in {
            "X-Forwarded-For": LAN,
            "X-Forwarded-Host": "127.0.0.1",
            "X-Real-IP": "127.0.0.1",
            "Forwarded": "for=127.0.0.1",
            "X-Forwarded-Proto": "http",
            "Via": "1.1 proxy",
        }.items()
    ),
    Sent("forwarded for loopback", LOCAL, None, headers={**HERE, "X-Forwarded-For": "127.0.0.1"}),
    Sent("forwarded by a trusted proxy on this machine", LOCAL_BEHIND_PROXY, None,
         headers={**HERE, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "127.0.0.1:8080"}),
    Sent("a strange peer on a loopback server", LOCAL, None, peer=LAN, headers=HERE),
    # bound beyond loopback nobody is local
    Sent("from this machine", OPEN, Role.SERVICE, headers=HERE),
    Sent("another site's page on this machine", OPEN, None,
         headers={**HERE, "Sec-Fetch-Site": "cross-site"}),
    Sent("a name that was made to lead to this machine", OPEN, None,
         headers={"Host": "evil.example:8080"}),
    Sent("from the network", OPEN, None, peer=LAN),
    Sent("from the network, pretending", OPEN, None, peer=LAN, headers=HERE),
    # keys
    Sent("an operator's key", OPEN, Role.OPERATOR, LAN, _bearer("operator-key-0123456789")),
    Sent("a viewer's key", OPEN, Role.VIEWER, LAN, _bearer("viewer-key-0123456789")),
    Sent("a service's key", OPEN, Role.SERVICE, LAN, _bearer("service-key-0123456789")),
    Sent("an admin's key", OPEN, Role.ADMIN, LAN, _bearer("admin-key-0123456789")),
    Sent("a wrong key", OPEN, None, LAN, _bearer("operator-key-012345678")),
    Sent("a key's beginning", OPEN, None, LAN, _bearer("operator-key")),
    Sent("an empty key", OPEN, None, LAN, {"Authorization": "Bearer "}),
    Sent("a key as basic auth", OPEN, None, LAN,
         {"Authorization": "Basic operator-key-0123456789"}),
    Sent("a key that is not ASCII", OPEN, None, LAN, {"Authorization": "Bearer schlüssel"}),
    Sent("a wrong key on this machine", LOCAL, None, headers={**HERE, **_bearer("x" * 20)}),
    # sessions
    Sent("a session", OPEN, Role.ADMIN, LAN, logged_in=True),
    Sent("a session's own page writes", OPEN, Role.ADMIN, LAN,
         {"Host": "vap.lan:8080", "Origin": "http://vap.lan:8080"}, logged_in=True),
    Sent("another site's page with the session's cookie", OPEN, None, LAN,
         {"Host": "vap.lan:8080", "Origin": EVIL}, logged_in=True),
    Sent("another site's image with the session's cookie", OPEN, None, LAN,
         {"Sec-Fetch-Site": "cross-site"}, logged_in=True),
    Sent("a forged cookie", OPEN, None, LAN, {"Cookie": f"{COOKIE}=eyJuYW1lIjoiYWRtaW4ifQ.x.y"}),
    # proxies
    Sent("a session behind a proxy", BEHIND_PROXY, Role.ADMIN, PROXY,
         {"Host": "inner:8080", "X-Forwarded-Host": "vap.example", "X-Forwarded-For": LAN,
          "Origin": "https://vap.example"}, logged_in=True),
    Sent("X-Forwarded-Host from who is no proxy", BEHIND_PROXY, None, LAN,
         {"Host": "inner:8080", "X-Forwarded-Host": "evil.example", "Origin": EVIL},
         logged_in=True),
    # service hosts
    Sent("an allowed host", SERVICES, Role.SERVICE, LAN),
    Sent("an allowed host by IPv6", SERVICES, Role.SERVICE, "2001:db8::7"),
    Sent("another site's page on an allowed host", SERVICES, None, LAN, {"Origin": EVIL}),
    Sent("another host", SERVICES, None, "192.168.2.20"),
    Sent("itself, by the one address that it listens on", ONE_ADDRESS, Role.SERVICE, LAN),
    Sent("another host at a server with one address", ONE_ADDRESS, None, "192.168.2.20"),
    Sent("forwarded from its own address", ONE_ADDRESS, None, LAN,
         {"X-Forwarded-For": "203.0.113.9"}),
    Sent("loopback, once it is off the list", SERVICES, None, "127.0.0.1"),
    Sent("an allowed host behind the proxy", SERVICES, Role.SERVICE, PROXY,
         {"X-Forwarded-For": f"198.51.100.9, {LAN}"}),
    Sent("a pretended host behind the proxy", SERVICES, None, PROXY,
         {"X-Forwarded-For": f"{LAN}, 198.51.100.9"}),
    Sent("an allowed host pretended without a proxy", SERVICES, None, "198.51.100.9",
         {"X-Forwarded-For": LAN}),
    Sent("anybody, brought by an allowed host that is no trusted proxy", SERVICES, None, LAN,
         {"X-Forwarded-For": "198.51.100.9"}),
    Sent("rubbish behind the proxy", SERVICES, None, PROXY, {"X-Forwarded-For": "rubbish"}),
]  # fmt: skip


def _app(settings: ServerSettings) -> FastAPI:
    app = FastAPI()
    app.state.gate = Gate(settings, session_key="k" * 32)
    install_errors(app)

    @app.get("/role")
    async def role(request: Request) -> str | None:
        caller = request.app.state.gate.caller(request)
        return caller.role.name if caller else None

    for level in Role:

        @app.get(f"/{level.name.lower()}", dependencies=[Depends(Requires(level))])
        async def route() -> str:
            return "in"

    return app


def _client(settings: ServerSettings, peer: str) -> AsyncClient:
    transport = ASGITransport(_app(settings), client=(peer, 40000))
    return AsyncClient(transport=transport, base_url="http://vap.lan:8080")


@pytest.mark.parametrize("sent", TABLE, ids=lambda sent: sent.what)
async def test_a_request_gets_its_role_and_no_more(sent: Sent) -> None:
    headers = {name: value.encode() for name, value in sent.headers.items()}
    async with _client(sent.settings, sent.peer) as client:
        if sent.logged_in:
            cookie = Gate(sent.settings, session_key="k" * 32).login(PASSWORD)
            client.cookies.set(COOKIE, str(cookie))
        got = (await client.get("/role", headers=headers)).json()
        assert got == (sent.role.name if sent.role is not None else None)
        for level in Role:
            answer = await client.get(f"/{level.name.lower()}", headers=headers)
            is_in = level is Role.PUBLIC or (sent.role is not None and sent.role >= level)
            refused = 401 if sent.role is None else 403
            assert answer.status_code == (200 if is_in else refused), level


def test_the_right_password_opens_a_session_and_no_other() -> None:
    gate = Gate(OPEN, session_key="k" * 32)
    assert gate.login(PASSWORD)
    for wrong in ("", "correct hors", "correct horse ", "Correct horse", "ключ", "\ud800"):
        assert gate.login(wrong) is None


def test_without_a_password_nothing_logs_in() -> None:
    gate = Gate(LOCAL, session_key="k" * 32)
    assert not gate.password_is_set()
    assert gate.login("") is None


@pytest.mark.parametrize(
    ("password", "key", "age_s"),
    [
        (PASSWORD, "another key".ljust(32), 0),
        ("another password", "k" * 32, 0),
        (PASSWORD, "k" * 32, auth.SESSION_S + 10),
    ],
    ids=["the key is another", "the password was changed", "it is too old"],
)
async def test_a_session_ends_when(
    password: str, key: str, age_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = _settings(VAP_HOST="0.0.0.0", VAP_ADMIN_PASSWORD=password)
    made_by = Gate(then, session_key=key)
    import itsdangerous.timed

    now = itsdangerous.timed.time.time()
    with monkeypatch.context() as patched:
        patched.setattr(itsdangerous.timed.time, "time", lambda: now - age_s)
        cookie = str(made_by.login(password))
    async with _client(OPEN, LAN) as client:
        client.cookies.set(COOKIE, cookie)
        assert (await client.get("/role")).json() is None


@pytest.mark.parametrize(
    ("peer", "proto", "is_https"),
    [
        (PROXY, "https", True),
        (PROXY, "http", False),
        (LAN, "https", False),
        ("10.0.1.9", "HTTPS", True),
    ],
)
async def test_only_a_trusted_proxy_may_say_that_the_browser_uses_https(
    peer: str, proto: str, is_https: bool
) -> None:
    app = _app(BEHIND_PROXY)

    @app.get("/https")
    async def https(request: Request) -> bool:
        return request.app.state.gate.is_https(request)

    transport = ASGITransport(app, client=(peer, 40000))
    async with AsyncClient(transport=transport, base_url="http://inner") as client:
        answer = await client.get("/https", headers={"X-Forwarded-Proto": proto})
    assert answer.json() is is_https


def test_the_session_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = session_key(tmp_path / "run")
    assert len(key) >= 32
    assert session_key(tmp_path / "run") == key
    mode = (tmp_path / "run" / "session.key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_roles_include_the_ones_before_them() -> None:
    assert Role.PUBLIC < Role.SERVICE < Role.VIEWER < Role.OPERATOR < Role.ADMIN
    assert Role.named("operator") is Role.OPERATOR
