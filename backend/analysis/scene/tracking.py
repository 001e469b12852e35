"""Detections into tracks: overlap and nearness, solved for all at once (Hungarian method).

Made for few pictures a second (5) with gaps: each track predicts where it will be from its own
speed, and a track that is not found again for `LOST_AFTER_S` is over. Weak detections may continue
a track, but never start one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from backend.analysis.scene.tracks import VEHICLES, Point, Track, covered, distance, majority, speed
from backend.findings.detection import Box, Detection

LOST_AFTER_S = 4.0
STILL_LOST_AFTER_S = 7.0
"""Who stood still is looked for longer: a truck in between hides them as long as it stands."""
_STILL = 0.4
"""Heights a second; slower is standing still."""
_STILL_OVER_S = 2.0
LOST_AFTER_LOOKS = 3
CONFIRMED_BY = 3
"""A track needs so many strong detections to count..."""
CONFIRMED_PART = 0.3
"""...and this part of all of its detections."""
_PREDICT_AT_MOST_S = 1.5
_SPEED_MEMORY = 0.5
"""Weight of the newest step in the speed."""
_NEAR = 1.0
"""Without overlap, boxes whose middles are closer than this part of their size may match."""
_SAME_SIZE = 2.2
"""Sides of matching boxes differ at most by this factor."""
_LEAST_LIKENESS = 0.1
_LEAST_WEAK_LIKENESS = 0.3
_CHANGED_WITHIN_S = 1.5
"""Somebody who falls or stoops changes shape at once: for so long a box that shares most of its
place with the last one is the same object, whatever its shape."""
_SAME_PLACE = 0.5
_DOUBLE_IOU = 0.4
"""A box that overlaps so much with one that continues a track is that object once more."""
_EDGE = 0.006
"""A box that ends within this part of the picture's size from its edge is cut off."""


@dataclass(slots=True, eq=False)
class _Candidate:
    """A track that is still being followed."""

    id: int
    group: str
    labels: list[str]
    points: list[Point]
    strong: int = 1
    velocity: tuple[float, float] = (0.0, 0.0)
    missed: int = 0

    @property
    def confirmed(self) -> bool:
        """Whether it is more than a mistake of the detector."""
        return self.strong >= max(CONFIRMED_BY, CONFIRMED_PART * len(self.points))

    @property
    def looked_for_s(self) -> float:
        """How long it is looked for when it is not seen any more."""
        end = self.points[-1]
        lately = [point for point in self.points if point.t >= end.t - _STILL_OVER_S]
        still = len(lately) > 1 and speed(lately) < _STILL * end.box.height
        return STILL_LOST_AFTER_S if still else LOST_AFTER_S

    def predicted(self, t: float) -> Box:
        """Where it should be by now."""
        last = self.points[-1]
        ahead = min(t - last.t, _PREDICT_AT_MOST_S)
        dx, dy = self.velocity[0] * ahead, self.velocity[1] * ahead
        box = last.box
        return Box(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)

    def likeness(self, t: float, found: Box) -> float:
        """1 if the box is where and what it should be, 0 if it cannot be this one."""
        likeness = _likeness(self.predicted(t), found)
        last = self.points[-1]
        if t - last.t <= _CHANGED_WITHIN_S:
            shared = max(covered(found, last.box), covered(last.box, found))
            if shared >= _SAME_PLACE:
                likeness = max(likeness, 0.25 * shared)
        return likeness

    def take(self, detection: Detection, point: Point) -> None:
        """It was found here."""
        last = self.points[-1]
        passed = max(point.t - last.t, 1e-3)
        # An edge that is cut off does not move with the object, its other side does.
        new = [
            (there - here) / passed
            for here, there in zip(last.box.center, point.box.center, strict=True)
        ]
        weight = 1.0 if len(self.points) == 1 else _SPEED_MEMORY
        self.velocity = (
            weight * new[0] + (1 - weight) * self.velocity[0],
            weight * new[1] + (1 - weight) * self.velocity[1],
        )
        self.labels.append(detection.label)
        self.points.append(point)
        self.missed = 0


@dataclass(slots=True)
class Tracker:
    """Follows the objects of one video; call `update` in order of time, then `finish`."""

    start_confidence: float
    _alive: list[_Candidate] = field(default_factory=list)
    _done: list[Track] = field(default_factory=list)
    _last_id: int = 0

    @property
    def following(self) -> bool:
        """Whether there is anything that was seen lately."""
        return any(track.confirmed for track in self._alive)

    def update(self, t: float, detections: Sequence[Detection], *, size: tuple[int, int]) -> None:
        """Take what was detected in one picture of that size (width, height)."""
        strong = [d for d in detections if d.confidence >= self.start_confidence]
        weak = [d for d in detections if d.confidence < self.start_confidence]
        free, unmatched = self._match(t, self._alive, strong, size, strong=True)
        for track in self._alive:
            track.strong += track not in free
        free, _ = self._match(t, free, weak, size, strong=False)
        for track in free:
            track.missed += 1
        for detection in unmatched:
            group = _group(detection.label)
            if self._is_double(detection.box, group, t):
                continue
            self._last_id += 1
            point = _point(t, detection, size)
            self._alive.append(_Candidate(self._last_id, group, [detection.label], [point]))
        for track in [track for track in self._alive if self._is_lost(track, t)]:
            self._alive.remove(track)
            self._close(track)

    def finish(self) -> list[Track]:
        """All confirmed tracks, in order of their start."""
        for track in self._alive:
            self._close(track)
        self._alive = []
        return sorted(self._done, key=lambda track: (track.t_start, track.id))

    def _match(
        self,
        t: float,
        tracks: Sequence[_Candidate],
        detections: Sequence[Detection],
        size: tuple[int, int],
        *,
        strong: bool,
    ) -> tuple[list[_Candidate], list[Detection]]:
        """Continue tracks; gives back the tracks and the detections that stay alone."""
        if not tracks or not detections:
            return list(tracks), list(detections)
        # A weak one only where it fits: it must not bend the track.
        least = _LEAST_LIKENESS if strong else _LEAST_WEAK_LIKENESS
        likeness: NDArray[np.float64] = np.array(
            [
                [
                    track.likeness(t, d.box) if _group(d.label) == track.group else 0.0
                    for d in detections
                ]
                for track in tracks
            ]
        )
        rows, columns = linear_sum_assignment(-likeness)
        pairs = [
            (int(row), int(column))
            for row, column in zip(rows, columns, strict=True)
            if likeness[row, column] >= least
        ]
        for row, column in pairs:
            tracks[row].take(detections[column], _point(t, detections[column], size))
        taken_rows, taken_columns = {row for row, _ in pairs}, {column for _, column in pairs}
        return (
            [track for i, track in enumerate(tracks) if i not in taken_rows],
            [d for i, d in enumerate(detections) if i not in taken_columns],
        )

    def _is_double(self, box: Box, group: str, t: float) -> bool:
        return any(
            track.group == group
            and track.points[-1].t == t
            and track.points[-1].box.iou(box) >= _DOUBLE_IOU
            for track in self._alive
        )

    def _is_lost(self, track: _Candidate, t: float) -> bool:
        unsure = not track.confirmed
        looks = 2 if unsure else LOST_AFTER_LOOKS
        return track.missed >= looks and (unsure or t - track.points[-1].t >= track.looked_for_s)

    def _close(self, track: _Candidate) -> None:
        if track.confirmed:
            self._done.append(Track(track.id, majority(track.labels), tuple(track.points)))


def _group(label: str) -> str:
    """Classes that detectors mix up are followed together."""
    return "vehicle" if label in VEHICLES else label


def _likeness(predicted: Box, found: Box) -> float:
    """1 for the same box; overlap first, nearness where there is none; 0 for no match."""
    for one, other in ((predicted.width, found.width), (predicted.height, found.height)):
        if max(one, other) > _SAME_SIZE * max(min(one, other), 1.0):
            return predicted.iou(found)  # changes its shape: only by overlap
    reach = _NEAR * max(predicted.height, predicted.width)
    near = max(0.0, 1.0 - distance(predicted, found) / max(reach, 1.0))
    return max(predicted.iou(found), 0.5 * near)


def _point(t: float, detection: Detection, size: tuple[int, int]) -> Point:
    box = detection.box
    edge_x, edge_y = size[0] * _EDGE, size[1] * _EDGE
    return Point(
        t,
        box,
        detection.confidence,
        cut_across=box.x1 <= edge_x or box.x2 >= size[0] - edge_x,
        cut_down=box.y1 <= edge_y or box.y2 >= size[1] - edge_y,
    )
