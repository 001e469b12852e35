"""Recall and precision of detections against labelled boxes (MOT format)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.findings.detection import Box


@dataclass(frozen=True)
class Score:
    """How detections compare with labels."""

    hits: int
    labels: int
    found: int

    @property
    def recall(self) -> float:
        """Part of the labelled objects that were found."""
        return self.hits / self.labels

    @property
    def precision(self) -> float:
        """Part of what was found that is labelled."""
        return self.hits / self.found


def read_labels(path: Path) -> dict[int, list[Box]]:
    """Boxes by number of the picture, as the file counts them."""
    labels: dict[int, list[Box]] = {}
    for line in path.read_text().splitlines():
        number, _, left, top, width, height = map(float, line.split(",")[:6])
        labels.setdefault(int(number), []).append(Box(left, top, left + width, top + height))
    return labels


def compare(
    labels: Mapping[int, Sequence[Box]], found: Mapping[int, Iterable[Box]], *, iou: float = 0.5
) -> Score:
    """Match greedily, in the order in which the boxes were found (most certain first)."""
    hits = total = 0
    for number, wanted in labels.items():
        left = list(wanted)
        for box in found.get(number, ()):
            total += 1
            best = max(left, key=box.iou, default=None)
            if best is not None and box.iou(best) >= iou:
                left.remove(best)
                hits += 1
    return Score(hits, sum(len(boxes) for boxes in labels.values()), total)
