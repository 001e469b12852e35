"""The HTTP client that both SDKs are given: one request, one bounded answer, no surprises.

- An answer is read as it streams in and given up past `LARGEST_ANSWER_BYTES`, counted after
  decompression, which happens in pieces of at most 1 MiB: neither an endless body nor a gzip bomb
  takes more memory than that.
- `timeout_s` bounds the whole call, connecting (`CONNECT_TIMEOUT_S` at most) included.
- Names are looked up apart: a name server that does not answer keeps nobody else waiting.
- Redirects are refused: the key and the pictures go to the configured address or nowhere.
- What is not a good answer of the protocol is raised as an error of `model`; SDKs let it through.
- Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY, ...), as both SDKs do by default:
  a local model beside a configured proxy needs its host in NO_PROXY.

Made by a model at its first question, closed by its `aclose`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2

from backend.analysis.scene.vlm import faults
from backend.analysis.scene.vlm.model import (
    ModelError,
    ModelMisconfigured,
    UnusableAnswer,
    Usage,
)
from backend.kernel.clock import SystemClock
from backend.kernel.names import FOR_OPERATOR, NamedBackend
from backend.kernel.net import connect_by

LARGEST_ANSWER_BYTES = 4 * 1024 * 1024
CONNECT_TIMEOUT_S = 10.0
NO_KEY = "none"
"""What an SDK that insists on a key is given where there is none; it is never sent."""
_KEY_HEADERS = ("authorization", "x-goog-api-key")


class ModelClient(httpx2.AsyncClient):
    """The client for one model; `speaks` says whether a JSON object is an answer of its protocol.

    Args:
        key: what to mask in messages; None also keeps the SDK's key header from being sent.
        timeout_s: for a whole call.
    """

    def __init__(
        self,
        *,
        model: str,
        key: str | None,
        timeout_s: float,
        speaks: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        super().__init__(follow_redirects=False)
        connect_by(NamedBackend(FOR_OPERATOR), self)
        self._model, self._key, self._timeout_s, self._speaks = model, key, timeout_s, speaks
        self._clock = SystemClock()

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: Any = False,
    ) -> httpx2.Response:
        """Send once; the answer comes whole, decoded, with status 200 and a JSON object in it.

        Raises:
            ModelError: for everything else; its usage says that one call was made.
        """
        del stream, follow_redirects  # an SDK may ask for either; neither is given
        since_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send_bounded(request, auth)
        except ModelError as fault:
            self._cost(fault, since_s)
            raise
        except TimeoutError as error:
            raise self._cost(faults.timed_out(self._timeout_s), since_s) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, anyio.EndOfStream) as error:
            broken = faults.of_exception(error, timeout_s=self._timeout_s)
            raise self._cost(broken, since_s) from error

    def _cost(self, fault: ModelError, since_s: float) -> ModelError:
        took_ms = round((self._clock.monotonic() - since_s) * 1000)
        fault.usage = Usage(calls=1, latency_ms=took_ms)
        return fault

    async def _send_bounded(self, request: httpx2.Request, auth: Any) -> httpx2.Response:
        if self._key is None:
            for name in _KEY_HEADERS:
                request.headers.pop(name, None)
        limits = httpx2.Timeout(self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s))
        request.extensions = {**request.extensions, "timeout": limits.as_dict()}
        response = await super().send(request, stream=True, auth=auth, follow_redirects=False)
        try:
            body = await _read(response)
        finally:
            await response.aclose()
        self._check(response, body)
        # Rebuilt, so that no SDK decodes it again or doubts that it is JSON.
        return httpx2.Response(
            200, headers={"content-type": "application/json"}, content=body, request=request
        )

    def _check(self, response: httpx2.Response, body: bytes | None) -> None:
        status = response.status_code
        if status == 200:
            if body is None:
                limit_mb = LARGEST_ANSWER_BYTES / 1024 / 1024
                raise UnusableAnswer(
                    "too_large", f"The model's answer is larger than {limit_mb:g} MB"
                )
            parsed = _object(body)
            if parsed is not None and self._speaks(parsed):
                return
            # Gateways report failures of the model behind them in answers that look good.
            status = _status_inside(parsed)
        if status == 200:
            raise faults.not_the_protocol()
        raise faults.of_answer(
            faults.HttpAnswer(status, response.headers, body),
            model=self._model,
            key=self._key,
            now=self._clock.now(),
        )


def usable_key(api_key: str | None) -> str | None:
    """The key as it is sent; None when there is none.

    Raises:
        ModelMisconfigured: it holds characters that no HTTP header can (`key_refused`).
    """
    key = (api_key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ModelMisconfigured("key_refused", "The key holds characters that no key has")
    return key or None


def check_url(base_url: str) -> None:
    """Raise `ModelMisconfigured` (`endpoint_wrong`) if no server can be at that address."""
    try:
        url = urlsplit(base_url)
        is_one = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # such as a port that is none
        is_one = False
    if not is_one:
        raise faults.not_callable()


def host_of(url: str) -> str:
    """The host in lower case; empty where the URL is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


async def _read(response: httpx2.Response) -> bytes | None:
    """The body, decoded; None when it is too large."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        if len(body) + len(piece) > LARGEST_ANSWER_BYTES:
            return None
        body += piece
    return bytes(body)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _status_inside(parsed: Mapping[str, Any] | None) -> int:
    error = (parsed or {}).get("error")
    if not isinstance(error, dict):
        return 200
    code = error.get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500
