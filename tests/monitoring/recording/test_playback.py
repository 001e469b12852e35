"""Archives over real HTTP: ranges, a file that grows meanwhile, and nothing outside the folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
import uvicorn

from tests.monitoring.house import House, at
from tests.waiting import until

NAME = "archive_20260301_100000.mp4"
MEGABYTE = 1_000_000


@asynccontextmanager
async def served(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """The routes behind a real server: it checks that an answer keeps its promises."""
    config = uvicorn.Config(
        house.app(),
        port=0,
        log_level="warning",
        lifespan="off",
        ws="none",
        timeout_keep_alive=100,
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    task = asyncio.create_task(server.serve(sockets=[socket]))
    port = socket.getsockname()[1]
    await until(lambda: server.started)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def web(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with served(house) as client:
        yield client


def content(size_bytes: int) -> bytes:
    return bytes(range(251)) * (size_bytes // 251 + 1)


async def test_an_archive_is_sent_whole_and_by_ranges(web: httpx.AsyncClient, house: House) -> None:
    data = content(3 * MEGABYTE)
    house.file("yard", at("10:00:00"), content=data)
    whole = await web.get(f"/archive/yard/{NAME}")
    assert whole.status_code == 200
    assert whole.content == data
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    for asked, begin, end in (
        ("bytes=0-", 0, len(data)),
        ("bytes=100-299", 100, 300),
        (f"bytes={len(data) - 5}-", len(data) - 5, len(data)),
        ("bytes=-7", len(data) - 7, len(data)),
    ):
        part = await web.get(f"/archive/yard/{NAME}", headers={"Range": asked})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(data)}"
        assert part.content == data[begin:end]
    beyond = await web.get(f"/archive/yard/{NAME}", headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"Range": "bytes=0-"},
        {"Range": "bytes=5-"},
        {"Range": "bytes=0-", "If-Range": '"another file"'},
    ],
)
async def test_an_archive_that_grows_while_it_is_sent_keeps_to_the_length_it_promised(
    web: httpx.AsyncClient, house: House, asked: dict[str, str]
) -> None:
    data = content(40 * MEGABYTE)
    path = house.file("yard", at("10:00:00"), content=data)
    got = bytearray()
    async with web.stream("GET", f"/archive/yard/{NAME}", headers=asked) as answer:
        promised = int(answer.headers["content-length"])
        async for chunk in answer.aiter_bytes():
            if not got:
                with path.open("ab") as file:
                    file.write(b"later" * MEGABYTE)
            got += chunk
    assert len(got) == promised
    first = 5 if asked.get("Range") == "bytes=5-" else 0
    assert bytes(got) == data[first:]
    again = await web.get(f"/archive/yard/{NAME}", headers={"Range": "bytes=-5"})
    assert again.content == b"later"


async def test_a_range_of_a_file_that_is_another_by_now_is_answered_with_the_whole(
    web: httpx.AsyncClient, house: House
) -> None:
    path = house.file("yard", at("10:00:00"), content=content(1000))
    tag = (await web.get(f"/archive/yard/{NAME}")).headers["etag"]
    conditional = {"Range": "bytes=0-9", "If-Range": tag}
    assert (await web.get(f"/archive/yard/{NAME}", headers=conditional)).status_code == 206
    with path.open("ab") as file:
        file.write(b"more")
    changed = await web.get(f"/archive/yard/{NAME}", headers=conditional)
    assert changed.status_code == 200
    assert changed.content == path.read_bytes()


async def test_only_a_finished_archive_may_be_kept_by_the_browser(
    web: httpx.AsyncClient, house: House
) -> None:
    house.file("yard", at("10:00:00"))
    house.clock.ahead = timedelta(minutes=-1)  # however long ago it was written
    answer = await web.get(f"/archive/yard/{NAME}")
    assert answer.headers["cache-control"] == "no-store"
    house.clock.ahead = timedelta(minutes=1)
    answer = await web.get(f"/archive/yard/{NAME}")
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_an_archive_can_be_saved_under_a_name_that_tells_the_camera(
    web: httpx.AsyncClient, house: House
) -> None:
    house.file("yard", at("10:00:00"))
    answer = await web.get(f"/archive/yard/{NAME}?download=1")
    assert answer.headers["content-disposition"] == f'attachment; filename="yard_{NAME}"'
    assert "content-disposition" not in (await web.get(f"/archive/yard/{NAME}")).headers


@pytest.mark.parametrize(
    "path",
    [
        "/archive/yard/../../secret.mp4",
        "/archive/yard/%2e%2e%2f%2e%2e%2fsecret.mp4",
        "/archive/yard/..%2f..%2fsecret.mp4",
        "/archive/%2e%2e/secret.mp4",
        "/archive/../secret.mp4",
        "/archive/..%2f/archive_20260301_100000.mp4",
        "/archive/yard/secret.mp4",
        "/archive/yard/archive_20260301_100000.mp4%00",
        "/archive/yard/archive_20260301_100001.mp4",
        "/archive//etc/passwd",
        "/live/yard/%2e%2e%2f%2e%2e%2fsecret.mp4",
        "/live/yard/..%2fsecret.ts",
        "/live/%2e%2e/index.m3u8",
        "/live/yard/secret.txt",
        "/live/yard/.ts",
    ],
)
async def test_no_address_leads_out_of_the_folders(house: House, path: str) -> None:
    """Sent as they are: a client would tidy these addresses up."""
    house.file("yard", at("10:00:00"))
    live = house.recordings.live_dir("yard")
    live.mkdir(parents=True)
    for folder in (house.data_dir, live, live.parent):
        for name in ("secret.mp4", "secret.ts", "secret.txt", "index.m3u8"):
            (folder / name).write_bytes(b"secret")
    (house.storage.archive_dir / "secret.mp4").write_bytes(b"secret")
    async with served(house) as client:
        port = client.base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        async with asyncio.timeout(60):
            answer = await reader.read()
        writer.close()
    assert answer.split(b" ", 2)[1] in {b"400", b"404"}
    assert b"secret" not in answer


async def test_a_stranger_is_shown_nothing(house: House) -> None:
    house.file("yard", at("10:00:00"))
    transport = httpx.ASGITransport(app=house.app(), client=("203.0.113.9", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as stranger:
        for path in (
            f"/archive/yard/{NAME}",
            "/live/yard/index.m3u8",
            "/api/v1/cameras",
            "/api/v1/cameras/yard",
            "/api/v1/cameras/yard/segments",
            "/api/v1/cameras/yard/gaps",
            "/api/v1/cameras/yard/storage",
        ):
            assert (await stranger.get(path)).status_code == 401
        assert (await stranger.delete("/api/v1/cameras/yard")).status_code == 401
        assert (await stranger.post("/api/v1/cameras", json={})).status_code == 401
