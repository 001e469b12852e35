"""How loud and how high each word is.

Loudness is the root mean square of the word's samples in dB of full scale. Pitch follows Boersma
(1993): the autocorrelation of short frames, divided by that of their window, gives candidates, and
the cheapest path through them (Viterbi) the pitch; a word's pitch is the median of its voiced
frames. A word with too few of them (whispered, very short) gets a pitch between those of the same
speaker's words before and after it. Every word ends with numbers in range, whatever was heard.

Only what belongs to words is looked at, in blocks, so that memory does not grow with the length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from backend.analysis.speech.protocol import (
    SAMPLE_RATE,
    AudioReader,
    Check,
    HeardWord,
    Samples,
    Share,
    Stretch,
    Word,
)

LOWEST_DB, LOUDEST_DB = -60.0, 0.0
LOWEST_HZ, HIGHEST_HZ = 100.0, 1000.0
"""What is told; lower voices are told as the lowest."""
UNKNOWN_HZ = 150.0
"""Of a recording without a single voiced word: between common voices of men and women."""
LEAST_VOICED = 3
"""Frames that a word needs for a pitch of its own."""

_TRACKED_HZ = (65.0, 600.0)
_FRAME_S = 0.01
_WINDOW = 740
"""Samples: three periods of the lowest voice."""
_FFT = 1024
_MARGIN_S = 0.03
_BLOCK_S = 20.0
_CANDIDATES = 5
_SILENT = 1e-4
# Boersma's costs, as published
_VOICING, _SILENCE = 0.45, 0.03
_OCTAVE, _OCTAVE_JUMP, _VOICED_UNVOICED = 0.01, 0.35, 0.14

Floats = NDArray[np.float32]
_SHORTEST_LAG = int(SAMPLE_RATE / _TRACKED_HZ[1])
_LONGEST_LAG = int(np.ceil(SAMPLE_RATE / _TRACKED_HZ[0]))


@dataclass(slots=True)
class _Measured:
    """Of each word; pitch is NaN where there is too little voice."""

    volume_db: NDArray[np.float64]
    pitch_hz: NDArray[np.float64]


def with_prosody(
    audio: AudioReader,
    words: Sequence[HeardWord],
    speakers: Sequence[int | str],
    *,
    check: Check,
    progress: Share,
) -> list[Word]:
    """The words (in order of time, times finite) with loudness and pitch.

    Args:
        speakers: who speaks each word.
    """
    measured = _Measured(np.full(len(words), LOWEST_DB), np.full(len(words), np.nan))
    for first, last in _blocks(words):
        check()
        _measure(audio, words[first:last], measured, first)
        progress(last / len(words))
    pitches = _between_neighbours(words, speakers, measured.pitch_hz)
    return [
        Word(word.text, word.start, word.end, word.confidence, float(volume), float(pitch))
        for word, volume, pitch in zip(words, measured.volume_db, pitches, strict=True)
    ]


def pitch_track(samples: Samples) -> NDArray[np.float64]:
    """Pitch in Hz at (i + 0.5) * 10 ms; 0 where there is no voice."""
    count = int(len(samples) / SAMPLE_RATE / _FRAME_S)
    if count == 0 or float(np.abs(samples).max()) < _SILENT:
        return np.zeros(count)
    hertz, strengths = _candidates(_frames(samples, count), float(np.abs(samples).max()))
    return _cheapest_path(hertz, strengths)


def volume_db(samples: Samples) -> float:
    """Loudness, -60..0 dB of full scale."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return float(np.clip(10 * np.log10(max(power, 1e-12)), LOWEST_DB, LOUDEST_DB))


def _blocks(words: Sequence[HeardWord]) -> Iterator[tuple[int, int]]:
    """Words that are looked at together: from first up to last, at most `_BLOCK_S` of them."""
    first = 0
    for at in range(1, len(words) + 1):
        if at == len(words) or words[at].end - words[first].start > _BLOCK_S:
            yield first, at
            first = at


def _measure(
    audio: AudioReader, words: Sequence[HeardWord], measured: _Measured, first: int
) -> None:
    start_s = max(words[0].start - _MARGIN_S, 0.0)
    end_s = max(word.end for word in words) + _MARGIN_S
    samples = audio.read(start_s, min(end_s, start_s + 2 * _BLOCK_S))
    pitches = pitch_track(samples)
    for at, word in enumerate(words, start=first):
        part = _at_least_a_frame(word, start_s)
        one, other = (round(t * SAMPLE_RATE) for t in (part.start, part.end))
        measured.volume_db[at] = volume_db(samples[max(one, 0) : other])
        # frames whose middle is inside
        one, other = (max(round(t / _FRAME_S), 0) for t in (part.start, part.end))
        voiced = pitches[one:other]
        voiced = voiced[voiced > 0]
        if len(voiced) >= LEAST_VOICED:
            measured.pitch_hz[at] = np.median(voiced)


def _at_least_a_frame(word: HeardWord, origin_s: float) -> Stretch:
    """Where the word is, from that origin; never shorter than one frame."""
    missing = max(_FRAME_S - (word.end - word.start), 0.0) / 2
    return Stretch(word.start - missing - origin_s, word.end + missing - origin_s)


def _between_neighbours(
    words: Sequence[HeardWord], speakers: Sequence[int | str], pitches: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fill in what could not be measured, within each speaker; everything in range."""
    middles = np.array([(word.start + word.end) / 2 for word in words])
    who = np.asarray(speakers)
    known = np.isfinite(pitches)
    anybody = float(np.median(pitches[known])) if known.any() else UNKNOWN_HZ
    filled = pitches.copy()
    for speaker in np.unique(who):
        missing, theirs = (who == speaker) & ~known, (who == speaker) & known
        filled[missing] = (
            np.interp(middles[missing], middles[theirs], pitches[theirs])
            if theirs.any()
            else anybody
        )
    return np.clip(filled, LOWEST_HZ, HIGHEST_HZ)


def _frames(samples: Samples, count: int) -> Floats:
    """Frames of `_WINDOW` samples around (i + 0.5) * 10 ms, without their mean."""
    step = round(_FRAME_S * SAMPLE_RATE)
    padded = np.pad(samples, (_WINDOW // 2 - step // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::step][:count]
    return np.asarray(frames - frames.mean(axis=1, keepdims=True), np.float32)


def _autocorrelation(frames: Floats) -> Floats:
    spectra = fft.rfft(frames, _FFT, axis=-1)
    power = np.square(spectra.real) + np.square(spectra.imag)
    return np.asarray(fft.irfft(power, _FFT, axis=-1)[..., : _LONGEST_LAG + 2], np.float32)


_HANN = np.hanning(_WINDOW + 2)[1:-1].astype(np.float32)
_UNSCALED = _autocorrelation(_HANN)
_OF_WINDOW = _UNSCALED / _UNSCALED[0]


def _candidates(frames: Floats, loudest: float) -> tuple[Floats, Floats]:
    """Per frame: no voice (0 Hz) and the best pitches, with their strengths; frames x candidates.

    Args:
        loudest: highest sample of the surroundings; what is far below it is hardly voice.
    """
    r = _autocorrelation(frames * _HANN)
    r = r / np.maximum(r[:, :1], 1e-12) / _OF_WINDOW
    left, middle, right = (r[:, _SHORTEST_LAG + k : _LONGEST_LAG + k] for k in (-1, 0, 1))
    # parabola through each peak and its neighbours
    bend = left - 2 * middle + right
    peak = (middle > left) & (middle >= right) & (middle > _VOICING / 2)
    bend = np.where(peak, bend, -1.0)
    offset = 0.5 * (left - right) / bend
    height = np.minimum(middle - 0.25 * (left - right) * offset, 1.0)
    lags = np.arange(_SHORTEST_LAG, _LONGEST_LAG, dtype=np.float32) + offset
    hertz = SAMPLE_RATE / np.maximum(lags, 1.0)
    peak &= (hertz >= _TRACKED_HZ[0]) & (hertz <= _TRACKED_HZ[1])
    strength = height - _OCTAVE * np.log2(_TRACKED_HZ[0] / hertz)
    strength = np.where(peak, strength, -np.inf)
    best = np.argpartition(-strength, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    loud = np.abs(frames).max(axis=1) / loudest
    silence = 2 - loud * (1 + _VOICING) / _SILENCE
    unvoiced = _VOICING + np.maximum(silence, 0.0)
    return (
        np.hstack([np.zeros((len(r), 1)), np.take_along_axis(hertz, best, 1)]).astype(np.float32),
        np.hstack([unvoiced[:, None], np.take_along_axis(strength, best, 1)]).astype(np.float32),
    )


def _cheapest_path(hertz: Floats, strengths: Floats) -> NDArray[np.float64]:
    """The candidates of highest strength in sum, less the cost of jumps."""
    voiced = hertz > 0
    octaves = np.log2(np.where(voiced, hertz, 1.0))
    jumps = _OCTAVE_JUMP * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    before, after = voiced[:-1, :, None], voiced[1:, None, :]
    costs = np.where(before & after, jumps, np.where(before == after, 0.0, _VOICED_UNVOICED))
    total = strengths[0]
    came_from = np.zeros((len(hertz), hertz.shape[1]), np.int64)
    every = np.arange(hertz.shape[1])
    for at in range(1, len(hertz)):
        through = total[:, None] - costs[at - 1]
        came_from[at] = through.argmax(axis=0)
        total = through[came_from[at], every] + strengths[at]
    path = np.empty(len(hertz), np.int64)
    path[-1] = int(total.argmax())
    for at in range(len(hertz) - 1, 0, -1):
        path[at - 1] = came_from[at, path[at]]
    return hertz[np.arange(len(hertz)), path].astype(np.float64)
