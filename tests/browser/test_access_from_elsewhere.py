"""The page of a VAP that listens beyond loopback: it asks who you are, and offers what you may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.page_scripts import WITHOUT_POLLING
from tests.peers.rtsp_server import running_camera
from tests.peers.videos import make_video
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
VIEWER_KEY = "only-looks-0123456789"
OUTSIDE = {
    "VAP_HOST": "0.0.0.0",  # nobody is local then, on this machine either
    "VAP_ADMIN_PASSWORD": PASSWORD,
    "VAP_API_KEYS": f"viewer:{VIEWER_KEY}",
}


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Main]:
    """VAP with a live camera and a job that waits, for everybody who has a password or a key."""
    folder = tmp_path_factory.mktemp("vap")
    video = make_video(folder / "video.mp4", seconds=4, size=(320, 240), fps=10)
    vap = Installation(folder, **OUTSIDE)
    vap.migrate()
    with running_camera(video) as camera, vap.main() as main:
        main.post("/api/v1/session", {"password": PASSWORD})
        new = {"id": "yard", "name": "Yard", "source": camera.url}
        main.post("/api/v1/cameras", new, status=201)
        eventually(lambda: main.camera("yard")["state"] == "live", what="the camera is live")
        vap.add_jobs([vap.fake_video("one.mp4")])
        yield main
    vap.until_alone()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that remembers nothing."""
    with chromium.new_context() as context:
        yield context


def test_the_page_asks_for_the_password_and_the_session_carries_video_and_events(
    context: BrowserContext, main: Main
) -> None:
    page = context.new_page()
    page.add_init_script(WITHOUT_POLLING)  # or it would see changes without events, if later
    assert context.request.get(f"{main.address}/live/yard/index.m3u8").status in {401, 403}
    page.goto(f"{main.address}/ui/cameras/yard")
    password = page.get_by_label("Password")
    expect(password).to_be_focused()
    password.fill("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The password is wrong")
    password.fill(PASSWORD)
    page.keyboard.press("Enter")

    until_plays(page)
    expect(page.get_by_label("Event stream: live")).to_be_visible()
    expect(page.get_by_role("button", name="Edit")).to_be_visible()
    main.api.patch("/api/v1/cameras/yard", json={"name": "Yard east"})
    expect(page.get_by_role("heading", name="Yard east", level=1)).to_be_visible()

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_session_that_ends_while_the_page_is_open_leads_to_the_password(
    context: BrowserContext, main: Main
) -> None:
    page = context.new_page()
    page.goto(f"{main.address}/ui/jobs")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    cancel = page.get_by_role("button", name="Cancel job 1").element_handle()
    context.clear_cookies()
    cancel.dispatch_event("click")  # a page that has asked for something meanwhile has no button
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_viewer_sees_everything_and_is_offered_nothing_to_change(
    context: BrowserContext, main: Main
) -> None:
    context.set_extra_http_headers({"Authorization": f"Bearer {VIEWER_KEY}"})
    page = context.new_page()
    page.goto(f"{main.address}/ui/cameras/yard")
    until_plays(page)
    for name in ("Edit", "Remove", "Switch off"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    page.goto(f"{main.address}/ui/")
    expect(page.get_by_role("link", name="Open Yard")).to_be_visible()
    expect(page.get_by_role("button", name="Add camera")).to_have_count(0)
    page.goto(f"{main.address}/ui/jobs")
    expect(page.get_by_role("link", name="#1")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel job 1")).to_have_count(0)


def until_plays(page: Page) -> None:
    """Wait until pictures move, live."""
    expect(page.get_by_text("s behind live")).to_be_visible()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0")
