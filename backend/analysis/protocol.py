"""What a scene analyser is asked, what it answers, and how it says that it could not.

The types cross a pipe between the worker and its analysis children as JSON: `to_json` and
`from_json` are the only places that know how. An analyser is synchronous: it runs in a thread of a
child process, reports progress and looks whether it was cancelled through its context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from backend.findings.incident import Incident
from backend.kernel.errors import VapError

MOST_TRACKS = 500
"""Of a result; a busy street has more in ten minutes than anybody reads."""


class AnalysisError(VapError):
    """The analysis could not be done; `permanent` means that trying again will not help."""

    def __init__(self, code: str, message: str, *, permanent: bool) -> None:
        super().__init__(message, code=code)
        self.permanent = permanent


class Cancelled(Exception):
    """The request was cancelled while it ran."""


@dataclass(frozen=True, slots=True)
class LocalSceneSettings:
    """Settings of the `local` analyser for one request; they are named in its result."""

    models_dir: Path
    """Where exported and fetched weights are kept (written to)."""
    sample_fps: float = 5.0
    """Pictures per second of video that are looked at for motion."""
    confidence: float = 0.35
    """Least confidence of a detection."""
    device: str = "auto"
    """auto, cpu, or a CUDA device such as cuda:0."""


@dataclass(frozen=True, slots=True)
class SceneRequest:
    """One finished archive to look at."""

    video_path: Path
    camera_id: str
    camera_name: str
    segment_start: datetime
    segment_end: datetime
    settings: LocalSceneSettings
    weights: str | None = None
    """Detector of this camera: a file or an OpenVINO folder; None is the default detector."""

    def to_json(self) -> dict[str, Any]:
        """As the payload of a request to an analysis child."""
        payload: dict[str, Any] = _REQUEST.dump_python(self, mode="json")
        return payload

    @staticmethod
    def from_json(payload: object) -> SceneRequest:
        """Read what `to_json` wrote.

        Raises:
            AnalysisError: `invalid_request`, permanent.
        """
        try:
            return _REQUEST.validate_python(payload)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise AnalysisError(
                "invalid_request", f"the analysis request is wrong at {where}", permanent=True
            ) from error


_REQUEST = TypeAdapter(SceneRequest)


class AnalysisContext(Protocol):
    """How a running analysis talks to whoever asked for it."""

    def progress(self, percent: int, message: str) -> None:
        """Say how far it is, 0..100, and in words what was done."""

    def cancelled(self) -> bool:
        """Whether the answer is no longer wanted."""

    def check(self) -> None:
        """Raise `Cancelled` if the answer is no longer wanted; call it at least every 0.5 s."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which weights made the detections, and what ran them."""

    name: str
    sha256: str
    format: str
    runtime: str
    device: str
    input_width: int
    input_height: int


@dataclass(frozen=True, slots=True)
class ObjectCount:
    """How many of one class were seen: different ones (tracks), and most at the same time."""

    tracks: int
    peak: int


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """One object that was followed, in seconds from the start of the video."""

    id: int
    label: str
    t_start: float
    t_end: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the video was really looked at."""

    duration_s: float
    frames_decoded: int
    frames_sampled: int
    frames_detected: int
    seconds_without_motion: float
    skipped: tuple[str, ...] = ()
    """What was not looked at and why, one sentence each."""


@dataclass(frozen=True, slots=True)
class SceneResult:
    """What an analyser found in one video."""

    analyser: str
    version: str
    settings: Mapping[str, Any]
    incidents: tuple[Incident, ...]
    safety_score: int
    coverage: Coverage
    summary: str = ""
    """What happened, in a sentence or two."""
    detector: ModelInfo | None = None
    detector_missing: str | None = None
    """Why there is no detector, when there is none."""
    motion: tuple[tuple[float, float], ...] = ()
    """When something moved, in seconds from the start of the video."""
    tracks: tuple[TrackInfo, ...] = ()
    """What was followed, the longest first; at most `MOST_TRACKS`."""
    objects: Mapping[str, ObjectCount] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds of processor time by stage, and `wall_s`."""
    libraries: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As stored in `analysis_result`; `backend` and `model` as every analyser names them."""
        plain: dict[str, Any] = _RESULT.dump_python(self, mode="json")
        model = None if self.detector is None else self.detector.name
        return {**plain, "backend": self.analyser, "model": model}


_RESULT = TypeAdapter(SceneResult)


class SceneAnalyser(Protocol):
    """Looks at one archive; one instance serves all requests of its child, in several threads."""

    def analyse(self, request: SceneRequest, context: AnalysisContext) -> SceneResult:
        """Look at the whole video.

        Raises:
            AnalysisError: it could not be done.
            Cancelled: the context said so.
        """
