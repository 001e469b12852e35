"""One attempt at one callback over HTTP: bounded in time and in what is read of the answer.

- The status decides. What follows it is read only so that the connection can be used again.
- Redirects are refused: a callback goes to an allowed host or nowhere.
- Certificates are verified, against SSL_CERT_FILE where that is set.
- A host whose name is looked up slowly holds up no other (`kernel.names`).
- Proxies are taken from the environment, but for this machine's own address.
- What it says of a failure is meant for people who may see no secret: it names no URL.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy

import anyio
import httpx2

from backend.kernel.names import FOR_OPERATOR, NamedBackend
from backend.kernel.net import connect_by
from backend.kernel.retry import asked_delay_s

CONNECT_TIMEOUT_S = 5.0
TIMEOUT_S = 30.0
BYTES_PER_S = 1_000_000
"""A large body has a second more for so many bytes of it."""
MOST_ANSWER_BYTES = 64 * 1024
ANSWER_TIMEOUT_S = 2.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DIRECT = ("all://localhost", "all://127.0.0.1", "all://[::1]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt; delivered when `error` is None. `is_away`: no answer at all."""

    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None
    is_away: bool = False


class Poster:
    """The HTTP client of the sender. Close it."""

    def __init__(
        self, *, most_at_once: int, timeout_s: float = TIMEOUT_S, tls: ssl.SSLContext | None = None
    ) -> None:
        self._timeout_s = timeout_s
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            verify=tls or True,
            timeout=None,  # bounded as a whole
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=most_at_once),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            mounts=dict.fromkeys(_DIRECT, None),
        )
        connect_by(NamedBackend(FOR_OPERATOR), self._client)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> Outcome:
        """Send once; every failure of the network or the peer is an outcome."""
        timeout_s = self._timeout_s + len(body) / BYTES_PER_S
        connect_s = min(CONNECT_TIMEOUT_S, timeout_s)
        try:
            request = self._client.build_request(
                "POST",
                url,
                content=body,
                headers=headers,
                timeout=httpx2.Timeout(None, connect=connect_s),
            )
            async with asyncio.timeout(timeout_s):
                response = await self._client.send(request, stream=True)
        except TimeoutError:
            return Outcome(error=f"no answer within {timeout_s:.3g} s", is_away=True)
        except httpx2.ConnectTimeout:
            return Outcome(error=f"no connection within {connect_s:g} s", is_away=True)
        except (httpx2.HTTPError, ssl.SSLError, OSError, anyio.EndOfStream) as error:
            return Outcome(error=_words(error), is_away=True)
        await _drain(response)
        return _outcome(response, now)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()


async def _drain(response: httpx2.Response) -> None:
    """Read the rest of an answer if it is short and quick; else its connection is closed."""
    taken_bytes = 0
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            try:
                async for piece in response.aiter_raw():  # not decoded: no bomb goes off
                    taken_bytes += len(piece)
                    if taken_bytes > MOST_ANSWER_BYTES:
                        break
            finally:
                await response.aclose()
    except (TimeoutError, httpx2.HTTPError, ssl.SSLError, OSError, anyio.EndOfStream):
        return  # the status has been said


def _outcome(response: httpx2.Response, now: datetime) -> Outcome:
    status = response.status_code
    if response.is_success:
        return Outcome(status)
    words = "the host answered with a redirect, which is refused"
    if status not in REDIRECTS:
        words = "the host did not take it"
    return Outcome(
        status,
        f"{words} (HTTP {status})",
        asked_delay_s(response.headers.get("retry-after", ""), now),
    )


def _words(error: Exception) -> str:
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, ssl.SSLCertVerificationError):
            return "the host's TLS certificate is not accepted"
        if isinstance(chain, ssl.SSLError):
            return "no encrypted connection could be made"
        chain = chain.__cause__ or chain.__context__
    match error:
        case httpx2.ProxyError():
            return "the proxy did not let it pass"
        case httpx2.ConnectError():
            return "the host cannot be reached"
        case _:
            return "the connection broke before an answer"
