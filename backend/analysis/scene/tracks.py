"""What a track is: one object through time, and the arithmetic that the rules share.

Lengths are compared in body heights (the height of the person's own box), so that the same
thresholds hold near the camera and far from it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from statistics import fmean, median

from backend.findings.detection import Box

PERSON = "person"
VEHICLES = frozenset({"car", "truck", "bus", "motorcycle", "van"})
RIDDEN = VEHICLES | {"bicycle"}

_SAME_TIME_S = 0.3
_RIDER_COVERED = 0.3
_RIDER_PART = 0.6


@dataclass(frozen=True, slots=True)
class Point:
    """Where the object was at one moment."""

    t: float
    box: Box
    confidence: float
    cut_across: bool = False
    """The box ends at the left or right edge of the picture: the object goes on outside."""
    cut_down: bool = False
    """The same at the upper or lower edge."""

    @property
    def cut(self) -> bool:
        """Whether part of the object is outside the picture."""
        return self.cut_across or self.cut_down


@dataclass(frozen=True, slots=True)
class Track:
    """One object, as long as it was followed; points in order of time."""

    id: int
    label: str
    points: tuple[Point, ...]

    @property
    def t_start(self) -> float:
        """When it was first seen."""
        return self.points[0].t

    @property
    def t_end(self) -> float:
        """When it was last seen."""
        return self.points[-1].t

    @property
    def confidence(self) -> float:
        """Mean confidence of its detections."""
        return mean_confidence(self.points)

    def between(self, t_start: float, t_end: float) -> tuple[Point, ...]:
        """Points in that time, ends included."""
        return tuple(p for p in self.points if t_start <= p.t <= t_end)

    def at(self, t: float, *, within_s: float) -> Point | None:
        """The point closest to that moment, if there is one so near."""
        after = bisect_left(self.points, t, key=lambda point: point.t)
        around = self.points[max(after - 1, 0) : after + 1]
        nearest = min(around, key=lambda point: abs(point.t - t))
        return nearest if abs(nearest.t - t) <= within_s else None


def majority(labels: Sequence[str]) -> str:
    """The class that was seen most often."""
    return Counter(labels).most_common(1)[0][0]


def mean_confidence(points: Sequence[Point]) -> float:
    """Mean confidence of some points."""
    return fmean(point.confidence for point in points)


def height(points: Sequence[Point]) -> float:
    """Typical height of the boxes, in pixels."""
    return median(point.box.height for point in points)


def distance(one: Box, other: Box) -> float:
    """Between the middles, in pixels."""
    return hypot(one.center[0] - other.center[0], one.center[1] - other.center[1])


def speed(points: Sequence[Point]) -> float:
    """From the first to the last point, in pixels a second; 0 for less than two."""
    if len(points) < 2 or points[-1].t <= points[0].t:
        return 0.0
    return distance(points[0].box, points[-1].box) / (points[-1].t - points[0].t)


def feet(box: Box) -> tuple[float, float]:
    """Where it stands on the ground."""
    return box.center[0], box.y2


def meet(one: Track, other: Track) -> bool:
    """Whether both were there at the same time."""
    return one.t_start <= other.t_end and other.t_start <= one.t_end


def rides(person: Track, tracks: Sequence[Track]) -> bool:
    """Whether a person sits in or on something: most of the time its box covers part of theirs."""
    for other in tracks:
        if other.label not in RIDDEN or not meet(person, other):
            continue
        near = [(point, other.at(point.t, within_s=_SAME_TIME_S)) for point in person.points]
        inside = sum(
            covered(point.box, by.box) >= _RIDER_COVERED for point, by in near if by is not None
        )
        if inside >= _RIDER_PART * len(person.points):
            return True
    return False


def covered(box: Box, by: Box) -> float:
    """Part of the box that the other one covers, 0..1."""
    across = min(box.x2, by.x2) - max(box.x1, by.x1)
    down = min(box.y2, by.y2) - max(box.y1, by.y1)
    area = box.width * box.height
    return across * down / area if across > 0 and down > 0 and area > 0 else 0.0
