"""A picture as the input of a network: scaled, padded, in order; and boxes back to the source.

The input keeps the picture's shape: the longer side is the model's, the shorter one is filled up
to the next multiple of the stride. A 16:9 picture for a 640 model is 640x384 and costs 40 % less
than 640x640. A model with a fixed input gets that, filled with grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.analysis.detection.detector import Picture
from backend.findings.detection import Box

GREY = 114
"""What YOLO models were trained to see around a picture."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where the scaled picture lies in the input; all in pixels of the input."""

    input_width: int
    input_height: int
    inner_width: int
    inner_height: int
    left: int
    top: int

    def back(self, box: Box, *, source_size: tuple[int, int]) -> Box:
        """A box of the input as one of the source picture, cut at its edges."""
        width, height = source_size
        across, down = width / self.inner_width, height / self.inner_height
        return Box(
            min(max((box.x1 - self.left) * across, 0.0), width),
            min(max((box.y1 - self.top) * down, 0.0), height),
            min(max((box.x2 - self.left) * across, 0.0), width),
            min(max((box.y2 - self.top) * down, 0.0), height),
        )


def rectangle(width: int, height: int, *, longest: int, stride: int) -> Letterbox:
    """Input of a model that takes any size: the longer side is `longest`."""
    scale = longest / max(width, height)
    inner_width, inner_height = _inner(width, height, scale)
    return _centred(
        -(-inner_width // stride) * stride,
        -(-inner_height // stride) * stride,
        inner_width,
        inner_height,
    )


def fixed(
    width: int,
    height: int,
    *,
    input_size: tuple[int, int],
    place: Literal["centre", "corner"] = "centre",
) -> Letterbox:
    """Input of a model with one size (width, height) only."""
    inner_width, inner_height = _inner(
        width, height, min(input_size[0] / width, input_size[1] / height)
    )
    if place == "corner":
        return Letterbox(*input_size, inner_width, inner_height, 0, 0)
    return _centred(*input_size, inner_width, inner_height)


def _inner(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))


def _centred(input_width: int, input_height: int, inner_width: int, inner_height: int) -> Letterbox:
    return Letterbox(
        input_width,
        input_height,
        inner_width,
        inner_height,
        (input_width - inner_width) // 2,
        (input_height - inner_height) // 2,
    )


def to_tensor(
    picture: Picture, letterbox: Letterbox, *, as_trained: Literal["rgb01", "bgr255"]
) -> NDArray[np.float32]:
    """1 x 3 x height x width, as the model was trained: RGB 0..1 (YOLO), or BGR 0..255 (YOLOX)."""
    inner = (letterbox.inner_width, letterbox.inner_height)
    if (picture.shape[1], picture.shape[0]) != inner:
        picture = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA).astype(np.uint8)
    shape = (letterbox.input_height, letterbox.input_width, 3)
    if picture.shape != shape:
        padded = np.full(shape, GREY, dtype=np.uint8)
        padded[
            letterbox.top : letterbox.top + letterbox.inner_height,
            letterbox.left : letterbox.left + letterbox.inner_width,
        ] = picture
        picture = padded
    tensor = cv2.dnn.blobFromImage(
        picture, scalefactor=1 / 255 if as_trained == "rgb01" else 1.0, swapRB=as_trained == "rgb01"
    )
    return np.ascontiguousarray(tensor, dtype=np.float32)
