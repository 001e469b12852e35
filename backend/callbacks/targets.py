"""Where callbacks may go: to the configured backend, and to hosts on the operator's list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import httpx2

from backend.kernel.errors import InvalidInput

MOST_URL_CHARS = 2000
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9._\-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*")
_ENTRY = re.compile(
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:/@?#\\\[\]\s]+)(:(?P<port>[0-9]{1,5}))?|(?P<bare>[0-9a-fA-F:.]+)"
)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL as it is sent to, and its scheme://host:port."""

    url: str
    origin: str


class CallbackTargets:
    """The allow-list.

    Args:
        backend_url: the configured backend, allowed with its port as given; None for none.
        allowed_hosts: further `host` (with any port) or `host:port` entries.

    Raises:
        ValueError: one of them is no such thing.
    """

    def __init__(self, backend_url: str | None, allowed_hosts: Iterable[str] = ()) -> None:
        self._is_open = False
        self._allowed: set[tuple[str, int | None]] = {_entry(one) for one in allowed_hosts}
        if backend_url is not None:
            try:
                _, host, port = _split(backend_url)
            except InvalidInput as error:
                raise ValueError(f"the backend's URL is not usable: {error.message}") from error
            self._allowed.add((host, port))

    @classmethod
    def anywhere(cls) -> CallbackTargets:
        """For who adds what was checked when it was taken on: the sender checks once more."""
        targets = cls(None)
        targets._is_open = True
        return targets

    def check(self, url: str) -> Target:
        """The target of a URL that may be sent to.

        Raises:
            InvalidInput: it is none (`callback_url_wrong`), or its host is not on the list
                (`callback_host_refused`).
        """
        parsed, host, port = _split(url)
        is_allowed = (host, port) in self._allowed or (host, None) in self._allowed
        if not is_allowed and not self._is_open:
            raise InvalidInput(
                "callbacks may not be sent to this host", code="callback_host_refused"
            )
        shown = f"[{host}]" if ":" in host else host
        return Target(str(parsed), f"{parsed.scheme}://{shown}:{port}")


def _split(url: str) -> tuple[httpx2.URL, str, int]:
    """The URL as the client will read it, its host and its port."""
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii").lower()
        port = _PORTS.get(parsed.scheme, 0) if parsed.port is None else parsed.port
    except (httpx2.InvalidURL, ValueError) as error:
        raise _wrong("the callback URL is not a URL") from error
    if parsed.scheme not in _PORTS:
        raise _wrong("a callback URL begins with http:// or https://")
    if parsed.userinfo:
        raise _wrong("a callback URL holds no user name or password")
    if not _HOST.fullmatch(host) or len(host) > 230 or not 0 < port < 65536:
        raise _wrong("the callback URL names no usable host")
    if len(str(parsed)) > MOST_URL_CHARS:
        raise _wrong(f"a callback URL has at most {MOST_URL_CHARS} characters")
    return parsed, host, port


def _entry(text: str) -> tuple[str, int | None]:
    found = _ENTRY.fullmatch(text.strip())
    if found is None:
        raise ValueError("an allowed callback host is 'host' or 'host:port'")
    host = (found["host"] or found["bare"]).strip("[]")
    url = f"http://[{host}]" if ":" in host else f"http://{host}"
    try:
        _, host, port = _split(f"{url}:{found['port']}" if found["port"] else url)
    except InvalidInput as error:
        raise ValueError("an allowed callback host is 'host' or 'host:port'") from error
    return host, port if found["port"] else None


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(message, code="callback_url_wrong")
