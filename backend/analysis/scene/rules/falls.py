"""Falls: a person's box goes from upright to wide, or to flat, and stays low."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from backend.analysis.scene.rules.evidence import confidence, margin, runs, seen
from backend.analysis.scene.rules.settings import FallSettings
from backend.analysis.scene.tracks import PERSON, Point, Track, rides
from backend.findings.incident import Incident, IncidentCategory

GOT_UP, DID_NOT_GET_UP = 3, 4
_HOLE_S = 1.5


def falls(tracks: Sequence[Track], settings: FallSettings) -> Iterator[Incident]:
    """Everybody who was upright and then lay for a while; severity 4 if they did not get up."""
    for track in tracks:
        if track.label == PERSON and not rides(track, tracks):
            yield from _of(track, settings)


def _of(track: Track, settings: FallSettings) -> Iterator[Incident]:
    # At the left and right edge only a part of the width shows.
    points = [point for point in track.points if not point.cut_across]
    times = [point.t for point in points]
    low = [_aspect(point) <= settings.low_aspect for point in points]
    for first, last in runs(times, low, hole_s=_HOLE_S):
        before = [
            point
            for point in points[:first]
            if point.t >= times[first] - settings.upright_before_s
            and _aspect(point) >= settings.upright_aspect
        ]
        down = points[first : last + 1]
        lasted_s = times[last] - times[first]
        if lasted_s < settings.stay_low_s or not _fell(before, down, settings):
            continue
        up = _up_again(points[last + 1 :], settings)
        yield Incident(
            IncidentCategory.FALL,
            t_start=before[-1].t,
            t_end=down[-1].t if up is None else up.t,
            severity=DID_NOT_GET_UP if up is None else GOT_UP,
            confidence=confidence(
                [*before, *down],
                margin(lasted_s, threshold=settings.stay_low_s, sure=settings.sure_after_s),
            ),
            evidence=(
                seen(track, before[-1], "upright"),
                seen(track, down[len(down) // 2], f"on the ground for {lasted_s:.1f} s"),
                *(() if up is None else (seen(track, up, "up again"),)),
            ),
        )


def _aspect(point: Point) -> float:
    return point.box.height / max(point.box.width, 1.0)


def _fell(before: Sequence[Point], down: Sequence[Point], settings: FallSettings) -> bool:
    """Whether it is the same body, lower and wider or flat, in the same place.

    Somebody who walks up to the camera until only the upper half shows has a low box too, but its
    lower edge came down to the edge of the picture; who falls there was there before.
    """
    if len(before) < 2:
        return False
    tall = median(point.box.height for point in before)
    feet, ground = before[-1].box.y2, median(point.box.y2 for point in down)
    if any(point.cut_down for point in down) and ground - feet > settings.lowered_if_cut * tall:
        return False
    low, wide = (
        median(point.box.height for point in down),
        median(point.box.width for point in down),
    )
    if low > settings.low_height * tall or feet - ground > settings.raised * tall:
        return False
    if wide >= settings.wider * median(point.box.width for point in before):
        return True
    # Who leaves the picture under the camera is flat too, when only the head is left in it.
    leaving = sum(point.cut_down for point in down) > len(down) / 2
    return (
        not leaving
        and low <= settings.flat_height * tall
        and low <= settings.flat_aspect * wide
        and feet - ground <= settings.flat_raised * tall
    )


def _up_again(after: Sequence[Point], settings: FallSettings) -> Point | None:
    """The first picture in which they are up, if they stay up."""
    upright = [_aspect(point) >= settings.upright_aspect for point in after]
    times = [point.t for point in after]
    for first, last in runs(times, upright, hole_s=_HOLE_S):
        if times[last] - times[first] >= settings.up_again_s:
            return after[first]
    return None
