"""The `local` scene analyser: motion, YOLO, tracks and rules, on this machine and without a key.

    every picture is decoded -> 5 a second are looked at for motion -> those with motion (and now
    and then one without) go to the detector -> tracks -> rules -> incidents -> score

Without a detector it still tells motion and whether the camera sees, and says that it had none.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import av
import cv2
import structlog

from backend.analysis.detection.detector import Detector
from backend.analysis.detection.loading import DetectorShelf, NoDetector
from backend.analysis.protocol import (
    AnalysisContext,
    Coverage,
    LocalSceneSettings,
    ObjectCount,
    SceneRequest,
    SceneResult,
)
from backend.analysis.scene.gate import DetectionGate, Why
from backend.analysis.scene.motion import HEIGHT, WIDTH, Look, MotionGate
from backend.analysis.scene.rules.judge import judge
from backend.analysis.scene.rules.settings import RuleSettings
from backend.analysis.scene.summary import in_words, moving, track_infos
from backend.analysis.scene.tracking import Tracker
from backend.analysis.scene.tracks import Track
from backend.analysis.scene.video import Reading, Sample, Video
from backend.findings.detection import Box, Detection
from backend.findings.score import safety_score

log = structlog.get_logger(__name__)

VERSION = "1"
"""Grows when the same video and settings may give another result."""

PART_S = 5.0
_WEAK = 0.5
"""Detections of this part of the asked confidence may continue a track."""
_OPENED, _LOADED, _FIRST_THIRD, _LOOKED = 10, 25, 40, 75
_MISSING_S = 2.0


class Stopwatch:
    """Processor seconds of this process by stage (other requests in it are counted too)."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._began = time.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what runs inside."""
        before = time.process_time()
        try:
            yield
        finally:
            self.spent[name] += time.process_time() - before  # type: ignore[assignment]

    def seconds(self) -> dict[str, float]:
        """By stage, and `wall_s`."""
        stages = {f"{name}_cpu_s": round(spent, 3) for name, spent in self.spent.items()}
        return {**stages, "wall_s": round(time.monotonic() - self._began, 3)}


@dataclass(slots=True)
class _Pass:
    """What one pass over the video gathers."""

    detector: Detector | NoDetector
    settings: LocalSceneSettings
    tracker: Tracker
    watch: Stopwatch
    motion: MotionGate = field(default_factory=MotionGate)
    gate: DetectionGate = field(default_factory=DetectionGate)
    looks: list[Look] = field(default_factory=list)
    reasons: Counter[Why] = field(default_factory=Counter)
    size: tuple[int, int] | None = None
    """Of the first picture: boxes are given in its pixels, whatever size later ones have."""

    @property
    def frames_detected(self) -> int:
        """Pictures that the detector saw."""
        return sum(count for why, count in self.reasons.items() if why.detect)

    @property
    def parts(self) -> int:
        """Parts of `PART_S` seconds that were looked at so far."""
        return int(self.looks[-1].t // PART_S) + 1 if self.looks else 0

    def in_words(self) -> str:
        """How far it is."""
        moving = len({int(look.t // PART_S) for look in self.looks if look.moving})
        return (
            f"motion in {moving} of {self.parts} parts,"
            f" {self.frames_detected} of {len(self.looks)} pictures searched for objects"
        )

    def take(self, sample: Sample) -> None:
        """Look at one picture."""
        self.size = self.size or sample.size
        with self.watch.stage("convert"):
            gray = sample.gray(WIDTH, HEIGHT)
        with self.watch.stage("motion"):
            look = self.motion.look(sample.t, gray)
        self.looks.append(look)
        if isinstance(self.detector, NoDetector):
            return
        why = self.gate.decide(look, tracks_alive=self.tracker.following)
        self.reasons[why] += 1
        if why.detect:
            self._detect(self.detector, sample, self.size)

    def _detect(self, detector: Detector, sample: Sample, size: tuple[int, int]) -> None:
        with self.watch.stage("convert"):
            picture = sample.bgr(*detector.fit(*sample.size))
        with self.watch.stage("detect"):
            found = detector.detect(
                picture,
                source_size=sample.size,
                confidence=self.settings.confidence * _WEAK,
            )
        with self.watch.stage("track"):
            self.tracker.update(sample.t, _scaled(found, sample.size, size), size=size)


class LocalSceneAnalyser:
    """See the module. Keeps the detectors that it has loaded."""

    def __init__(self, rules: RuleSettings | None = None) -> None:
        """Take other thresholds than the default ones."""
        cv2.setNumThreads(1)
        self._rules = rules or RuleSettings()
        self._detectors = DetectorShelf()

    def analyse(self, request: SceneRequest, context: AnalysisContext) -> SceneResult:
        """Look at the whole video.

        Raises:
            AnalysisError: the video or the named weights cannot be used.
            Cancelled: the context said so.
        """
        settings, watch = request.settings, Stopwatch()
        with Video(request.video_path, check=context.check) as video:
            expected_s = _expected_s(video.reading, request)
            context.progress(_OPENED, f"file opened, about {expected_s:.0f} s of video")
            with watch.stage("load"):
                detector = self._detectors.get(
                    request.weights,
                    models_dir=settings.models_dir,
                    device=settings.device,
                    check=context.check,
                )
            if isinstance(detector, NoDetector):
                log.warning(
                    "no detector: only motion is judged",
                    action="scene.no_detector",
                    camera_id=request.camera_id,
                    reason=detector.reason,
                )
            context.progress(_LOADED, _about(detector))
            one = _Pass(detector, settings, Tracker(settings.confidence), watch)
            self._look(video, one, context, expected_s=expected_s)
            reading = video.reading
        context.progress(_LOOKED, one.in_words())
        with watch.stage("rules"):
            tracks = one.tracker.finish()
            incidents = judge(tracks, one.looks, self._rules)
        objects = {} if isinstance(detector, NoDetector) else count_objects(tracks)
        return SceneResult(
            analyser="local",
            version=VERSION,
            settings=self._settings(settings),
            incidents=incidents,
            safety_score=safety_score(incidents),
            coverage=_coverage(one, reading, request),
            summary=in_words(objects, incidents),
            detector=None if isinstance(detector, NoDetector) else detector.model,
            detector_missing=detector.reason if isinstance(detector, NoDetector) else None,
            motion=moving(one.looks),
            tracks=track_infos(tracks),
            objects=objects,
            timings=watch.seconds(),
            libraries={"av": av.__version__, "opencv": cv2.__version__},
        )

    def _look(
        self, video: Video, one: _Pass, context: AnalysisContext, *, expected_s: float
    ) -> None:
        reported = _LOADED
        samples = video.samples(one.settings.sample_fps)
        while True:
            with one.watch.stage("decode"):
                sample = next(samples, None)
            if sample is None:
                return
            one.take(sample)
            part = min(sample.t / expected_s, 1.0) if expected_s > 0 else 0.0
            percent = _LOADED + int(part * (_LOOKED - _LOADED) / 5) * 5
            for step in range(reported + 5, min(percent, _LOOKED - 5) + 1, 5):
                context.progress(step, one.in_words())
                reported = step

    def _settings(self, settings: LocalSceneSettings) -> dict[str, Any]:
        """As a result names them: without the folders of this machine."""
        plain = asdict(settings)
        del plain["models_dir"]
        return {**plain, "gate": asdict(DetectionGate().settings), "rules": asdict(self._rules)}


def count_objects(tracks: Sequence[Track]) -> dict[str, ObjectCount]:
    """Per class: how many different ones, and most at the same moment."""
    totals = Counter(track.label for track in tracks)
    moments: Counter[tuple[str, float]] = Counter(
        (track.label, point.t) for track in tracks for point in track.points
    )
    return {
        label: ObjectCount(
            count, max(together for (other, _), together in moments.items() if other == label)
        )
        for label, count in sorted(totals.items())
    }


def _expected_s(reading: Reading, request: SceneRequest) -> float:
    """How long the video is, as far as known before it is read."""
    segment_s = max((request.segment_end - request.segment_start).total_seconds(), 0.0)
    said = reading.container_s
    if said is not None and 0 < said <= 2 * segment_s + 60:
        return said
    return segment_s


def _about(detector: Detector | NoDetector) -> str:
    if isinstance(detector, NoDetector):
        return f"no detector: {detector.reason}"
    return f"detector {detector.model.name} ready"


def _coverage(one: _Pass, reading: Reading, request: SceneRequest) -> Coverage:
    still = sum(not look.moving for look in one.looks)
    total = len(one.looks)
    skipped = []
    if isinstance(one.detector, NoDetector):
        skipped.append(f"nothing was searched for objects: {one.detector.reason}")
    for why, reason in ((Why.NO_MOTION, "nothing moved"), (Why.DARK, "they are dark")):
        if count := one.reasons[why]:
            skipped.append(f"{count} of {total} pictures were not searched for objects: {reason}")
    skipped += reading.remarks()
    segment_s = (request.segment_end - request.segment_start).total_seconds()
    if reading.duration_s + max(_MISSING_S, 0.05 * segment_s) < segment_s:
        skipped.append(
            f"the file holds {reading.duration_s:.1f} s of a segment of {segment_s:.1f} s"
        )
    return Coverage(
        duration_s=round(reading.duration_s, 3),
        frames_decoded=reading.frames_decoded,
        frames_sampled=reading.frames_sampled,
        frames_detected=one.frames_detected,
        seconds_without_motion=round(reading.duration_s * still / max(total, 1), 1),
        skipped=tuple(skipped),
    )


def _scaled(
    found: Sequence[Detection], size: tuple[int, int], wanted: tuple[int, int]
) -> list[Detection]:
    """Boxes of a picture of another size."""
    if size == wanted:
        return list(found)
    across, down = wanted[0] / size[0], wanted[1] / size[1]
    return [
        Detection(
            d.label,
            d.confidence,
            Box(d.box.x1 * across, d.box.y1 * down, d.box.x2 * across, d.box.y2 * down),
        )
        for d in found
    ]
