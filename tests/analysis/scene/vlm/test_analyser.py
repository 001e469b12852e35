"""The whole analysis with a model that answers from a script."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from backend.analysis.protocol import ObjectCount
from backend.analysis.scene.vlm.analyser import (
    NothingToShow,
    VlmRequest,
    VlmSceneAnalyser,
    VlmSettings,
)
from backend.analysis.scene.vlm.model import (
    Answer,
    BudgetSpent,
    Clip,
    ModelBusy,
    ModelError,
    ModelMisconfigured,
    ModelRefused,
    Picture,
    Question,
    UnusableAnswer,
    Usage,
)
from backend.analysis.scene.vlm.prompt import LocalFindings, LocalTrack, SceneFacts
from backend.analysis.scene.vlm.report import SceneReport
from backend.findings.incident import Incident, IncidentCategory
from tests.waiting import until

VIDEO = Path("archive.mp4")
COST = Usage(input_tokens=1000, output_tokens=100, calls=1, latency_ms=20, cost_microusd=550)
"""Of each answer of the script: 1,000 * 0.30 + 100 * 2.50 millionths of a dollar."""
HANGS = "hangs"
TURNS = 50
"""Of the loop, in which all that waits for nothing is over."""


def calm(summary: str = "Nothing happens.", **more: Any) -> str:
    said = {"visibility": "clear", "observations": [], "incidents": []}
    return json.dumps({**said, "summary": summary, "safety_score": 95, **more})


def running(t_start: float, t_end: float, *, severity: int = 2, score: int = 80) -> str:
    incident = {
        "observations": [1],
        "t_start": t_start,
        "t_end": t_end,
        "evidence": "fast and without a reason",
        "category": "running",
        "severity": severity,
        "confidence": 0.8,
    }
    observation = {"id": 1, "t": t_start, "text": "a person runs"}
    return calm(
        "A person runs.", observations=[observation], incidents=[incident], safety_score=score
    )


def merged(*incidents: dict[str, Any], score: int = 77) -> str:
    said = {"incidents": list(incidents), "summary": "All in all.", "safety_score": score}
    return json.dumps(said)


def joins(*members: int) -> dict[str, Any]:
    return {
        "members": members,
        "evidence": "one and the same run",
        "category": "running",
        "severity": 3,
        "confidence": 0.9,
    }


@dataclass(frozen=True)
class After:
    """Said when something has happened."""

    event: asyncio.Event
    said: ModelError


@dataclass
class Scripted:
    """Answers each window, and the merge, from a list; past its end calmly."""

    script: Mapping[int | str, list[str | ModelError | After]] = field(default_factory=dict)
    takes_video: bool = True
    waits_for: int = 0
    """Windows that must be asked about before any answer is given."""
    backend: str = "gemini"
    name: str = "flash"
    asked: list[Question] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    closed: int = 0

    @property
    def about(self) -> list[int | str]:
        return [about(question) for question in self.asked]

    async def ask(self, question: Question) -> Answer:
        what = about(question)
        self.asked.append(question)
        before = sum(about(one) == what for one in self.asked) - 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await until(lambda: len(self.asked) >= self.waits_for)
            said = ([*self.script.get(what, []), None] + [None] * before)[before]
            if said is HANGS:
                await asyncio.Event().wait()
            if isinstance(said, After):
                await said.event.wait()
                said = said.said
            if isinstance(said, ModelError):
                raise said
            text = said or (merged() if what == "merge" else calm())
            return Answer(text, COST, f"{self.name}-001")
        finally:
            self.open -= 1
            self.closed += 1

    async def aclose(self) -> None:
        """Nothing to close."""


def about(question: Question) -> int | str:
    """The index of the window that a question is about, or merge."""
    if question.schema_name == "merge":
        return "merge"
    found = re.match(r"Window (\d+) of", question.text)
    assert found
    return int(found[1]) - 1


@dataclass
class Cuts:
    """Excerpts that say what they were cut from; nothing can be shown of some."""

    nothing_at: tuple[float, ...] = ()
    cut: list[tuple[str, float, float]] = field(default_factory=list)

    async def clip(self, video: Path, t_start: float, t_end: float) -> Clip:
        self._note("clip", t_start, t_end)
        return Clip(f"{video} {t_start:g}-{t_end:g}".encode(), t_end - t_start, 1.0)

    async def pictures(self, video: Path, t_start: float, t_end: float) -> tuple[Picture, ...]:
        self._note("pictures", t_start, t_end)
        return tuple(Picture(b"jpeg", t) for t in (0.0, (t_end - t_start) / 2))

    def _note(self, kind: str, t_start: float, t_end: float) -> None:
        if t_start in self.nothing_at:
            raise NothingToShow("the file has a hole there")
        self.cut.append((kind, t_start, t_end))


@dataclass
class Saved:
    """Parts that pass through JSON, as in a database."""

    parts: dict[str, str] = field(default_factory=dict)
    hangs_once: bool = False
    hanging: asyncio.Event = field(default_factory=asyncio.Event)

    def known(self) -> dict[str, Any]:
        return {name: json.loads(value) for name, value in self.parts.items()}

    async def save(self, name: str, value: Any) -> None:
        if self.hangs_once:
            self.hangs_once = False
            self.hanging.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        self.parts[name] = json.dumps(value)

    @property
    def names(self) -> set[str]:
        return {name.removeprefix("gemini/flash/") for name in self.parts}


LOCAL = LocalFindings(
    moving=((0.0, 120.0),),
    coverage={"duration_s": 120.0, "frames_decoded": 1200, "skipped": ["the first second"]},
    detector="yolo26n",
    objects={"person": ObjectCount(2, 1)},
    tracks=(LocalTrack(4, "person", 31.0, 59.0),),
    incidents=(Incident(IncidentCategory.FALL, 40.0, 41.0, 4, 0.9),),
    timings={"wall_s": 3.5},
    libraries={"av": "15"},
)


def request(*moving: tuple[float, float], duration_s: float = 120.0, **facts: Any) -> VlmRequest:
    """Four windows of 30 s; something moves in all of them unless said otherwise."""
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return VlmRequest(
        VIDEO,
        "cam",
        duration_s,
        SceneFacts("Cam", start, UTC, **facts),
        replace(LOCAL, moving=moving or LOCAL.moving),
    )


@dataclass
class Tried:
    """One attempt after the other with the same saved parts."""

    saved: Saved = field(default_factory=Saved)
    said: list[tuple[int, str]] = field(default_factory=list)
    cuts: Cuts = field(default_factory=Cuts)

    async def analyse(
        self, model: Scripted, wanted: VlmRequest | None = None, **settings: Any
    ) -> SceneReport:
        analyser = VlmSceneAnalyser(model, self.cuts, VlmSettings(**settings))
        self.said.clear()
        return await analyser.analyse(
            wanted or request(),
            parts=self.saved,
            progress=lambda percent, message: self.said.append((percent, message)),
        )


@pytest.fixture
def tried() -> Tried:
    return Tried()


def states(report: SceneReport) -> list[str]:
    return [one.state.value for one in report.windows]


# --- what comes out ---------------------------------------------------------------------------


async def test_windows_are_asked_about_and_a_model_puts_them_together(tried: Tried) -> None:
    model = Scripted(
        {
            1: [running(20, 30)],
            2: [running(0, 10.5)],
            3: [running(25, 26, severity=1)],
            "merge": [merged(joins(1, 2))],
        }
    )
    report = await tried.analyse(model)
    result = report.to_json()
    assert json.loads(json.dumps(result)) == result
    assert sorted(model.about, key=str) == [0, 1, 2, 3, "merge"]
    assert [(one["t_start"], one["t_end"]) for one in result["incidents"]] == [
        (50.0, 70.5),
        (115.0, 116.0),
    ]
    assert result["incidents"][0] == {
        "category": "running",
        "t_start": 50.0,
        "t_end": 70.5,
        "severity": 3,
        "confidence": 0.9,
        "evidence": [
            {"t": 50.0, "note": "one and the same run", "track_id": None, "box": None},
            {"t": 50.0, "note": "fast and without a reason", "track_id": None, "box": None},
            {"t": 50.0, "note": "a person runs", "track_id": None, "box": None},
            {"t": 60.0, "note": "fast and without a reason", "track_id": None, "box": None},
            {"t": 60.0, "note": "a person runs", "track_id": None, "box": None},
        ],
    }
    # 100 * (1 - 0.40 * 0.9) * (1 - 0.05 * 0.8) = 61.44; the model's own is kept beside it.
    assert (result["safety_score"], result["model_score"]) == (61, 77)
    assert result["summary"] == "All in all."
    assert result["merge"] == {"by": "model", "reason": None}


async def test_everything_that_shaped_a_result_is_in_it(tried: Tried) -> None:
    how = {"fps": 1.0}
    wanted = request(house_rules="No running.", categories=(IncidentCategory.RUNNING,))
    result = (await tried.analyse(Scripted(), wanted, excerpts=how)).to_json()
    named = ("analyser", "backend", "model", "model_version", "prompt_version", "detector")
    assert [result[name] for name in named] == [
        "vlm",
        "gemini",
        "flash",
        "flash-001",
        "2",
        "yolo26n",
    ]
    assert result["settings"] == {
        "window_s": 30.0,
        "at_once": 3,
        "asks": 3,
        "max_output_tokens": 4096,
        "excerpts": how,
        "shown": "clip",
        "camera": {
            "name": "Cam",
            "description": "",
            "house_rules": "No running.",
            "categories": ["running"],
            "zone": "UTC",
        },
    }
    assert result["objects"] == {"person": {"tracks": 2, "peak": 1}}
    assert result["detector_missing"] is None
    assert result["libraries"] == {"av": "15"}
    assert result["timings"]["local_wall_s"] == 3.5
    assert result["timings"]["wall_s"] >= result["timings"]["windows_s"] >= 0
    assert result["coverage"] == LOCAL.coverage
    # What the local rules suspected is a hint for the model, and not in the result.
    assert result["incidents"] == []
    assert result["windows"][1] == {
        "index": 1,
        "t_start": 30.0,
        "t_end": 60.0,
        "state": "analysed",
        "reason": None,
        "asked": 1,
        "visibility": "clear",
        "summary": "Nothing happens.",
    }


async def test_a_model_that_takes_video_is_shown_clips_and_another_one_pictures(
    tried: Tried,
) -> None:
    films = Scripted()
    await tried.analyse(films, request((31, 32)))
    assert films.asked[0].clip == Clip(b"archive.mp4 30-60", 30.0, 1.0)
    assert films.asked[0].pictures == ()
    stills = Scripted(takes_video=False, backend="openai")
    report = await tried.analyse(stills, request((31, 32)))
    assert stills.asked[0].clip is None
    assert [one.t for one in stills.asked[0].pictures] == [0.0, 15.0]
    assert report.to_json()["settings"]["shown"] == "pictures"
    assert tried.cuts.cut == [("clip", 30.0, 60.0), ("pictures", 30.0, 60.0)]


async def test_windows_without_motion_are_not_shown_and_the_result_says_so(tried: Tried) -> None:
    model = Scripted()
    report = await tried.analyse(model, request((10, 12), (95, 96)))
    assert sorted(model.about, key=str) == [0, 3, "merge"]
    assert states(report) == ["analysed", "no_motion", "no_motion", "analysed"]
    result = report.to_json()
    assert result["windows"][1]["reason"] == "nothing moved"
    assert result["coverage"]["skipped"] == [
        "the first second",
        "2 of 4 windows were not shown to the model: nothing moved",
    ]
    assert '"state": "no_motion"' in model.asked[-1].text


async def test_when_nothing_moved_nothing_is_asked(tried: Tried) -> None:
    model = Scripted()
    result = (await tried.analyse(model, request((5, 5)))).to_json()
    assert model.asked == []
    assert (result["safety_score"], result["model_score"]) == (100, None)
    assert result["summary"].startswith("Nothing moved")
    assert result["merge"] == {"by": "none", "reason": "nothing moved"}
    assert result["model_version"] is None
    assert result["usage"]["calls"] == 0
    assert tried.saved.parts == {}
    assert (await tried.analyse(model, request(duration_s=0))).safety_score == 100


async def test_one_window_is_not_merged(tried: Tried) -> None:
    model = Scripted({1: [running(1, 2, score=70)]})
    report = await tried.analyse(model, request((31, 32)))
    assert model.about == [1]
    result = report.to_json()
    assert result["merge"] == {"by": "none", "reason": "one window was analysed"}
    assert [one["t_start"] for one in result["incidents"]] == [31.0]
    assert (result["summary"], result["model_score"]) == ("A person runs.", 70)


# --- answers that cannot be used --------------------------------------------------------------


async def test_an_unusable_answer_is_asked_again_with_the_error(tried: Tried) -> None:
    wrong = running(3, 1)
    model = Scripted({1: ["certainly!", wrong, running(1, 3)]})
    report = await tried.analyse(model, request((31, 32)))
    first, second, third = model.asked
    assert "could not be used" not in first.text
    assert "the answer is not JSON" in second.text
    assert "incident 1 ends at 1 s, before its start at 3 s" in third.text
    assert "the answer is not JSON" not in third.text
    assert first.clip is third.clip
    assert report.windows[1].asked == 3
    assert len(report.incidents) == 1
    assert report.to_json()["usage"] == {
        "input_tokens": 3000,
        "output_tokens": 300,
        "cost_usd": 0.00165,
        "calls": 3,
        "latency_ms": 60,
    }


@pytest.mark.parametrize("code", ["empty", "blocked", "truncated", "too_large"])
async def test_a_window_without_a_usable_answer_is_marked_and_never_guessed(
    tried: Tried, code: str
) -> None:
    model = Scripted({2: [UnusableAnswer(code, f"it was {code}", usage=COST)] * 3})
    with capture_logs() as logged:
        report = await tried.analyse(model)
    assert model.about.count(2) == 3
    assert states(report) == ["analysed", "analysed", "unanalysed", "analysed"]
    lost = report.windows[2]
    assert (lost.reason, lost.asked) == (f"it was {code}", 3)
    assert (lost.summary, lost.visibility) == (None, None)
    result = report.to_json()
    assert result["coverage"]["skipped"][-1] == (
        "1 of 4 windows was not analysed: the model gave no usable answer"
    )
    # 3 windows, 3 times the lost one, 1 merge.
    assert (result["usage"]["calls"], result["usage"]["input_tokens"]) == (7, 7000)
    assert result["usage"]["cost_usd"] == 0.00385
    (told,) = [one for one in logged if one.get("action") == "vlm.window_unanalysed"]
    assert (told["window"], told["code"], told["log_level"]) == (2, code, "warning")
    assert '"state": "unanalysed"' in model.asked[-1].text


async def test_a_question_may_be_asked_only_once(tried: Tried) -> None:
    model = Scripted({2: ["no"], "merge": ["no"]})
    report = await tried.analyse(model, asks=1)
    assert sorted(model.about, key=str) == [0, 1, 2, 3, "merge"]
    assert report.merged.by == "code"
    assert report.to_json()["coverage"]["skipped"][-1] == (
        "1 of 4 windows was not analysed: the model gave no usable answer"
    )


async def test_when_no_window_could_be_analysed_there_is_no_result(tried: Tried) -> None:
    blocked = UnusableAnswer("blocked", "the model's filter refused", usage=COST)
    model = Scripted({0: [blocked] * 3, 3: ["no"] * 3})
    with pytest.raises(UnusableAnswer, match="not JSON") as caught:
        await tried.analyse(model, request((0, 1), (100, 101)))
    assert caught.value.code == "malformed"
    assert len(model.asked) == 6
    # It may have been the model's trouble, so another attempt asks again, and counts on.
    report = await tried.analyse(Scripted({0: [running(0, 1)]}), request((0, 1), (100, 101)))
    assert states(report) == ["analysed", "no_motion", "no_motion", "analysed"]
    assert report.usage.calls == 9
    assert report.windows[0].asked == 4


async def test_a_window_of_which_there_is_no_picture_is_not_asked_about(tried: Tried) -> None:
    tried.cuts = Cuts(nothing_at=(30.0,))
    model = Scripted()
    report = await tried.analyse(model)
    assert 1 not in model.about
    assert states(report) == ["analysed", "unanalysed", "analysed", "analysed"]
    assert (report.windows[1].reason, report.windows[1].asked) == ("the file has a hole there", 0)
    assert report.to_json()["coverage"]["skipped"][-1] == (
        "1 of 4 windows was not shown to the model: no picture could be taken"
    )
    with pytest.raises(UnusableAnswer) as caught:
        await Tried(cuts=tried.cuts).analyse(model, request((31, 32)))
    assert caught.value.code == "nothing_to_show"


async def test_a_merge_that_stays_unusable_is_done_in_code(tried: Tried) -> None:
    model = Scripted(
        {
            0: [running(28, 30, score=60)],
            1: [running(1, 5)],
            "merge": [merged(joins(1, 9)), merged(joins(1, 1)), "no"],
        }
    )
    report = await tried.analyse(model)
    result = report.to_json()
    assert model.about.count("merge") == 3
    assert "id 1 is used twice" in model.asked[-1].text
    assert result["merge"]["by"] == "code"
    assert "not JSON" in result["merge"]["reason"]
    assert [(one["t_start"], one["t_end"]) for one in result["incidents"]] == [(28.0, 35.0)]
    # One incident of severity 2: 100 * (1 - 0.15 * 0.8), while the lowest window said 60.
    assert (result["safety_score"], result["model_score"]) == (88, 60)
    assert result["summary"].splitlines()[:2] == [
        "0:00-0:30: A person runs.",
        "0:30-1:00: A person runs.",
    ]
    assert result["usage"]["calls"] == 7


async def test_a_merge_that_is_refused_is_done_in_code(tried: Tried) -> None:
    refused = ModelRefused("request_too_large", "too much text")
    report = await tried.analyse(Scripted({"merge": ["no", refused]}))
    assert (report.merged.by, report.merged.reason) == ("code", "too much text")
    # 4 windows and an unusable merge; the refusal said that it cost nothing.
    assert report.usage.calls == 5


# --- more than one attempt ---------------------------------------------------------------------


async def test_busy_in_the_middle_saves_what_was_answered_and_the_next_asks_for_the_rest(
    tried: Tried,
) -> None:
    busy = ModelBusy("rate_limited", "slow down", retry_after_s=7.0)
    first = Scripted({0: [running(1, 2)], 1: ["no"], 2: [busy], 3: [HANGS]})
    with pytest.raises(ModelBusy) as caught:
        await tried.analyse(first, at_once=1)
    assert caught.value is busy
    assert first.about == [0, 1, 1, 2]
    assert tried.saved.names == {"window-0", "window-1", "window-2"}

    second = Scripted({"merge": [ModelBusy("server_error", "later", usage=COST)]})
    with pytest.raises(ModelBusy):
        await tried.analyse(second)
    assert second.about == [2, 3, "merge"]
    assert tried.said[0] == (51, "2 of 4 windows known from an earlier attempt")

    third = Scripted()
    report = await tried.analyse(third)
    assert third.about == ["merge"]
    assert tried.said == [
        (75, "4 of 4 windows known from an earlier attempt"),
        (75, "merging 4 windows"),
    ]
    assert [one.t_start for one in report.incidents] == [1.0]
    assert states(report) == ["analysed"] * 4
    # 1 + 2 + 1 + 1 windows' answers, a merge that cost something, and one that came.
    assert report.usage == Usage(7000, 700, 7, 140, 3850)

    fourth = Scripted()
    again = await tried.analyse(fourth)
    assert fourth.asked == []
    assert again.usage == report.usage
    assert again.incidents == report.incidents
    assert again.merged == report.merged
    assert again.model_version == "flash-001"


async def test_a_window_that_was_given_up_is_not_paid_for_again(tried: Tried) -> None:
    first = Scripted({0: ["no"] * 3, 3: [ModelBusy("server_error", "later")]})
    with pytest.raises(ModelBusy):
        await tried.analyse(first, at_once=1)
    second = Scripted()
    report = await tried.analyse(second)
    assert second.about == [3, "merge"]
    assert states(report) == ["unanalysed", "analysed", "analysed", "analysed"]
    assert report.usage.calls == 3 + 2 + 1 + 1


async def test_what_was_asked_otherwise_is_asked_again_but_was_paid(tried: Tried) -> None:
    await tried.analyse(Scripted(), request((0, 1)))
    model = Scripted()
    report = await tried.analyse(model, request((0, 1), house_rules="No bicycles."))
    assert model.about == [0]
    assert (report.usage.calls, report.windows[0].asked) == (2, 2)
    other = Scripted(name="pro")
    report = await tried.analyse(other, request((0, 1), house_rules="No bicycles."))
    assert (other.about, report.usage.calls) == ([0], 1)


@pytest.mark.parametrize("broken", ['"?"', "[]", '{"answer": 1}', "null"])
async def test_saved_parts_that_cannot_be_read_are_not_there(tried: Tried, broken: str) -> None:
    tried.saved.parts["gemini/flash/window-0"] = broken
    model = Scripted()
    await tried.analyse(model, request((0, 1)))
    assert model.about == [0]


@pytest.mark.parametrize(
    "error",
    [
        ModelBusy("timeout", "no answer in time"),
        ModelMisconfigured("key_refused", "the key is not valid"),
        ModelRefused("request_too_large", "too many pictures"),
    ],
)
async def test_what_ends_an_analysis_cancels_the_calls_that_are_open(
    tried: Tried, error: ModelError
) -> None:
    model = Scripted({0: [HANGS], 1: [error], 2: [HANGS]}, waits_for=3)
    with pytest.raises(type(error)) as caught:
        await tried.analyse(model)
    assert caught.value is error
    assert sorted(model.about, key=str) == [0, 1, 2]
    assert (model.open, model.closed) == (0, 3)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_answer_whose_saving_was_cut_off_is_saved_all_the_same(tried: Tried) -> None:
    tried.saved.hangs_once = True
    busy = After(tried.saved.hanging, ModelBusy("server_error", "later"))
    model = Scripted({1: ["no", busy]})
    with pytest.raises(ModelBusy):
        await tried.analyse(model, request((0, 1), (31, 32)))
    assert tried.saved.names == {"window-0", "window-1"}
    next_one = Scripted()
    report = await tried.analyse(next_one, request((0, 1), (31, 32)))
    assert next_one.about == [1, "merge"]
    assert report.usage.calls == 4


async def test_what_a_cancelled_window_took_is_counted(tried: Tried) -> None:
    event = asyncio.Event()
    busy = ModelBusy("server_error", "later")
    model = Scripted({0: ["no", HANGS], 1: [After(event, busy)]})
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_busy(tried, model))
        await until(lambda: len(model.asked) == 3)
        event.set()
    assert task.result() is busy
    report = await tried.analyse(Scripted(), request((0, 1), (31, 32)))
    # The unusable one, two windows, one merge.
    assert (report.usage.calls, report.windows[0].asked) == (4, 2)


async def _busy(tried: Tried, model: Scripted) -> ModelBusy:
    with pytest.raises(ModelBusy) as caught:
        await tried.analyse(model, request((0, 1), (31, 32)))
    return caught.value


async def test_errors_of_excerpts_go_up_as_they_are(tried: Tried) -> None:
    @dataclass
    class Broken(Cuts):
        async def clip(self, video: Path, t_start: float, t_end: float) -> Clip:
            raise OSError("the disk is full")

    tried.cuts = Broken()
    with pytest.raises(OSError, match="the disk is full"):
        await tried.analyse(Scripted())


# --- while it runs -----------------------------------------------------------------------------


async def test_a_few_windows_are_asked_about_at_once(tried: Tried) -> None:
    model = Scripted(waits_for=3)
    await tried.analyse(model, request((0, 300), duration_s=300), at_once=3)
    assert model.most_open == 3
    assert len(model.asked) == 11


async def test_progress_goes_from_40_with_the_first_window_to_75_with_the_last(
    tried: Tried,
) -> None:
    await tried.analyse(Scripted(), at_once=1)
    assert tried.said == [
        (40, "1 of 4 windows looked at"),
        (51, "2 of 4 windows looked at"),
        (63, "3 of 4 windows looked at"),
        (75, "4 of 4 windows looked at"),
        (75, "merging 4 windows"),
    ]


@pytest.mark.parametrize("hanging", [0, "merge"])
async def test_cancelling_stops_the_calls_at_once_and_leaves_no_task(
    tried: Tried, hanging: int | str
) -> None:
    model = Scripted({hanging: [HANGS]})
    task = asyncio.ensure_future(tried.analyse(model))
    done = {f"window-{index}" for index in {0, 1, 2, 3} - {hanging}}
    await until(lambda: tried.saved.names == done and model.open == 1)
    task.cancel()
    for _ in range(TURNS):
        await asyncio.sleep(0)
    assert task.done(), "it waits for nothing more"
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.open == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert tried.saved.names == done


async def test_a_time_out_stops_the_calls_too(tried: Tried) -> None:
    model = Scripted({index: [HANGS] for index in range(4)})

    async def run_out(limit: asyncio.Timeout) -> None:
        await until(lambda: len(model.asked) == 3)
        limit.reschedule(asyncio.get_running_loop().time())

    async with asyncio.TaskGroup() as group:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit:
                group.create_task(run_out(limit))
                await tried.analyse(model)
    assert (model.open, len(model.asked)) == (0, 3)


@pytest.mark.parametrize("wrong", [{"at_once": 0}, {"asks": 0}])
def test_settings_that_ask_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        VlmSettings(**wrong)  # type: ignore[arg-type]


# --- a budget that is spent --------------------------------------------------------------------

SPENT = BudgetSpent("budget_spent", "the camera's budget of the day is spent")


async def test_when_the_budget_is_spent_between_windows_what_was_found_is_reported(
    tried: Tried,
) -> None:
    model = Scripted({0: [running(1, 2)], 2: ["no", SPENT]})
    report = await tried.analyse(model, at_once=1)
    assert model.about == [0, 1, 2, 2, "merge"]
    assert states(report) == ["analysed", "analysed", "unanalysed", "unanalysed"]
    assert [one.t_start for one in report.incidents] == [1.0]
    assert {one.reason for one in report.windows[2:]} == {"the day's budget is spent"}
    assert [one.asked for one in report.windows] == [1, 1, 1, 0]
    # 2 windows, the unusable answer, and a merge.
    assert report.usage.calls == 4
    assert report.to_json()["coverage"]["skipped"][-1] == (
        "2 of 4 windows were not analysed: the day's budget is spent"
    )


async def test_calls_that_are_open_when_the_budget_is_spent_come_to_their_end(
    tried: Tried,
) -> None:
    model = Scripted({0: [running(1, 2)], 1: [SPENT], 2: [running(3, 4)]}, waits_for=3)
    report = await tried.analyse(model, request(duration_s=90))
    assert sorted(model.about, key=str) == [0, 1, 2, "merge"]
    assert states(report) == ["analysed", "unanalysed", "analysed"]
    assert [one.t_start for one in report.incidents] == [1.0, 63.0]


async def test_when_the_budget_is_spent_before_any_answer_there_is_no_result(
    tried: Tried,
) -> None:
    model = Scripted({0: ["no", SPENT], 1: [SPENT], 2: [SPENT]}, waits_for=3)
    with pytest.raises(BudgetSpent) as caught:
        await tried.analyse(model)
    assert caught.value is SPENT
    assert 3 not in model.about
    report = await tried.analyse(Scripted())
    # The unusable answer is counted: it was paid for.
    assert (report.usage.calls, report.windows[0].asked) == (6, 2)


async def test_a_merge_for_which_the_budget_does_not_suffice_is_done_in_code(tried: Tried) -> None:
    report = await tried.analyse(Scripted({0: [running(1, 2)], "merge": [SPENT]}))
    assert (report.merged.by, report.merged.reason) == ("code", SPENT.message)
    assert [one.t_start for one in report.incidents] == [1.0]
    assert states(report) == ["analysed"] * 4
