"""One pass through the stages: a video goes in, what was said comes out.

    extraction -> activity -> speakers -> transcription -> loudness and pitch -> assembly

Started by the analysis child for one request. Percentages are those of `BANDS`; they only grow.
The sound lies in the request's `work_dir`, which belongs to whoever asks: a child that is killed
could remove nothing. A video without speech is a valid result. An emotion is only told by a
backend that was configured for it; there is none yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import av
import structlog

from backend.analysis.protocol import AnalysisContext, AnalysisError, Cancelled
from backend.analysis.speech import assembly
from backend.analysis.speech.activity import VoiceActivity
from backend.analysis.speech.audio import AudioFile, ExtractedAudio, extract
from backend.analysis.speech.prosody import with_prosody
from backend.analysis.speech.protocol import (
    BANDS,
    AudioReader,
    Diarizer,
    HeardWord,
    SpeechRequest,
    SpeechResult,
    SpeechSettings,
    Stage,
    Stretch,
    Transcriber,
    Turn,
)
from backend.analysis.speech.source import SpeechError

log = structlog.get_logger(__name__)

MESSAGES: Mapping[Stage, str] = {
    Stage.EXTRACTION: "Extracting audio",
    Stage.ACTIVITY: "Detecting speech",
    Stage.SPEAKERS: "Identifying speakers",
    Stage.TRANSCRIPTION: "Transcribing",
    Stage.EMOTION: "Measuring loudness and pitch",
    Stage.ASSEMBLY: "Assembling the result",
}

Factory = TypeVar("Factory")


@dataclass(slots=True)
class _Pass:
    """What one analysis gathers, and how it tells how far it is."""

    context: AnalysisContext
    timings: dict[str, float] = field(default_factory=dict)
    backends: dict[str, str] = field(default_factory=dict)
    language: str | None = None
    _stage: Stage = Stage.EXTRACTION
    _percent: int = 0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Say that it begins, measure it, and give an unexpected failure its name.

        Raises:
            SpeechError: `<stage>_failed`.
        """
        self.context.check()
        self._stage, self._percent = stage, BANDS[stage][0]
        self._say()
        before = time.monotonic()
        try:
            yield
        except (Cancelled, AnalysisError, MemoryError):
            raise
        except Exception as error:
            log.exception("a stage failed", action="speech.stage_failed", stage=stage.value)
            raise SpeechError(
                f"{stage.value}_failed",
                f"the {stage.value.replace('_', ' ')} failed",
                permanent=False,
            ) from error
        finally:
            spent = time.monotonic() - before
            self.timings[stage.value] = round(self.timings.get(stage.value, 0.0) + spent, 3)

    def progress(self, done: float) -> None:
        """Take how much of the stage is done, 0..1."""
        first, last = BANDS[self._stage]
        last = min(last, 99)  # whoever asked says 100, when all is stored
        percent = max(first + int(min(max(done, 0.0), 1.0) * (last - first)), self._percent)
        if percent > self._percent:
            self._percent = percent
            self._say()

    def _say(self) -> None:
        self.context.progress(self._percent, MESSAGES[self._stage])


class SpeechAnalyser:
    """See the module. Models are loaded for one request, and let go when their stage is done."""

    def __init__(
        self,
        diarizers: Mapping[str, Callable[[SpeechSettings], Diarizer]],
        transcribers: Mapping[str, Callable[[SpeechSettings], Transcriber]],
    ) -> None:
        """Take what can be chosen, by the names in `SpeechSettings`."""
        self._diarizers = diarizers
        self._transcribers = transcribers

    def analyse(self, request: SpeechRequest, context: AnalysisContext) -> SpeechResult:
        """Listen to the whole video.

        Raises:
            AnalysisError: it could not be done.
            Cancelled: the context said so.
        """
        settings = request.settings
        make_diarizer = _chosen(self._diarizers, settings.diarizer)
        make_transcriber = _chosen(self._transcribers, settings.transcriber)
        began = time.monotonic()
        one = _Pass(context)
        audio = _extracted(request, one)
        with AudioFile(audio.path) as file:
            speech = _speech(file, one)
            words: list[HeardWord] = []
            with one.stage(Stage.SPEAKERS):
                turns = _turns(file, speech, make_diarizer, settings, one) if speech else []
            with one.stage(Stage.TRANSCRIPTION):
                if speech:
                    words = _words(file, speech, make_transcriber, settings, one)
            words = assembly.in_order(words, duration_s=audio.duration_s)
            speakers = assembly.speakers_of(words, turns)
            with one.stage(Stage.EMOTION):
                measured = with_prosody(
                    file, words, speakers, check=context.check, progress=one.progress
                )
        with one.stage(Stage.ASSEMBLY):
            utterances = assembly.utterances(measured, speakers)
            one.progress(1.0)
        return SpeechResult(
            duration_s=audio.duration_s,
            utterances=utterances,
            language=one.language,
            backends=one.backends,
            remarks=(*audio.remarks, *_what_is_missing(speech, words)),
            timings={**one.timings, "total": round(time.monotonic() - began, 3)},
        )


def _chosen(factories: Mapping[str, Factory], name: str) -> Factory:
    if name not in factories:
        raise SpeechError("unknown_backend", f"there is no backend {name}", permanent=True)
    return factories[name]


def _extracted(request: SpeechRequest, one: _Pass) -> ExtractedAudio:
    with one.stage(Stage.EXTRACTION):
        one.backends[Stage.EXTRACTION.value] = f"av {av.__version__}"
        return extract(
            request.video_path,
            request.work_dir / "audio.pcm",
            longest_s=request.longest_s,
            check=one.context.check,
            progress=one.progress,
        )


def _speech(audio: AudioReader, one: _Pass) -> list[Stretch]:
    with one.stage(Stage.ACTIVITY):
        activity = VoiceActivity()
        one.backends[Stage.ACTIVITY.value] = activity.name
        return activity.speech(audio, check=one.context.check, progress=one.progress)


def _turns(
    audio: AudioReader,
    speech: list[Stretch],
    make: Callable[[SpeechSettings], Diarizer],
    settings: SpeechSettings,
    one: _Pass,
) -> list[Turn]:
    diarizer = make(settings)
    one.backends[Stage.SPEAKERS.value] = diarizer.name
    return diarizer.turns(audio, speech, check=one.context.check, progress=one.progress)


def _words(
    audio: AudioReader,
    speech: list[Stretch],
    make: Callable[[SpeechSettings], Transcriber],
    settings: SpeechSettings,
    one: _Pass,
) -> list[HeardWord]:
    transcriber = make(settings)
    one.backends[Stage.TRANSCRIPTION.value] = transcriber.name
    words = list(
        transcriber.words(
            audio,
            speech,
            language=settings.language,
            check=one.context.check,
            progress=one.progress,
        )
    )
    one.language = transcriber.language
    return words


def _what_is_missing(speech: list[Stretch], words: list[HeardWord]) -> list[str]:
    if not speech:
        return ["no speech was found"]
    return [] if words else ["speech was found, but no words were understood"]
