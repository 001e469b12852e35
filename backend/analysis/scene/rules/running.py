"""Running: somebody on foot moves much faster than walking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from backend.analysis.scene.rules.evidence import confidence, margin, runs, seen
from backend.analysis.scene.rules.settings import RunningSettings
from backend.analysis.scene.tracks import PERSON, Point, Track, height, rides, speed
from backend.findings.incident import Incident, IncidentCategory

SEVERITY = 1
_HOLE_S = 0.7


def running(tracks: Sequence[Track], settings: RunningSettings) -> Iterator[Incident]:
    """Everybody who ran."""
    for track in tracks:
        if track.label == PERSON and not rides(track, tracks):
            yield from _of(track, settings)


def _of(track: Track, settings: RunningSettings) -> Iterator[Incident]:
    # The middle of a box that ends at the edge of the picture is not the middle of the person.
    points = [point for point in track.points if not point.cut]
    if len(points) < 2:
        return
    times = [point.t for point in points]
    body = height(points)
    pace = [_pace(points, i, settings.window_s) / body for i in range(len(points))]
    fast = [value >= settings.speed for value in pace]
    for first, last in runs(times, fast, hole_s=_HOLE_S):
        if times[last] - times[first] < settings.least_s:
            continue
        typical = median(pace[first : last + 1])
        yield Incident(
            IncidentCategory.RUNNING,
            t_start=times[first],
            t_end=times[last],
            severity=SEVERITY,
            confidence=confidence(
                points[first : last + 1],
                margin(typical, threshold=settings.speed, sure=settings.sure_speed),
            ),
            evidence=(
                seen(track, points[first], f"{typical:.1f} body heights a second"),
                seen(track, points[last], "last seen running"),
            ),
        )


def _pace(points: Sequence[Point], index: int, window_s: float) -> float:
    """Pixels a second around one point: as the crow flies, and not more than the typical step, so
    that one jump of a box is no speed."""
    t = points[index].t
    around = [point for point in points if abs(point.t - t) <= window_s / 2 + 0.05]
    if len(around) < 3 or around[-1].t - around[0].t < window_s / 2:
        return 0.0
    steps = [speed(around[i : i + 2]) for i in range(len(around) - 1)]
    return min(speed(around), median(steps) * 1.2)
