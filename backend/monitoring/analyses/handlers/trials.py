"""Tries, made by a worker at once: is a backend set up, and what does a prompt give?

A try asks although the breaker is open, and closes it when it succeeds: whoever has mended a key
need not wait. It costs what it costs: everybody's budget holds for it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.analysis.scene.vlm.analyser import NothingToShow, shown_of
from backend.analysis.scene.vlm.answers import read_window
from backend.analysis.scene.vlm.model import ModelError, Question, UnusableAnswer
from backend.analysis.scene.vlm.prompt import (
    PROMPT_VERSION,
    LocalFindings,
    SceneFacts,
    window_question,
)
from backend.analysis.scene.vlm.report import usage_json
from backend.analysis.scene.vlm.windows import Window, plan_windows
from backend.findings.incident import IncidentCategory
from backend.jobs.kinds import JobContext, JobError
from backend.jobs.schemas import JobOutcome
from backend.jobs.stopping import unless_cancelled
from backend.kernel.clock import Clock
from backend.media.excerpts import ExcerptError
from backend.monitoring.analyses.handlers.archive import finished_archive
from backend.monitoring.analyses.handlers.guarded import GuardedModel
from backend.monitoring.analyses.handlers.local_pass import LocalPass
from backend.monitoring.analyses.handlers.model_pass import ModelPass
from backend.monitoring.analyses.handlers.scene import facts_of, quarter_way
from backend.monitoring.analyses.handlers.shelf import ModelShelf
from backend.monitoring.analyses.schemas import DryRunRequest
from backend.monitoring.analyses.spending import ALL
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.demo import DEMO_SCENE
from backend.settings import ModelSettings, SceneBackend, SceneSettings, StorageSettings

TEST_WINDOW_S = 4.0


class BackendTestHandler:
    """Shows a model four seconds of the demo scene: nobody's footage leaves for a test."""

    def __init__(self, model_pass: ModelPass, shelf: ModelShelf, clock: Clock) -> None:
        self._model_pass = model_pass
        self._shelf = shelf
        self._clock = clock

    async def __call__(self, context: JobContext) -> JobOutcome:
        """Ask once.

        Raises:
            JobError: the reason why the backend cannot be used.
        """
        return await unless_cancelled(self._test(context), context.cancel)

    async def _test(self, context: JobContext) -> JobOutcome:
        backend = SceneBackend((context.job.payload or {}).get("backend", ""))
        window = Window(0, 0.0, TEST_WINDOW_S, moving=True)
        context.progress(25, "making a clip of the demo scene")
        try:
            model = self._shelf.guarded(backend, ALL, camera_usd=None, is_test=True)
            shown = await shown_of(model, self._model_pass.excerpts, DEMO_SCENE, window)
            question = window_question(
                window,
                SceneFacts("Test", self._clock.now(), self._model_pass.zone),
                LocalFindings(moving=((0.0, TEST_WINDOW_S),)),
                shown,
                of=1,
            )
            context.progress(40, f"asking {model.name}")
            answer = await model.ask(question)
            read = read_window(
                answer.text, seconds=TEST_WINDOW_S, categories=tuple(IncidentCategory)
            )
        except (ModelError, ExcerptError, NothingToShow) as error:
            raise JobError(error.code, error.message, permanent=True) from error
        return JobOutcome(
            result={
                "backend": backend,
                "model": model.name,
                "model_version": answer.model,
                "summary": read.summary,
                "usage": usage_json(answer.usage),
            }
        )


class DryRunHandler:
    """Asks about one window of an archive, with what an operator wants to try; keeps nothing."""

    def __init__(
        self,
        local_pass: LocalPass,
        model_pass: ModelPass,
        shelf: ModelShelf,
        cameras: CameraService,
        scene: SceneSettings,
        models: ModelSettings,
        storage: StorageSettings,
    ) -> None:
        self._local_pass = local_pass
        self._model_pass = model_pass
        self._shelf = shelf
        self._cameras = cameras
        self._scene = scene
        self._models = models
        self._data_dir = storage.data_dir

    async def __call__(self, context: JobContext) -> JobOutcome:
        """Request, answer and cost, as the result.

        Raises:
            JobError: the reason why there is no answer.
        """
        return await unless_cancelled(self._try(context), context.cancel)

    async def _try(self, context: JobContext) -> JobOutcome:
        job = context.job
        video = await finished_archive(job, self._data_dir, context.cancel)
        wanted = DryRunRequest.model_validate(job.payload or {})
        camera = wanted.applied_to(await facts_of(job, self._cameras))
        context.progress(10, "file ready")
        local = await self._local_pass(context, video, camera, quarter_way(context))
        backend = camera.scene_backend or self._scene.backend
        if not backend.is_model:
            return JobOutcome(result={"backend": backend, "answer": local, "request": None})
        context.progress(25, "motion and objects known")
        try:
            model = self._shelf.guarded(
                backend, camera.id, camera_usd=camera.daily_budget_usd, is_test=True
            )
            request = self._model_pass.request(job, video, camera, local)
            windows = plan_windows(request.duration_s, self._models.window_s, request.local.moving)
            window = liveliest(windows, request.local.moving)
            shown = await shown_of(model, self._model_pass.excerpts, video, window)
            question = window_question(window, request.facts, request.local, shown, of=len(windows))
            context.progress(40, f"asking {model.name} about window {window.index + 1}")
            answer = await _answered(model, question, window, request.facts)
        except (ModelError, ExcerptError, NothingToShow) as error:
            raise JobError(error.code, error.message, permanent=True) from error
        return JobOutcome(
            result={
                "backend": backend,
                "model": model.name,
                "prompt_version": PROMPT_VERSION,
                "window": {"index": window.index, "t_start": window.t_start, "t_end": window.t_end},
                "request": _request_json(question),
                **answer,
            }
        )


def liveliest(windows: tuple[Window, ...], moving: tuple[tuple[float, float], ...]) -> Window:
    """The window with the most motion."""
    if not windows:
        raise JobError("nothing_to_show", "the archive holds no video", permanent=True)

    def moved_s(window: Window) -> float:
        return sum(
            max(0.0, min(end, window.t_end) - max(start, window.t_start)) for start, end in moving
        )

    return max(windows, key=moved_s)


async def _answered(
    model: GuardedModel, question: Question, window: Window, facts: SceneFacts
) -> dict[str, Any]:
    """What came back; an unusable answer is shown as it is, with what is wrong with it."""
    try:
        answer = await model.ask(question)
    except UnusableAnswer as error:
        return {"answer": None, "error": error.message, "usage": usage_json(error.usage)}
    seconds = window.t_end - window.t_start
    said: dict[str, Any] = {"text": answer.text, "usage": usage_json(answer.usage)}
    try:
        read = read_window(answer.text, seconds=seconds, categories=facts.categories)
    except UnusableAnswer as error:
        return {**said, "answer": None, "error": error.message}
    return {**said, "answer": read.model_dump(mode="json"), "error": None}


def _request_json(question: Question) -> Mapping[str, Any]:
    clip = question.clip
    return {
        "instructions": question.instructions,
        "text": question.text,
        "schema": question.schema,
        "clip": None
        if clip is None
        else {"seconds": clip.seconds, "fps": clip.fps, "bytes": len(clip.mp4)},
        "pictures": [{"t": one.t, "bytes": len(one.jpeg)} for one in question.pictures],
    }
