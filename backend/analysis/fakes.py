"""Analysers without a model, for tests of whatever stands around an analyser.

It does what the file beside the video says (`<video>.json`, all keys optional), else what the
video's name says (`sleep-3.mp4`, `crash.mp4`, `hang.mp4`, `fail.mp4`, `retry.mp4`, `oom.mp4`):

    {"sleep_s": 3, "progress": [10, 25], "incidents": [...], "then": "crash"}
    {"hold_at": 45}
    {"duration_s": 60, "motion": [[0, 30]], "summary": "...", "objects": {"person": {...}},
     "tracks": [{"id": 1, "label": "person", "t_start": 2, "t_end": 9}], "detector": "eyes.onnx"}

`then` is one of ok, crash (segmentation fault), oom (SIGKILL to itself), hang (native code that
never comes back and never looks at `cancelled`), gil (the same, and no other thread runs), fail
(permanent error), retry (temporary error), bug (an unforeseen exception). `detector` is the name of
the weights that it claims to have used. Its result names what it was asked with. `hold_at` is the
progress at which it stays until there is a file `<video>.go`; a speech video's own name says
nothing, so that its script always lies beside it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any, Literal, NoReturn, assert_never

from pydantic import BaseModel, ConfigDict

from backend.analysis.protocol import (
    AnalysisContext,
    AnalysisError,
    Coverage,
    ModelInfo,
    ObjectCount,
    SceneRequest,
    SceneResult,
    TrackInfo,
)
from backend.analysis.speech.protocol import SpeechRequest, SpeechResult, Utterance, Word
from backend.findings.incident import Incident
from backend.findings.score import safety_score

Then = Literal["ok", "crash", "oom", "hang", "gil", "fail", "retry", "bug"]
_LOOK_EVERY_S = 0.02


class Script(BaseModel):
    """What the fake does with one video."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sleep_s: float = 0.0
    progress: tuple[int, ...] = (10, 25, 40, 75)
    hold_at: int | None = None
    incidents: tuple[Incident, ...] = ()
    then: Then = "ok"
    duration_s: float = 0.0
    motion: tuple[tuple[float, float], ...] = ()
    tracks: tuple[TrackInfo, ...] = ()
    objects: dict[str, ObjectCount] = {}
    summary: str = "A fake looked at nothing."
    detector: str | None = None


class FakeSceneAnalyser:
    """Plays a script instead of looking at the video."""

    def analyse(self, request: SceneRequest, context: AnalysisContext) -> SceneResult:
        """Do what the script beside the video, or else its name, says."""
        script = _script(request.video_path)
        _play(script, request.video_path, context)
        return SceneResult(
            analyser="fake",
            version="1",
            settings=_asked_with(request),
            incidents=script.incidents,
            safety_score=safety_score(script.incidents),
            coverage=Coverage(script.duration_s, 0, 0, 0, 0.0, ("nothing was looked at",)),
            summary=script.summary,
            detector=_claimed(script.detector),
            detector_missing=None if script.detector else "a fake needs no detector",
            motion=script.motion,
            tracks=script.tracks,
            objects=script.objects,
            timings={"wall_s": script.sleep_s, "process": float(os.getpid())},
        )


def _asked_with(request: SceneRequest) -> dict[str, Any]:
    return {
        "camera_name": request.camera_name,
        "confidence": request.settings.confidence,
        "sample_fps": request.settings.sample_fps,
        "weights": request.weights and Path(request.weights).name,
    }


def _claimed(detector: str | None) -> ModelInfo | None:
    if detector is None:
        return None
    return ModelInfo(detector, "0" * 64, "onnx", "fake", "cpu", 64, 64)


def fake_speech(payload: object, context: AnalysisContext) -> dict[str, Any]:
    """Says one sentence of one speaker, after doing what the script of the video says."""
    request = SpeechRequest.from_json(payload)
    script = _script(request.video_path)
    _play(script, request.video_path, context)
    word = Word("hello", 0.5, 1.0, 0.9, -20.0, 200.0)
    said = Utterance(0.5, 1.0, 1, "hello", (word,), 0.9)
    return SpeechResult(
        duration_s=script.duration_s or 2.0,
        utterances=(said,),
        language="en",
        backends={"transcription": "fake"},
    ).to_json()


def _script(video: Path) -> Script:
    beside = video.with_name(video.name + ".json")
    if beside.exists():
        return Script.model_validate_json(beside.read_text())
    word, _, number = video.stem.partition("-")
    if word == "sleep":
        return Script(sleep_s=float(number))
    known = word in ("crash", "oom", "hang", "gil", "fail", "retry", "bug")
    return Script.model_validate_json(json.dumps({"then": word if known else "ok"}))


def _play(script: Script, video: Path, context: AnalysisContext) -> None:
    """Take the time, say the progress, and end as told."""
    waiting = threading.Event()
    stop_at = () if script.hold_at is None else (script.hold_at,)
    may_go_on = video.with_name(video.name + ".go")
    for percent in sorted({*script.progress, *stop_at}):
        context.progress(percent, f"fake at {percent}")
        while percent in stop_at and not may_go_on.exists():
            context.check()
            waiting.wait(_LOOK_EVERY_S)
    for _ in range(round(script.sleep_s / _LOOK_EVERY_S)):
        context.check()
        waiting.wait(_LOOK_EVERY_S)
    context.check()
    if script.then != "ok":
        context.progress(90, f"about to {script.then}")  # from here on it does not look
    _end(script.then)


def _end(then: Then) -> None:
    match then:
        case "ok":
            return
        case "crash":
            ctypes.string_at(0)
        case "oom":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            ctypes.CDLL(None).sleep(3600)
        case "gil":
            ctypes.PyDLL(None).sleep(3600)
        case "fail":
            _refuse("video_unreadable", permanent=True)
        case "retry":
            _refuse("busy", permanent=False)
        case "bug":
            raise ZeroDivisionError("a bug in the analyser")
        case _:
            assert_never(then)


def _refuse(code: str, *, permanent: bool) -> NoReturn:
    raise AnalysisError(code, f"the fake was told to fail with {code}", permanent=permanent)
