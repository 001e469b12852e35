"""Tracks made by hand, in a picture of 1280 x 720, five points a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backend.analysis.scene.tracks import Point, Track
from backend.findings.detection import Box

HEIGHT = 100.0
WIDTH = 40.0

Place = tuple[float, float]
"""Where the feet are: middle, ground."""


def box(place: Place, *, width: float = WIDTH, height: float = HEIGHT) -> Box:
    """A box that stands there."""
    x, y = place
    return Box(x - width / 2, y - height, x + width / 2, y)


def track(
    number: int,
    way: Callable[[float], Place],
    *,
    seconds: float,
    start: float = 0.0,
    label: str = "person",
    width: float = WIDTH,
    height: float = HEIGHT,
    confidence: float = 0.8,
) -> Track:
    """Somebody or something that goes that way (seconds since its start -> place)."""
    points = [
        Point(start + i / 5, box(way(i / 5), width=width, height=height), confidence)
        for i in range(int(seconds * 5) + 1)
    ]
    return Track(number, label, tuple(points))


def of_shapes(number: int, shapes: Iterable[tuple[float, float]], *, ground: float = 500) -> Track:
    """A person on one spot with these widths and heights, five a second."""
    points = [
        Point(i / 5, box((600, ground), width=width, height=height), 0.8)
        for i, (width, height) in enumerate(shapes)
    ]
    return Track(number, "person", tuple(points))


def still(x: float, y: float = 500) -> Callable[[float], Place]:
    """Shifting from one foot to the other."""
    return lambda t: (x + 8 * (int(t) % 3), y)


def walk(start: Place, *, speed: float) -> Callable[[float], Place]:
    """Sideways, in body heights a second."""
    return lambda t: (start[0] + speed * HEIGHT * t, start[1])
