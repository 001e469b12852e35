"""An archive in front of a model: excerpts by ffmpeg, the camera, what the local pass saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from backend.analysis.protocol import ObjectCount
from backend.analysis.scene.vlm.analyser import (
    NothingToShow,
    VlmRequest,
    VlmSceneAnalyser,
    VlmSettings,
)
from backend.analysis.scene.vlm.model import Clip, Picture, VisionModel
from backend.analysis.scene.vlm.prompt import LocalFindings, LocalTrack, SceneFacts
from backend.analysis.scene.vlm.report import INCIDENTS
from backend.jobs.kinds import WAITING, JobContext
from backend.jobs.schemas import JobDetail
from backend.media.excerpts import (
    ClipSpec,
    ExcerptError,
    ExcerptFault,
    PicturesSpec,
    clip,
    pictures,
)
from backend.media.ffmpeg import Ffmpeg
from backend.monitoring.cameras.service import CameraFacts
from backend.settings import ModelSettings

EXCERPT_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class FfmpegExcerpts:
    """Makes what a model is shown; files lie in `folder` while they are made."""

    ffmpeg: Ffmpeg
    folder: Path
    clips: ClipSpec
    stills: PicturesSpec

    async def clip(self, video: Path, t_start: float, t_end: float) -> Clip:
        """See `Excerpts`."""
        try:
            mp4 = await clip(
                self.ffmpeg, video, t_start, t_end, folder=self.folder, spec=self.clips
            )
        except ExcerptError as error:
            raise _nothing_or(error) from error
        return Clip(mp4=mp4, seconds=t_end - t_start, fps=self.clips.fps)

    async def pictures(self, video: Path, t_start: float, t_end: float) -> tuple[Picture, ...]:
        """See `Excerpts`."""
        try:
            taken = await pictures(self.ffmpeg, video, t_start, t_end, spec=self.stills)
        except ExcerptError as error:
            raise _nothing_or(error) from error
        return tuple(Picture(jpeg=jpeg, t=t) for t, jpeg in taken)


def _nothing_or(error: ExcerptError) -> Exception:
    if error.fault is ExcerptFault.VIDEO_UNREADABLE:
        return NothingToShow(error.message)
    return error


@dataclass(slots=True)
class KnownParts:
    """A job's parts, loaded once and kept in step."""

    of_job: Any
    values: dict[str, Any]

    def known(self) -> Mapping[str, Any]:
        """All that was saved."""
        return self.values

    async def save(self, name: str, value: Any) -> None:
        """Save one for the next attempt too."""
        await self.of_job.save(name, value)
        self.values[name] = value
        wait = f"{WAITING}{name.partition('/')[0]}"
        if isinstance(value, Mapping) and value.get("answer") and self.values.get(wait):
            await self.save(wait, "")  # it answers again


class ModelPass:
    """Asks a model about archives. One a worker."""

    def __init__(self, ffmpeg: Ffmpeg, models: ModelSettings, folder: Path, zone: ZoneInfo) -> None:
        self._models = models
        self.zone = zone
        timeout_s = max(EXCERPT_WITHIN_S, 2 * models.window_s)
        self.excerpts = FfmpegExcerpts(
            ffmpeg,
            folder,
            ClipSpec(
                fps=models.frames_per_second,
                longest_side=models.longest_side,
                timeout_s=timeout_s,
            ),
            PicturesSpec(
                fps=models.frames_per_second / 2,
                longest_side=models.longest_side,
                timeout_s=timeout_s,
            ),
        )

    async def __call__(
        self,
        model: VisionModel,
        context: JobContext,
        video: Path,
        camera: CameraFacts,
        local: Mapping[str, Any],
        parts: KnownParts,
    ) -> dict[str, Any]:
        """The model's result as JSON; errors as `VlmSceneAnalyser.analyse` raises them."""
        analyser = VlmSceneAnalyser(model, self.excerpts, self.settings(model))
        request = self.request(context.job, video, camera, local)
        report = await analyser.analyse(request, parts=parts, progress=context.progress)
        return {**report.to_json(), "detector": local.get("detector")}

    def settings(self, model: VisionModel) -> VlmSettings:
        """How archives are cut and shown."""
        shown = self.excerpts.clips if model.takes_video else self.excerpts.stills
        return VlmSettings(
            window_s=self._models.window_s,
            at_once=self._models.windows_at_once,
            excerpts=asdict(shown),
        )

    def request(
        self, job: JobDetail, video: Path, camera: CameraFacts, local: Mapping[str, Any]
    ) -> VlmRequest:
        """What a model has to know of an archive."""
        if job.segment_start is None:
            raise ValueError("the job has no segment times")
        coverage = local.get("coverage", {})
        return VlmRequest(
            video_path=video,
            camera_id=camera.id,
            duration_s=float(coverage.get("duration_s", 0.0)),
            facts=SceneFacts(
                camera_name=camera.name,
                segment_start=job.segment_start,
                zone=self.zone,
                description=camera.description,
                house_rules=camera.house_rules,
                categories=camera.categories,
            ),
            local=findings(local),
        )


def findings(local: Mapping[str, Any]) -> LocalFindings:
    """The local pass's result, as prompts and reports take it."""
    detector = local.get("detector")
    return LocalFindings(
        moving=tuple((start, end) for start, end in local.get("motion", ())),
        coverage=local.get("coverage", {}),
        detector=detector["name"] if detector else None,
        detector_missing=local.get("detector_missing"),
        objects={label: ObjectCount(**n) for label, n in local.get("objects", {}).items()},
        tracks=tuple(LocalTrack(**track) for track in local.get("tracks", ())),
        incidents=INCIDENTS.validate_python(local.get("incidents", ())),
        timings=local.get("timings", {}),
        libraries=local.get("libraries", {}),
    )
