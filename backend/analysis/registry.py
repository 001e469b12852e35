"""Which analysers there are: by kind of request, and the name that settings and requests use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backend.analysis.protocol import AnalysisContext, SceneAnalyser, SceneRequest

Answer = Callable[[object, AnalysisContext], dict[str, Any]]
"""Takes the payload of a request, gives the result as JSON; raises as analysers do."""


def _of_scenes(analyser: SceneAnalyser) -> Answer:
    def answer(payload: object, context: AnalysisContext) -> dict[str, Any]:
        return analyser.analyse(SceneRequest.from_json(payload), context).to_json()

    return answer


def _local() -> Answer:
    from backend.analysis.scene.local import LocalSceneAnalyser

    return _of_scenes(LocalSceneAnalyser())


def _fake() -> Answer:
    from backend.analysis.fakes import FakeSceneAnalyser

    return _of_scenes(FakeSceneAnalyser())


def _speech() -> Answer:
    from backend.analysis.speech.analyser import SpeechAnalyser
    from backend.analysis.speech.protocol import SpeechRequest
    from backend.analysis.speech.speakers import DIARIZERS
    from backend.analysis.speech.transcription import TRANSCRIBERS

    analyser = SpeechAnalyser(DIARIZERS, TRANSCRIBERS)

    def answer(payload: object, context: AnalysisContext) -> dict[str, Any]:
        return analyser.analyse(SpeechRequest.from_json(payload), context).to_json()

    return answer


def _fake_speech() -> Answer:
    from backend.analysis.fakes import fake_speech

    return fake_speech


ANALYSERS: Mapping[str, Mapping[str, Callable[[], Answer]]] = {
    "scene": {"local": _local},
    "speech": {"speech": _speech},
}
"""What a worker may ask for."""

FAKE_ANALYSERS: Mapping[str, Mapping[str, Callable[[], Answer]]] = {
    "scene": {"fake": _fake},
    "speech": {"fake": _fake_speech},
}
"""Added only in a child that was started with `--fakes`."""
