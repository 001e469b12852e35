"""The page in a real browser: live video plays, and is live again when its tab comes back.

How far it is behind live is read off the pictures: each carries its number as black and white
bars, and the camera sends them by the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.numbered_pictures import READ_NUMBER, Clock
from tests.browser.tabs import Tab, Tabs, find_chromium, running_browser
from tests.peers.rtsp_server import running_camera
from tests.system.programs import Installation
from tests.waiting import eventually

pytestmark = pytest.mark.browser

HIDDEN_S = (20, 12)
"""The shorter one is the harder: a player that is left to itself catches up only at 15 s."""
BACK_WITHIN_S = 2.0
AT_MOST_BEHIND_S = 5.0


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
    with running_camera(numbered_video) as camera, vap.main() as main:
        clock = Clock()
        new = {"id": "yard", "name": "Yard", "source": camera.url}
        main.post("/api/v1/cameras", new, status=201)
        eventually(lambda: main.camera("yard")["state"] == "live", what="the camera is live")

        page = tabs.open(f"{main.address}/ui/cameras/yard")
        until_plays(tabs, page)
        until_near(tabs, page, clock, within_s=10)

        other = tabs.open("about:blank")
        for hidden_s in HIDDEN_S:
            other.show()
            until(tabs, lambda: visibility(page) == "hidden", what="it is hidden")
            tabs.pause(hidden_s)
            assert visibility(page) == "hidden"
            page.show()
            until(tabs, lambda: visibility(page) == "visible", what="it is back")
            assert visibility(other) == "hidden"
            until_near(tabs, page, clock, within_s=BACK_WITHIN_S)
            until_plays(tabs, page)
            until_near(tabs, page, clock, within_s=0)
    vap.until_alone()


def visibility(page: Tab) -> str:
    """What the page is told of itself."""
    return str(page.run("document.visibilityState"))


def until_plays(tabs: Tabs, page: Tab) -> None:
    """Wait until pictures move."""
    position = "document.querySelector('video')?.currentTime ?? 0"
    until(tabs, lambda: page.run(position) > 0, within_s=30, what="the video has begun")
    begun = page.run(position)
    until(tabs, lambda: page.run(position) > begun + 0.5, what="the video goes on")


def until_near(tabs: Tabs, page: Tab, clock: Clock, *, within_s: float) -> None:
    """Wait until the picture that is shown is no older than the most."""
    deadline = time.monotonic() + within_s
    while True:
        number = page.run(READ_NUMBER)
        behind_s = None if number is None else clock.behind_s(number)
        if behind_s is not None and behind_s <= AT_MOST_BEHIND_S:
            return
        assert time.monotonic() < deadline, f"after {within_s} s it is {behind_s} s behind live"
        tabs.pause(0.05)


def until(tabs: Tabs, condition: Callable[[], object], *, within_s: float = 10, what: str) -> None:
    """Wait for a condition, with the browser's messages coming in."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        tabs.pause(0.05)
