"""Who calls, and whether they may: one dependency that every route declares.

    public < service < viewer < operator < admin

- On a loopback address the local user is let in as admin: a direct connection from this machine
  whose Host (and Origin, where sent) names it. A forwarded request is never local.
- A request that another site's page made is let in by nothing but a key.
- Programs send `Authorization: Bearer KEY`; the page, its video and its event stream carry a
  signed, same-origin session cookie made from the administrator's password.
- Service routes, whose contracts know no credentials, are also open to SERVICE_ALLOWED_HOSTS, and
  to this server itself, which calls itself back where no other backend is named.

Accounts, when they come, are another way to find the `Caller`; nothing else changes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from backend.kernel.errors import Forbidden, Unauthenticated
from backend.settings import ServerSettings, is_loopback_host

COOKIE = "vap_session"
SESSION_S = 12 * 3600
FORWARDED_HEADERS = frozenset({"forwarded", "via", "x-real-ip"})  # and each x-forwarded-...


class Role(IntEnum):
    """What a caller may do; each role includes the ones before it."""

    PUBLIC = 0
    SERVICE = 1
    VIEWER = 2
    OPERATOR = 3
    ADMIN = 4

    @classmethod
    def named(cls, name: str) -> Role:
        """The role of this lower-case name."""
        return cls[name.upper()]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a name for the log, and what they may do."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Requires:
    """The dependency of a route: raises unless the caller has at least this role."""

    role: Role

    async def __call__(self, request: Request) -> Caller:
        """Find the caller, or refuse."""
        gate: Gate = request.app.state.gate
        caller = gate.caller(request)
        if self.role is Role.PUBLIC:
            return caller or Caller("anyone", Role.PUBLIC)
        if caller is None:
            raise Unauthenticated("log in, or send a key as 'Authorization: Bearer KEY'")
        if caller.role < self.role:
            raise Forbidden(f"this needs the role {self.role.name.lower()}")
        return caller


class Gate:
    """Finds the caller of a request. Holds the key that signs sessions."""

    def __init__(self, settings: ServerSettings, *, session_key: str) -> None:
        self._settings = settings
        password = settings.admin_password.get_secret_value() if settings.admin_password else ""
        # signed with the password too: changing it ends every session
        self._sessions = URLSafeTimedSerializer(session_key + password, salt="vap-session")

    def caller(self, request: Request) -> Caller | None:
        """The caller by key, by session, as the local user, or as a service; None for nobody."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            return self._by_key(authorization)
        if not self._same_origin(request):
            return None
        return self._by_session(request) or self._local(request) or self._service(request)

    def password_is_set(self) -> bool:
        """Whether a password opens a session."""
        return self._settings.admin_password is not None

    def login(self, password: str) -> str | None:
        """The session cookie's value for the right password, else None."""
        expected = self._settings.admin_password
        if expected is None or not _same(password, expected.get_secret_value()):
            return None
        return self._sessions.dumps({"name": "admin", "role": "admin"})

    def is_https(self, request: Request) -> bool:
        """Whether the browser's connection is encrypted, as far as we may believe it."""
        if self._from_proxy(request):
            return request.headers.get("x-forwarded-proto", "").lower() == "https"
        return request.url.scheme == "https"

    def client_address(self, request: Request) -> IPv4Address | IPv6Address | None:
        """The caller's address: the nearest one that is not a trusted proxy."""
        address = _peer(request)
        if not self._from_proxy(request):
            return address
        for hop in reversed(request.headers.get("x-forwarded-for", "").split(",")):
            address = _address(hop.strip())
            if address is None or not self._is_proxy(address):
                return address
        return address

    def _by_key(self, authorization: str) -> Caller | None:
        scheme, _, sent = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        for number, entry in enumerate(self._settings.api_keys, start=1):
            if _same(sent.strip(), entry.key.get_secret_value()):
                return Caller(f"key {number}", Role.named(entry.role))
        return None

    def _by_session(self, request: Request) -> Caller | None:
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            return None
        try:
            session = self._sessions.loads(cookie, max_age=SESSION_S)
        except BadSignature:
            return None
        return Caller(session["name"], Role.named(session["role"]))

    def _local(self, request: Request) -> Caller | None:
        is_bound_here = self._settings.is_loopback and not _is_forwarded(request)
        return Caller("local", Role.ADMIN) if is_bound_here and _is_from_here(request) else None

    def _service(self, request: Request) -> Caller | None:
        address = self.client_address(request)
        if address is None:
            return None
        if _is_forwarded(request) and (address.is_loopback or not self._from_proxy(request)):
            return None  # a proxy that is not trusted may bring anybody
        if address.is_loopback and not _is_from_here(request):
            return None
        allowed = self._settings.service_allowed_hosts
        is_itself = address == self._settings.own_address and not _is_forwarded(request)
        if is_itself or any(address in net for net in allowed):
            return Caller("service", Role.SERVICE)
        return None

    def _same_origin(self, request: Request) -> bool:
        """No other site's page sent this: reads may lack an Origin, so may programs' writes."""
        origin = request.headers.get("origin")
        if origin is None:
            return request.headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
        host = request.headers.get("host", "")
        if self._from_proxy(request):
            host = request.headers.get("x-forwarded-host", host)
        return bool(host) and origin.partition("://")[2] == host

    def _from_proxy(self, request: Request) -> bool:
        address = _peer(request)
        return address is not None and self._is_proxy(address)

    def _is_proxy(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._settings.trusted_proxies)


def session_key(run_dir: Path) -> str:
    """The key that signs sessions: made once, kept where only this user reads it."""
    file = run_dir / "session.key"
    if not file.exists():
        run_dir.mkdir(parents=True, exist_ok=True)
        whole = file.with_suffix(".new")
        whole.unlink(missing_ok=True)
        whole.touch(mode=0o600)
        whole.write_text(secrets.token_urlsafe(32))
        whole.replace(file)  # never a half-written, guessable key
    return file.read_text()


def _is_forwarded(request: Request) -> bool:
    return any(n in FORWARDED_HEADERS or n.startswith("x-forwarded-") for n in request.headers)


def _is_from_here(request: Request) -> bool:
    """From this machine, and meant for it by name: another name may have been made to lead here."""
    address = _peer(request)
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return address is not None and address.is_loopback and is_loopback_host(host)


def _same(sent: str, expected: str) -> bool:
    return secrets.compare_digest(sent.encode(errors="surrogatepass"), expected.encode())


def _peer(request: Request) -> IPv4Address | IPv6Address | None:
    return _address(request.client.host if request.client else "")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
