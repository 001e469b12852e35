"""The page in a real browser: live video plays, and is live again when its tab comes back.

How far it is behind live is read off the pictures: each carries its number as black and white
bars, and the camera sends them by the clock.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.browser.tabs import Tab, Tabs, find_chromium, running_browser
from tests.conftest import ROOT
from tests.peers.rtsp_server import running_camera
from tests.system.programs import Installation, eventually

pytestmark = pytest.mark.browser

BITS = 8
FPS = 10
PICTURES = 2**BITS
HIDDEN_S = (20, 12)
"""The shorter one is the harder: a player that is left to itself catches up only at 15 s."""
BACK_WITHIN_S = 2.0
AT_MOST_BEHIND_S = 5.0

READ_NUMBER = f"""(() => {{
  const video = document.querySelector("video");
  if (!video || video.readyState < 2) return null;
  const canvas = document.createElement("canvas");
  canvas.width = 320; canvas.height = 240;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 320, 240);
  let number = 0;
  for (let bit = 0; bit < {BITS}; bit += 1) {{
    const [red] = context.getImageData(bit * 40 + 20, 120, 1, 1).data;
    if (red > 127) number += 2 ** bit;
  }}
  return number;
}})()"""


@dataclass(frozen=True)
class Clock:
    """Which picture the camera sends now."""

    began_at: float

    def behind_s(self, number: int) -> float:
        """How old the picture with this number is, up to the length of the loop."""
        now = (time.monotonic() - self.began_at) * FPS
        return ((now - number) % PICTURES) / FPS


@pytest.fixture(scope="module")
def numbered_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loop of pictures that carry their numbers, a keyframe a second."""
    path = tmp_path_factory.mktemp("numbered") / "numbered.mp4"
    bars = "lum='255*mod(floor(N/pow(2,floor(X/40))),2)':cb=128:cr=128"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error"),
            *("-f", "lavfi", "-i", f"color=size=320x240:rate={FPS},format=yuv420p,geq={bars}"),
            *("-frames:v", str(PICTURES), "-c:v", "libx264", "-preset", "ultrafast"),
            *("-bf", "0", "-g", str(FPS), "-sc_threshold", "0", str(path)),
        ],
        check=True,
        timeout=60,
    )
    return path


@pytest.fixture
def tabs() -> Iterator[Tabs]:
    """A browser, where there is one."""
    find_chromium()
    with running_browser() as tabs:
        yield tabs


@pytest.mark.skipif(
    not (ROOT / "frontend" / "dist" / "index.html").is_file(),
    reason="the page is not built: make frontend",
)
def test_a_tab_that_was_hidden_is_at_the_live_edge_as_soon_as_it_is_back(
    tabs: Tabs, numbered_video: Path, tmp_path: Path
) -> None:
    vap = Installation(tmp_path)
    vap.migrate()
    with running_camera(numbered_video) as camera, vap.main() as main:
        clock = Clock(time.monotonic())
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
