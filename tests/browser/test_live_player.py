"""The live player where things go wrong, in a real browser: no MediaSource, refused, cut off, left.

Each is tried with hls.js and with the browser's own HLS, which phones without MediaSource use.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.numbered_pictures import READ_NUMBER, Clock
from tests.peers.rtsp_server import running_camera
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.browser

AT_MOST_BEHIND_S = 5.0
WITHOUT_MEDIA_SOURCE = "delete window.MediaSource; delete window.WebKitMediaSource;"
REFUSING_TO_PLAY = """
  let clicked = false;
  addEventListener("click", (event) => { clicked = event.isTrusted; }, true);
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    return clicked
      ? play.call(this) : Promise.reject(new DOMException("a click first", "NotAllowedError"));
  };"""
MOVES = """async () => {
  const video = document.querySelector("video");
  const begun = video?.currentTime ?? 0;
  await new Promise((later) => setTimeout(later, 300));
  return begun > 0 && video.currentTime > begun;
}"""


@pytest.fixture(scope="module")
def clock(numbered_video: Path) -> Iterator[tuple[str, Clock]]:
    """A camera's address, and which picture it sends now."""
    with running_camera(numbered_video) as camera:
        yield camera.url, Clock()


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory, clock: tuple[str, Clock]) -> Iterator[Main]:
    """VAP with the camera live."""
    vap = Installation(tmp_path_factory.mktemp("vap"))
    vap.migrate()
    with vap.main() as main:
        add_camera(main, clock[0])
        yield main
    vap.until_alone()


@pytest.fixture(params=["hls.js", "native"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A tab whose player plays by hls.js, and one that leaves it to the browser."""
    with chromium.new_context() as context:
        if request.param == "native":
            context.add_init_script(WITHOUT_MEDIA_SOURCE)
        yield context.new_page()


def add_camera(main: Main, url: str) -> None:
    """The one camera, live."""
    main.post("/api/v1/cameras", {"id": "yard", "name": "Yard", "source": url}, status=201)
    eventually(
        lambda: (
            main.camera("yard")["state"] == "live"
            and main.api.get("/live/yard/index.m3u8").is_success
        ),
        what="the camera is live",
    )


def open_camera(page: Page, main: Main) -> None:
    """The camera's own page."""
    page.goto(f"{main.address}/ui/cameras/yard")


def until_live(page: Page, clock: Clock, *, within_s: float = 20) -> None:
    """Wait until pictures move that are no older than the most; the page says so too."""
    deadline = time.monotonic() + within_s
    behind_s = None
    while True:
        if page.evaluate(MOVES):
            number = page.evaluate(READ_NUMBER)
            behind_s = None if number is None else clock.behind_s(number)
            if behind_s is not None and behind_s <= AT_MOST_BEHIND_S:
                break
        assert time.monotonic() < deadline, f"after {within_s} s it is {behind_s} s behind live"
    expect(page.get_by_text(re.compile(r"s behind live$|^Live$"))).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_a_camera_plays_at_the_live_edge_as_soon_as_its_page_is_open(
    page: Page, main: Main, clock: tuple[str, Clock]
) -> None:
    open_camera(page, main)
    until_live(page, clock[1])


def test_who_pauses_goes_on_at_the_live_edge(
    page: Page, main: Main, clock: tuple[str, Clock]
) -> None:
    open_camera(page, main)
    until_live(page, clock[1])
    page.get_by_role("button", name="Pause").click()
    paused_at = page.evaluate(READ_NUMBER)
    expect(page.get_by_text("Paused")).to_be_visible()
    eventually(lambda: clock[1].behind_s(paused_at) > AT_MOST_BEHIND_S + 1, what="live has gone on")
    page.get_by_role("button", name="Go on, live").click()
    until_live(page, clock[1], within_s=4)


def test_a_browser_that_refuses_to_play_is_given_its_click(
    page: Page, main: Main, clock: tuple[str, Clock]
) -> None:
    page.add_init_script(REFUSING_TO_PLAY)
    open_camera(page, main)
    expect(page.get_by_text("This browser plays video only after a click")).to_be_visible()
    page.get_by_role("button", name="Go on, live").click()
    until_live(page, clock[1])


def test_a_pause_while_the_stream_is_cut_off_is_a_pause(
    page: Page, main: Main, clock: tuple[str, Clock]
) -> None:
    cut_off = []

    def cut(route: Route) -> None:
        cut_off.append(route.request.url)
        route.abort()

    page.route("**/live/**", cut)
    open_camera(page, main)
    eventually(lambda: page.title() and len(cut_off) >= 2, what="the player tried again")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused")).to_be_visible()
    page.unroute("**/live/**", cut)
    with page.expect_response("**/live/yard/*.ts", timeout=20_000):
        pass  # the player is built again
    expect(page.get_by_text("Paused")).to_be_visible()
    assert page.evaluate("document.querySelector('video').paused")
    page.get_by_role("button", name="Go on, live").click()
    until_live(page, clock[1])


def test_a_page_that_is_left_fetches_no_more_video(
    page: Page, main: Main, clock: tuple[str, Clock]
) -> None:
    open_camera(page, main)
    until_live(page, clock[1])
    page.evaluate("window.left = document.querySelector('video')")
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    page.wait_for_function("window.left.networkState === HTMLMediaElement.NETWORK_EMPTY")


def test_after_a_restart_of_the_server_both_players_are_at_the_live_edge_again(
    chromium: Browser, clock: tuple[str, Clock], tmp_path: Path
) -> None:
    vap = Installation(tmp_path)
    vap.migrate()
    with chromium.new_context() as plain, chromium.new_context() as native:
        native.add_init_script(WITHOUT_MEDIA_SOURCE)
        pages = [plain.new_page(), native.new_page()]
        with vap.main() as main:
            add_camera(main, clock[0])
            for page in pages:
                open_camera(page, main)
            for page in pages:
                until_live(page, clock[1])
            port = str(urlsplit(main.address).port)
        for page in pages:
            expect(page.get_by_label("Event stream: reconnecting")).to_be_visible()
        with vap.main(VAP_PORT=port) as main:
            for page in pages:
                until_live(page, clock[1], within_s=40)
                expect(page.get_by_label("Event stream: live")).to_be_visible(timeout=20_000)
    vap.until_alone()
