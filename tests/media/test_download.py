"""A download leaves a whole file or nothing, whatever the server does, and only where it may."""

from __future__ import annotations

import asyncio
import gzip
import resource
import shutil
import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from backend.kernel.net import UrlPolicy
from backend.kernel.retry import Backoff
from backend.media.download import (
    BLOCK_BYTES,
    Downloaded,
    DownloadError,
    DownloadLimits,
    download,
    filename_of,
)
from tests.peers.file_server import Answer, FileServer, make_certificates, redirect
from tests.waiting import until

MB = 1024**2
CONTENT = bytes(range(256)) * 4 * 3000 + b"end"  # 3 MB and a bit: some blocks
LOOPBACK = UrlPolicy.of(["127.0.0.1"], allow_http=True)
LIMITS = DownloadLimits(
    most_bytes=4 * MB,
    stall_s=60,
    total_s=150,
    keep_free_bytes=0,
    backoff=Backoff(first_s=0.001, max_s=0.002),
)
RFC_DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    async with FileServer(CONTENT) as running:
        yield running


async def fetch(url: str, folder: Path, **options: Any) -> Downloaded:
    options = {"policy": LOOPBACK, "limits": LIMITS} | options
    return await download(url, folder / "video", **options)


async def fault_of(url: str, folder: Path, **options: Any) -> DownloadError:
    """The failure of a download, which left nothing behind and tells nothing that it should not."""
    with pytest.raises(DownloadError) as failed:
        await fetch(url, folder, **options)
    assert list(folder.iterdir()) == []
    for told in (str(folder), "http://", "127.0.0.1", "Errno", "Traceback"):
        assert told not in failed.value.message
    return failed.value


async def test_a_file_arrives_whole_with_its_type_and_the_name_in_its_url(
    server: FileServer, tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    url = server.url("/folder/My%20talk.mp4?X-Amz-Signature=abc")
    got = await fetch(url, tmp_path, on_progress=lambda *progress: seen.append(progress))
    assert got == Downloaded(len(CONTENT), "video/mp4", "My talk.mp4")
    assert (tmp_path / "video").read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["video"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.requests[0].target.endswith("?X-Amz-Signature=abc")


@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_a_file_of_unknown_length_arrives_whole(
    server: FileServer, tmp_path: Path, framing: Any
) -> None:
    server.answer_with(Answer(framing=framing))
    seen: list[tuple[int, int | None]] = []
    await fetch(server.url(), tmp_path, on_progress=lambda *progress: seen.append(progress))
    assert (tmp_path / "video").read_bytes() == CONTENT
    assert {total for _, total in seen} == {None}


async def test_it_comes_over_tls_from_a_checked_name(tmp_path: Path) -> None:
    folder = tmp_path / "into"
    folder.mkdir()
    made = make_certificates(tmp_path, "files.example")

    async def resolver(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    options: dict[str, Any] = {"policy": UrlPolicy.of(["127.0.0.1"]), "resolver": resolver}
    async with FileServer(CONTENT, tls=made.server) as server:
        url = server.url(host="other.example")
        error = await fault_of(url, folder, tls=made.client, **options)
        assert not error.retryable
        assert "certificate" in error.message
        assert server.requests == []  # and it was tried once
        server.answer_with(Answer(drop_after=MB), Answer())
        await fetch(server.url(host="files.example"), folder, tls=made.client, **options)
    assert (folder / "video").read_bytes() == CONTENT


# Where it may not go.


@asynccontextmanager
async def two_on_one_port() -> AsyncIterator[tuple[FileServer, FileServer]]:
    """A public server and a secret one, on two addresses with the same port."""
    while True:
        async with AsyncExitStack() as stack:
            public = await stack.enter_async_context(FileServer(CONTENT, host="127.0.0.2"))
            try:
                secret = FileServer(b"secret", port=public.port)
                await stack.enter_async_context(secret)
            except OSError:
                continue  # somebody else has this port of the other address
            yield public, secret
            return


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2:{port}/a",
        "http://localhost.:{port}0000/a",
        "http://2130706433:{port}/a",
        "http://[::1]:{port}/a",
        "http://[::ffff:127.0.0.1]:{port}/a",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/a",
        "http://user:secret@127.0.0.1:{port}/a",
    ],
)
@pytest.mark.parametrize("is_redirect", [False, True], ids=["asked", "redirected"])
async def test_a_url_that_is_not_allowed_is_refused_also_behind_a_redirect(
    server: FileServer, tmp_path: Path, url: str, *, is_redirect: bool
) -> None:
    url = url.format(port=server.port)
    if is_redirect:
        server.answer_with(redirect(url), Answer())
    error = await fault_of(server.url() if is_redirect else url, tmp_path)
    assert (error.code, error.retryable) == ("download_error", False)
    assert server.connections_count == int(is_redirect)


async def test_https_does_not_lead_to_http_where_that_is_not_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "into"
    folder.mkdir()
    made = make_certificates(tmp_path, "127.0.0.1")
    async with FileServer(CONTENT) as plain, FileServer(tls=made.server) as secure:
        secure.answer_with(redirect(plain.url()))
        policy = UrlPolicy.of(["127.0.0.1"])
        error = await fault_of(secure.url(), folder, policy=policy, tls=made.client)
    assert not error.retryable
    assert plain.connections_count == 0


async def test_a_name_that_is_rebound_between_two_tries_is_refused(tmp_path: Path) -> None:
    # 127.0.0.2 stands for a public address: nothing outside loopback is called in tests
    answers = [["127.0.0.2"], ["127.0.0.1"]]

    async def resolver(_host: str, _port: int) -> Sequence[str]:
        return answers.pop(0)

    policy = UrlPolicy.of(["127.0.0.2"], allow_http=True)
    async with two_on_one_port() as (public, secret):
        public.answer_with(Answer(drop_after=MB))
        url = public.url(host="files.example")
        error = await fault_of(url, tmp_path, policy=policy, resolver=resolver)
    assert (error.code, error.retryable, answers) == ("download_error", False, [])
    assert secret.connections_count == 0


async def test_a_few_redirects_are_followed_and_a_loop_is_not(
    server: FileServer, tmp_path: Path
) -> None:
    server.answer_with(
        redirect("/b", 301),
        redirect("c?x=1", 307),
        redirect(f"//127.0.0.1:{server.port}/d"),
        Answer(),
    )
    got = await fetch(server.url("/a/a.mp4"), tmp_path)
    assert got.filename == "a.mp4"
    assert [request.target for request in server.requests] == ["/a/a.mp4", "/b", "/c?x=1", "/d"]

    (tmp_path / "video").unlink()
    server.answer_with(redirect("/loop"))
    server.requests.clear()
    error = await fault_of(server.url("/loop"), tmp_path)
    assert not error.retryable
    assert len(server.requests) == LIMITS.redirects + 1


@pytest.mark.parametrize(
    "location",
    ["", "http://", "http://[", "http://a b/", "//\\127.0.0.1", "http://a\xadb/", "\x7f"],
)
async def test_a_redirect_to_nonsense_is_refused(
    server: FileServer, tmp_path: Path, location: str
) -> None:
    server.answer_with(redirect(location))
    error = await fault_of(server.url(), tmp_path)
    assert not error.retryable


# Bodies that are too much.


async def test_exactly_the_limit_is_fine(server: FileServer, tmp_path: Path) -> None:
    limits = replace(LIMITS, most_bytes=len(CONTENT))
    for framing in ("length", "chunked", "close"):
        server.answer_with(Answer(framing=framing))
        assert (await fetch(server.url(), tmp_path, limits=limits)).size_bytes == len(CONTENT)


@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_one_byte_more_than_the_limit_is_refused_while_it_streams(
    server: FileServer, tmp_path: Path, framing: Any
) -> None:
    server.answer_with(Answer(framing=framing))
    error = await fault_of(
        server.url(), tmp_path, limits=replace(LIMITS, most_bytes=len(CONTENT) - 1)
    )
    assert (error.code, error.retryable) == ("download_error", False)
    assert len(server.requests) == 1


async def test_two_gigabytes_and_a_byte_are_refused_before_the_first_one(
    server: FileServer, tmp_path: Path
) -> None:
    limits = replace(LIMITS, most_bytes=DownloadLimits().most_bytes)
    assert limits.most_bytes == 2 * 1024**3
    server.answer_with(Answer(body=b"", claims_bytes=limits.most_bytes + 1, hang_after=0))
    error = await fault_of(server.url(), tmp_path, limits=limits)
    assert not error.retryable
    assert "2048 MB" in error.message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(endless=True, framing="chunked"),
        Answer(endless=True, framing="close"),
        Answer(endless=True, framing="chunked", claims_bytes=1000),
    ],
    ids=["chunked", "close", "chunked, with a length"],
)
async def test_an_endless_body_is_given_up_at_the_limit_and_takes_little_memory(
    server: FileServer, tmp_path: Path, answer: Answer
) -> None:
    server.answer_with(answer)
    tracemalloc.start()
    try:
        error = await fault_of(server.url(), tmp_path, limits=replace(LIMITS, most_bytes=16 * MB))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not error.retryable
    assert peak_bytes < 6 * BLOCK_BYTES
    assert sum(request.sent_bytes for request in server.requests) < 40 * MB


async def test_more_than_the_stated_length_is_not_taken(server: FileServer, tmp_path: Path) -> None:
    server.answer_with(Answer(endless=True, claims_bytes=1000))
    assert (await fetch(server.url(), tmp_path)).size_bytes == 1000
    assert (tmp_path / "video").stat().st_size == 1000


@pytest.mark.parametrize(
    "coding", ["gzip", "br", "deflate", "zstd", "gzip, gzip", "identity, gzip"]
)
async def test_a_compressed_answer_is_refused_unopened(
    server: FileServer, tmp_path: Path, coding: str
) -> None:
    bomb = gzip.compress(bytes(64 * MB), compresslevel=1)
    server.answer_with(Answer(body=bomb, headers={"Content-Encoding": coding}))
    error = await fault_of(server.url(), tmp_path)
    assert (error.code, error.retryable) == ("download_error", False)
    assert len(server.requests) == 1


async def test_a_gzip_file_is_stored_as_it_is(server: FileServer, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(64 * MB), compresslevel=1)
    server.answer_with(Answer(body=bomb, headers={"Content-Encoding": "Identity"}))
    assert (await fetch(server.url(), tmp_path)).size_bytes == len(bomb)


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer-Encoding": "gzip"},
        {"Transfer-Encoding": "gzip, chunked"},
        {"Content-Length": "-1"},
        {"Content-Length": "9" * 30},
        {"Content-Length": "10, 20"},
        {"Content-Length": "0x10"},
        {"X-Long": "x" * 200_000},
        {"Bad Name": "x"},
    ],
    ids=str,
)
async def test_an_answer_that_is_not_http_is_given_up(
    server: FileServer, tmp_path: Path, headers: dict[str, str]
) -> None:
    server.answer_with(Answer(framing="close", headers=headers))
    error = await fault_of(server.url(), tmp_path)
    assert error.code == "download_error"


# Connections that drop, and servers that fail.


def ranges(server: FileServer) -> list[str | None]:
    return [request.headers.get("range") for request in server.requests]


async def test_a_dropped_download_goes_on_where_it_was(server: FileServer, tmp_path: Path) -> None:
    server.answer_with(Answer(drop_after=MB), Answer(drop_after=MB // 2), Answer())
    seen: list[int] = []
    got = await fetch(server.url(), tmp_path, on_progress=lambda done, _: seen.append(done))
    assert got.size_bytes == len(CONTENT)
    assert (tmp_path / "video").read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={MB}-", f"bytes={MB * 3 // 2}-"]
    assert sum(request.sent_bytes for request in server.requests) == len(CONTENT)
    assert server.requests[1].headers["if-range"] == '"v1"'
    assert seen == sorted(seen)


async def test_a_date_names_the_version_where_no_strong_tag_does(
    server: FileServer, tmp_path: Path
) -> None:
    dated = Answer(etag='W/"v1"', headers={"Last-Modified": RFC_DATE})
    server.answer_with(replace(dated, drop_after=MB), dated)
    await fetch(server.url(), tmp_path)
    assert (tmp_path / "video").read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={MB}-"]
    assert server.requests[1].headers["if-range"] == RFC_DATE


@pytest.mark.parametrize(
    "answer",
    [
        Answer(has_ranges=False),
        Answer(etag=None),
        Answer(etag='W/"weak"'),
        Answer(etag='"\xe9"'),
        Answer(headers={"Accept-Ranges": "none"}),
    ],
    ids=["no ranges", "no version", "a weak one", "an odd one", "ranges denied"],
)
async def test_it_begins_again_where_the_server_cannot_go_on(
    server: FileServer, tmp_path: Path, answer: Answer
) -> None:
    server.answer_with(replace(answer, drop_after=MB), answer)
    await fetch(server.url(), tmp_path)
    assert (tmp_path / "video").read_bytes() == CONTENT
    assert ranges(server) == [None, None]


async def test_a_file_that_changes_between_two_tries_is_taken_from_its_beginning(
    server: FileServer, tmp_path: Path
) -> None:
    other = b"other" * 100_000
    server.answer_with(Answer(drop_after=MB), Answer(etag='"v2"', body=other))
    got = await fetch(server.url(), tmp_path)
    assert got.size_bytes == len(other)
    assert (tmp_path / "video").read_bytes() == other
    assert ranges(server) == [None, f"bytes={MB}-"]


@pytest.mark.parametrize(
    "wrong",
    [
        Answer(from_byte=MB - 1),
        Answer(from_byte=MB + 1),
        Answer(from_byte=0),
        Answer(headers={"ETag": '"v2"'}),
        Answer(headers={"Content-Range": "bytes 1048576-1048580/1048581"}),
        Answer(headers={"Content-Range": f"bytes {MB}-{MB}/*"}),
        Answer(headers={"Content-Range": ""}),
        Answer(status=416, body=b""),
    ],
    ids=lambda answer: str(answer.headers or answer.from_byte or answer.status),
)
async def test_a_rest_that_does_not_fit_is_not_joined_on(
    server: FileServer, tmp_path: Path, wrong: Answer
) -> None:
    server.answer_with(Answer(drop_after=MB), wrong, Answer())
    await fetch(server.url(), tmp_path)
    assert (tmp_path / "video").read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={MB}-", None]


@pytest.mark.parametrize(
    "broken",
    [
        Answer(no_answer=True),
        Answer(drop_after=0),
        Answer(drop_after=1000, framing="chunked"),
        Answer(body=b"short", claims_bytes=6, etag=None),
        *(Answer(status=status, body=b"") for status in (408, 425, 429, 500, 502, 503, 504)),
    ],
    ids=lambda broken: str(broken.status),
)
async def test_what_may_pass_is_tried_again_and_not_for_ever(
    server: FileServer, tmp_path: Path, broken: Answer
) -> None:
    server.answer_with(broken, Answer())
    await fetch(server.url(), tmp_path)
    assert (tmp_path / "video").read_bytes() == CONTENT
    assert len(server.requests) == 2

    (tmp_path / "video").unlink()
    server.requests.clear()
    server.answer_with(broken)
    error = await fault_of(server.url(), tmp_path)
    assert (error.code, error.retryable) == ("download_error", True)
    assert len(server.requests) == LIMITS.tries


async def test_a_server_that_falls_silent_is_tried_again_and_not_for_ever(
    server: FileServer, tmp_path: Path
) -> None:
    # many tries: a machine that stalls for as long looks like a silent server
    limits = replace(LIMITS, stall_s=0.3, tries=50)
    server.answer_with(Answer(hang_after=1000), Answer())
    await fetch(server.url(), tmp_path, limits=limits)
    assert (tmp_path / "video").read_bytes() == CONTENT
    assert len(server.requests) >= 2

    (tmp_path / "video").unlink()
    before = server.connections_count
    server.answer_with(Answer(hang_after=1000))
    error = await fault_of(server.url(), tmp_path, limits=replace(limits, tries=3))
    assert (error.code, error.retryable) == ("download_error", True)
    await until(lambda: server.connections_count == before + 3)


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 404, 405, 410, 418])
async def test_what_will_not_pass_is_tried_once(
    server: FileServer, tmp_path: Path, status: int
) -> None:
    server.answer_with(Answer(status=status, body=b""))
    error = await fault_of(server.url(), tmp_path)
    assert (error.code, error.retryable) == ("download_error", False)
    assert len(server.requests) == 1


async def test_nobody_there_may_pass(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/video.mp4"
        assert (await fault_of(url, tmp_path)).retryable


async def test_the_wait_that_a_server_asks_for_is_kept(server: FileServer, tmp_path: Path) -> None:
    busy = Answer(status=503, body=b"", headers={"Retry-After": "1"})
    server.answer_with(busy, Answer())
    loop = asyncio.get_running_loop()
    began = loop.time()
    await fetch(server.url(), tmp_path)
    assert loop.time() - began >= 1


@pytest.mark.parametrize("is_date", [False, True], ids=["seconds", "date"])
async def test_a_wait_beyond_the_time_that_is_left_ends_it_at_once(
    server: FileServer, tmp_path: Path, *, is_date: bool
) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    asked = {"Retry-After": then if is_date else "3600"}
    server.answer_with(Answer(status=429, body=b"", headers=asked))
    error = await fault_of(server.url(), tmp_path)
    assert error.retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "said", ["soon", "-5", "", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", "Mon, 1 Jan 99999999999 0:0"]
)
async def test_a_wait_that_means_nothing_is_not_waited_for(
    server: FileServer, tmp_path: Path, said: str
) -> None:
    server.answer_with(Answer(status=503, body=b"", headers={"Retry-After": said}), Answer())
    await fetch(server.url(), tmp_path)


async def test_a_drip_is_given_up_when_all_the_time_is_used(
    server: FileServer, tmp_path: Path
) -> None:
    server.answer_with(Answer(piece_bytes=1, pause_s=0.01))
    error = await fault_of(server.url(), tmp_path, limits=replace(LIMITS, total_s=0.3))
    assert (error.code, error.retryable) == ("download_error", True)
    assert "in time" in error.message


# Disks that are full.


async def test_a_disk_without_the_room_to_keep_free_is_left_alone(
    server: FileServer, tmp_path: Path
) -> None:
    free_bytes = shutil.disk_usage(tmp_path).free
    limits = replace(LIMITS, keep_free_bytes=2 * free_bytes)
    error = await fault_of(server.url(), tmp_path, limits=limits)
    assert (error.code, error.retryable) == ("insufficient_resources", True)
    assert server.requests == []


async def test_the_stated_length_must_fit_before_the_first_byte(
    server: FileServer, tmp_path: Path
) -> None:
    free_bytes = shutil.disk_usage(tmp_path).free
    server.answer_with(Answer(body=b"", claims_bytes=free_bytes, hang_after=0))
    limits = replace(LIMITS, most_bytes=2 * free_bytes, keep_free_bytes=free_bytes // 2)
    error = await fault_of(server.url(), tmp_path, limits=limits)
    assert error.code == "insufficient_resources"


async def test_a_disk_that_others_fill_meanwhile_ends_it(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage(tmp_path)

    def filling(path: Path) -> Any:
        written = sum(file.stat().st_size for file in Path(path).iterdir())
        return real._replace(free=0 if written >= BLOCK_BYTES else real.free)

    monkeypatch.setattr(shutil, "disk_usage", filling)
    server.answer_with(Answer(framing="chunked"))
    limits = replace(LIMITS, keep_free_bytes=1)
    error = await fault_of(server.url(), tmp_path, limits=limits)
    assert (error.code, error.retryable) == ("insufficient_resources", True)


@contextmanager
def files_at_most(size_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond this: the kernel refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_write_that_the_system_refuses_halfway_is_a_lack_of_room(
    server: FileServer, tmp_path: Path
) -> None:
    with files_at_most(BLOCK_BYTES * 3 // 2):
        error = await fault_of(server.url(), tmp_path)
    assert (error.code, error.retryable) == ("insufficient_resources", True)
    assert len(server.requests) == 1


async def test_a_folder_that_is_not_there_is_a_lack_of_room(
    server: FileServer, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError) as failed:
        await fetch(server.url(), tmp_path / "none")
    assert failed.value.code == "insufficient_resources"


# Being stopped.


@pytest.mark.parametrize(
    "answer",
    [
        Answer(hang_after=0),
        Answer(hang_after=2 * MB),
        Answer(endless=True, framing="chunked"),
        Answer(status=503, headers={"Retry-After": "10"}),
    ],
    ids=["before", "midway", "writing", "waiting"],
)
async def test_a_cancelled_download_leaves_nothing(
    server: FileServer, tmp_path: Path, answer: Answer
) -> None:
    server.answer_with(answer)
    limits = replace(LIMITS, most_bytes=1024**3)
    task = asyncio.create_task(fetch(server.url(), tmp_path, limits=limits))
    await until(lambda: server.requests and list(tmp_path.iterdir()))
    if answer.endless:
        await until(lambda: sum(file.stat().st_size for file in tmp_path.iterdir()) > 2 * MB)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []
    await until(lambda: server.open_count == 0)


@pytest.mark.parametrize("after", range(6))
async def test_a_download_cancelled_at_its_end_leaves_all_or_nothing(
    server: FileServer, tmp_path: Path, after: int
) -> None:
    task: asyncio.Task[Downloaded]

    async def cancel_soon() -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()

    soon: list[asyncio.Task[None]] = []

    def on_progress(done: int, total: int | None) -> None:
        if done == total:
            soon.append(asyncio.create_task(cancel_soon()))

    task = asyncio.create_task(fetch(server.url(), tmp_path, on_progress=on_progress))
    try:
        await task
    except asyncio.CancelledError:
        assert list(tmp_path.iterdir()) == []
    else:  # it had just ended
        assert [file.name for file in tmp_path.iterdir()] == ["video"]


async def test_a_download_cancelled_while_the_file_gets_its_name_leaves_nothing(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on, rename = threading.Event(), threading.Event(), Path.replace

    def slow(path: Path, to: Path) -> Path:
        begun.set()
        assert may_go_on.wait(100)
        return rename(path, to)

    monkeypatch.setattr(Path, "replace", slow)
    task = asyncio.create_task(fetch(server.url(), tmp_path))
    await until(begun.is_set)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # twice: who waits for the thread is not hurried
    asyncio.get_running_loop().call_later(0.05, may_go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []


async def test_a_listener_that_fails_ends_it_and_nothing_is_left(
    server: FileServer, tmp_path: Path
) -> None:
    def on_progress(_done: int, _total: int | None) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await fetch(server.url(), tmp_path, on_progress=on_progress)
    assert list(tmp_path.iterdir()) == []


async def test_what_a_killed_process_left_is_not_in_the_way(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "video").write_bytes(b"old")
    (tmp_path / "video.0badcafe.part").write_bytes(b"left")
    await fetch(server.url(), tmp_path)
    assert (tmp_path / "video").read_bytes() == CONTENT


async def test_the_loop_goes_on_while_a_slow_disk_is_written(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, real = asyncio.get_running_loop(), shutil.disk_usage
    turned, may_go_on = asyncio.Event(), threading.Event()

    def slow(path: Path) -> Any:
        loop.call_soon_threadsafe(turned.set)
        assert may_go_on.wait(100)
        return real(path)

    monkeypatch.setattr(shutil, "disk_usage", slow)
    task = asyncio.create_task(fetch(server.url(), tmp_path))
    await asyncio.wait_for(turned.wait(), 60)
    may_go_on.set()
    await task


# The name for people.


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/talk.mp4", "talk.mp4"),
        ("https://a.example/x/talk%20one.mp4?sig=a/b.exe#c/d", "talk one.mp4"),
        ("https://a.example/%D0%B4%D0%BE%D0%BC.mp4", "\u0434\u043e\u043c.mp4"),
        ("https://a.example/", "video"),
        ("https://a.example", "video"),
        ("https://a.example/folder/", "folder"),
        ("https://a.example/..", "video"),
        ("https://a.example/%2e%2e", "video"),
        ("https://a.example/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://a.example/..%5C..%5Cboot.ini", "boot.ini"),
        ("https://a.example/a%00b%0d%0a%1b%7f.mp4", "ab.mp4"),
        ("https://a.example/%E2%80%AE4pm.exe", "4pm.exe"),
        ("https://a.example/%20%20", "video"),
        ("https://a.example/%FF.mp4", "\ufffd.mp4"),
        ("https://a.example/" + "a" * 300 + ".mp4", "a" * 196 + ".mp4"),
        ("https://a.example/" + "a" * 300, "a" * 200),
        ("https://[/", "video"),
    ],
)
def test_the_file_name_is_the_last_of_the_path_and_harmless(url: str, name: str) -> None:
    assert filename_of(url) == name
