"""What a detector is: a picture in, detections out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backend.analysis.protocol import ModelInfo
from backend.findings.detection import Detection

Picture = NDArray[np.uint8]
"""Height x width x 3, BGR."""


class Detector(Protocol):
    """Finds objects in one picture. May be called from several threads at once."""

    @property
    def model(self) -> ModelInfo:
        """Which weights these are, and what runs them."""

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Width and height at which a picture of that size is best handed over."""

    def detect(
        self, picture: Picture, *, source_size: tuple[int, int], confidence: float
    ) -> list[Detection]:
        """Objects of at least that confidence, in pixels of the source, most certain first.

        Args:
            picture: the whole source picture, at any scale.
            source_size: width and height of the source in pixels.
            confidence: 0 to 1.
        """
