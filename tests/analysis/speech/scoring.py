"""How far a transcript or a list of turns is from the truth: word error rate, speaker confusion.

Used by the tests of speech analysis and by `bench`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

STEP_S = 0.01


@dataclass(frozen=True)
class Spoken:
    """Who speaks when, according to somebody."""

    start: float
    end: float
    speaker: Hashable


@dataclass(frozen=True)
class SpeakerScore:
    """Seconds of speaker time that went wrong, over seconds of speaker time in the truth."""

    total_s: float
    missed_s: float
    false_alarm_s: float
    confused_s: float

    @property
    def error_rate(self) -> float:
        """Diarization error rate, without a collar and with overlaps."""
        return (self.missed_s + self.false_alarm_s + self.confused_s) / self.total_s

    @property
    def confusion(self) -> float:
        """Part of the speaker time that went to another speaker."""
        return self.confused_s / self.total_s


def plain_words(text: str) -> list[str]:
    """Lower case, without punctuation; an apostrophe inside a word stays."""
    return re.findall(r"\w+(?:'\w+)*", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Words to change, add or remove."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row = row, [number]
        for position, other in enumerate(heard, 1):
            row.append(
                min(
                    before[position] + 1,
                    row[-1] + 1,
                    before[position - 1] + (word != other),
                )
            )
    return row[-1]


def word_error_rate(said: str, heard: str) -> float:
    """Errors for each word that was said; more than 1 is possible."""
    words = plain_words(said)
    return word_errors(words, plain_words(heard)) / len(words)


def speaker_score(truth: Sequence[Spoken], heard: Sequence[Spoken]) -> SpeakerScore:
    """Compare under the best pairing of speakers, in steps of 10 ms."""
    length = max((spoken.end for spoken in (*truth, *heard)), default=0.0)
    wanted, found = _rows(truth, length), _rows(heard, length)
    together = wanted.astype(np.float64) @ found.T.astype(np.float64)
    pairs = linear_sum_assignment(together, maximize=True)
    right = float(together[pairs].sum())
    wanted_now, found_now = wanted.sum(axis=0), found.sum(axis=0)
    missed = np.maximum(wanted_now - found_now, 0).sum()
    false_alarm = np.maximum(found_now - wanted_now, 0).sum()
    confused = np.minimum(wanted_now, found_now).sum() - right
    return SpeakerScore(
        float(wanted_now.sum()) * STEP_S,
        float(missed) * STEP_S,
        float(false_alarm) * STEP_S,
        float(confused) * STEP_S,
    )


def read_rttm(path: Path, recording: str) -> list[Spoken]:
    """The turns of one recording."""
    rows = [line.split() for line in path.read_text().splitlines() if line.startswith("SPEAKER")]
    return [
        Spoken(float(row[3]), float(row[3]) + float(row[4]), row[7])
        for row in rows
        if row[1] == recording
    ]


def _rows(turns: Sequence[Spoken], length_s: float) -> np.ndarray:
    names = list(dict.fromkeys(turn.speaker for turn in turns))
    rows = np.zeros((len(names), round(length_s / STEP_S)), dtype=np.int64)
    for turn in turns:
        rows[names.index(turn.speaker), round(turn.start / STEP_S) : round(turn.end / STEP_S)] = 1
    return rows
