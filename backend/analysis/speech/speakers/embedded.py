"""The diarizer that is always there: voices of short windows, clustered.

Honest about what it is: one speaker at a time (overlapping speech goes to one of them), turns no
finer than half a second, and best where each voice is heard for several seconds. Five voices or
more are mostly taken for fewer in a short recording; one voice that changes much (an actor, a bad
old recording) may become two. Memory does not grow with the recording, apart from 1 kB for each
window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np

from backend.analysis.speech.protocol import AudioReader, Check, Share, Stretch, Turn
from backend.analysis.speech.speakers.clustering import Floats, voices_in
from backend.analysis.speech.speakers.embedding import VoiceEncoder, embeddings, windows
from backend.analysis.speech.speakers.weights import read_weights, voice_encoder_file

SHORTEST_FLIP_S = 1.0
"""Somebody who is heard for less than this in the midst of another's speech was misheard."""


class EmbeddedDiarizer:
    """Resemblyzer's voice encoder and variational clustering. Safe to use from several threads."""

    name = "resemblyzer 0.1.4"

    def __init__(self) -> None:
        self._encoder = VoiceEncoder(read_weights(voice_encoder_file()))

    def turns(
        self, audio: AudioReader, speech: Sequence[Stretch], *, check: Check, progress: Share
    ) -> list[Turn]:
        """Turns that cover all of the speech, in order."""
        heard = [(stretch, windows(stretch)) for stretch in speech]
        places = [place for _, inside in heard for place in inside]
        sounds = embeddings(audio, places, self._encoder, check=check, progress=progress)
        check()
        seconds = [
            (stretch.end - stretch.start) / len(inside) for stretch, inside in heard for _ in inside
        ]
        alike = sounds @ voices_in(sounds, seconds).T
        check()
        runs: list[_Run] = []
        first = 0
        for stretch, inside in heard:
            runs += _runs(stretch, inside, alike[first : first + len(inside)])
            first += len(inside)
        return _numbered(_everybody_named(runs))


@dataclass(frozen=True, slots=True)
class _Run:
    """A part of a stretch with one voice; None is too short to tell."""

    start: float
    end: float
    voice: int | None


def _runs(stretch: Stretch, inside: Sequence[Stretch], alike: Floats) -> list[_Run]:
    """Cut a stretch where the voice changes; alike is windows x voices."""
    if not inside:
        return [_Run(stretch.start, stretch.end, None)]
    voices = np.argmax(_smoothed(alike), axis=1)
    middles = [(window.start + window.end) / 2 for window in inside]
    borders = [(one + other) / 2 for one, other in pairwise(middles)]
    edges = [stretch.start, *borders, stretch.end]
    pieces = [
        _Run(start, end, int(voice))
        for (start, end), voice in zip(pairwise(edges), voices, strict=True)
    ]
    return _joined(_without_flips(_joined(pieces)))


def _smoothed(alike: Floats) -> Floats:
    """Each window's likeness with a half of its neighbours'."""
    padded = np.pad(alike, ((1, 1), (0, 0)), mode="edge")
    return np.asarray(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:])


def _joined(runs: Iterable[_Run]) -> list[_Run]:
    together = [list(same) for _, same in groupby(runs, key=lambda run: run.voice)]
    return [replace(same[0], end=same[-1].end) for same in together]


def _without_flips(runs: Sequence[_Run]) -> Iterator[_Run]:
    for number, run in enumerate(runs):
        amid = 0 < number < len(runs) - 1 and runs[number - 1].voice == runs[number + 1].voice
        if amid and run.end - run.start < SHORTEST_FLIP_S:
            yield replace(run, voice=runs[number - 1].voice)
        else:
            yield run


def _everybody_named(runs: Sequence[_Run]) -> list[tuple[_Run, int]]:
    """What was too short to tell goes to the voice that is nearest in time."""
    sure = [run for run in runs if run.voice is not None]
    named = []
    for run in runs:
        near = run
        if run.voice is None and sure:
            near = min(sure, key=lambda other: max(other.start - run.end, run.start - other.end))
        named.append((run, near.voice or 0))
    return named


def _numbered(named: Sequence[tuple[_Run, int]]) -> list[Turn]:
    numbers: dict[int, int] = {}
    return [
        Turn(run.start, run.end, numbers.setdefault(voice, len(numbers) + 1))
        for run, voice in named
    ]
