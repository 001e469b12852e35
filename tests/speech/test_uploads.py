"""Videos that are sent as a body: to disk as they come, and nothing is left of what fails."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import structlog

from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.speech import uploads as uploads_module
from backend.speech import videos
from backend.speech.routes import UPLOADS
from backend.speech.uploads import Uploads
from tests.speech.desk import Desk

MB = 1_000_000


@pytest.fixture
async def small(
    sqlite: Database, nudges: Nudges, tmp_path: Path
) -> AsyncIterator[tuple[Desk, httpx.AsyncClient]]:
    """A desk that takes at most 5 MB."""
    desk = Desk(sqlite, nudges, tmp_path / "data", speech={"SPEECH_MOST_BYTES": str(5 * MB)})
    async with desk.client() as client:
        yield desk, client


async def _pieces(number: int, size_bytes: int = 100_000) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"v" * size_bytes


async def _send(client: httpx.AsyncClient, content: object, **params: str) -> httpx.Response:
    params = params or {"filename": "회의.mp4"}
    return await client.post(UPLOADS, params=params, content=content)  # type: ignore[arg-type]


async def test_an_upload_becomes_a_job_whose_video_is_kept(
    client: httpx.AsyncClient, small_desk: Desk
) -> None:
    answer = await _send(client, _pieces(30))
    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    (row,) = await small_desk.rows()
    assert (row.job_id, row.filename, row.size_bytes) == (job_id, "회의.mp4", 3 * MB)
    (job,) = await small_desk.jobs()
    assert (job.priority, job.callback_id) == (50, job_id)
    (file,) = small_desk.files()
    assert file.read_bytes() == b"v" * 3 * MB
    assert row.video_path == file.relative_to(small_desk.data_dir).as_posix()
    shown = (await client.get(f"/api/v1/speech/jobs/{job_id}")).json()
    assert shown["has_video"] is True
    part = await client.get(f"/api/v1/speech/jobs/{job_id}/video", headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, b"vvvv")


async def test_an_upload_is_never_in_memory_as_a_whole(
    client: httpx.AsyncClient, small_desk: Desk
) -> None:
    tracemalloc.start()
    try:
        answer = await _send(client, _pieces(600))
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 202
    assert (await small_desk.rows())[0].size_bytes == 60 * MB
    assert most_bytes < 15 * MB


async def _leaves_nothing(desk: Desk) -> None:
    assert desk.files() == []
    assert await desk.rows() == []
    assert await desk.jobs() == []


async def test_one_that_says_that_it_is_too_large_is_not_read(
    small: tuple[Desk, httpx.AsyncClient],
) -> None:
    desk, client = small
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"v" * 100_000

    headers = {"Content-Length": str(5 * MB + 1)}
    answer = await client.post(
        UPLOADS, params={"filename": "a.mp4"}, content=body(), headers=headers
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert read == 0
    await _leaves_nothing(desk)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "1000"}])
async def test_one_that_turns_out_too_large_is_refused_in_time(
    small: tuple[Desk, httpx.AsyncClient], headers: dict[str, str]
) -> None:
    desk, client = small
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 100_000
            yield b"v" * 100_000

    answer = await client.post(
        UPLOADS, params={"filename": "a.mp4"}, content=body(), headers=headers
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert read < 8 * MB
    await _leaves_nothing(desk)


async def test_one_of_exactly_the_most_is_taken(small: tuple[Desk, httpx.AsyncClient]) -> None:
    _, client = small
    assert (await _send(client, _pieces(50))).status_code == 202


async def test_an_empty_one_is_refused(small: tuple[Desk, httpx.AsyncClient]) -> None:
    desk, client = small
    answer = await _send(client, b"")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "empty_upload")
    await _leaves_nothing(desk)


@pytest.mark.parametrize("params", [{"name": "x"}, {"filename": ""}, {"filename": "x" * 256}])
async def test_one_without_a_usable_name_is_refused_unread(
    small: tuple[Desk, httpx.AsyncClient], params: dict[str, str]
) -> None:
    desk, client = small
    answer = await _send(client, _pieces(10), **params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")
    await _leaves_nothing(desk)


async def test_a_name_is_only_shown_and_leads_nowhere(desk: Desk) -> None:
    async with desk.client() as client:
        for name in ("../../etc/passwd", "a\x00b.mp4", "\N{GRINNING FACE}" * 255, "C:\\x"):
            assert (await _send(client, b"video", filename=name)).status_code == 202
    assert {path.parent.parent for path in desk.files()} == {desk.data_dir / "speech"}


async def test_a_full_disk_is_said_and_leaves_nothing(
    sqlite: Database, nudges: Nudges, tmp_path: Path
) -> None:
    desk = Desk(sqlite, nudges, tmp_path / "data", keep_free_bytes=2**60)
    async with desk.client() as client:
        answer = await _send(client, _pieces(30))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_room")
    await _leaves_nothing(desk)


async def test_one_that_stops_coming_is_given_up(
    small: tuple[Desk, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, client = small
    monkeypatch.setattr(uploads_module, "STALL_S", 0.05)

    async def body() -> AsyncIterator[bytes]:
        yield b"v" * 100_000
        await asyncio.Event().wait()

    answer = await _send(client, body())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "upload_stalled")
    await _leaves_nothing(desk)


async def test_one_that_breaks_off_leaves_nothing_and_is_no_error_of_ours(
    small: tuple[Desk, httpx.AsyncClient],
) -> None:
    desk, _ = small
    messages = [
        {"type": "http.request", "body": b"v" * 100_000, "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": UPLOADS,
        "raw_path": UPLOADS.encode(),
        "query_string": b"filename=a.mp4",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"content-length", b"1000000")],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> object:
        return messages.pop(0)

    async def send(_: object) -> None:
        return

    with structlog.testing.capture_logs() as logs:
        await desk.app()(scope, receive, send)
    assert [log for log in logs if log["log_level"] in {"error", "critical"}] == []
    await _leaves_nothing(desk)


async def test_one_that_cannot_be_noted_down_is_taken_away_later(
    small: tuple[Desk, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later, since a commit may come about though its answer is lost."""
    from sqlalchemy import text

    desk, client = small
    await desk.accept()
    async with desk.database.write() as session:
        await session.execute(text("DROP TABLE analysis_jobs"))
    answer = await _send(client, _pieces(3))
    assert answer.status_code in {500, 503}
    await desk.service.tidy()
    (file,) = desk.files()
    assert file.parent.parent == desk.service.folder
    monkeypatch.setattr(videos, "UNTOUCHED_S", -1)
    await desk.service.tidy()
    assert desk.files() == []


async def test_what_is_not_kept_cannot_be_played(
    client: httpx.AsyncClient, small_desk: Desk
) -> None:
    await small_desk.accept()
    for job_id in ("test-123", "nobody"):
        answer = await client.get(f"/api/v1/speech/jobs/{job_id}/video")
        assert answer.status_code == 404


async def test_the_page_has_a_video_fetched_and_kept(
    client: httpx.AsyncClient, small_desk: Desk
) -> None:
    url = " https://bucket.s3.amazonaws.com/a.mp4 "
    answer = await client.post("/api/v1/speech/jobs", json={"video_url": url})
    assert answer.status_code == 202
    (row,) = await small_desk.rows()
    assert (row.job_id, row.url, row.keeps_video) == (answer.json()["job_id"], url.strip(), True)
    for body in ({}, {"video_url": 5}, {"video_url": "https://x/", "more": 1}, {"video_url": "x"}):
        answer = await client.post("/api/v1/speech/jobs", json=body)
        assert answer.status_code == 400
    listed = (await client.get("/api/v1/speech/jobs", params={"limit": 1})).json()
    assert [item["job_id"] for item in listed["items"]] == [row.job_id]
    assert listed["next_cursor"] is None


async def test_what_a_killed_process_was_receiving_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "abc.1234.part").write_bytes(b"half a video")
    uploads = Uploads(folder, most_bytes=10)
    await uploads.clear()
    assert not folder.exists()
    await uploads.clear()  # nothing there is fine, too
