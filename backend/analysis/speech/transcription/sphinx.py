"""The transcriber that is always there: pocketsphinx and the English model in its wheel.

Its accuracy is low: of clearly read speech about every fifth word is wrong, and worse is to be
expected of telephone calls. It shows the whole chain without a download, and its word times are
good to 30 ms. An hour takes about 9 minutes of one core. The library holds the interpreter's lock,
so it is fed with a quarter of a second at a time: others run in between, and a cancelled request
ends at once.

Its acoustic model wants each feature's mean over the utterance removed. Fed in small parts it would
guess that mean, and get far more words wrong (38 % instead of 31 % of the test recordings). So
each utterance goes through a second decoder first, which hardly searches and only finds the mean.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
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
    Stretch,
)
from backend.analysis.speech.transcription.pieces import pieces

LONGEST_S = 30.0
GAP_S = 0.5
SHORTEST_S = 0.1
LANGUAGE = "en"
_CHUNK_BYTES = SAMPLE_RATE // 4 * 2
_FRAME_S = 0.01
_ALTERNATIVE = re.compile(r"\(\d+\)$")
"""Which pronunciation of a word it was: `to(2)`."""


class SphinxTranscriber:
    """English words by pocketsphinx. Each call has decoders of its own, so threads do not meet."""

    language: str | None = LANGUAGE

    def __init__(self) -> None:
        if importlib.util.find_spec("pocketsphinx") is None:
            raise AnalysisError("backend_missing", "pocketsphinx is not installed", permanent=True)
        self.name = f"pocketsphinx {version('pocketsphinx')} en-us"

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
            AnalysisError: `language_unsupported`, permanent.
        """
        if language not in (None, LANGUAGE):
            raise AnalysisError(
                "language_unsupported", "pocketsphinx understands English only", permanent=True
            )
        total_s = sum(stretch.end - stretch.start for stretch in speech) or 1.0
        return self._words(audio, speech, total_s, check, progress)

    def _words(
        self,
        audio: AudioReader,
        speech: Sequence[Stretch],
        total_s: float,
        check: Check,
        progress: Share,
    ) -> Iterator[HeardWord]:
        check()
        decoder, mean_finder = _decoder(), _mean_finder()
        done_s = 0.0
        for piece in pieces(audio, speech, longest_s=LONGEST_S, gap_s=GAP_S):
            check()
            samples = audio.read(piece.start, piece.end)
            if len(samples) >= SHORTEST_S * SAMPLE_RATE:
                content = _as_int16(samples)
                decoder.set_cmn(_mean(mean_finder, content))
                yield from _heard(decoder, content, piece, check)
            done_s += piece.end - piece.start
            progress(min(1.0, done_s / total_s))


def _decoder() -> Any:
    from pocketsphinx import Decoder

    # Without the second pass and with at most 5,000 active states: a third less time, same words
    return Decoder(fwdflat=False, maxhmmpf=5000, loglevel="FATAL")


def _mean_finder() -> Any:
    """A decoder that looks for one word only: all that it costs is to make the features."""
    from pocketsphinx import Decoder

    return Decoder(lm=None, keyphrase="oh", kws_threshold=1e-20, loglevel="FATAL")


def _mean(mean_finder: Any, content: bytes) -> str:
    """The mean of the features of a whole utterance."""
    mean_finder.start_utt()
    mean_finder.process_raw(content, full_utt=True)
    mean_finder.end_utt()
    return str(mean_finder.get_cmn(False))  # noqa: FBT003  a C function without names


def _heard(decoder: Any, content: bytes, piece: Stretch, check: Check) -> Iterator[HeardWord]:
    decoder.start_utt()
    try:
        for first in range(0, len(content), _CHUNK_BYTES):
            check()
            decoder.process_raw(content[first : first + _CHUNK_BYTES])
    finally:
        decoder.end_utt()
    for segment in decoder.seg() or ():
        text = _ALTERNATIVE.sub("", segment.word)
        if text and text[0] not in "<[+":
            start = piece.start + segment.start_frame * _FRAME_S
            end = piece.start + (segment.end_frame + 1) * _FRAME_S  # the last frame belongs to it
            yield HeardWord(text, start, min(end, piece.end), segment.prob)


def _as_int16(samples: Samples) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes()
