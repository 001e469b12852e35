"""The page in a real browser: live video plays, and is live again when its tab comes back.

How far it is behind live is read off the pictures: each carries its number as black and white
bars, and the camera sends them by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.live_edge import AT_MOST_BEHIND_S, Edge, newest_number
from tests.browser.numbered_pictures import RECORD_SHOWN, Clock, seconds_from
from tests.browser.tabs import Tab, Tabs, find_chromium, running_browser
from tests.peers.rtsp_server import running_camera
from tests.system.programs import Installation
from tests.waiting import eventually

pytestmark = pytest.mark.browser

HIDDEN_S = (20, 12)
"""The shorter one is the harder: a player that is left to itself catches up only at 15 s."""
SHOWN = "window.shown"
WITHIN_S = 60.0


@pytest.fixture
def tabs() -> Iterator[Tabs]:
    """A browser, where there is one."""
    find_chromium()
    with running_browser() as tabs:
        yield tabs


def test_a_tab_that_was_hidden_is_at_the_live_edge_as_soon_as_it_is_back(
    tabs: Tabs, numbered_video: Path, tmp_path: Path
) -> None:
    vap = Installation(tmp_path)
    vap.migrate()
    with clocked_camera(numbered_video) as (url, clock), vap.main() as main:
        new = {"id": "yard", "name": "Yard", "source": url}
        main.post("/api/v1/cameras", new, status=201)
        eventually(lambda: main.camera("yard")["state"] == "live", what="the camera is live")
        eventually(
            lambda: seconds_from(newest_number(main), clock.number) <= AT_MOST_BEHIND_S,
            what="what the server offers is live",
        )

        before = newest_number(main)
        page = tabs.open(f"{main.address}/ui/cameras/yard", script=RECORD_SHOWN)
        until_at(Edge(before, 0), tabs, page)

        other = tabs.open("about:blank")
        for hidden_s in HIDDEN_S:
            other.show()
            until(tabs, lambda: visibility(page) == "hidden", what="it is hidden")
            tabs.pause(hidden_s)
            assert visibility(page) == "hidden"
            edge = Edge(newest_number(main), len(page.run(SHOWN)))
            page.show()
            until(tabs, lambda: visibility(page) == "visible", what="it is back")
            assert visibility(other) == "hidden"
            until_at(edge, tabs, page)
    vap.until_alone()


@contextmanager
def clocked_camera(video: Path) -> Iterator[tuple[str, Clock]]:
    """A camera's address, and which picture it sends now."""
    with running_camera(video) as camera:
        yield camera.url, Clock()


def visibility(page: Tab) -> str:
    """What the page is told of itself."""
    return str(page.run("document.visibilityState"))


def until_at(edge: Edge, tabs: Tabs, page: Tab) -> None:
    """Wait until pictures of the live edge move; fails where those of the past do."""
    until(tabs, lambda: edge.is_reached(page.run(SHOWN)), what="it is at the live edge")


def until(tabs: Tabs, condition: Callable[[], object], *, what: str) -> None:
    """Wait for a condition, with the browser's messages coming in."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S} s: {what}"
        tabs.pause(0.05)
