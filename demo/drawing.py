"""Flat shapes: what people, vehicles and props are made of before they become pixels.

A drawn thing is a list of `Shape`, back to front, in pixels of the 960x540 picture. The picture
itself is painted `SUPERSAMPLING` times larger and scaled down, which makes smooth edges and
motion finer than a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.camera import HEIGHT_PX, SUN, WIDTH_PX, Camera, Points, shadow_of

Picture = NDArray[np.uint8]
Color = tuple[float, float, float]
"""Blue, green, red; 0..255."""

SUPERSAMPLING = 2
_FRACTION_BITS = 4
_CIRCLE = np.stack(
    [
        np.cos(np.linspace(0, 2 * np.pi, 16, endpoint=False)),
        np.sin(np.linspace(0, 2 * np.pi, 16, endpoint=False)),
    ],
    axis=1,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A filled polygon (n, 2) in pixels."""

    points: Points
    color: Color


def blank(color: Color) -> Picture:
    """A large picture of one colour, to paint on."""
    size = (HEIGHT_PX * SUPERSAMPLING, WIDTH_PX * SUPERSAMPLING, 3)
    return np.full(size, np.array(color, dtype=np.uint8), dtype=np.uint8)


def paint(picture: Picture, points: Points, color: Color, scale: float = SUPERSAMPLING) -> None:
    """Fill a polygon given in picture pixels."""
    fixed = np.round(points * (scale * 2**_FRACTION_BITS)).astype(np.int32)
    cv2.fillPoly(picture, [fixed], color, lineType=cv2.LINE_AA, shift=_FRACTION_BITS)


def stencil(
    mask: Picture, points: Points, value: int, offset: tuple[float, float] = (0.0, 0.0)
) -> None:
    """Fill a polygon with a whole number and hard edges, at the picture's own scale."""
    fixed = np.round((points - np.array(offset)) * 2**_FRACTION_BITS).astype(np.int32)
    cv2.fillPoly(mask, [fixed], value, lineType=cv2.LINE_8, shift=_FRACTION_BITS)


def mix(color: Color, other: Color, share: float) -> Color:
    """`color` with `share` (0..1) of `other` in it."""
    return tuple(a + (b - a) * share for a, b in zip(color, other, strict=True))  # type: ignore[return-value]


def brighter(color: Color, factor: float) -> Color:
    """`color` times `factor`, kept within 0..255."""
    return tuple(min(255.0, max(0.0, channel * factor)) for channel in color)  # type: ignore[return-value]


def capsule(start: Points, end: Points, start_radius: float, end_radius: float) -> Points:
    """Outline of two circles and what lies between them, in pixels: a limb."""
    around = np.concatenate([_CIRCLE * start_radius + start, _CIRCLE * end_radius + end])
    return cv2.convexHull(around.astype(np.float32))[:, 0, :].astype(np.float64)


def solid(
    camera: Camera,
    faces: list[tuple[Points, Color]],
    patches: list[tuple[Points, Color]] | None = None,
) -> list[Shape]:
    """What the camera sees of a convex body, lit by sun and sky.

    `faces` are flat (n, 3) in metres; `patches` lie on them and are drawn over them.
    """
    middle = np.mean([points.mean(axis=0) for points, _ in faces], axis=0)
    shapes = []
    for points, color in (*faces, *(patches or [])):
        center = points.mean(axis=0)
        normal = np.cross(points[1] - points[0], points[2] - points[1])
        normal = normal / (np.linalg.norm(normal) + 1e-9)
        if normal @ (center - middle) < 0:
            normal = -normal
        if normal @ (camera.position - center) <= 0:
            continue
        light = 0.68 + 0.36 * max(0.0, float(normal @ SUN)) + 0.06 * float(normal[2])
        shapes.append(Shape(camera.project(points), brighter(color, light)))
    return shapes


def block(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> Points:
    """The eight corners of an upright block: four below, four above, in the same direction."""
    base = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]
    return np.array([[px, py, height] for height in z for px, py in base])


def block_faces(corners: Points, side: Color, top: Color) -> list[tuple[Points, Color]]:
    """The six faces of a block (or of any body with eight corners in that order)."""
    rounds = [(0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    faces = [(corners[list(round_)], side) for round_ in rounds]
    return [(corners[:4], side), *faces, (corners[4:], top)]


def ground_shadow(camera: Camera, corners: Points) -> Points:
    """Outline of the shadow that a convex body throws on the ground, in pixels."""
    flat = camera.project(shadow_of(corners)).astype(np.float32)
    return cv2.convexHull(flat)[:, 0, :].astype(np.float64)
