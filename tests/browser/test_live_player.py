"""The live player where things go wrong, in a real browser: no MediaSource, refused, cut off, left.

Each is tried with hls.js and with the browser's own HLS, which phones without MediaSource use.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.live_edge import (
    AT_MOST_BEHIND_S,
    MOST_OF_THE_PAST,
    PLAYLIST_HOLDS,
    Edge,
    newest_number,
)
from tests.browser.numbered_pictures import RECORD_SHOWN, seconds_from
from tests.peers.rtsp_server import RunningCamera, running_camera
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.browser

WITHOUT_MEDIA_SOURCE = "delete window.MediaSource; delete window.WebKitMediaSource;"
REFUSING_TO_PLAY = """
  let clicked = false;
  addEventListener("click", (event) => { clicked = event.isTrusted; }, true);
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    return clicked
      ? play.call(this) : Promise.reject(new DOMException("a click first", "NotAllowedError"));
  };"""


@pytest.fixture(scope="module")
def camera(numbered_video: Path) -> Iterator[RunningCamera]:
    """A camera whose pictures carry their numbers."""
    with running_camera(numbered_video) as camera:
        yield camera


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory, camera: RunningCamera) -> Iterator[Main]:
    """VAP with the camera live."""
    vap = Installation(tmp_path_factory.mktemp("vap"))
    vap.migrate()
    with vap.main() as main:
        add_camera(main, camera.url)
        yield main
    vap.until_alone()


@pytest.fixture(params=["hls.js", "native"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A tab whose player plays by hls.js, and one that leaves it to the browser."""
    with new_context(chromium, is_native=request.param == "native") as context:
        yield context.new_page()


def new_context(chromium: Browser, *, is_native: bool) -> BrowserContext:
    """A browser that remembers nothing, and says which pictures it shows."""
    context = chromium.new_context()
    context.add_init_script(RECORD_SHOWN)
    if is_native:
        context.add_init_script(WITHOUT_MEDIA_SOURCE)
    return context


def add_camera(main: Main, url: str) -> None:
    """The one camera, live."""
    main.post("/api/v1/cameras", {"id": "yard", "name": "Yard", "source": url}, status=201)
    until_offered(main)


def until_offered(main: Main) -> None:
    """Wait until the camera is live and can be seen."""
    eventually(
        lambda: (
            main.camera("yard")["state"] == "live"
            and main.api.get("/live/yard/index.m3u8").is_success
        ),
        what="the camera is live",
    )


def open_camera(page: Page, main: Main) -> Edge:
    """The camera's own page; the live edge just before it."""
    edge = Edge(newest_number(main), 0)
    page.goto(f"{main.address}/ui/cameras/yard")
    return edge


def shown_by(page: Page) -> list[int]:
    """The numbers of the pictures that were shown so far."""
    numbers: list[int] = page.evaluate("() => window.shown")
    return numbers


def edge_of(page: Page, main: Main) -> Edge:
    """The live edge now, for a page that is open."""
    return Edge(newest_number(main), len(shown_by(page)))


def go_on(page: Page, main: Main) -> Edge:
    """Press the button; the live edge just before it."""
    edge = edge_of(page, main)
    page.get_by_role("button", name="Go on, live").click()
    return edge


def until_at(edge: Edge, page: Page, *, most_of_the_past: int = MOST_OF_THE_PAST) -> None:
    """Wait until pictures of the live edge move; the page says so too."""
    eventually(
        lambda: edge.is_reached(shown_by(page), most_of_the_past=most_of_the_past),
        within_s=60,
        what="it is at the live edge",
    )
    expect(page.get_by_text(re.compile(r"s behind live$|^Live$"))).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_a_camera_plays_at_the_live_edge_as_soon_as_its_page_is_open(
    page: Page, main: Main
) -> None:
    until_at(open_camera(page, main), page)


def test_who_pauses_goes_on_at_the_live_edge(page: Page, main: Main) -> None:
    until_at(open_camera(page, main), page)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused")).to_be_visible()
    paused_at = shown_by(page)[-1]
    eventually(
        lambda: seconds_from(paused_at, newest_number(main)) > AT_MOST_BEHIND_S + 2,
        what="live has gone on",
    )
    until_at(go_on(page, main), page)


def test_a_browser_that_refuses_to_play_is_given_its_click(page: Page, main: Main) -> None:
    page.add_init_script(REFUSING_TO_PLAY)
    open_camera(page, main)
    expect(page.get_by_text("This browser plays video only after a click")).to_be_visible()
    until_at(go_on(page, main), page)


def test_a_pause_while_the_stream_is_cut_off_is_a_pause(page: Page, main: Main) -> None:
    cut_off = []

    def cut(route: Route) -> None:
        cut_off.append(route.request.url)
        route.abort()

    page.route("**/live/**", cut)
    open_camera(page, main)
    eventually(lambda: page.title() and len(cut_off) >= 2, what="the player tried again")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused")).to_be_visible()
    with page.expect_response("**/live/yard/*.ts", timeout=60_000):
        page.unroute("**/live/**", cut)  # the player is built again
    expect(page.get_by_text("Paused")).to_be_visible()
    assert page.evaluate("document.querySelector('video').paused")
    until_at(go_on(page, main), page)


def test_a_page_that_is_left_fetches_no_more_video(page: Page, main: Main) -> None:
    until_at(open_camera(page, main), page)
    page.evaluate("window.left = document.querySelector('video')")
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    page.wait_for_function("() => window.left.networkState === HTMLMediaElement.NETWORK_EMPTY")


def test_after_a_restart_of_the_server_both_players_are_at_the_live_edge_again(
    chromium: Browser, camera: RunningCamera, tmp_path: Path
) -> None:
    vap = Installation(tmp_path)
    vap.migrate()
    with (
        a_port_of_its_own() as port,
        new_context(chromium, is_native=False) as plain,
        new_context(chromium, is_native=True) as native,
    ):
        pages = [plain.new_page(), native.new_page()]
        with vap.main(VAP_PORT=port) as main:
            add_camera(main, camera.url)
            for page in pages:
                until_at(open_camera(page, main), page)
        for page in pages:
            expect(page.get_by_label("Event stream: reconnecting")).to_be_visible()
        with vap.main(VAP_PORT=port) as main:
            until_offered(main)
            edges = [edge_of(page, main) for page in pages]
            for page, edge in zip(pages, edges, strict=True):
                until_at(edge, page, most_of_the_past=PLAYLIST_HOLDS)
                expect(page.get_by_label("Event stream: live")).to_be_visible()
    vap.until_alone()


@contextmanager
def a_port_of_its_own() -> Iterator[str]:
    """A port that nobody else is given meanwhile: it is bound here, and not listened on."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield str(holder.getsockname()[1])
