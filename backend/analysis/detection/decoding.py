"""What a YOLO network answers, as boxes of its input: one function per family of outputs.

    anchors   1 x (4 + classes) x n   v8, v9, 11, 12: centre, size, a score per class
    end2end   1 x n x 6               v10 and NMS-free exports: corners, score, class
    yolox     1 x n x (5 + classes)   YOLOX without its decoder: cell offsets, object, classes

Which one it is follows from the shapes and is decided once, when the model is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.analysis.protocol import AnalysisError

SAME_OBJECT_IOU = 0.5
"""Two boxes of one class that overlap more than this are one object."""
MAX_CANDIDATES = 3000
"""Most boxes that go into the search for doubles."""
YOLOX_STRIDES = (8, 16, 32)

Floats = NDArray[np.float32]


class Family(StrEnum):
    """How the output of a model is to be read."""

    ANCHORS = "anchors"
    END2END = "end2end"
    YOLOX = "yolox"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes as corners in pixels of the input, with their best class."""

    corners: Floats
    scores: Floats
    classes: NDArray[np.int64]


def family_of(
    outputs: Sequence[Sequence[int]], *, input_size: tuple[int, int], classes: int | None
) -> Family:
    """Which family these output shapes belong to.

    Args:
        outputs: shapes that the model really gave.
        input_size: width and height of the input that it was given.
        classes: how many class names it carries, if it says so.

    Raises:
        AnalysisError: `weights_unsupported`: none that is known.
    """
    shapes = [tuple(shape) for shape in outputs if len(shape) == 3 and shape[0] == 1]
    if len(shapes) == 1:
        _, rows, columns = shapes[0]
        cells = [(input_size[0] // s) * (input_size[1] // s) for s in YOLOX_STRIDES]
        if columns == 6 and rows <= 1000 and rows != sum(cells):
            return Family.END2END
        if rows == sum(cells) and columns > 5:
            return Family.YOLOX
        if columns == sum(cells) and rows > 4 and classes in (None, rows - 4):
            return Family.ANCHORS
    said = ", ".join("x".join(map(str, shape)) for shape in outputs)
    raise AnalysisError(
        "weights_unsupported",
        f"the detector's output ({said}) is not of a known YOLO detection model",
        permanent=True,
    )


def class_count(family: Family, shape: Sequence[int]) -> int | None:
    """How many classes an output of that shape can tell apart; None where it does not show."""
    match family:
        case Family.ANCHORS:
            return shape[1] - 4
        case Family.YOLOX:
            return shape[2] - 5
        case Family.END2END:
            return None


def decode(
    output: Floats, family: Family, *, confidence: float, input_size: tuple[int, int]
) -> Candidates:
    """Boxes of at least that confidence, one per object, most certain first."""
    match family:
        case Family.ANCHORS:
            return _without_doubles(_anchors(output[0], confidence))
        case Family.YOLOX:
            return _without_doubles(_yolox(output[0], confidence, input_size))
        case Family.END2END:
            return _end2end(output[0], confidence)


def _anchors(output: Floats, confidence: float) -> Candidates:
    best = output[4:].max(axis=0)
    kept = output[:, best >= confidence]
    return Candidates(
        _corners(kept[:4].T), best[best >= confidence], kept[4:].argmax(axis=0).astype(np.int64)
    )


def _end2end(output: Floats, confidence: float) -> Candidates:
    kept = output[output[:, 4] >= confidence]
    kept = kept[np.argsort(-kept[:, 4], kind="stable")]
    return Candidates(kept[:, :4], kept[:, 4], kept[:, 5].astype(np.int64))


def _yolox(output: Floats, confidence: float, input_size: tuple[int, int]) -> Candidates:
    scores = output[:, 4] * output[:, 5:].max(axis=1)
    kept = scores >= confidence
    grid, stride = _yolox_cells(input_size)
    rows, grid, stride = output[kept], grid[kept], stride[kept]
    boxes = np.concatenate(
        ((rows[:, :2] + grid) * stride, np.exp(rows[:, 2:4]) * stride), axis=1, dtype=np.float32
    )
    return Candidates(_corners(boxes), scores[kept], rows[:, 5:].argmax(axis=1).astype(np.int64))


def _yolox_cells(input_size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Column and row of each cell, and its stride, in the order of the output."""
    grids, strides = [], []
    for stride in YOLOX_STRIDES:
        across, down = input_size[0] // stride, input_size[1] // stride
        columns, rows = np.meshgrid(np.arange(across), np.arange(down))
        grids.append(np.stack((columns.ravel(), rows.ravel()), axis=1))
        strides.append(np.full((across * down, 1), stride))
    return (
        np.concatenate(grids).astype(np.float32),
        np.concatenate(strides).astype(np.float32),
    )


def _corners(boxes: Floats) -> Floats:
    """Centre and size as corners."""
    half = boxes[:, 2:4] / 2
    return np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1, dtype=np.float32)


def _without_doubles(found: Candidates) -> Candidates:
    if not len(found.scores):
        return found
    if len(found.scores) > MAX_CANDIDATES:
        top = np.argsort(-found.scores)[:MAX_CANDIDATES]
        found = Candidates(found.corners[top], found.scores[top], found.classes[top])
    sizes = np.concatenate(
        (found.corners[:, :2], found.corners[:, 2:] - found.corners[:, :2]), axis=1
    )
    kept = np.asarray(
        cv2.dnn.NMSBoxesBatched(
            sizes.tolist(), found.scores.tolist(), found.classes.tolist(), 0.0, SAME_OBJECT_IOU
        ),
        dtype=np.int64,
    ).reshape(-1)
    kept = kept[np.argsort(-found.scores[kept], kind="stable")]
    return Candidates(found.corners[kept], found.scores[kept], found.classes[kept])
