"""A scene analyser without a model, for tests of whatever stands around an analyser.

It does what the file beside the video says (`<video>.json`, all keys optional), else what the
video's name says (`sleep-3.mp4`, `crash.mp4`, `hang.mp4`, `fail.mp4`, `retry.mp4`, `oom.mp4`):

    {"sleep_s": 3, "progress": [10, 25], "incidents": [...], "then": "crash"}

`then` is one of ok, crash (segmentation fault), oom (SIGKILL to itself), hang (native code that
never comes back and never looks at `cancelled`), gil (the same, and no other thread runs), fail
(permanent error), retry (temporary error), bug (an unforeseen exception).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import threading
from pathlib import Path
from typing import Literal, NoReturn, assert_never

from pydantic import BaseModel, ConfigDict

from backend.analysis.protocol import (
    AnalysisContext,
    AnalysisError,
    Coverage,
    SceneRequest,
    SceneResult,
)
from backend.findings.incident import Incident
from backend.findings.score import safety_score

Then = Literal["ok", "crash", "oom", "hang", "gil", "fail", "retry", "bug"]
_LOOK_EVERY_S = 0.02


class Script(BaseModel):
    """What the fake does with one video."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sleep_s: float = 0.0
    progress: tuple[int, ...] = (10, 25, 40, 75)
    incidents: tuple[Incident, ...] = ()
    then: Then = "ok"


class FakeSceneAnalyser:
    """Plays a script instead of looking at the video."""

    def analyse(self, request: SceneRequest, context: AnalysisContext) -> SceneResult:
        """Do what the script beside the video, or else its name, says."""
        script = _script(request.video_path)
        for percent in script.progress:
            context.progress(percent, f"fake at {percent}")
        waiting = threading.Event()
        for _ in range(round(script.sleep_s / _LOOK_EVERY_S)):
            context.check()
            waiting.wait(_LOOK_EVERY_S)
        context.check()
        if script.then != "ok":
            context.progress(90, f"about to {script.then}")  # from here on it does not look
        _end(script.then)
        return SceneResult(
            analyser="fake",
            version="1",
            settings={"sample_fps": request.settings.sample_fps},
            incidents=script.incidents,
            safety_score=safety_score(script.incidents),
            coverage=Coverage(script.sleep_s, 0, 0, 0, 0.0, ("nothing was looked at",)),
            model_missing="a fake needs no model",
            timings={"wall_s": script.sleep_s, "process": float(os.getpid())},
        )


def _script(video: Path) -> Script:
    beside = video.with_name(video.name + ".json")
    if beside.exists():
        return Script.model_validate_json(beside.read_text())
    word, _, number = video.stem.partition("-")
    if word == "sleep":
        return Script(sleep_s=float(number))
    known = word in ("crash", "oom", "hang", "gil", "fail", "retry", "bug")
    return Script.model_validate_json(json.dumps({"then": word if known else "ok"}))


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
