"""Sounds with known properties, in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.analysis.speech.protocol import SAMPLE_RATE


def nothing(*_: object) -> None:
    """A check that never raises; a progress that nobody hears."""


def sine(hertz: float, *, seconds: float, db: float = -20) -> NDArray[np.float32]:
    """A tone; its rms is `db` of full scale."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (np.sqrt(2) * 10 ** (db / 20) * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


class Sound:
    """An `AudioReader` over samples in memory; remembers the longest piece that was read."""

    def __init__(self, samples: ArrayLike) -> None:
        self._samples = np.asarray(samples, np.float32)
        self.longest_read_s = 0.0

    @property
    def seconds(self) -> float:
        return len(self._samples) / SAMPLE_RATE

    def read(self, start: float, end: float) -> NDArray[np.float32]:
        self.longest_read_s = max(self.longest_read_s, end - start)
        first, last = (max(round(t * SAMPLE_RATE), 0) for t in (start, end))
        return self._samples[first : max(first, last)]
