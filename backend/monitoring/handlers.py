"""The worker's side of monitoring: a job of kind `scene` looks at one archive.

Wired by `backend.worker`. It makes sure of the file, asks an analysis child, and translates its
answer into a job's outcome. Nothing here decodes or infers: children do.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from backend.analysis.pool import AnalysisPool, ChildDied, TimedOut
from backend.analysis.protocol import (
    AnalysisError,
    Cancelled,
    LocalSceneSettings,
    SceneRequest,
)
from backend.jobs.kinds import HandBack, JobContext, JobError
from backend.jobs.schemas import JobDetail, JobOutcome
from backend.kernel.clock import wait
from backend.monitoring.demo import DEMO_DETECTOR
from backend.settings import SceneSettings, StorageSettings

log = structlog.get_logger(__name__)

STABLE_FOR_S = 0.2
STABLE_WITHIN_S = 30.0


class SceneHandler:
    """Runs scene jobs. One a worker; safe for several jobs at once."""

    def __init__(
        self, pool: AnalysisPool, scene: SceneSettings, storage: StorageSettings, *, analyser: str
    ) -> None:
        self._pool = pool
        self._scene = scene
        self._storage = storage
        self._analyser = analyser

    async def __call__(self, context: JobContext) -> JobOutcome:
        """Analyse the job's archive.

        Raises:
            JobError: the file is not there or cannot be read, or the analysis failed.
            HandBack: the work was stopped.
        """
        job = context.job
        video = self._video(job)
        await self._until_stable(video, context.cancel)
        request = {
            "kind": "scene",
            "analyser": self._analyser,
            "payload": self._request(job, video).to_json(),
        }
        log.info("analysis started", action="scene.started", analyser=self._analyser)
        try:
            result = await self._pool.run(
                request,
                on_progress=context.progress,
                cancel=context.cancel,
                timeout_s=context.timeout_s,
            )
        except AnalysisError as error:
            raise JobError(error.code, error.message, permanent=error.permanent) from error
        except ChildDied as died:
            if died.innocent:
                raise HandBack("the analysis process was needed elsewhere") from died
            raise JobError("analysis_crashed", died.message, permanent=False) from died
        except (Cancelled, TimedOut) as ended:
            raise HandBack("the analysis was stopped") from ended
        log.info("analysis done", action="scene.done", analyser=self._analyser)
        return JobOutcome(
            result=result,
            safety_score=result["safety_score"],
            incident_count=len(result["incidents"]),
        )

    def _video(self, job: JobDetail) -> Path:
        root = self._storage.data_dir
        video = (root / (job.video_path or "")).resolve()
        if job.video_path is None or not video.is_relative_to(root):
            raise JobError("invalid_job", "the job names no video under DATA_DIR", permanent=True)
        return video

    @staticmethod
    async def _until_stable(video: Path, cancel: asyncio.Event) -> None:
        """Wait until the file is there and has stopped growing."""
        log.info("waiting for the file", action="scene.waiting_for_file")
        waited_s, size = 0.0, -1
        while waited_s < STABLE_WITHIN_S:
            try:
                now = (await asyncio.to_thread(video.stat)).st_size
            except FileNotFoundError:
                raise JobError(
                    "video_missing", "the archive file is not there any more", permanent=True
                ) from None
            if now == size and now > 0:
                log.info("file stable", action="scene.file_stable", megabytes=round(now / 1e6, 2))
                return
            size = now
            if await wait(cancel, STABLE_FOR_S):
                raise HandBack("the analysis was stopped")
            waited_s += STABLE_FOR_S
        if size == 0:
            raise JobError("video_empty", "the archive file is empty", permanent=True)
        raise JobError("video_growing", "the archive file is still being written", permanent=False)

    def _request(self, job: JobDetail, video: Path) -> SceneRequest:
        if job.segment_start is None or job.segment_end is None:
            raise JobError("invalid_job", "the job has no segment times", permanent=True)
        facts = job.payload or {}
        is_demo = facts.get("demo") is True
        return SceneRequest(
            video_path=video,
            camera_id=job.camera_id or "",
            camera_name=str(facts.get("camera_name", job.camera_id or "")),
            segment_start=job.segment_start,
            segment_end=job.segment_end,
            weights=str(DEMO_DETECTOR) if is_demo else self._scene.detector_weights,
            settings=LocalSceneSettings(
                models_dir=self._storage.models_dir,
                sample_fps=self._scene.sample_fps,
                confidence=self._scene.detector_confidence,
                device=self._scene.detector_device,
            ),
        )
