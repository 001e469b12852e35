"""Speech in pieces of the length that a transcriber takes at a time.

Neighbours with a short pause between them are heard together, because a sentence helps to
understand its words; what is too long is cut where it is quietest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from backend.analysis.speech.protocol import SAMPLE_RATE, AudioReader, Samples, Stretch

_FRAME = SAMPLE_RATE // 100
_QUIET_FRAMES = 10
"""A tenth of a second: longer than the stop inside a word."""


def pieces(
    audio: AudioReader, speech: Iterable[Stretch], *, longest_s: float, gap_s: float
) -> Iterator[Stretch]:
    """The speech in order, in pieces of at most `longest_s`, with pauses of at most `gap_s`."""
    for stretch in _gathered(speech, longest_s=longest_s, gap_s=gap_s):
        yield from _cut(audio, stretch, longest_s=longest_s)


def _gathered(speech: Iterable[Stretch], *, longest_s: float, gap_s: float) -> Iterator[Stretch]:
    together: Stretch | None = None
    for stretch in speech:
        if together is None:
            together = stretch
        elif stretch.start - together.end <= gap_s and stretch.end - together.start <= longest_s:
            together = Stretch(together.start, stretch.end)
        else:
            yield together
            together = stretch
    if together is not None:
        yield together


def _cut(audio: AudioReader, stretch: Stretch, *, longest_s: float) -> Iterator[Stretch]:
    start = stretch.start
    while stretch.end - start > longest_s:
        # late, but so that what is left is no crumb either
        earliest, latest = start + longest_s * 2 / 3, min(start + longest_s, stretch.end - 1.0)
        cut = earliest + _quietest_s(audio.read(earliest, latest))
        yield Stretch(start, cut)
        start = cut
    yield Stretch(start, stretch.end)


def _quietest_s(samples: Samples) -> float:
    """The middle of the quietest tenth of a second."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    if len(frames) < _QUIET_FRAMES:
        return len(samples) / SAMPLE_RATE / 2
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    smooth = np.convolve(power, np.ones(_QUIET_FRAMES), mode="valid")
    return (int(np.argmin(smooth)) + _QUIET_FRAMES / 2) / 100
