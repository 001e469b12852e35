"""The transcriber for real work: faster-whisper, with a model from a folder or from the hub.

It is told where speech is, so its own detection is off. Clips of at most half a minute go through
the model eight at a time: only these are in memory, and words come as each batch is done. What
faster-whisper calls a segment is not kept: utterances are made of the words.
"""

from __future__ import annotations

import importlib.util
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import Any

import numpy as np

from backend.analysis.protocol import AnalysisError
from backend.analysis.speech.protocol import (
    SAMPLE_RATE,
    AudioReader,
    Check,
    HeardWord,
    Samples,
    Share,
    SpeechSettings,
    Stretch,
)
from backend.analysis.speech.transcription.models import (
    find_device,
    find_model,
    load_model,
    out_of_memory,
)
from backend.analysis.speech.transcription.pieces import pieces

LONGEST_S = 29.5
"""The model takes 30 s."""
GAP_S = 1.0
"""A clip costs as much as 30 s however short it is; in longer pauses words are made up."""
SHORTEST_S = 0.1
BATCH = 8
NO_SPEECH = 0.6
UNLIKELY = -1.0
"""Text less likely than this (mean logarithm), where the model thinks nobody speaks, is made up."""
_STEP = SAMPLE_RATE // 100
"""Samples of one frame of the model's input."""


class WhisperTranscriber:
    """Words by faster-whisper; one instance for one request, because it remembers the language."""

    def __init__(self, settings: SpeechSettings) -> None:
        if importlib.util.find_spec("faster_whisper") is None:
            raise AnalysisError(
                "backend_missing", "faster-whisper is not installed", permanent=True
            )
        self._settings = settings
        self._source = find_model(settings.whisper_model, settings.models_dir)
        self._device = find_device(settings.device)
        self._pipeline: Any = None
        self._language: str | None = None
        self.name = f"faster-whisper {version('faster-whisper')} {self._source.name}"

    @property
    def language(self) -> str | None:
        """What was given, or else detected in the first batch."""
        return self._language

    def words(
        self,
        audio: AudioReader,
        speech: Sequence[Stretch],
        *,
        language: str | None,
        check: Check,
        progress: Share,
    ) -> Iterator[HeardWord]:
        """Words in order of time.

        Raises:
            AnalysisError: the model cannot be had or loaded, does not know the language, or fails.
        """
        if not speech:
            return
        check()
        pipeline = self._loaded()
        self._language = _known(language, pipeline)
        total_s = sum(stretch.end - stretch.start for stretch in speech) or 1.0
        done_s = 0.0
        clips = pieces(audio, speech, longest_s=LONGEST_S, gap_s=GAP_S)
        while batch := list(islice(clips, BATCH)):
            check()
            yield from self._heard(pipeline, _Batch.of(audio, batch))
            done_s += sum(clip.end - clip.start for clip in batch)
            progress(min(1.0, done_s / total_s))

    def _loaded(self) -> Any:
        if self._pipeline is None:
            self._pipeline = self._load()
        return self._pipeline

    def _load(self) -> Any:
        from faster_whisper import BatchedInferencePipeline

        model = load_model(
            self._source,
            self._device,
            threads=self._settings.threads,
            models_dir=self._settings.models_dir,
        )
        return BatchedInferencePipeline(model)

    def _heard(self, pipeline: Any, batch: _Batch) -> list[HeardWord]:
        if not batch.clips:
            return []
        try:
            found, info = pipeline.transcribe(
                batch.samples,
                language=self._language,
                clip_timestamps=batch.places(),
                batch_size=BATCH,
                word_timestamps=True,
                vad_filter=False,
            )
            segments, self._language = list(found), info.language
        except RuntimeError as error:
            if "out of memory" in str(error):
                raise out_of_memory() from error
            raise AnalysisError(
                "transcription_failed", "the whisper model failed", permanent=False
            ) from error
        return [
            word for segment in segments if _is_speech(segment) for word in batch.words(segment)
        ]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Clips one after another in one array, each at a whole number of frames."""

    clips: tuple[Stretch, ...]
    frames: tuple[int, ...]
    """Where each clip begins in the array."""
    lengths: tuple[int, ...]
    """In frames."""
    samples: Samples

    @staticmethod
    def of(audio: AudioReader, clips: Sequence[Stretch]) -> _Batch:
        """Read the clips; what is too short to be a word is left out."""
        kept, starts, lengths, parts = [], [], [], []
        at = 0
        for clip in clips:
            samples = audio.read(clip.start, clip.end)
            if len(samples) < SHORTEST_S * SAMPLE_RATE:
                continue
            length = -(-len(samples) // _STEP)
            kept.append(clip)
            starts.append(at)
            lengths.append(length)
            parts.append(np.pad(samples, (0, length * _STEP - len(samples))))
            at += length
        together = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
        return _Batch(tuple(kept), tuple(starts), tuple(lengths), together)

    def places(self) -> list[dict[str, float]]:
        """The clips as faster-whisper wants them, in seconds of the array."""
        return [
            {"start": start / 100, "end": (start + length) / 100}
            for start, length in zip(self.frames, self.lengths, strict=True)
        ]

    def words(self, segment: Any) -> Iterator[HeardWord]:
        """The words of a segment, at the time of its clip in the recording."""
        # `seek` is the first frame of the clip, but for rounding
        number = max(0, bisect_right(self.frames, segment.seek + 1) - 1)
        clip, moved = self.clips[number], self.frames[number] / 100
        for word in segment.words or ():
            text = word.word.strip()
            if not text:
                continue
            start = min(max(clip.start + float(word.start) - moved, clip.start), clip.end)
            end = min(max(clip.start + float(word.end) - moved, start), clip.end)
            yield HeardWord(text, start, end, float(word.probability))


def _is_speech(segment: Any) -> bool:
    return bool(segment.no_speech_prob <= NO_SPEECH or segment.avg_logprob >= UNLIKELY)


def _known(language: str | None, pipeline: Any) -> str | None:
    if language is not None and language not in pipeline.model.supported_languages:
        raise AnalysisError(
            "language_unsupported",
            f"the whisper model does not know the language {language}",
            permanent=True,
        )
    return language
