"""The page's files: what is kept, what is asked for again, and what a browser may do with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from backend import main
from backend.operations.ui import PageFiles
from tests.operations.conftest import MakeSettings, opened


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<title>page</title>")
    (dist / "favicon.svg").write_text("<svg/>")
    (dist / "assets" / "index-B1a2.js").write_text("run()")
    (tmp_path / "secret.txt").write_text("secret")
    return dist


@pytest.fixture
async def page(dist: Path):
    app = FastAPI()
    app.mount("/ui", PageFiles(dist))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://vap") as client:
        yield client


@pytest.mark.parametrize("path", ["/ui/", "/ui/cameras", "/ui/cameras/gate", "/ui/jobs/7"])
async def test_the_pages_own_addresses_get_the_page_and_it_is_asked_for_again(
    page: AsyncClient, path: str
) -> None:
    answer = await page.get(path)
    assert answer.status_code == 200
    assert answer.text == "<title>page</title>"
    assert answer.headers["cache-control"] == "no-cache"
    assert (
        await page.get(path, headers={"If-None-Match": answer.headers["etag"]})
    ).status_code == 304


async def test_a_file_named_after_its_content_is_kept_for_good(page: AsyncClient) -> None:
    answer = await page.get("/ui/assets/index-B1a2.js")
    assert answer.text == "run()"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "javascript" in answer.headers["content-type"]


async def test_another_file_is_asked_for_again(page: AsyncClient) -> None:
    answer = await page.get("/ui/favicon.svg")
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/ui/speech/talk.mp4", "/ui/speech/a.b.c", "/ui/assets.d/x.js"])
async def test_a_dot_in_an_address_makes_it_no_file(page: AsyncClient, path: str) -> None:
    answer = await page.get(path)
    assert (answer.status_code, answer.text) == (200, "<title>page</title>")


@pytest.mark.parametrize("path", ["/ui/assets/gone.js", "/ui/assets/", "/ui/assets"])
async def test_a_file_that_is_not_there_is_not_the_page(page: AsyncClient, path: str) -> None:
    assert (await page.get(path)).status_code == 404


@pytest.mark.parametrize(
    "path", ["/ui/../secret.txt", "/ui/%2e%2e/secret.txt", "/ui/..%2fsecret.txt", "/ui//etc/passwd"]
)
async def test_nothing_outside_the_folder_is_served(page: AsyncClient, path: str) -> None:
    answer = await page.get(path)
    assert "secret" not in answer.text
    assert "root:" not in answer.text


async def test_the_page_may_run_its_own_code_and_play_its_own_video_only(
    page: AsyncClient,
) -> None:
    answer = await page.get("/ui/")
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy  # falls back to default-src: no inline code
    assert policy["media-src"] == "'self' blob:"
    assert policy["worker-src"] == "'self' blob:"
    assert policy["frame-ancestors"] == "'self'"
    assert policy["object-src"] == "'none'"


async def test_a_page_that_is_not_built_says_how(tmp_path: Path) -> None:
    app = FastAPI()
    app.mount("/ui", PageFiles(tmp_path / "nothing"))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://vap") as client:
        answer = await client.get("/ui/")
        assert answer.status_code == 503
        assert "make frontend" in answer.text
        assert answer.headers["cache-control"] == "no-cache"


async def test_the_root_leads_to_the_page_and_every_answer_has_its_headers(
    make_settings: MakeSettings, dist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "PAGE", dist)
    async with opened(make_settings()) as (_, client):
        for path in ("/", "/ui"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")
        for path in ("/ui/", "/health", "/nowhere", "/api/v1/jobs"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert "server" not in headers
