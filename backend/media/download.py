"""Fetches one file from a URL that a stranger sent, and leaves a whole file or nothing.

Started by a worker's job. What it guarantees:

- It connects only where the URL policy allows, at every redirect and every try (`kernel.net`).
- Never more than `most_bytes` are taken, whatever the server said about the length, and none are
  decompressed: a compressed answer is refused. Memory: about a block of `BLOCK_BYTES`.
- `keep_free_bytes` of the disk stay free, also while others fill it.
- A dropped connection, a stall or a failing server is tried again with growing delays; what had
  arrived is kept if the server can go on from there and says that it is the same file.
- All tries together end within `total_s`. When it fails or is cancelled, the file is gone.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final
from unicodedata import category, normalize
from urllib.parse import unquote, urlsplit

import anyio
import httpx2

from backend.kernel.clock import Clock, SystemClock
from backend.kernel.errors import VapError
from backend.kernel.names import Resolver
from backend.kernel.net import UrlPolicy, UrlRefused, check_url, guarded_client
from backend.kernel.retry import Backoff, asked_delay_s
from backend.media.part_file import NoRoom, PartFile

BLOCK_BYTES: Final = 1024 * 1024
LONGEST_FILENAME: Final = 200
DEFAULT_FILENAME: Final = "video"
_HEADERS: Final = {"User-Agent": "ML-Server/1.0", "Accept": "*/*", "Accept-Encoding": "identity"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_LATER: Final = frozenset({408, 425, 429})
_VALIDATOR: Final = re.compile(r"[ -~]{1,200}")
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)
# The last two slip through the library's own net when a TLS connection breaks.
_DROPPED: Final = (httpx2.TransportError, ssl.SSLError, anyio.EndOfStream)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


class DownloadError(VapError):
    """The file could not be fetched: `download_error`, or `insufficient_resources` of ours.

    `retryable` says whether the same URL may work later.
    """

    code = "download_error"

    def __init__(self, message: str, *, code: str | None = None, retryable: bool) -> None:
        super().__init__(message, code=code)
        self.retryable = retryable


_BACKOFF: Final = Backoff(first_s=1, max_s=30)


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """How much, how long and how often; `stall_s` is for one wait, `total_s` for everything."""

    most_bytes: int = 2 * 1024**3
    stall_s: float = 30
    total_s: float = 1500
    redirects: int = 5
    tries: int = 4
    keep_free_bytes: int = 1024**3
    backoff: Backoff = _BACKOFF


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What was fetched; the type is what the server claims, the name comes from the URL."""

    size_bytes: int
    content_type: str | None
    filename: str


OnProgress = Callable[[int, int | None], None]
"""Told the bytes so far and in all (None: not known); starts over if the server does."""


async def download(
    url: str,
    to: Path,
    *,
    policy: UrlPolicy,
    limits: DownloadLimits = DownloadLimits(),
    on_progress: OnProgress = lambda _done, _total: None,
    resolver: Resolver | None = None,
    tls: ssl.SSLContext | None = None,
    clock: Clock | None = None,
) -> Downloaded:
    """Fetch the file; it has its name only when it is whole, and replaces what had that name.

    Raises:
        DownloadError: nothing is left on disk then.
    """
    part = PartFile(to, limits.keep_free_bytes)
    try:
        async with asyncio.timeout(limits.total_s) as deadline:
            _check(url, policy)
            client = guarded_client(
                policy,
                resolver=resolver,
                connect_timeout_s=min(10.0, limits.stall_s),
                read_timeout_s=limits.stall_s,
                tls=tls,
            )
            async with client:
                await part.open()
                loop = asyncio.get_running_loop()
                fetch = _Fetch(
                    client,
                    url,
                    part=part,
                    policy=policy,
                    limits=limits,
                    on_progress=on_progress,
                    clock=clock or SystemClock(),
                )
                content_type = await fetch.run(lambda: (deadline.when() or 0) - loop.time())
                await part.publish()
        part.is_kept = True
    except TimeoutError as error:
        raise DownloadError("The video did not arrive in time.", retryable=True) from error
    except NoRoom as error:
        raise DownloadError(
            "The video cannot be stored: there is no room for it.",
            code="insufficient_resources",
            retryable=True,
        ) from error
    finally:
        await part.discard_unless_kept()
    return Downloaded(part.size_bytes, content_type, filename_of(url))


def filename_of(url: str) -> str:
    """The file name at the end of the URL's path: no folders, no invisible characters, short."""
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        return DEFAULT_FILENAME
    name = re.split(r"[/\\]", normalize("NFC", path).rstrip("/\\"))[-1]
    name = "".join(char for char in name if category(char)[0] != "C").strip()
    if not name.strip("."):
        return DEFAULT_FILENAME
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > 10:
        return name[:LONGEST_FILENAME]
    return stem[: LONGEST_FILENAME - len(suffix) - 1] + dot + suffix


class _Again(Exception):
    """This try failed and another may work; `fault` is raised if there is none."""

    def __init__(self, message: str, *, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.fault = DownloadError(message, retryable=True)
        self.after_s = after_s


class _Fetch:
    """The tries of one download, and what they know of the file."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        url: str,
        *,
        part: PartFile,
        policy: UrlPolicy,
        limits: DownloadLimits,
        on_progress: OnProgress,
        clock: Clock,
    ) -> None:
        self._client, self._url, self._part = client, url, part
        self._policy, self._limits = policy, limits
        self._on_progress, self._clock = on_progress, clock
        self._validator: str | None = None
        """Names the version of the file that is arriving; None: nobody can go on with it."""
        self._total: int | None = None

    async def run(self, left_s: Callable[[], float]) -> str | None:
        """Try until the file is whole; returns its content type."""
        for failures in count(1):
            try:
                return await self._try_once()
            except _Again as again:
                delay_s = max(self._limits.backoff.delay_s(failures), again.after_s)
                if failures >= self._limits.tries or delay_s >= left_s():
                    raise again.fault from again
            await asyncio.sleep(delay_s)
        raise AssertionError  # counting has no end

    async def _try_once(self) -> str | None:
        url = self._url
        for _ in range(self._limits.redirects + 1):
            async with self._answer(url) as response:
                if response.status_code not in _REDIRECTS:
                    return await self._take(response)
                url = self._redirected(response)
        raise _refused("The server redirects too often.")

    @asynccontextmanager
    async def _answer(self, url: str) -> AsyncIterator[httpx2.Response]:
        """The answer, its body still to come; failures of the network become ours."""
        headers = dict(_HEADERS)
        if self._part.size_bytes and self._validator:
            headers |= {
                "Range": f"bytes={self._part.size_bytes}-",
                "If-Range": self._validator,
            }
        try:
            async with self._client.stream("GET", url, headers=headers) as response:
                yield response
        except UrlRefused as error:
            raise _refused(error.message) from error
        except httpx2.TimeoutException as error:
            raise _Again("The server does not answer in time.") from error
        except _DROPPED as error:
            if _is_untrusted(error):
                raise _refused("The server has no certificate that is trusted.") from error
            raise _Again("The server cannot be reached, or dropped the connection.") from error
        except httpx2.InvalidURL as error:
            raise _refused("The URL is not a valid one.") from error

    def _redirected(self, response: httpx2.Response) -> str:
        location = response.headers.get("location", "")
        if not location:
            raise _refused("The server redirects to nowhere.")
        try:
            target = str(response.request.url.join(location))
        except (httpx2.InvalidURL, ValueError) as error:
            raise _refused("The server redirects to something that is no URL.") from error
        _check(target, self._policy)
        return target

    async def _take(self, response: httpx2.Response) -> str | None:
        self._check_status(response)
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _refused("The server sends the video compressed, which is not accepted.")
        length = _length(response)
        if response.status_code == 206:
            await self._go_on(response)
        else:
            await self._begin(response, length)
        if self._total is not None and self._total > self._limits.most_bytes:
            raise self._too_large()
        await self._part.check_space((self._total or 0) - self._part.size_bytes)
        await self._write_all(response)
        if self._total is not None and self._part.size_bytes != self._total:
            raise _Again("The server dropped the connection.")
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return media_type if _MEDIA_TYPE.fullmatch(media_type) else None

    def _check_status(self, response: httpx2.Response) -> None:
        status = response.status_code
        if status == 200 or (status == 206 and "range" in response.request.headers):
            return
        if status in _LATER or status >= 500:
            raise _Again("The server is busy or has failed.", after_s=self._asked_delay_s(response))
        if status == 416:  # the file has become shorter, say
            self._validator = None
            raise _Again("The server's file has changed.")
        if status in {401, 403}:
            raise _refused("The server does not allow this download; the URL may have expired.")
        if status in {404, 410}:
            raise _refused("There is no such file at the server.")
        raise _refused("The server gives something other than a file.")

    async def _begin(self, response: httpx2.Response, length: int | None) -> None:
        """Take the file from its first byte, and remember how to go on after a drop."""
        await self._part.empty()
        self._total, self._validator = length, None
        if response.headers.get("accept-ranges", "").strip().lower() == "bytes":
            etag = response.headers.get("etag", "").strip()
            # Only a strong tag (not W/"...") promises the very same bytes.
            said = etag if etag.startswith('"') else response.headers.get("last-modified", "")
            self._validator = said if _VALIDATOR.fullmatch(said) else None

    async def _go_on(self, response: httpx2.Response) -> None:
        """Check that what comes is the rest of what is here."""
        said = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
        start, end, total = (int(number) for number in said.groups()) if said else (-1, -1, -1)
        etag = response.headers.get("etag", "").strip()
        asked_for = response.request.headers["if-range"]
        is_other = etag.startswith('"') and asked_for.startswith('"') and etag != asked_for
        is_rest = start == self._part.size_bytes and end + 1 == total
        if is_other or not is_rest or self._total not in {None, total}:
            self._validator = None
            raise _Again("The server's file has changed.")
        self._total = total

    async def _write_all(self, response: httpx2.Response) -> None:
        block = bytearray()
        try:
            async with aclosing(response.aiter_raw()) as pieces:
                async for piece in pieces:
                    if self._part.size_bytes + len(block) + len(piece) > self._limits.most_bytes:
                        raise self._too_large()
                    block += piece
                    if len(block) >= BLOCK_BYTES:
                        await self._write(block)
        except _DROPPED:
            await self._write(block)  # so that the next try goes on from here
            raise
        await self._write(block)

    async def _write(self, block: bytearray) -> None:
        if block:
            await self._part.write(bytes(block))
            block.clear()
            self._on_progress(self._part.size_bytes, self._total)

    def _too_large(self) -> DownloadError:
        limit_mb = self._limits.most_bytes / 1024**2
        return _refused(f"The video is larger than {limit_mb:.0f} MB.")

    def _asked_delay_s(self, response: httpx2.Response) -> float:
        return asked_delay_s(response.headers.get("retry-after", ""), self._clock.now()) or 0.0


def _check(url: str, policy: UrlPolicy) -> None:
    try:
        check_url(url, policy)
    except UrlRefused as error:
        raise _refused(error.message) from error


def _refused(message: str) -> DownloadError:
    return DownloadError(message, retryable=False)


def _length(response: httpx2.Response) -> int | None:
    """How long the body is said to be; of a chunked one it is not believed."""
    said = response.headers.get("content-length", "")
    is_said = re.fullmatch(r"[0-9]{1,18}", said) and "transfer-encoding" not in response.headers
    return int(said) if is_said else None


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
