"""A job of kind `scene`: one archive is understood by whoever its camera has chosen.

The local pass comes first: it is the answer where no model is chosen, tells a model what moved, and
is what remains when no model can be asked. A model that is busy or wrongly set up is waited for,
without losing attempts, for `SCENE_WAIT_SECONDS`; one whose budget is spent is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from backend.analysis.scene.vlm.model import (
    BudgetSpent,
    ModelBusy,
    ModelError,
    ModelMisconfigured,
    ModelRefused,
)
from backend.analysis.scene.vlm.price import usd
from backend.analysis.scene.vlm.report import INCIDENTS
from backend.jobs.kinds import WAITING, HandBack, JobContext, JobError
from backend.jobs.schemas import JobDetail, JobOutcome
from backend.jobs.stopping import unless_cancelled
from backend.kernel.clock import Clock
from backend.media.excerpts import ExcerptError
from backend.media.ffmpeg import Ffmpeg
from backend.monitoring.analyses import backends
from backend.monitoring.analyses.handlers.archive import finished_archive
from backend.monitoring.analyses.handlers.local_pass import LocalPass
from backend.monitoring.analyses.handlers.model_pass import KnownParts, ModelPass
from backend.monitoring.analyses.handlers.shelf import ModelShelf
from backend.monitoring.analyses.handlers.snapshots import take_snapshots
from backend.monitoring.analyses.schemas import NewReport
from backend.monitoring.analyses.service import SceneReports
from backend.monitoring.analyses.spending import Spending
from backend.monitoring.cameras.service import CameraFacts, CameraService
from backend.monitoring.incidents.schemas import FoundIncidents
from backend.settings import SceneBackend, SceneSettings, StorageSettings

log = structlog.get_logger(__name__)

LOCAL_PART = "local"
WAIT_AT_LEAST_S, WAIT_AT_MOST_S = 5.0, 300.0
BUDGET_WAIT_AT_MOST_S = 3600.0
_FILE_READY, _LOCAL_DONE = 10, 25


@dataclass(frozen=True, slots=True)
class Refusal:
    """A backend that did not answer, and why: results name it."""

    backend: SceneBackend
    code: str
    reason: str


class SceneHandler:
    """Runs scene jobs. One a worker; safe for several jobs at once."""

    def __init__(
        self,
        local_pass: LocalPass,
        model_pass: ModelPass,
        shelf: ModelShelf,
        cameras: CameraService,
        reports: SceneReports,
        spending: Spending,
        ffmpeg: Ffmpeg,
        scene: SceneSettings,
        storage: StorageSettings,
        clock: Clock,
    ) -> None:
        self._local_pass = local_pass
        self._model_pass = model_pass
        self._shelf = shelf
        self._cameras = cameras
        self._reports = reports
        self._spending = spending
        self._ffmpeg = ffmpeg
        self._scene = scene
        self._data_dir = storage.data_dir
        self._clock = clock

    async def __call__(self, context: JobContext) -> JobOutcome:
        """Analyse the job's archive.

        Raises:
            JobError: the file is not there or cannot be read, or the analysis failed.
            HandBack: the work was stopped, or a model has to be waited for.
        """
        return await unless_cancelled(self._analyse(context), context.cancel)

    async def _analyse(self, context: JobContext) -> JobOutcome:
        job = context.job
        video = await finished_archive(job, self._data_dir, context.cancel)
        camera = await facts_of(job, self._cameras)
        parts = KnownParts(context.parts, await context.parts.load())
        chain = backends.chain(camera.scene_backend, self._scene)
        local = await self._look(context, video, camera, parts, is_all=not chain[0].is_model)
        refusals: list[Refusal] = []
        for backend in chain:
            if not backend.is_model:
                return await self._outcome(job, video, local, parts, refusals)
            try:
                model = self._shelf.guarded(backend, camera.id, camera_usd=camera.daily_budget_usd)
                result = await self._model_pass(model, context, video, camera, local, parts)
            except ModelError as error:
                is_last = backend is chain[-1]
                refusals.append(await self._refused(backend, error, parts, is_last=is_last))
            except ExcerptError as error:
                raise JobError(error.code, error.message, permanent=error.permanent) from error
            else:
                return await self._outcome(job, video, result, parts, refusals)
        raise AssertionError("the last of a chain answers or raises")

    async def _look(
        self,
        context: JobContext,
        video: Path,
        camera: CameraFacts,
        parts: KnownParts,
        *,
        is_all: bool,
    ) -> dict[str, Any]:
        """The local pass, once a job; it is a quarter of the way where a model comes after it."""
        if LOCAL_PART in parts.known():
            known: dict[str, Any] = parts.known()[LOCAL_PART]
            return known
        if is_all:
            return await self._local_pass(context, video, camera, context.progress)
        context.progress(_FILE_READY, "file ready")
        local = await self._local_pass(context, video, camera, quarter_way(context))
        await parts.save(LOCAL_PART, local)
        context.progress(_LOCAL_DONE, "motion and objects known")
        return local

    async def _refused(
        self, backend: SceneBackend, error: ModelError, parts: KnownParts, *, is_last: bool
    ) -> Refusal:
        """Why a backend is passed over; waits, or gives up, where it is not.

        Raises:
            HandBack: it is waited for.
            JobError: nobody is left who could answer.
        """
        log.warning(
            "model did not answer",
            action="scene.model_refused",
            backend=backend,
            code=error.code,
            reason=error.message,
        )
        reason = f"{backend}: {error.message}"
        if isinstance(error, ModelBusy | ModelMisconfigured):
            left_s = self._scene.wait_s - await self._waited_s(backend, parts)
            if left_s > 0 or is_last:
                hint_s = error.retry_after_s if isinstance(error, ModelBusy) else WAIT_AT_MOST_S
                after_s = min(max(hint_s or 0, WAIT_AT_LEAST_S), WAIT_AT_MOST_S)
                if not is_last:
                    after_s = min(after_s, max(left_s, 1.0))
                raise HandBack(f"waits for {reason}", after_s=after_s) from error
        elif is_last and isinstance(error, BudgetSpent):
            after_s = min(self._spending.seconds_to_midnight(), BUDGET_WAIT_AT_MOST_S)
            raise HandBack(f"waits for tomorrow's budget: {reason}", after_s=after_s) from error
        elif is_last:
            permanent = isinstance(error, ModelRefused)
            raise JobError(error.code, reason, permanent=permanent) from error
        return Refusal(backend, error.code, error.message)

    async def _waited_s(self, backend: SceneBackend, parts: KnownParts) -> float:
        """How long this job has been waiting for a backend, since it last answered."""
        name = f"{WAITING}{backend}"
        since = parts.known().get(name)
        if not since:
            await parts.save(name, self._clock.now().isoformat())
            return 0.0
        return (self._clock.now() - datetime.fromisoformat(since)).total_seconds()

    async def _outcome(
        self,
        job: JobDetail,
        video: Path,
        result: Mapping[str, Any],
        parts: KnownParts,
        refusals: list[Refusal],
    ) -> JobOutcome:
        """What the job leaves: result, report, incidents and their pictures."""
        fallback = [
            {"backend": one.backend, "code": one.code, "reason": one.reason} for one in refusals
        ]
        incidents = INCIDENTS.validate_python(result["incidents"])
        snapshots = await take_snapshots(self._ffmpeg, video, incidents)
        if job.segment_start is None or job.segment_end is None:
            raise AssertionError("checked with the archive")
        report = NewReport(
            found=FoundIncidents(
                job_id=job.id,
                camera_id=job.camera_id or "",
                video_path=job.video_path or "",
                segment_start=job.segment_start,
                backend=result["backend"],
                model=result["model"],
                incidents=incidents,
                snapshots=snapshots,
            ),
            segment_end=job.segment_end,
            fallback_from=refusals[0].backend if refusals else None,
            safety_score=result["safety_score"],
            summary=result.get("summary", ""),
            cost_microusd=spent_microusd(parts.known()),
        )
        return JobOutcome(
            result={**result, "fallback": fallback, "cost_usd": usd(report.cost_microusd)},
            safety_score=result["safety_score"],
            incident_count=len(incidents),
            store=partial(self._reports.store, new=report),
        )


async def facts_of(job: JobDetail, cameras: CameraService) -> CameraFacts:
    """What is known of a job's camera; of one that is gone, what its job says.

    What that one had chosen is not known any more, so its footage stays on this machine.
    """
    payload = job.payload or {}
    camera_id = job.camera_id or ""
    found = await cameras.facts(camera_id)
    if found is not None:
        return found
    name = str(payload.get("camera_name", camera_id))
    is_demo = payload.get("demo") is True
    return CameraFacts(id=camera_id, name=name, scene_backend=SceneBackend.LOCAL, is_demo=is_demo)


def quarter_way(context: JobContext) -> Callable[[int, str], None]:
    """Progress of a local pass that a model's comes after."""

    def say(percent: int, message: str) -> None:
        context.progress(_FILE_READY + percent * (_LOCAL_DONE - _FILE_READY) // 100, message)

    return say


def spent_microusd(parts: Mapping[str, Any]) -> int:
    """What all attempts at a job have cost, whoever gave the answer in the end."""
    usages = (part.get("usage") for part in parts.values() if isinstance(part, Mapping))
    return sum(usage.get("cost_microusd", 0) for usage in usages if isinstance(usage, Mapping))
