"""What a speech analysis is asked, what it answers, its stages, and the parts that can be chosen.

The types cross the pipe between a worker and its analysis child as JSON. Times are seconds of the
video's own clock, audio is mono at `SAMPLE_RATE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

SAMPLE_RATE = 16_000

Samples = NDArray[np.float32]
"""-1..1, mono, at `SAMPLE_RATE`."""


class Stage(StrEnum):
    """The stages in their order; see `BANDS`."""

    EXTRACTION = "audio_extraction"
    ACTIVITY = "speech_detection"
    SPEAKERS = "speaker_identification"
    TRANSCRIPTION = "transcription"
    EMOTION = "emotion_and_confidence"
    ASSEMBLY = "result_assembly"


BANDS: Mapping[Stage, tuple[int, int]] = {
    Stage.EXTRACTION: (10, 25),
    Stage.ACTIVITY: (25, 40),
    Stage.SPEAKERS: (40, 60),
    Stage.TRANSCRIPTION: (60, 75),
    Stage.EMOTION: (75, 90),
    Stage.ASSEMBLY: (90, 100),
}
"""Percent at which a stage begins and ends; 0 to 10 is the download, before any of these."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one speaker speaks, under whatever name the diarizer has for them."""

    start: float
    end: float
    speaker: int | str


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word as a transcriber heard it, with its confidence: 0..1 once it is `in_order`."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its prosody: volume -60..0 dB of full scale, pitch 100..1000 Hz."""

    text: str
    start: float
    end: float
    confidence: float
    volume_db: float
    pitch_hz: float


@dataclass(frozen=True, slots=True)
class Emotion:
    """How an utterance sounds, and which backend says so."""

    label: str
    score: float
    backend: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one speaker says without a long pause."""

    start: float
    end: float
    speaker: int
    text: str
    words: tuple[Word, ...]
    confidence: float
    emotion: Emotion | None = None


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """Which backends do the work, for one request; they are named in its result."""

    transcriber: str = "pocketsphinx"
    """pocketsphinx (embedded, English), whisper (faster-whisper)."""
    whisper_model: str | None = None
    """Name, or a local directory, of the faster-whisper model."""
    diarizer: str = "embedded"
    """embedded, pyannote."""
    language: str | None = None
    """ISO 639-1; None is detected where the backend can."""
    device: str = "auto"
    threads: int = 1
    models_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One video file to listen to; `work_dir` is a folder of this request alone.

    Whoever asks makes it, and removes it with what is in it.
    """

    video_path: Path
    work_dir: Path
    longest_s: float
    settings: SpeechSettings = field(default_factory=SpeechSettings)

    def to_json(self) -> dict[str, Any]:
        """As the payload of a request to an analysis child."""
        payload: dict[str, Any] = _REQUEST.dump_python(self, mode="json")
        return payload

    @staticmethod
    def from_json(payload: object) -> SpeechRequest:
        """Read what `to_json` wrote."""
        return _REQUEST.validate_python(payload)


@dataclass(frozen=True, slots=True)
class SpeechResult:
    """What was heard."""

    duration_s: float
    utterances: tuple[Utterance, ...]
    language: str | None
    backends: Mapping[str, str]
    """Name and version of what did each stage."""
    remarks: tuple[str, ...] = ()
    """What was not as it should be: a truncated file, no speech, ..."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Wall seconds by stage."""

    def to_json(self) -> dict[str, Any]:
        """As an answer over the pipe."""
        plain: dict[str, Any] = _RESULT.dump_python(self, mode="json")
        return plain

    @staticmethod
    def from_json(plain: object) -> SpeechResult:
        """Read what `to_json` wrote."""
        return _RESULT.validate_python(plain)


_REQUEST = TypeAdapter(SpeechRequest)
_RESULT = TypeAdapter(SpeechResult)


class AudioReader(Protocol):
    """Audio on disk, read in pieces: an hour is never in memory at once."""

    @property
    def seconds(self) -> float:
        """How long it is."""

    def read(self, start: float, end: float) -> Samples:
        """The samples of a stretch, cut at the ends of the audio."""


class Check(Protocol):
    """Raises `Cancelled` when the answer is no longer wanted; call it often.

    A process that does not heed it for a second, in a long native call say, is killed.
    """

    def __call__(self) -> None: ...


class Diarizer(Protocol):
    """Says who speaks when."""

    name: str

    def turns(
        self, audio: AudioReader, speech: Sequence[Stretch], *, check: Check, progress: Share
    ) -> list[Turn]:
        """Turns within the stretches of speech, in order."""


class Transcriber(Protocol):
    """Says which words are spoken when."""

    name: str

    def words(
        self,
        audio: AudioReader,
        speech: Sequence[Stretch],
        *,
        language: str | None,
        check: Check,
        progress: Share,
    ) -> Iterator[HeardWord]:
        """Words in order of time; lazy, so that progress and cancelling work."""

    @property
    def language(self) -> str | None:
        """What was spoken, as far as it is known once the words were read."""


class Share(Protocol):
    """Takes how much of a stage is done, 0..1."""

    def __call__(self, done: float) -> None: ...
