"""What an operator does on the page, against the real programs: cameras, archives, jobs, keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.page_scripts import PLAYS_AT, SLOW_ARCHIVES, WITHOUT_POLLING
from tests.peers.rtsp_server import RunningCamera, running_camera
from tests.peers.videos import make_video
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.browser

PASSWORD = "s3cret-pa55"
INCIDENT = {
    "category": "near_miss",
    "t_start": 6.0,
    "t_end": 7.0,
    "severity": 3,
    "confidence": 0.8,
    "evidence": [{"t": 6.0, "note": "somebody steps in front of a car"}],
}
LONG_ENOUGH_S = 8.0
WORKS_WITHIN_MS = 60_000
"""Whatever needs a process to be started first."""
LONG_NAME = "Warehouse_7_loading_bay_north_east_corner_over_the_second_gate_by_the_crossing"
PHONE = {"width": 390, "height": 844}
PAGES = ("/ui/", "/ui/cameras/yard", "/ui/cameras/long", "/ui/jobs", "/ui/workers")


@dataclass(frozen=True)
class Site:
    """VAP with a worker and a live camera "yard", and a second camera that nobody has added yet."""

    vap: Installation
    main: Main
    spare: RunningCamera

    def address(self, path: str) -> str:
        """Where a page is."""
        return f"{self.main.address}{path}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One installation for every journey; its analyser does as the tests tell it."""
    folder = tmp_path_factory.mktemp("vap")
    video = make_video(folder / "video.mp4", seconds=4, size=(320, 240), fps=10)
    vap = Installation(folder)
    vap.migrate()
    with (
        running_camera(video) as yard,
        running_camera(video, user="admin", password=PASSWORD) as spare,
        vap.main() as main,
        vap.worker("--analyser", "fake", "--slots", "2"),
    ):
        new = {"id": "yard", "name": "Yard", "source": yard.url, "archive_seconds": 10}
        main.post("/api/v1/cameras", new, status=201)
        yield Site(vap, main, spare)
    vap.until_alone()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab of a desktop's size, in a browser that remembers nothing."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.add_init_script(SLOW_ARCHIVES)
        yield context.new_page()


@pytest.fixture(scope="module")
def archive(site: Site) -> Any:
    """A finished and analysed archive of ten seconds with one incident at its sixth second."""
    main = site.main
    eventually(lambda: main.finished_segments("yard"), what="the first archive, which is shorter")
    scripted = ""

    def analysed() -> Any:
        """The archive, once it is; until then one that grows is to become it."""
        nonlocal scripted
        newest = main.get("/api/v1/cameras/yard/segments")["items"][0]
        finished = main.finished_segments("yard")
        for segment in finished:
            if segment["incidents"] and length_s(segment) > LONG_ENOUGH_S:
                return segment
        # one that was cut short, or analysed before its script was there, is made up for
        judged = {one["video_url"] for one in finished if one["safety_score"] is not None}
        if newest["state"] == "recording" and scripted in {"", *judged}:
            scripted = newest["video_url"]
            write_script(site.vap, scripted.rpartition("/")[2])
        return None

    return eventually(analysed, within_s=150, what="the archive is analysed")


def length_s(segment: Any) -> float:
    """How long an archive is."""
    begin, end = (datetime.fromisoformat(segment[key]) for key in ("started_at", "ended_at"))
    return (end - begin).total_seconds()


def write_script(vap: Installation, archive: str) -> None:
    """Have an incident found in an archive of the camera; the script is there whole or not."""
    script = vap.data_dir / "archive" / "yard" / f"{archive}.json"
    written = vap.folder / "script.json"
    written.write_text(json.dumps({"incidents": [INCIDENT]}))
    written.replace(script)


def until_moves(page: Page) -> None:
    """Wait until the video on the page is played."""
    page.wait_for_function("() => document.querySelector('video')?.currentTime > 0")
    page.wait_for_function(PLAYS_AT)


def test_a_camera_is_added_seen_edited_and_removed(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/"))
    page.get_by_role("button", name="Add camera").click()
    form = page.get_by_role("dialog", name="Add a camera")
    form.get_by_label("Name").fill("Gate")
    form.get_by_label("Source").fill(site.spare.url_as("admin", "wrong"))
    form.get_by_role("button", name="Test connection").click()
    expect(form.get_by_text("Check the user name and the password")).to_be_visible(
        timeout=WORKS_WITHIN_MS
    )
    form.get_by_label("Source").fill(site.spare.url)
    form.get_by_role("button", name="Test connection").click()
    expect(form.get_by_text("The source can be read.")).to_be_visible(timeout=WORKS_WITHIN_MS)
    expect(form.get_by_text(re.compile("^H264.*, 320 . 240$"))).to_be_visible()
    form.get_by_role("button", name="Add camera").click()
    expect(form).to_be_hidden(timeout=WORKS_WITHIN_MS)

    page.get_by_role("link", name="Open Gate").click()
    expect(page.get_by_role("heading", name="Gate", level=1)).to_be_visible()
    until_moves(page)
    expect(page.get_by_text("s behind live")).to_be_visible()
    assert PASSWORD not in page.content()

    page.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog", name="Edit Gate")
    expect(form.get_by_label("Source")).to_have_value(
        site.main.camera("gate")["source"]  # without the password
    )
    form.get_by_label("Name").fill("Gate north")
    form.get_by_label("Description").fill("Lorries come in here.")
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Gate north", level=1)).to_be_visible()
    expect(page.get_by_text("Lorries come in here.")).to_be_visible()
    until_moves(page)

    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove and delete archives").click()
    expect(page.get_by_role("link", name="Open Yard")).to_be_visible()
    expect(page.get_by_role("link", name="Open Gate north")).to_be_hidden()
    assert [camera["id"] for camera in site.main.get("/api/v1/cameras")["items"]] == ["yard"]


def test_a_job_is_cancelled_and_tried_again(page: Page, site: Site) -> None:
    long = site.vap.fake_video("long.mp4", sleep_s=600)
    site.vap.add_jobs([long])
    page.goto(site.address("/ui/jobs"))
    (job,) = [job for job in site.main.jobs() if job["video_path"].endswith("long.mp4")]
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"#{job['id']}"))
    expect(row.get_by_role("progressbar")).to_be_visible(timeout=WORKS_WITHIN_MS)
    row.get_by_role("button", name=f"Cancel job {job['id']}").click()
    expect(row.get_by_text("cancelled", exact=True)).to_be_visible(timeout=WORKS_WITHIN_MS)

    site.vap.fake_video("long.mp4", then="fail")
    row.get_by_role("button", name=f"Try job {job['id']} again").click()
    expect(row.get_by_text("failed", exact=True)).to_be_visible(timeout=WORKS_WITHIN_MS)
    expect(row.get_by_text("the fake was told to fail")).to_be_visible()

    site.vap.fake_video("long.mp4", incidents=[INCIDENT])
    row.get_by_role("button", name=f"Try job {job['id']} again").click()
    expect(row.get_by_text("completed", exact=True)).to_be_visible(timeout=WORKS_WITHIN_MS)
    score = site.main.job(job["id"])["safety_score"]
    expect(row.get_by_label(f"safety score {score}")).to_be_visible()


def test_a_click_on_an_incident_plays_its_archive_at_that_second(
    page: Page, site: Site, archive: Any
) -> None:
    page.goto(site.address("/ui/cameras/yard"))
    incidents = page.get_by_role("region", name="Incidents")
    incidents.get_by_role("button").filter(has_text="steps in front of a car").first.click()
    expect(page.get_by_label("Yard, archive")).to_have_attribute("src", archive["video_url"])
    position = page.wait_for_function(PLAYS_AT).json_value()
    assert 4.0 <= position < 6.0  # two seconds before it

    page.get_by_role("button", name="Back to live").click()
    expect(page.get_by_label("Yard, live")).to_be_visible()
    until_moves(page)


def test_a_click_on_the_timeline_plays_the_second_under_the_pointer(
    page: Page, site: Site, archive: Any
) -> None:
    page.add_init_script(WITHOUT_POLLING)  # so that the timeline does not move under the pointer
    page.goto(site.address("/ui/cameras/yard"))
    timeline = page.get_by_role("slider")
    box = timeline.bounding_box()
    now = timeline.get_attribute("aria-valuemax") or ""
    middle_ms = 1000 * length_s(archive) / 2
    wanted_ms = page.evaluate("Date.parse", archive["started_at"]) + middle_ms
    x = box["width"] * (1 - (float(now) - wanted_ms) / 3_600_000) if box else 0
    lane = {"x": x, "y": 50}
    timeline.hover(position=lane)
    expect(timeline).not_to_have_attribute("aria-valuenow", now)
    moment_ms = float(timeline.get_attribute("aria-valuenow") or 0)
    timeline.click(position=lane)
    expect(page.get_by_label("Yard, archive")).to_be_visible()
    position = page.wait_for_function(PLAYS_AT).json_value()
    begins_ms = [
        page.evaluate("Date.parse", segment["started_at"])
        for segment in site.main.finished_segments("yard")
    ]
    # of the archive under the pointer, where a pixel is some seconds wide
    second = (moment_ms - max(begin for begin in begins_ms if begin <= moment_ms)) / 1000
    assert second - 0.2 <= position < second + 2


def test_a_job_plays_its_archive_from_the_incident(page: Page, site: Site, archive: Any) -> None:
    page.goto(site.address(f"/ui/jobs/{archive['job_id']}"))
    page.get_by_role("button", name="Play from 0:06").click()
    page.wait_for_function("() => document.querySelector('video').currentTime >= 4")
    assert page.evaluate("document.querySelector('video').currentTime") < 6


def test_a_job_number_that_is_none_says_so(page: Page, site: Site) -> None:
    for number in ("none", "987654"):
        page.goto(site.address(f"/ui/jobs/{number}"))
        expect(page.get_by_text("There is no such job")).to_be_visible()


def test_an_archive_that_could_not_be_had_plays_when_it_is_asked_for_again(
    page: Page, site: Site, archive: Any
) -> None:
    page.route(f"**{archive['video_url']}", lambda route: route.abort())
    page.goto(site.address("/ui/cameras/yard"))
    incident = page.get_by_role("region", name="Incidents").get_by_role("button").first
    incident.click()
    expect(page.get_by_text("This archive cannot be played.")).to_be_visible()
    page.unroute(f"**{archive['video_url']}")
    incident.click()
    assert page.wait_for_function(PLAYS_AT).json_value() >= 4.0


def test_a_camera_is_opened_and_its_incident_played_with_the_keyboard_alone(
    page: Page, site: Site, archive: Any
) -> None:
    page.goto(site.address("/ui/"))
    expect(page.get_by_role("link", name="Open Yard")).to_be_visible()
    press_tab_until(page, "Open Yard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Yard", level=1)).to_be_visible()
    until_moves(page)
    press_tab_until(page, "Pause")
    page.keyboard.press("Space")
    expect(page.get_by_text("Paused")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.get_by_text("s behind live")).to_be_visible()
    press_tab_until(page, "Timeline")
    page.keyboard.press("PageUp")
    expect(page.get_by_role("slider")).to_have_attribute(
        "aria-valuetext", re.compile("Near miss, severity 3")
    )
    page.keyboard.press("Enter")
    expect(page.get_by_label("Yard, archive")).to_have_attribute("src", archive["video_url"])
    assert 4.0 <= page.wait_for_function(PLAYS_AT).json_value() < 6.0


def test_nothing_is_wider_than_a_phone(chromium: Browser, site: Site, archive: Any) -> None:
    new = {"id": "long", "name": LONG_NAME, "description": LONG_NAME, "source": "demo:"}
    site.main.post("/api/v1/cameras", {**new, "enabled": False}, status=201)
    with chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        for path in (*PAGES, f"/ui/jobs/{archive['job_id']}"):
            page.goto(site.address(path))
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            page.wait_for_function("() => !document.querySelector('.animate-pulse')")
            fits(page, path)
        page.goto(site.address("/ui/"))
        page.get_by_role("button", name="Add camera").tap()
        expect(page.get_by_role("dialog")).to_be_visible()
        fits(page, "the form")


def fits(page: Page, what: str) -> None:
    """Fails where the page could be scrolled sideways, and names what is too wide."""
    wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
          .filter((element) => element.getBoundingClientRect().right > screen.width + 1)
          .map((element) => element.outerHTML.slice(0, 200))"""
    )
    across = page.evaluate("document.scrollingElement.scrollWidth")
    assert across <= PHONE["width"], (what, across, wide)


def press_tab_until(page: Page, name: str) -> None:
    """Go on with the Tab key to the control whose name begins so."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "document.activeElement.getAttribute('aria-label')"
            " ?? document.activeElement.innerText ?? ''"
        )
        if focused.startswith(name):
            return
    raise AssertionError(f"the Tab key does not reach {name}")
