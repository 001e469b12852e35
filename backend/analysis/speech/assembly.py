"""Words and turns -> utterances: who says which word, and where one utterance ends.

Order is kept, no word is lost or doubled, and times come out in order whatever went in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from backend.analysis.speech.protocol import HeardWord, Turn, Utterance, Word
from backend.analysis.speech.spacing import join

PAUSE_S = 0.8
"""A pause as long as this ends an utterance."""
LONGEST_S = 30.0
"""Of an utterance."""


def in_order(words: Sequence[HeardWord], *, duration_s: float) -> list[HeardWord]:
    """The words that say something, with times within the video that only go forwards.

    A word that overlaps the next one ends where that one begins; a word that would begin before
    the one before it begins with it. Confidences are brought into 0..1, whatever a library says.
    """
    starts, ends = [], []
    last = 0.0
    heard = [word for word in words if word.text.strip()]
    for word in heard:
        start = word.start if math.isfinite(word.start) else last
        last = max(min(start, duration_s), last)
        starts.append(last)
        end = word.end if math.isfinite(word.end) else last
        ends.append(min(max(end, last), duration_s, last + LONGEST_S))
    nexts = [*starts, math.inf][1:]
    return [
        HeardWord(word.text.strip(), start, max(start, min(end, after)), _share(word.confidence))
        for word, start, end, after in zip(heard, starts, ends, nexts, strict=True)
    ]


def speakers_of(words: Sequence[HeardWord], turns: Sequence[Turn]) -> list[int | str]:
    """Who says each word: the turn at its middle, else the nearest turn; 1 without any turn.

    Where people talk at once, the turn that has most of the word counts, then the earliest.
    """
    if not turns:
        return [1] * len(words)
    starts = np.array([turn.start for turn in turns])
    ends = np.array([turn.end for turn in turns])
    said = []
    for word in words:
        middle = (word.start + word.end) / 2
        away = np.maximum(np.maximum(starts - middle, middle - ends), 0.0)
        shared = np.minimum(ends, word.end) - np.maximum(starts, word.start)
        best = min(np.flatnonzero(away == away.min()), key=lambda at: (-shared[at], starts[at]))
        said.append(turns[int(best)].speaker)
    return said


def utterances(words: Sequence[Word], speakers: Sequence[int | str]) -> tuple[Utterance, ...]:
    """What was said, word by word, as utterances; speakers are numbered by first appearance.

    An utterance ends where another speaks, at a pause of `PAUSE_S`, and so that none is longer
    than `LONGEST_S`: then at its longest pause.
    """
    numbers: dict[int | str, int] = {}
    for speaker in speakers:
        numbers.setdefault(speaker, len(numbers) + 1)
    return tuple(
        _utterance(part, numbers[speakers[first]])
        for first, last in _unbroken(words, speakers)
        for part in _short_enough(words[first:last])
    )


def _unbroken(words: Sequence[Word], speakers: Sequence[int | str]) -> Iterator[tuple[int, int]]:
    """From first up to last, without a pause or a change of speaker."""
    first = 0
    for at in range(1, len(words) + 1):
        if (
            at == len(words)
            or speakers[at] != speakers[at - 1]
            or round(words[at].start - words[at - 1].end, 3) >= PAUSE_S
        ):
            yield first, at
            first = at


def _short_enough(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Cut at the longest pause that leaves a first part of half to all of `LONGEST_S`."""
    while len(words) > 1 and words[-1].end - words[0].start > LONGEST_S:
        until = [word.end - words[0].start for word in words[:-1]]
        fitting = [at for at, length in enumerate(until, start=1) if length <= LONGEST_S] or [1]
        late = [at for at in fitting if until[at - 1] >= LONGEST_S / 2] or fitting[-1:]
        cut = max(late, key=lambda at: (words[at].start - words[at - 1].end, at))
        yield words[:cut]
        words = words[cut:]
    yield words


def _utterance(words: Sequence[Word], speaker: int) -> Utterance:
    return Utterance(
        start=words[0].start,
        end=words[-1].end,
        speaker=speaker,
        text=join([word.text for word in words]),
        words=tuple(replace(word, text=word.text.strip()) for word in words),
        confidence=sum(word.confidence for word in words) / len(words),
    )


def _share(value: float) -> float:
    """0..1; what is no number is no confidence."""
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0
