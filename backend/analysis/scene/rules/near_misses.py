"""Near misses: a moving vehicle comes very close to somebody on foot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backend.analysis.scene.rules.evidence import confidence, margin, runs, seen
from backend.analysis.scene.rules.settings import NearMissSettings
from backend.analysis.scene.tracks import PERSON, VEHICLES, Point, Track, height, meet, rides, speed
from backend.findings.incident import Incident, IncidentCategory

SEVERITY = 3
_SAME_TIME_S = 0.15
_SPEED_OVER_S = 0.5
_HOLE_S = 1.0


def near_misses(tracks: Sequence[Track], settings: NearMissSettings) -> Iterator[Incident]:
    """Every pair of a person on foot and a moving vehicle that came too close."""
    vehicles = [track for track in tracks if track.label in VEHICLES]
    for person in tracks:
        if person.label != PERSON:
            continue
        for vehicle in vehicles:
            if meet(person, vehicle) and not rides(person, [vehicle]):
                yield from _of(person, vehicle, settings)


def _of(person: Track, vehicle: Track, settings: NearMissSettings) -> Iterator[Incident]:
    together = [
        (point, other)
        for point in person.points
        if (other := vehicle.at(point.t, within_s=_SAME_TIME_S)) is not None
    ]
    body = height(person.points)
    close = [_too_close(point, other, vehicle, body, settings) for point, other in together]
    for first, last in runs([point.t for point, _ in together], close, hole_s=_HOLE_S):
        if sum(close[first : last + 1]) < settings.least_looks:
            continue
        pairs = [pair for pair, near in zip(together, close, strict=True) if near]
        pairs = [p for p in pairs if together[first][0].t <= p[0].t <= together[last][0].t]
        nearest = min(pairs, key=lambda pair: _between(*pair))
        distance = _between(*nearest) / body
        pace = max(_vehicle_speed(vehicle, other.t) for _, other in pairs) / body
        yield Incident(
            IncidentCategory.NEAR_MISS,
            t_start=together[first][0].t,
            t_end=together[last][0].t,
            severity=SEVERITY,
            confidence=confidence(
                [*(point for point, _ in pairs), *(other for _, other in pairs)],
                margin(distance, threshold=settings.distance, sure=settings.sure_distance),
            ),
            evidence=(
                seen(person, nearest[0], f"{distance:.1f} body heights from a {vehicle.label}"),
                seen(vehicle, nearest[1], f"moving at {pace:.1f} body heights a second"),
            ),
        )


def _too_close(
    point: Point, other: Point, vehicle: Track, body: float, settings: NearMissSettings
) -> bool:
    if not _same_ground(point, other, body, settings):
        return False
    if _vehicle_speed(vehicle, other.t) < settings.vehicle_speed * body:
        return False
    between = _between(point, other)
    nearing = _nearing(vehicle.between(other.t - _SPEED_OVER_S, other.t), point)
    return between <= max(settings.distance * body, settings.reached_in_s * nearing)


def _nearing(way: Sequence[Point], person: Point) -> float:
    """How fast the vehicle comes nearer, sideways, in pixels a second; 0 if it goes away."""
    if len(way) < 2 or way[-1].t <= way[0].t:
        return 0.0
    closed = _between(person, way[0]) - _between(person, way[-1])
    return max(closed / (way[-1].t - way[0].t), 0.0)


def _between(person: Point, vehicle: Point) -> float:
    """Sideways between the boxes, in pixels; 0 where they overlap."""
    return max(person.box.x1 - vehicle.box.x2, vehicle.box.x1 - person.box.x2, 0.0)


def _same_ground(person: Point, vehicle: Point, body: float, settings: NearMissSettings) -> bool:
    """Whether the feet are at the depth of the scene at which the vehicle is."""
    lowest = vehicle.box.y2 + settings.ground_below * body
    highest = vehicle.box.y2 - settings.ground_above * body
    return highest <= person.box.y2 <= lowest


def _vehicle_speed(vehicle: Track, t: float) -> float:
    return speed(vehicle.between(t - _SPEED_OVER_S, t + _SPEED_OVER_S))
