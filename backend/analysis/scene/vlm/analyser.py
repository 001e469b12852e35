"""The `vlm` scene analyser: an archive, and what the local pass found in it, to one report.

    windows with motion, a few at a time: excerpt -> question -> answer, asked again when unusable
    -> one text-only question puts them together -> incidents -> score

The worker runs it in its own loop, since it waits and computes nothing. It starts no task that
outlives `analyse`: cancelling that closes every open call. What was answered is saved at once, so
that another attempt at the same job pays only for the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog

from backend.analysis.scene.vlm.answers import MergeAnswer, WindowAnswer, read_window
from backend.analysis.scene.vlm.asking import Memory, Outcome, Parts, ask, fingerprint
from backend.analysis.scene.vlm.merge import numbered
from backend.analysis.scene.vlm.model import (
    BudgetSpent,
    Clip,
    Picture,
    UnusableAnswer,
    Usage,
    VisionModel,
)
from backend.analysis.scene.vlm.prompt import (
    PROMPT_VERSION,
    LocalFindings,
    SceneFacts,
    Shown,
    Told,
    window_question,
)
from backend.analysis.scene.vlm.report import DAY_SPENT, SceneReport, WindowReport, WindowState
from backend.analysis.scene.vlm.together import put_together
from backend.analysis.scene.vlm.windows import Window, plan_windows
from backend.kernel.errors import VapError

log = structlog.get_logger(__name__)

_FIRST_DONE, _ALL_DONE = 40, 75

__all__ = [
    "Excerpts",
    "NothingToShow",
    "Parts",
    "VlmRequest",
    "VlmSceneAnalyser",
    "VlmSettings",
    "shown_of",
]


class NothingToShow(VapError):
    """There is not one picture of the stretch: its window stays unanalysed, the others go on."""

    code = "nothing_to_show"


class Excerpts(Protocol):
    """Makes what a model is shown of a stretch of video; times from the start of the video."""

    async def clip(self, video: Path, t_start: float, t_end: float) -> Clip:
        """The stretch as one small mp4.

        Raises:
            NothingToShow: see there. Any other error ends the analysis.
        """

    async def pictures(self, video: Path, t_start: float, t_end: float) -> tuple[Picture, ...]:
        """Some pictures of the stretch, in order; their times are from its start.

        Raises:
            NothingToShow: see there. Any other error ends the analysis.
        """


async def shown_of(model: VisionModel, excerpts: Excerpts, video: Path, window: Window) -> Shown:
    """What a model is shown of a window: a clip where it takes one, else pictures.

    Raises:
        NothingToShow: see there. Any other error is that of the excerpts.
    """
    stretch = (video, window.t_start, window.t_end)
    if model.takes_video:
        shown = Shown(clip=await excerpts.clip(*stretch))
    else:
        shown = Shown(pictures=await excerpts.pictures(*stretch))
    if shown.nothing:
        raise NothingToShow("no picture could be taken of it")
    return shown


@dataclass(frozen=True, slots=True)
class VlmSettings:
    """Settings of the analyser; they are named in its result."""

    window_s: float = 30.0
    at_once: int = 3
    """Windows that are asked about at the same time."""
    asks: int = 3
    """How often a question is asked before it is given up, all answers being unusable."""
    max_output_tokens: int = 4096
    excerpts: Mapping[str, Any] = field(default_factory=dict)
    """How excerpts are made, for the result."""

    def __post_init__(self) -> None:
        """Refuse what would ask nothing."""
        if self.at_once < 1 or self.asks < 1:
            raise ValueError("at_once and asks must be at least 1")


@dataclass(frozen=True, slots=True)
class VlmRequest:
    """One finished archive, and what is known of it."""

    video_path: Path
    camera_id: str
    duration_s: float
    facts: SceneFacts
    local: LocalFindings


@dataclass(frozen=True, slots=True)
class VlmSceneAnalyser:
    """See the module. Safe for several archives at once; `at_once` counts for each."""

    model: VisionModel
    excerpts: Excerpts
    settings: VlmSettings

    async def analyse(
        self, request: VlmRequest, *, parts: Parts, progress: Callable[[int, str], None]
    ) -> SceneReport:
        """Look at the windows of an archive in which something moved.

        Raises:
            UnusableAnswer: not one of them could be analysed; its code may be `nothing_to_show`.
            ModelBusy, ModelMisconfigured, ModelRefused: the model said so about one; calls about
                the others were cancelled, what was answered before is saved.
            BudgetSpent: before one was answered. After that the others stay unanalysed.
        """
        return await _Run(self, request, parts, progress).report()


class _Run:
    """One archive."""

    def __init__(
        self,
        analyser: VlmSceneAnalyser,
        request: VlmRequest,
        parts: Parts,
        progress: Callable[[int, str], None],
    ) -> None:
        self._model, self._excerpts = analyser.model, analyser.excerpts
        self._settings, self._request = analyser.settings, request
        self._progress = progress
        self._memory = Memory(parts, f"{self._model.backend}/{self._model.name}/")
        self._windows = plan_windows(
            request.duration_s, self._settings.window_s, request.local.moving
        )
        self._moving = [window for window in self._windows if window.moving]
        self._outcomes: dict[int, Outcome[WindowAnswer]] = {}
        self._merged: Outcome[MergeAnswer] | None = None
        self._spent: BudgetSpent | None = None

    async def report(self) -> SceneReport:
        """Ask what is to be asked, and put it together."""
        began = time.monotonic()
        self._recall()
        await self._look()
        looked = time.monotonic()
        merged, self._merged = await put_together(
            self._told(),
            self._request.facts,
            model=self._model,
            memory=self._memory,
            asks=self._settings.asks,
            max_output_tokens=self._settings.max_output_tokens,
            say=lambda message: self._progress(_ALL_DONE, message),
        )
        ended = time.monotonic()
        local = self._request.local
        return SceneReport(
            backend=self._model.backend,
            model=self._model.name,
            model_version=self._versions(),
            prompt_version=PROMPT_VERSION,
            settings=self._named_settings(),
            detector=local.detector,
            detector_missing=local.detector_missing,
            objects=local.objects,
            merged=merged,
            windows=tuple(self._window_report(window) for window in self._windows),
            usage=self._usage(),
            coverage=local.coverage,
            timings={
                **{f"local_{name}": seconds for name, seconds in local.timings.items()},
                "windows_s": round(looked - began, 3),
                "merge_s": round(ended - looked, 3),
                "wall_s": round(ended - began, 3),
            },
            libraries=local.libraries,
        )

    def _recall(self) -> None:
        """Take over what earlier attempts settled.

        A window that had no usable answer then is given up for good only where others had one:
        else it may have been the model's trouble, and all are asked about again.
        """
        found = {window.index: self._start(window) for window in self._moving}
        if any(one.answer for one in found.values()):
            self._outcomes = {index: one for index, one in found.items() if one.settled}
        if self._outcomes:
            self._say("known from an earlier attempt")

    def _start(self, window: Window) -> Outcome[WindowAnswer]:
        """Where asking about a window goes on from."""
        mark = self._fingerprint(window)
        known = self._memory.recall(_name(window), mark, Outcome[WindowAnswer])
        return known or Outcome[WindowAnswer](fingerprint=mark, settled=False)

    def _fingerprint(self, window: Window) -> str:
        """Of what shapes an answer.

        What the detector saw is left out: a second pass may differ in a digit, which is not worth
        paying twice.
        """
        return fingerprint(
            PROMPT_VERSION,
            window.t_start,
            window.t_end,
            self._request.facts.to_json(),
            self._request.facts.segment_start.isoformat(),
            dict(self._settings.excerpts),
        )

    async def _look(self) -> None:
        """Ask about each window that is not settled."""
        rest = iter([window for window in self._moving if window.index not in self._outcomes])
        failed: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._settings.at_once):
                    group.create_task(self._take(rest), name=f"vlm-{number}")
        except ExceptionGroup as errors:
            # The first one cancelled the others, which have ended by now.
            failed = errors.exceptions[0]
        is_answered = any(one.answer for one in self._outcomes.values())
        if self._spent is not None and not is_answered:
            failed = failed or self._spent
        if failed is not None or self._spent is not None:
            await self._memory.flush()
        if failed is not None:
            raise failed
        for window in self._moving:
            if window.index not in self._outcomes:
                unpaid = {"code": "budget_spent", "reason": DAY_SPENT}
                self._outcomes[window.index] = self._start(window).model_copy(update=unpaid)
        if self._moving and not is_answered:
            last = self._outcomes[self._moving[-1].index]
            raise UnusableAnswer(last.code, last.reason or "there was no answer")

    async def _take(self, rest: Iterator[Window]) -> None:
        """One window after the other, of those that all who take share.

        Who fails takes no other, so nothing is begun between a failure and its being noticed.
        When the budget is spent nobody takes another, but calls that are open are paid for and end.
        """
        for window in rest:
            try:
                await self._window(window)
            except BudgetSpent as error:
                self._spent = error
            if self._spent is not None:
                return

    async def _window(self, window: Window) -> None:
        start = self._start(window).model_copy(update={"settled": False})
        outcome = await self._asked(window, start)
        self._outcomes[window.index] = outcome
        if outcome.answer is None:
            log.warning(
                "window not analysed",
                action="vlm.window_unanalysed",
                camera_id=self._request.camera_id,
                window=window.index,
                code=outcome.code,
                reason=outcome.reason,
            )
        if outcome.asked:
            self._memory.note(_name(window), outcome)
        self._say("looked at")
        await self._memory.flush(_name(window))

    async def _asked(self, window: Window, start: Outcome[WindowAnswer]) -> Outcome[WindowAnswer]:
        facts, settings = self._request.facts, self._settings
        try:
            shown = await shown_of(self._model, self._excerpts, self._request.video_path, window)
        except NothingToShow as error:
            reason = {"settled": True, "code": error.code, "reason": error.message}
            return start.model_copy(update=reason)
        return await ask(
            self._model,
            window_question(
                window,
                facts,
                self._request.local,
                shown,
                of=len(self._windows),
                max_output_tokens=settings.max_output_tokens,
            ),
            lambda text: read_window(text, seconds=window.seconds, categories=facts.categories),
            start,
            asks=settings.asks,
            so_far=lambda taken: self._memory.note(_name(window), taken),
        )

    def _say(self, what: str) -> None:
        done, total = len(self._outcomes), len(self._moving)
        part = (done - 1) / (total - 1) if total > 1 else 1.0
        percent = _FIRST_DONE + int(part * (_ALL_DONE - _FIRST_DONE))
        self._progress(percent, f"{done} of {total} windows {what}")

    def _told(self) -> list[Told]:
        answers = {
            window: answer
            for window in self._moving
            if (answer := self._outcomes[window.index].answer) is not None
        }
        incidents = numbered(answers)
        return [
            Told(
                window,
                self._state(window).value,
                answers.get(window),
                [(one.id, one.incident) for one in incidents if one.window == window.index],
            )
            for window in self._windows
        ]

    def _state(self, window: Window) -> WindowState:
        if not window.moving:
            return WindowState.NO_MOTION
        answered = self._outcomes[window.index].answer is not None
        return WindowState.ANALYSED if answered else WindowState.UNANALYSED

    def _window_report(self, window: Window) -> WindowReport:
        t_start, t_end = round(window.t_start, 3), round(window.t_end, 3)
        state = self._state(window)
        if not window.moving:
            return WindowReport(window.index, t_start, t_end, state, "nothing moved")
        outcome = self._outcomes[window.index]
        answer = outcome.answer
        return WindowReport(
            window.index,
            t_start,
            t_end,
            state,
            outcome.reason,
            outcome.asked,
            None if answer is None else answer.visibility.value,
            None if answer is None else answer.summary,
        )

    def _usage(self) -> Usage:
        """All that was asked, by earlier attempts too, each call once."""
        total = Usage() if self._merged is None else self._merged.usage
        for outcome in self._outcomes.values():
            total = total.plus(outcome.usage)
        return total

    def _versions(self) -> str | None:
        """What answered, as its server said: one name, unless it changed in between."""
        merged = None if self._merged is None else self._merged.version
        versions = {merged, *(one.version for one in self._outcomes.values())} - {None}
        return ", ".join(sorted(str(version) for version in versions)) or None

    def _named_settings(self) -> dict[str, Any]:
        return {
            **asdict(self._settings),
            "shown": "clip" if self._model.takes_video else "pictures",
            "camera": self._request.facts.to_json(),
        }


def _name(window: Window) -> str:
    return f"window-{window.index}"
