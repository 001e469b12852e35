"""The page of the speech API: a video is sent from the browser, and its words are read and played.

A real worker listens with the embedded engines. Callbacks go to VAP itself, as they do by default.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import update

from backend.callbacks.states import CallbackKind, CallbackState
from backend.callbacks.tables import CallbackRow
from backend.kernel.db import Database, database_url
from tests.browser.test_journeys import PHONE, WORKS_WITHIN_MS, fits
from tests.migrating import apart
from tests.peers.threaded_server import Request, Server
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.browser

VIDEO = "nasa_13013.mp4"
MOST_BYTES = 4_000_000
VIEWER_KEY = "only-looks-0123456789"
PASSWORD = "correct horse battery"
FINISHES_WITHIN_MS = 180_000
SECOND = "() => document.querySelector('video').currentTime"
RECORD_MARKED = """() => {
  window.marked = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      if (target.ariaCurrent === "true") window.marked.push(Number(target.dataset.word));
    }
  }).observe(document.body, { subtree: true, attributeFilter: ["aria-current"] });
}"""
"""From now on, `marked` is the numbers of the words that were marked."""
PLAY_SLOWLY = """() => {
  const video = document.querySelector("video");
  video.playbackRate = 0.5;
  return video.play();
}"""
SEEK = """(second) => { document.querySelector("video").currentTime = second; }"""


@dataclass(frozen=True)
class Site:
    """VAP with one finished speech job, which was uploaded on the page's own route."""

    vap: Installation
    main: Main
    job: Any
    """As the API has it, with its result."""

    def address(self, path: str) -> str:
        """Where a page is."""
        return f"{self.main.address}{path}"

    @property
    def page(self) -> str:
        """Where the finished job is."""
        return self.address(f"/ui/speech/{self.job['job_id']}")

    @property
    def words(self) -> list[Any]:
        """What was heard, in order."""
        return [word for one in self.job["result"]["segments"] for word in one["words"]]


@pytest.fixture(scope="module")
def video() -> Path:
    """Some seconds of real speech with a picture."""
    folder = os.environ.get("TESTDATA_DIR")
    path = Path(folder or "/nowhere") / "speech" / VIDEO
    if not path.is_file():
        pytest.skip("no speech: set TESTDATA_DIR")
    return path


@contextmanager
def running_main(vap: Installation) -> Iterator[Main]:
    """The main process and a worker of an installation."""
    vap.migrate()
    with vap.main() as main, vap.worker():
        yield main
    vap.until_alone()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, video: Path) -> Iterator[Site]:
    """One installation for every journey."""
    vap = Installation(
        tmp_path_factory.mktemp("vap"),
        URL_ALLOW_HTTP="true",
        URL_ALLOWED_HOSTS="127.0.0.1/32",
        SPEECH_MOST_BYTES=str(MOST_BYTES),
    )
    with running_main(vap) as main:
        yield Site(vap, main, finished(main, upload(main, video)))


def upload(main: Main, video: Path) -> str:
    """Send a video as the page does; the job's id."""
    path = f"/api/v1/speech/uploads?filename={video.name}"
    answer = main.api.post(path, content=video.read_bytes())
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def finished(main: Main, job_id: str) -> Any:
    """A job once it is completed."""
    return eventually(
        lambda: (job := main.get(f"/api/v1/speech/jobs/{job_id}"))["result"] and job,
        within_s=FINISHES_WITHIN_MS / 1000,
        what="the transcript",
    )


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab of a desktop's size in a browser that remembers nothing."""
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def word_at(page: Page, number: int) -> Locator:
    """A word of the transcript by its place."""
    return page.locator(f"[data-word='{number}']")


def until_ready(page: Page) -> None:
    """Wait until the video can be moved."""
    page.wait_for_function("() => document.querySelector('video')?.readyState >= 1")


def test_a_video_is_uploaded_transcribed_and_shown_with_its_words(
    page: Page, site: Site, video: Path
) -> None:
    page.goto(site.address("/ui/speech"))
    page.get_by_label("Video file").set_input_files(video)
    uploads = page.get_by_role("list", name="Uploads")
    expect(uploads.get_by_role("status")).to_contain_text("Uploaded")
    rows = page.get_by_role("table", name="Speech jobs").get_by_role("row")
    expect(rows.nth(1)).to_contain_text(VIDEO)
    uploads.get_by_role("link", name="Open the job").click()
    expect(page.get_by_role("list", name="Stages")).to_be_visible()
    expect(page.get_by_text("completed", exact=True)).to_be_visible(timeout=FINISHES_WITHIN_MS)
    words = page.get_by_role("group", name="Words").locator("[data-word]")
    expect(words).to_have_count(len(site.words))
    expect(words.first).to_have_text(site.words[0]["word"])
    expect(page.get_by_role("group", name="Words")).to_contain_text("Speaker 1")
    heard = page.get_by_role("region", name="What was heard, and by what")
    expect(heard).to_contain_text("pocketsphinx")
    expect(heard).to_contain_text("English")


def test_an_upload_is_cancelled_and_leaves_nothing(page: Page, site: Site, video: Path) -> None:
    before = len(site.main.get("/api/v1/speech/jobs")["items"])
    page.goto(site.address("/ui/speech"))
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    slow.send("Network.emulateNetworkConditions", limits)
    page.get_by_label("Video file").set_input_files(video)
    bar = page.get_by_role("progressbar", name=f"Upload of {VIDEO}")
    expect(bar).to_be_visible()
    page.get_by_role("button", name=f"Cancel the upload of {VIDEO}").click()
    expect(bar).to_be_hidden()
    assert len(site.main.get("/api/v1/speech/jobs")["items"]) == before


def test_a_video_is_dropped_on_the_page(page: Page, site: Site, video: Path) -> None:
    page.goto(site.address("/ui/speech"))
    dropped = page.evaluate_handle(
        """content => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "dropped.mp4", { type: "video/mp4" }));
            return data;
        }""",
        base64.b64encode(video.read_bytes()).decode(),
    )
    zone = page.get_by_text("Drop a video here, or")
    zone.dispatch_event("dragover", {"dataTransfer": dropped})
    zone.dispatch_event("drop", {"dataTransfer": dropped})
    uploads = page.get_by_role("list", name="Uploads")
    expect(uploads.get_by_role("status")).to_contain_text("Uploaded")
    uploads.get_by_role("link", name="Open the job").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("dropped.mp4")
    job_id = page.url.rpartition("/")[2]
    assert finished(site.main, job_id)["result"]["segments"]


def test_a_video_is_cancelled_while_it_comes_and_tried_again_to_its_end(
    page: Page, site: Site, video: Path
) -> None:
    with serving(SlowVideo(video.read_bytes())) as slow:
        page.goto(site.address("/ui/speech"))
        page.get_by_label("Address of a video").fill(f"http://127.0.0.1:{slow.port}/slow.mp4")
        page.keyboard.press("Enter")
        row = page.get_by_role("row").filter(has_text="slow.mp4")
        row.get_by_role("link").click()
        expect(page.get_by_text("processing", exact=True)).to_be_visible(timeout=WORKS_WITHIN_MS)
        page.get_by_role("button", name=re.compile("^Cancel job")).click()
        expect(page.get_by_text("cancelled", exact=True)).to_be_visible(timeout=WORKS_WITHIN_MS)
        job_id = page.url.rpartition("/")[2]
        receiver = f"/api/v1/ml/job-status/{job_id}"
        eventually(lambda: site.main.get(receiver)["status"] == "failed", what="it is told")
        slow.release()
        page.get_by_role("button", name=re.compile("^Try job")).click()
        expect(page.get_by_text("completed", exact=True)).to_be_visible(timeout=FINISHES_WITHIN_MS)
        eventually(lambda: site.main.get(receiver)["status"] == "completed", what="it is told")


class SlowVideo(Server):
    """A video whose second half comes byte by byte, until it is released."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content

    def serve(self, request: Request) -> None:
        request.send_head(200, {"Content-Length": str(len(self.content))})
        sent = len(self.content) // 2
        request.wfile.write(self.content[:sent])
        while not self.released.wait(1):  # no longer, or its reader takes it for a dead one
            request.wfile.write(self.content[sent : sent + 1])
            sent += 1
        request.wfile.write(self.content[sent:])


@contextmanager
def serving(server: SlowVideo) -> Iterator[SlowVideo]:
    """The server while it is up."""
    server.start()
    try:
        yield server
    finally:
        server.release()
        server.stop()


def test_a_video_that_is_too_large_is_refused_with_the_reason(
    page: Page, site: Site, tmp_path: Path
) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(MOST_BYTES + 1))
    page.goto(site.address("/ui/speech"))
    page.get_by_label("Video file").set_input_files(large)
    alert = page.get_by_role("list", name="Uploads").get_by_role("alert")
    expect(alert).to_contain_text(re.compile("at most|too large"))


def test_a_click_on_a_word_and_enter_on_the_next_seek_the_video(page: Page, site: Site) -> None:
    page.goto(site.page)
    until_ready(page)
    word_at(page, 10).click()
    start = site.words[10]["start"]
    assert page.evaluate(SECOND) == pytest.approx(start, abs=0.05)
    expect(word_at(page, 10)).to_have_attribute("aria-current", "true")
    word_at(page, 10).focus()
    page.keyboard.press("ArrowRight")
    expect(word_at(page, 11)).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate(SECOND) == pytest.approx(site.words[11]["start"], abs=0.05)
    expect(word_at(page, 11)).to_have_attribute("aria-current", "true")
    expect(page.locator("[data-word][aria-current]")).to_have_count(1)


def test_the_word_of_the_moment_is_marked_while_the_video_plays(page: Page, site: Site) -> None:
    page.goto(site.page)
    until_ready(page)
    for number in (3, 20):
        word = site.words[number]
        page.evaluate(SEEK, (word["start"] + word["end"]) / 2)
        expect(word_at(page, number)).to_have_attribute("aria-current", "true")
    page.evaluate(SEEK, 0)
    expect(page.locator("[data-word][aria-current]")).to_have_count(0)
    page.evaluate(RECORD_MARKED)
    page.evaluate(PLAY_SLOWLY)
    marked = page.wait_for_function("() => window.marked.length >= 2 && window.marked")
    numbers = marked.json_value()
    assert numbers == sorted(set(numbers))  # a busy browser may leave some out


def test_the_plot_shows_every_word_and_a_click_goes_there(page: Page, site: Site) -> None:
    page.goto(site.page)
    until_ready(page)
    plot = page.get_by_role("slider", name=re.compile("^Loudness and pitch"))
    bars = plot.locator("path[fill^='var(--voice-1)']")
    expect(bars).to_have_attribute("d", re.compile(r"^(M[^M]+){20,}$"))  # a bar for each word
    box = plot.bounding_box()
    assert box is not None
    plot.click(position={"x": box["width"] * 0.6, "y": 80})
    second = page.evaluate(SECOND)
    assert 5 < second < 10
    expect(plot.locator("[data-playhead]")).to_be_visible()
    plot.press("ArrowLeft")
    after = page.evaluate(SECOND)
    assert after < second
    expect(plot).to_have_attribute("aria-valuetext", re.compile(r"dB · \d+ Hz"))


def test_the_transcript_is_downloaded_in_four_forms(page: Page, site: Site) -> None:
    page.goto(site.page)
    first = {"JSON": "{", "SRT": "1\n00:00:00", "VTT": "WEBVTT", "TXT": "[00:00:00"}
    for form, begins in first.items():
        with page.expect_download() as downloading:
            page.get_by_role("link", name=f"Download as {form}").click()
        file = downloading.value
        assert file.suggested_filename == f"nasa_13013.{form.lower()}"
        assert file.path().read_text().startswith(begins)
        if form == "JSON":
            assert json.loads(file.path().read_text()) == site.job["result"]


def test_an_address_that_leads_nowhere_says_why(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/speech"))
    field = page.get_by_label("Address of a video")
    field.fill("http://169.254.169.254/video.mp4")
    page.get_by_role("button", name="Transcribe").click()
    expect(page.get_by_role("alert")).to_contain_text("not one that is fetched from")
    field.fill(f"{site.main.address}/no-such-video.mp4")
    page.keyboard.press("Enter")
    row = page.get_by_role("row").filter(has_text="no-such-video.mp4")
    expect(row).to_contain_text("failed", timeout=WORKS_WITHIN_MS)
    expect(row).to_contain_text("Download error: There is no such file")
    row.get_by_role("link").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no such file")
    expect(page.get_by_role("list", name="Stages")).to_contain_text("stopped here")
    expect(page.get_by_role("button", name=re.compile("^Try job"))).to_be_visible()


def test_deliveries_are_listed_opened_and_sent_again(page: Page, site: Site) -> None:
    page.goto(site.page)
    deliveries = page.get_by_role("region", name="Deliveries of this job")
    expect(deliveries.get_by_role("row").filter(has_text="result")).to_contain_text("delivered")
    deliveries.get_by_role("link", name="All of this job").click()
    expect(page).to_have_url(re.compile(rf"job_id={site.job['queue_job_id']}\b"))
    page.get_by_role("navigation", name="State").get_by_role("link", name="Delivered").click()
    result = page.get_by_role("row").filter(has_text="result")
    expect(result).to_have_count(1)

    result.get_by_role("button", name=re.compile(r"^\d\d:\d\d")).click()
    body = page.get_by_role("dialog").get_by_role("region", name="Body")
    expect(body).to_contain_text(f'"job_id": "{site.job["job_id"]}"')
    page.get_by_role("button", name="Close").click()

    def delivered_at() -> Any:
        found = site.main.get("/api/v1/callbacks", job_id=site.job["queue_job_id"], limit=100)
        return next(one for one in found["items"] if one["kind"] == "result")["delivered_at"]

    before = delivered_at()
    result.get_by_role("button", name="Redeliver").click()
    eventually(lambda: delivered_at() not in (None, before), what="it is delivered again")
    expect(result).to_contain_text("delivered")


def test_what_was_given_up_stands_out_and_is_sent_again(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/speech"))
    expect(page.get_by_role("link", name="Deliveries", exact=True)).to_be_visible()
    give_up(site.vap, site.job["queue_job_id"])
    page.reload()
    page.get_by_role("link", name="Deliveries 1 dead").click()
    rows = page.get_by_role("table", name="Deliveries").get_by_role("row")
    expect(rows).to_have_count(2)  # with the heading
    expect(rows.last).to_contain_text("the receiver answered 503")
    expect(rows.last).to_contain_text("dead")
    rows.last.get_by_role("button", name="Redeliver").click()
    expect(page.get_by_text("No delivery is like that")).to_be_visible(timeout=10_000)


def give_up(vap: Installation, queue_job_id: int) -> None:
    """Make the result of a job a callback that nobody took within its day."""
    statement = (
        update(CallbackRow)
        .where(CallbackRow.job_id == queue_job_id, CallbackRow.kind == CallbackKind.RESULT)
        .values(
            state=CallbackState.DEAD,
            attempts=14,
            last_status=503,
            last_error="the receiver answered 503",
        )
    )

    async def write() -> None:
        database = Database(database_url(None, data_dir=vap.data_dir))
        async with database.write() as session:
            await session.execute(statement)
        await database.close()

    apart(lambda: asyncio.run(write()))


def test_none_of_it_is_wider_than_a_phone(chromium: Browser, site: Site) -> None:
    paths = ("/ui/speech", f"/ui/speech/{site.job['job_id']}", "/ui/deliveries")
    with chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        for path in paths:
            page.goto(site.address(path))
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            page.wait_for_function("() => !document.querySelector('.animate-pulse')")
            fits(page, path)


def test_a_viewer_sees_jobs_and_deliveries_and_is_offered_nothing_to_change(
    chromium: Browser, tmp_path: Path, video: Path
) -> None:
    vap = Installation(
        tmp_path,
        VAP_HOST="0.0.0.0",  # nobody is local then, on this machine either
        VAP_ADMIN_PASSWORD=PASSWORD,
        VAP_API_KEYS=f"viewer:{VIEWER_KEY}",
    )
    vap.migrate()
    with vap.main() as main, chromium.new_context() as context:
        main.post("/api/v1/session", {"password": PASSWORD})
        job_id = upload(main, video)
        context.set_extra_http_headers({"Authorization": f"Bearer {VIEWER_KEY}"})
        page = context.new_page()
        page.goto(f"{main.address}/ui/speech")
        expect(page.get_by_role("link", name=VIDEO)).to_be_visible()
        expect(page.get_by_label("Video file")).to_have_count(0)
        expect(page.get_by_label("Address of a video")).to_have_count(0)
        expect(page.get_by_role("button", name=re.compile("^(Cancel|Try) job"))).to_have_count(0)
        page.goto(f"{main.address}/ui/speech/{job_id}")
        expect(page.get_by_role("list", name="Stages")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("^Cancel"))).to_have_count(0)
    vap.until_alone()
