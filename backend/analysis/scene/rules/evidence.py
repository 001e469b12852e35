"""How every rule says how sure it is and what shows it.

    confidence = mean confidence of the detections involved * (0.7 + 0.3 * margin)

The margin is 0 where the rule's threshold is just met and 1 where its `sure_` value is reached.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.analysis.scene.tracks import Point, Track, mean_confidence
from backend.findings.incident import Evidence

_AT_THRESHOLD = 0.7


def margin(value: float, *, threshold: float, sure: float) -> float:
    """0 at the threshold, 1 at `sure` and beyond, whichever way they lie."""
    if sure == threshold:
        return 1.0
    return min(max((value - threshold) / (sure - threshold), 0.0), 1.0)


def confidence(points: Sequence[Point], margin: float) -> float:
    """Of an incident that these detections show."""
    return of_certainty(mean_confidence(points), margin)


def of_certainty(certainty: float, margin: float) -> float:
    """Of an incident seen with that certainty (0..1)."""
    return round(min(certainty, 1.0) * (_AT_THRESHOLD + (1 - _AT_THRESHOLD) * margin), 3)


def seen(track: Track, point: Point, note: str) -> Evidence:
    """Evidence: this track, then and there."""
    box = point.box
    corners = (round(box.x1, 1), round(box.y1, 1), round(box.x2, 1), round(box.y2, 1))
    return Evidence(round(point.t, 2), note, track.id, corners)


def runs(times: Sequence[float], flags: Sequence[bool], *, hole_s: float) -> list[tuple[int, int]]:
    """Stretches of true flags as first and last index; false ones shorter than `hole_s` between
    two true ones belong to the stretch."""
    found: list[tuple[int, int]] = []
    for i, flag in enumerate(flags):
        if not flag:
            continue
        if found and times[i] - times[found[-1][1]] <= hole_s:
            found[-1] = (found[-1][0], i)
        else:
            found.append((i, i))
    return found
