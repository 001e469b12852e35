"""Is there anything to look at in this picture, and does the camera see at all?

A chain of two, the cheap one first, on brightness at 320x180: the difference to the last sampled
picture (0.04 ms), and only where something differs a background model (MOG2, 0.7 ms), which also
knows what swings and flickers all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 180

_DIFFERENT_LEVELS = 12
"""Two brightness values further apart than this differ; less is noise of the sensor."""
_DIFFERENT_PIXELS = 12
"""So many different pixels of the 57,600 are worth the second look."""
_FOREGROUND_PIXELS = 24
"""So many foreground pixels, after taking out specks, are motion: a person 10 pixels tall."""
_HISTORY = 150
"""Pictures that the background model remembers: 30 s at 5 a second."""
_WARM_UP = 3
"""Pictures after which the background model is believed."""

Gray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture shows without any detector."""

    t: float
    moving: bool
    brightness: float
    """Mean, 0..255."""
    contrast: float
    """Standard deviation of the brightness."""
    detail: float
    """Mean strength of edges."""


class MotionGate:
    """Keeps the last picture and the background of one video."""

    def __init__(self) -> None:
        self._last: Gray | None = None
        self._background = cv2.createBackgroundSubtractorMOG2(
            history=_HISTORY, varThreshold=25, detectShadows=False
        )
        self._specks = cv2.getStructuringElement(cv2.MORPH_RECT, (2, 2))
        self._learned = 0

    def look(self, t: float, gray: Gray) -> Look:
        """Take the next sampled picture, `HEIGHT` x `WIDTH`."""
        moving = self._moves(gray)
        self._last = gray
        mean, deviation = cv2.meanStdDev(gray)
        edges = cv2.Laplacian(gray, cv2.CV_16S)
        return Look(
            t, moving, float(mean[0, 0]), float(deviation[0, 0]), float(np.abs(edges).mean())
        )

    def _moves(self, gray: Gray) -> bool:
        if self._last is None:
            self._learn(gray)
            return True
        difference = cv2.absdiff(gray, self._last)
        _, different = cv2.threshold(difference, _DIFFERENT_LEVELS, 1, cv2.THRESH_BINARY)
        if cv2.countNonZero(different) < _DIFFERENT_PIXELS:
            return False
        foreground = cv2.morphologyEx(self._learn(gray), cv2.MORPH_OPEN, self._specks)
        return self._learned <= _WARM_UP or cv2.countNonZero(foreground) >= _FOREGROUND_PIXELS

    def _learn(self, gray: Gray) -> Gray:
        self._learned += 1
        return self._background.apply(gray).astype(np.uint8, copy=False)
