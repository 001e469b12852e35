"""Loitering: somebody stays in one place for long, and not as part of a crowd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backend.analysis.scene.rules.company import groups, present
from backend.analysis.scene.rules.evidence import confidence, margin, seen
from backend.analysis.scene.rules.settings import CrowdingSettings, LoiteringSettings
from backend.analysis.scene.tracks import PERSON, Point, Track, feet, height, rides
from backend.findings.incident import Incident, IncidentCategory

SEVERITY = 1
_STEP_S = 1.0


def loitering(
    tracks: Sequence[Track], settings: LoiteringSettings, crowd: CrowdingSettings
) -> Iterator[Incident]:
    """Everybody who stayed too long, once for each place."""
    people = [t for t in tracks if t.label == PERSON and not rides(t, tracks)]
    for track in people:
        for stay in _stays(track, settings):
            lasted_s = stay[-1].t - stay[0].t
            if _spread(stay) < settings.least_spread * height(stay) or _in_company(
                stay, people, settings, crowd
            ):
                continue
            yield Incident(
                IncidentCategory.LOITERING,
                t_start=stay[0].t,
                t_end=stay[-1].t,
                severity=SEVERITY,
                confidence=confidence(
                    stay, margin(lasted_s, threshold=settings.least_s, sure=settings.sure_s)
                ),
                evidence=(
                    seen(track, stay[0], "arrives"),
                    seen(track, stay[-1], f"still in the same place after {lasted_s:.0f} s"),
                ),
            )


def _stays(track: Track, settings: LoiteringSettings) -> Iterator[list[Point]]:
    """Longest stretches within the radius, one after the other."""
    points = _thinned(track.points)
    reach = settings.radius * height(track.points)
    first = 0
    while first < len(points):
        last = first
        while last + 1 < len(points) and _spread(points[first : last + 2]) <= reach:
            last += 1
        if points[last].t - points[first].t >= settings.least_s:
            yield points[first : last + 1]
            first = last + 1
        else:
            first += 1


def _thinned(points: Sequence[Point]) -> list[Point]:
    """About one a second."""
    kept: list[Point] = []
    for point in points:
        if not kept or point.t - kept[-1].t >= _STEP_S:
            kept.append(point)
    return kept


def _spread(points: Sequence[Point]) -> float:
    """Half the larger side of the rectangle that holds the feet, in pixels."""
    across = [feet(point.box)[0] for point in points]
    down = [feet(point.box)[1] for point in points]
    return max(max(across) - min(across), max(down) - min(down)) / 2


def _in_company(
    stay: Sequence[Point],
    people: Sequence[Track],
    settings: LoiteringSettings,
    crowd: CrowdingSettings,
) -> bool:
    """Whether for most of the time it is a group that stays."""
    together = 0
    for point in stay:
        for group in groups(present(people, point.t), reach=crowd.reach):
            if len(group) >= settings.company and any(other is point for _, other in group):
                together += 1
    return together >= settings.company_part * len(stay)
