"""What a person does with what a model found: judge it, read the day, try a prompt, test a model.

The main process believes that Gemini is where Google has it, and says so on the page; it calls
nobody. The worker, which does, finds it on loopback.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.page_scripts import PLAYS_AT, SLOW_ARCHIVES
from tests.browser.test_journeys import PHONE, WORKS_WITHIN_MS, fits
from tests.peers.model_server import Received, RunningModelServer, running_model_server
from tests.peers.rtsp_server import running_camera
from tests.peers.videos import make_video
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.browser

KEY = "the-right-key-123"
ZONE = "Asia/Tokyo"
ENDPOINT = "generativelanguage.googleapis.com"
RULES = "Cars wait for people."
LONG_ENOUGH_S = 8.0
RECORDED = ("gate", "shed")
"""The second may cost nothing: its archives are for the local analyser."""
TYPE_ON = """(input) => {
  const { replaceState } = history;
  const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  history.replaceState = function (...address) {
    replaceState.apply(this, address);
    history.replaceState = replaceState;
    queueMicrotask(() => {
      set.call(input, `${input.value} brakes`);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
  };
}"""
"""Keys that are pressed when the address has changed and the page is not drawn for it yet."""
PATHS = ("/ui/incidents", "/ui/day", "/ui/models", "/ui/cameras/gate", "/ui/jobs")


def said(summary: str, *incidents: tuple[str, float, str, int], score: int = 90) -> str:
    """A model's answer about a window; an incident is (category, second, evidence, severity)."""
    return json.dumps(
        {
            "visibility": "clear",
            "observations": [
                {"id": n, "t": t, "text": f"what shows that {evidence}"}
                for n, (_, t, evidence, _) in enumerate(incidents, 1)
            ],
            "incidents": [
                {
                    "category": category,
                    "t_start": t,
                    "t_end": t + 1,
                    "observations": [n],
                    "evidence": evidence,
                    "severity": severity,
                    "confidence": 0.8,
                }
                for n, (category, t, evidence, severity) in enumerate(incidents, 1)
            ],
            "summary": summary,
            "safety_score": score,
        }
    )


BUSY = said(
    "A person crosses in front of a car, and another one falls.",
    ("near_miss", 3.0, "a car brakes before a person", 3),
    ("fall", 5.0, "a person lies by the kerb", 4),
    ("loitering", 1.0, "a person waits by the crossing", 1),
    score=55,
)
CALM = said("Cars pass, nobody is on foot.")
TRIED = said("A lorry turns.", ("unsafe_behaviour", 2.0, "a lorry turns where people walk", 2))


class Watcher:
    """Finds incidents in the first window that is long enough for them, and none after it."""

    def __init__(self) -> None:
        self._has_said = False

    def __call__(self, asked: Received) -> str:
        """The answer to a question."""
        seconds = re.search(r"([\d.]+) s long", asked.text)
        if self._has_said or seconds is None or float(seconds[1]) < LONG_ENOUGH_S:
            return CALM
        self._has_said = True
        return BUSY


@dataclass(frozen=True)
class Site:
    """VAP whose camera has made some archives, which a model has understood, and rests now."""

    main: Main
    model: RunningModelServer

    def address(self, path: str) -> str:
        """Where a page is."""
        return f"{self.main.address}{path}"

    def incident(self, category: str) -> Any:
        """The one incident of a category, as the API has it."""
        (found,) = self.main.get("/api/v1/incidents", category=category)["items"]
        return found


@contextmanager
def running_site(folder: Path, **settings: str) -> Iterator[Site]:
    """A site with three incidents in one of its archives."""
    video = make_video(folder / "video.mp4", seconds=4, size=(320, 240), fps=10)
    with running_model_server(key=KEY) as model, running_camera(video) as source:
        model.answer_with(Watcher())
        vap = Installation(
            folder,
            VAP_TIMEZONE=ZONE,
            SCENE_BACKEND="gemini",
            GEMINI_API_KEY=KEY,
            OPENAI_BASE_URL=model.openai_url,
            OPENAI_MODEL="house-model",
            OPENAI_API_KEY="a-wrong-key-456",
            SCENE_BUDGET_USD="1",
            **settings,
        )
        vap.migrate()
        with vap.main() as main, vap.worker(GEMINI_BASE_URL=model.gemini_url):
            gate = {"id": "gate", "name": "Gate", "source": "demo:", "archive_seconds": 10}
            main.post("/api/v1/cameras", {**gate, "house_rules": RULES}, status=201)
            hut = {"id": "hut", "name": "Hut", "source": "demo:", "enabled": False}
            main.post("/api/v1/cameras", {**hut, "scene_backend": "local"}, status=201)
            shed = {"id": "shed", "name": "Shed", "source": source.url, "daily_budget_usd": 0}
            main.post("/api/v1/cameras", shed, status=201)
            eventually(
                lambda: main.get("/api/v1/incidents")["items"], within_s=150, what="incidents"
            )
            for camera in RECORDED:
                main.post(f"/api/v1/cameras/{camera}/disable")
            eventually(lambda: is_idle(main), within_s=150, what="the cameras rest")
            yield Site(main, model)
        vap.until_alone()


def is_idle(main: Main) -> bool:
    """Whether no camera records, and every archive is understood."""
    archives = sum(len(main.finished_segments(camera)) for camera in RECORDED)
    stopped = all(main.camera(camera)["state"] == "stopped" for camera in RECORDED)
    return stopped and len(main.jobs()) == archives == len(done(main))


def done(main: Main) -> list[Any]:
    """Jobs that have a score."""
    return [job for job in main.jobs() if job["safety_score"] is not None]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One installation for every journey."""
    with running_site(tmp_path_factory.mktemp("vap")) as site:
        yield site


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab of a desktop's size, in a browser elsewhere in the world that remembers nothing."""
    view = {"width": 1280, "height": 900}
    with chromium.new_context(viewport=view, timezone_id="America/New_York") as context:
        context.add_init_script(SLOW_ARCHIVES)
        yield context.new_page()


def cards(page: Page) -> Locator:
    """The incidents that are listed."""
    return page.get_by_role("list", name="Incidents").get_by_role("listitem")


def opened(page: Page) -> Locator:
    """The incident that is open beside the list."""
    return page.get_by_role("region", name=re.compile(r"^Incident"))


def precision_of(page: Page, category: str) -> Locator:
    """A row of the table of precision."""
    table = page.get_by_role("table", name="Precision")
    return table.get_by_role("row").filter(has_text=re.compile(category))


def test_incidents_are_confirmed_and_rejected_with_keys_and_stay_so(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/incidents"))
    expect(cards(page)).to_have_count(3)
    expect(precision_of(page, "Fall")).to_contain_text(re.compile(r"0\s*0\s*1"))

    page.keyboard.press("j")  # the newest is the fall
    expect(page).to_have_url(re.compile(rf"incident={site.incident('fall')['id']}\b"))
    expect(opened(page)).to_contain_text("a person lies by the kerb")
    page.keyboard.press("c")
    expect(opened(page).get_by_text("confirmed", exact=True)).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(opened(page)).to_contain_text("a car brakes before a person")
    page.keyboard.press("r")
    expect(opened(page).get_by_text("rejected", exact=True)).to_be_visible()
    expect(precision_of(page, "Fall")).to_contain_text("100 %")
    expect(precision_of(page, "Near miss")).to_contain_text("0 %")
    expect(precision_of(page, "All together")).to_contain_text("50 %")

    page.reload()
    expect(cards(page).filter(has_text="Fall").get_by_text("confirmed")).to_be_visible()
    expect(cards(page).filter(has_text="Near miss").get_by_text("rejected")).to_be_visible()
    expect(opened(page).get_by_text("rejected", exact=True)).to_be_visible()  # by its address
    assert site.incident("fall")["state"] == "confirmed"
    assert site.incident("near_miss")["state"] == "rejected"

    page.keyboard.press("u")
    expect(opened(page).get_by_text("open", exact=True)).to_be_visible()
    expect(precision_of(page, "Near miss")).not_to_contain_text("%")
    opened(page).get_by_role("button", name="Reject").click()
    expect(precision_of(page, "Near miss")).to_contain_text("0 %")
    page.keyboard.press("u")
    eventually(lambda: site.incident("near_miss")["state"] == "open", what="it is taken back")


def test_a_verdict_that_the_server_does_not_take_is_shown_as_not_taken(
    page: Page, site: Site
) -> None:
    loitering = site.incident("loitering")
    page.goto(site.address(f"/ui/incidents?incident={loitering['id']}"))
    page.route("**/verdict", lambda route: route.abort())
    opened(page).get_by_role("button", name="Confirm").click()
    expect(opened(page).get_by_role("alert")).to_contain_text("The verdict was not taken")
    expect(opened(page).get_by_text("open", exact=True)).to_be_visible()
    assert site.incident("loitering")["state"] == "open"


def test_incidents_are_filtered_by_text_and_category_and_a_reload_keeps_it(
    page: Page, site: Site
) -> None:
    page.goto(site.address("/ui/incidents"))
    expect(cards(page)).to_have_count(3)
    text = page.get_by_role("searchbox", name="Text in the evidence")
    text.press_sequentially("CAR brakes")
    expect(page).to_have_url(re.compile(r"text=CAR\+brakes"))
    expect(cards(page)).to_have_count(1)
    expect(cards(page)).to_contain_text("a car brakes before a person")
    page.reload()
    expect(text).to_have_value("CAR brakes")
    expect(cards(page)).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    expect(text).to_have_value("")
    expect(cards(page)).to_have_count(3)

    page.get_by_label("Category").select_option("Loitering")
    expect(cards(page)).to_have_count(1)
    page.go_back()
    expect(cards(page)).to_have_count(3)
    page.get_by_label("Severity").select_option("Severity 3 and up")
    expect(cards(page)).to_have_count(2)
    page.get_by_label("Camera").select_option("Hut")
    expect(page.get_by_text("No incident is like that")).to_be_visible()


def test_what_is_typed_while_the_address_changes_is_kept(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/incidents"))
    text = page.get_by_role("searchbox", name="Text in the evidence")
    text.evaluate(TYPE_ON)
    text.fill("CAR")
    expect(page).to_have_url(re.compile(r"text=CAR\+brakes"))
    expect(text).to_have_value("CAR brakes")
    expect(cards(page)).to_have_count(1)


def test_days_to_filter_by_are_the_sites_and_not_the_readers(page: Page, site: Site) -> None:
    starts_at = datetime.fromisoformat(site.incident("fall")["starts_at"])
    day = starts_at.astimezone(ZoneInfo(ZONE)).date().isoformat()
    page.goto(site.address(f"/ui/incidents?since={day}&until={day}&category=fall"))
    expect(cards(page)).to_have_count(1)
    at = starts_at.astimezone(ZoneInfo(ZONE))
    expect(cards(page)).to_contain_text(f"{at:%H:%M:%S}")


def test_an_opened_incident_plays_from_two_seconds_before_it(page: Page, site: Site) -> None:
    fall = site.incident("fall")
    page.goto(site.address("/ui/incidents"))
    cards(page).filter(has_text="a person lies by the kerb").get_by_role("button").click()
    clip = page.get_by_label(f"The clip of incident {fall['id']}")
    expect(clip).to_have_attribute("src", fall["video_url"])
    position = page.wait_for_function(PLAYS_AT).json_value()
    assert 3.0 <= position < 5.0
    opened(page).get_by_role("button", name="Play from 0:05").first.click()
    page.wait_for_function("() => document.querySelector('video').currentTime >= 5")
    snapshots = page.locator("ul[aria-label=Incidents] img")
    expect(snapshots).to_have_count(3)
    page.wait_for_function(
        "() => [...document.querySelectorAll('ul[aria-label=Incidents] img')]"
        ".every((image) => image.naturalWidth > 0)"
    )


def test_keys_that_are_typed_into_a_filter_judge_nothing(page: Page, site: Site) -> None:
    loitering = site.incident("loitering")
    page.goto(site.address(f"/ui/incidents?incident={loitering['id']}"))
    expect(opened(page).get_by_role("button", name="Confirm")).to_be_enabled()
    page.get_by_role("searchbox").press_sequentially("crj")
    expect(page).to_have_url(re.compile("text=crj"))
    assert site.incident("loitering")["state"] == "open"


def test_the_day_says_what_happened_and_finds_a_text(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/day"))
    entries = page.get_by_role("list", name="What happened").get_by_role("listitem")
    day = site.main.get("/api/v1/scene/day")
    expect(entries).to_have_count(len(day["entries"]))
    busy = entries.filter(has_text="A person crosses in front of a car")
    expect(busy).to_contain_text("3 incidents")
    expect(busy).to_contain_text("Gemini")
    expect(entries.filter(has_text="Cars pass, nobody is on foot.").first).to_be_visible()
    for entry, shown in zip(day["entries"], entries.all(), strict=True):  # in order of time
        at = datetime.fromisoformat(entry["at"]).astimezone(ZoneInfo(ZONE))
        expect(shown).to_contain_text(f"{at:%H:%M:%S}")

    busy.get_by_role("button", name=re.compile("^Play the archive")).click()
    page.wait_for_function(PLAYS_AT)
    page.get_by_role("searchbox").fill("by the KERB")  # only its incident says so
    expect(entries).to_have_count(1)
    expect(entries).to_contain_text("A person crosses")
    page.reload()
    expect(entries).to_have_count(1)
    page.get_by_role("searchbox").fill("an elephant")
    expect(page.get_by_text("Nothing of that on this day")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Day before").click()
    expect(page.get_by_text("Nothing on this day")).to_be_visible()
    page.get_by_role("button", name="Today").click()
    expect(entries).to_have_count(len(day["entries"]))


def test_a_prompt_is_tried_before_it_is_saved(page: Page, site: Site) -> None:
    site.model.answer_with(TRIED)
    before, jobs = site.main.camera("gate"), len(done(site.main))
    page.goto(site.address("/ui/cameras/gate"))
    page.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog", name="Edit Gate")
    expect(form.get_by_text(f"Footage goes to {ENDPOINT}")).to_be_visible()
    expect(form.get_by_label("Analyser")).to_have_value("")
    form.get_by_label("House rules").fill("No lorries where people walk.")
    form.get_by_label("Unsafe behaviour").check()
    form.get_by_role("button", name="Try on the last archive").click()
    result = form.get_by_role("status", name="What the try gave")
    expect(result).to_be_visible(timeout=WORKS_WITHIN_MS)
    expect(result).to_contain_text("a lorry turns where people walk")
    expect(result).to_contain_text("A lorry turns.")
    expect(result).to_contain_text("$0.00008")
    result.get_by_text("Instructions", exact=True).click()
    result.get_by_text("Text", exact=True).click()
    expect(result).to_contain_text("No lorries where people walk.")
    asked = site.model.requests[-1]
    assert "No lorries where people walk." in asked.instructions + asked.text
    assert RULES not in asked.instructions + asked.text

    site.model.answer_with("I see a lorry, and that is all.")
    form.get_by_role("button", name="Try on the last archive").click()
    what_is_wrong = result.get_by_role("alert")
    expect(what_is_wrong).to_be_visible(timeout=WORKS_WITHIN_MS)
    result.get_by_text("As it came").click()
    expect(result.get_by_text("I see a lorry, and that is all.")).to_be_visible()

    form.get_by_label("Analyser").select_option("Local")
    expect(form.get_by_text("Footage stays on this machine.")).to_be_visible()
    form.get_by_role("button", name="Try on the last archive").click()
    expect(result).to_contain_text("No model was asked", timeout=WORKS_WITHIN_MS)
    form.get_by_role("button", name="Cancel").click()
    assert site.main.camera("gate") == before
    assert len(done(site.main)) == jobs
    assert site.main.get("/api/v1/incidents", category="unsafe_behaviour")["items"] == []


def test_what_a_camera_is_to_be_looked_at_for_is_saved(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/cameras/hut"))
    page.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog", name="Edit Hut")
    form.get_by_label("House rules").fill("The door stays shut.")
    form.get_by_label("Intrusion").check()
    form.get_by_label("Fall").check()
    form.get_by_label("Budget per day").fill("0.5")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    hut = site.main.camera("hut")
    assert hut["house_rules"] == "The door stays shut."
    assert hut["categories"] == ["fall", "intrusion"]
    assert (hut["scene_backend"], hut["daily_budget_usd"]) == ("local", 0.5)


def test_a_model_is_tested_and_a_wrong_key_is_named(page: Page, site: Site) -> None:
    site.model.answer_with(CALM)
    page.goto(site.address("/ui/models"))
    gemini = page.get_by_role("region", name="Gemini")
    expect(gemini).to_contain_text(f"goes to {ENDPOINT}")
    expect(gemini.get_by_role("link", name="Gate")).to_be_visible()
    gemini.get_by_role("button", name="Test").click()
    expect(gemini.get_by_text("It answers.")).to_be_visible(timeout=WORKS_WITHIN_MS)
    expect(gemini.get_by_text("Cars pass, nobody is on foot.")).to_be_visible()

    house = page.get_by_role("region", name="OpenAI-compatible")
    expect(house).to_contain_text("stays on this machine")
    house.get_by_role("button", name="Test").click()
    expect(house.get_by_role("alert")).to_contain_text("refused the key", timeout=WORKS_WITHIN_MS)
    expect(house.get_by_text(re.compile("^Not asked until"))).to_be_visible()
    assert KEY not in page.content()
    assert "a-wrong-key-456" not in page.content()

    costs = page.get_by_role("table", name="Costs")
    expect(costs.get_by_role("row").filter(has_text="All cameras")).to_contain_text("of $1.00")
    expect(costs.get_by_role("row").filter(has_text="Gate")).to_contain_text("$0.000")


def test_the_page_says_where_footage_goes(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/"))
    gate = page.get_by_role("article").filter(has_text="Gate")
    expect(gate.get_by_text(f"Gemini · {ENDPOINT}")).to_be_visible()
    hut = page.get_by_role("article").filter(has_text="Hut")
    expect(hut).to_be_visible()
    expect(hut.get_by_text("Local")).to_be_hidden()
    page.goto(site.address("/ui/cameras/gate"))
    expect(page.get_by_text(f"Gemini · {ENDPOINT}")).to_be_visible()
    chart = page.get_by_role("img", name=re.compile("^Scores of the last 24 hours: mean"))
    expect(chart).to_be_visible()
    page.get_by_role("button", name="30 days").click()
    expect(page).to_have_url(re.compile("scores=day"))
    expect(page.get_by_role("img", name=re.compile("^Scores of the last 30 days"))).to_be_visible()


def test_a_job_says_who_was_asked_about_what_and_what_it_cost(page: Page, site: Site) -> None:
    job_id = site.incident("fall")["job_id"]
    page.goto(site.address(f"/ui/jobs/{job_id}"))
    expect(page.get_by_role("region", name="What happened")).to_contain_text("A person crosses")
    expect(page.get_by_text("the model itself says")).to_contain_text("55")
    how = page.get_by_role("region", name="How")
    expect(how).to_contain_text("gemini-3.5-flash-lite")
    expect(how).to_contain_text("$0.00008")
    expect(page.get_by_role("region", name=re.compile("^Windows"))).to_contain_text("analysed")


def test_who_answered_in_a_models_stead_is_said_with_the_reason(page: Page, site: Site) -> None:
    page.goto(site.address("/ui/day?camera_id=shed"))
    entry = page.get_by_role("list", name="What happened").get_by_role("listitem").first
    expect(entry).to_contain_text("Local")
    expect(entry).to_contain_text("instead of Gemini")
    entry.get_by_role("link", name=re.compile(r"^#\d")).click()
    expect(page.get_by_text("Answered by Local: Gemini: ")).to_contain_text("budget")
    page.goto(site.address("/ui/models"))
    shed = page.get_by_role("table", name="Costs").get_by_role("row").filter(has_text="Shed")
    expect(shed).to_contain_text("100 % of $0")


def test_nothing_new_is_wider_than_a_phone(chromium: Browser, site: Site) -> None:
    fall = site.incident("fall")
    paths = (*PATHS, f"/ui/incidents?incident={fall['id']}", f"/ui/jobs/{fall['job_id']}")
    with chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        for path in paths:
            page.goto(site.address(path))
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            page.wait_for_function("() => !document.querySelector('.animate-pulse')")
            fits(page, path)
        page.goto(site.address("/ui/cameras/gate"))
        page.get_by_role("button", name="Edit").tap()
        expect(page.get_by_role("dialog")).to_be_visible()
        fits(page, "the form")
