"""Counts how well the demo's detector finds what is in the clip.

Runs the ONNX file with onnxruntime on the decoded clip and compares with the truth that the
generator wrote. Somebody of whom less than half can be seen is neither demanded nor counted as a
false alarm.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from backend.analysis.detection.decoding import SAME_OBJECT_IOU
from demo.drawing import Picture

CONFIDENCE = 0.35
NMS_IOU = SAME_OBJECT_IOU
"""Doubles are told apart as the product does it."""
SEEN_PERCENT = 50
IOU_LEVELS = np.arange(0.5, 0.96, 0.05)
Boxes = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """What is or was found in a picture: boxes (n, 4), class numbers, scores or seen percent."""

    boxes: Boxes
    classes: NDArray[np.int64]
    values: NDArray[np.float64]


class Detector:
    """The exported network on one CPU thread."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0]
        self.names: dict[int, str] = ast.literal_eval(
            self._session.get_modelmeta().custom_metadata_map["names"]
        )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the network's input."""
        return int(self._input.shape[2]), int(self._input.shape[3])

    def find(self, picture: Picture, confidence: float = 0.01) -> Found:
        """What the network finds in a BGR picture, in the picture's pixels."""
        rows, columns = self.size
        scale = min(rows / picture.shape[0], columns / picture.shape[1])
        wide, high = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
        left, top = (columns - wide) // 2, (rows - high) // 2
        boxed = np.full((rows, columns, 3), 114, np.uint8)
        boxed[top : top + high, left : left + wide] = cv2.resize(picture, (wide, high))
        tensor = (
            np.ascontiguousarray(boxed[..., ::-1].transpose(2, 0, 1))[None].astype(np.float32) / 255
        )
        raw = self._session.run(None, {self._input.name: tensor})[0][0].T
        scores, classes = raw[:, 4:].max(axis=1), raw[:, 4:].argmax(axis=1)
        kept = scores >= confidence
        raw, scores, classes = raw[kept], scores[kept], classes[kept]
        corner = raw[:, :2] - raw[:, 2:4] / 2
        rectangles = np.concatenate([corner, raw[:, 2:4]], axis=1)
        order = cv2.dnn.NMSBoxesBatched(
            rectangles.tolist(), scores.tolist(), classes.tolist(), confidence, NMS_IOU
        )
        chosen = np.array(order, dtype=int).reshape(-1)
        boxes = np.concatenate([corner, corner + raw[:, 2:4]], axis=1)[chosen] - np.array(
            [left, top, left, top]
        )
        limits = np.array([picture.shape[1], picture.shape[0]] * 2)
        return Found(
            np.clip(boxes / scale, 0, limits), classes[chosen], scores[chosen].astype(float)
        )


@dataclass(frozen=True, slots=True)
class Truth:
    """What the generator wrote about the clip."""

    classes: list[str]
    fps: int
    incidents: list[dict[str, object]]
    frames: list[Found]
    tracks: list[NDArray[np.int64]]


def read_truth(path: Path) -> Truth:
    """The clip's truth; `frames` and `tracks` have one entry a picture."""
    raw = json.loads(gzip.decompress(path.read_bytes()))
    rows = [np.array(frame, dtype=float).reshape(-1, 7) for frame in raw["frames"]]
    frames = [Found(r[:, 2:6], r[:, 1].astype(int), r[:, 6]) for r in rows]
    return Truth(
        raw["classes"], raw["fps"], raw["incidents"], frames, [r[:, 0].astype(int) for r in rows]
    )


def pictures(clip: Path, every: int) -> Iterator[tuple[int, Picture]]:
    """Number and BGR pixels of every n-th picture of the clip."""
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                yield number, frame.to_ndarray(format="bgr24")


@dataclass(frozen=True, slots=True)
class Measured:
    """How good the detector is on a set of pictures."""

    pictures: int
    map50: float
    map50_95: float
    ap50: dict[str, float]
    recall: float
    precision: float
    recall_by_class: dict[str, float]
    precision_by_class: dict[str, float]


def measure(found: list[Found], truth: list[Found], names: list[str]) -> Measured:
    """Average precision over all scores; recall, precision at `CONFIDENCE` and an IoU of 0.5."""
    precisions = np.zeros((len(names), len(IOU_LEVELS)))
    hits, false, wanted = np.zeros(len(names)), np.zeros(len(names)), np.zeros(len(names))
    for number in range(len(names)):
        for level, iou in enumerate(IOU_LEVELS):
            scores, right, demanded = _judge(found, truth, number, iou)
            precisions[number, level] = _average_precision(scores, right, demanded)
            if level == 0:
                sure = scores >= CONFIDENCE
                hits[number], false[number] = right[sure].sum(), (~right[sure]).sum()
                wanted[number] = demanded
    return Measured(
        pictures=len(truth),
        map50=round(float(precisions[:, 0].mean()), 4),
        map50_95=round(float(precisions.mean()), 4),
        ap50={
            name: round(float(value), 4)
            for name, value in zip(names, precisions[:, 0], strict=True)
        },
        recall=round(float(hits.sum() / max(1.0, wanted.sum())), 4),
        precision=round(float(hits.sum() / max(1.0, hits.sum() + false.sum())), 4),
        recall_by_class=dict(
            zip(names, np.round(hits / np.maximum(wanted, 1), 4).tolist(), strict=True)
        ),
        precision_by_class=dict(
            zip(names, np.round(hits / np.maximum(hits + false, 1), 4).tolist(), strict=True)
        ),
    )


def _judge(
    found: list[Found], truth: list[Found], number: int, iou: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    """Scores of one class's findings, whether each is right, and how many were due.

    Findings of what is hardly seen are left out.
    """
    scores: list[float] = []
    right: list[bool] = []
    demanded = 0
    for seen, real in zip(found, truth, strict=True):
        mine, theirs = seen.classes == number, real.classes == number
        boxes, due = real.boxes[theirs], real.values[theirs] >= SEEN_PERCENT
        demanded += int(due.sum())
        taken = np.zeros(len(boxes), bool)
        overlap = overlaps(seen.boxes[mine], boxes)
        values = seen.values[mine]
        for index in np.argsort(-values, kind="stable"):
            free = np.where(taken, 0.0, overlap[index])
            # First what is due; what is hardly seen only takes up a finding that nothing due wants.
            best = _best(np.where(due, free, 0.0), iou)
            if (
                best is None
                and _best(np.where(due, 0.0, overlap[index]), min(iou, 0.3)) is not None
            ):
                continue
            if best is not None:
                taken[best] = True
            scores.append(float(values[index]))
            right.append(best is not None)
    return np.array(scores), np.array(right, dtype=bool), demanded


def _best(overlap: NDArray[np.float64], least: float) -> int | None:
    if not len(overlap) or overlap.max() < least:
        return None
    return int(overlap.argmax())


def overlaps(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection over union of each of the first boxes (n, 4) with each of the second (m, 4)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9))


def _average_precision(
    scores: NDArray[np.float64], right: NDArray[np.bool_], demanded: int
) -> float:
    """Area under the precision-recall curve, at 101 recalls as COCO does."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    recall = hits / max(1, demanded)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.mean([envelope[index] if index < len(envelope) else 0.0 for index in at]))
