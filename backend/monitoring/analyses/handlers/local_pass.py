"""The pass over an archive by the `local` analyser, in an analysis child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog

from backend.analysis.pool import AnalysisPool, ChildDied, OnProgress, TimedOut
from backend.analysis.protocol import (
    AnalysisError,
    Cancelled,
    LocalSceneSettings,
    SceneRequest,
)
from backend.jobs.kinds import HandBack, JobContext, JobError
from backend.monitoring.cameras.service import CameraFacts
from backend.monitoring.demo import DEMO_DETECTOR
from backend.settings import SceneSettings, StorageSettings

log = structlog.get_logger(__name__)


class LocalPass:
    """Asks the children of one worker. Safe for several jobs at once."""

    def __init__(
        self, pool: AnalysisPool, scene: SceneSettings, storage: StorageSettings, *, analyser: str
    ) -> None:
        self._pool = pool
        self._scene = scene
        self._storage = storage
        self._analyser = analyser

    async def __call__(
        self, context: JobContext, video: Path, camera: CameraFacts, on_progress: OnProgress
    ) -> dict[str, Any]:
        """The local result as JSON.

        Raises:
            JobError: the analysis failed.
            HandBack: the work was stopped.
        """
        request = {
            "kind": "scene",
            "analyser": self._analyser,
            "payload": self._request(context, video, camera).to_json(),
        }
        log.info("analysis started", action="scene.started", analyser=self._analyser)
        try:
            result = await self._pool.run(
                request,
                on_progress=on_progress,
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
        return result

    def _request(self, context: JobContext, video: Path, camera: CameraFacts) -> SceneRequest:
        job = context.job
        if job.segment_start is None or job.segment_end is None:
            raise JobError("invalid_job", "the job has no segment times", permanent=True)
        return SceneRequest(
            video_path=video,
            camera_id=camera.id,
            camera_name=camera.name,
            segment_start=job.segment_start,
            segment_end=job.segment_end,
            weights=str(DEMO_DETECTOR) if camera.is_demo else self._scene.detector_weights,
            settings=LocalSceneSettings(
                models_dir=self._storage.models_dir,
                sample_fps=self._scene.sample_fps,
                confidence=self._scene.detector_confidence,
                device=self._scene.detector_device,
            ),
        )
