"""Cars and trucks: a few convex bodies in metres, with glass, lights and wheels.

Local axes: x forward, y to the left, z up, the middle of the vehicle over the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from demo.camera import Camera, Points
from demo.drawing import Color, Shape, block, block_faces, brighter, ground_shadow, mix, solid

_PAINTS: tuple[Color, ...] = (
    (52, 48, 168), (150, 92, 40), (206, 206, 204), (62, 58, 54), (150, 152, 150), (74, 104, 62),
    (58, 142, 208), (120, 60, 50), (196, 178, 150), (90, 120, 160),
)  # fmt: skip
_BOXES: tuple[Color, ...] = (
    (226, 228, 228),
    (190, 198, 204),
    (70, 120, 196),
    (170, 132, 70),
    (96, 140, 96),
)
_GLASS: Color = (92, 76, 62)
_TYRE: Color = (38, 38, 40)
_HUB: Color = (168, 168, 168)


@dataclass(frozen=True, slots=True)
class Model:
    """Kind ("car" or "truck"), colours and measures in metres."""

    kind: str
    paint: Color
    cargo: Color
    length_m: float
    width_m: float
    height_m: float
    boot: float
    """For a car, how far the roof ends before the tail: 1 a saloon, 0 an estate."""


def random_model(rng: np.random.Generator, kind: str) -> Model:
    """A car or a truck as it might come along."""
    paint = brighter(_PAINTS[int(rng.integers(len(_PAINTS)))], float(rng.uniform(0.9, 1.1)))
    cargo = brighter(_BOXES[int(rng.integers(len(_BOXES)))], float(rng.uniform(0.9, 1.08)))
    if kind == "truck":
        return Model(
            "truck",
            paint,
            cargo,
            float(rng.uniform(6.0, 7.4)),
            2.2,
            float(rng.uniform(2.7, 3.15)),
            0.0,
        )
    return Model(
        "car",
        paint,
        cargo,
        float(rng.uniform(4.0, 4.7)),
        1.78,
        float(rng.uniform(1.42, 1.68)),
        float(rng.choice([0.0, 0.35, 1.0])),
    )


@dataclass(frozen=True, slots=True)
class _Body:
    """A convex body: corners, faces, and patches that lie on the faces (windows, wheels)."""

    corners: Points
    faces: list[tuple[Points, Color]]
    patches: list[tuple[Points, Color]]


def vehicle(
    camera: Camera,
    model: Model,
    *,
    at: tuple[float, float],
    heading: float,
    rolled_m: float = 0.0,
    braking: bool = False,
) -> tuple[list[Shape], list[Points]]:
    """Shapes of a vehicle that faces `heading` (radians, 0 = to the right), and of its shadow.

    `rolled_m` is how far it has come (it turns the wheels).
    """
    turn = np.array([[cos(heading), -sin(heading), 0], [sin(heading), cos(heading), 0], [0, 0, 1]])

    def place(points: Points) -> Points:
        return points @ turn.T + np.array([at[0], at[1], 0.0])

    lamp: Color = (70, 60, 255) if braking else (44, 40, 150)
    lower, upper = (
        _truck(model, lamp, rolled_m) if model.kind == "truck" else _car(model, lamp, rolled_m)
    )
    upper = sorted(
        upper, key=lambda body: -float(np.linalg.norm(place(body.corners).mean(axis=0)[:2]))
    )
    shapes: list[Shape] = []
    shadow: list[Points] = []
    for body in (lower, *upper):
        faces = [(place(points), color) for points, color in body.faces]
        patches = [(place(points), color) for points, color in body.patches]
        shapes += solid(camera, faces, patches)
        shadow.append(ground_shadow(camera, place(body.corners)))
    half_length, half_width = model.length_m / 2, model.width_m / 2
    under = block((-half_length, half_length), (-half_width, half_width), (0.0, 0.01))
    shadow.append(ground_shadow(camera, place(under)))
    return shapes, shadow


def _car(model: Model, lamp: Color, rolled_m: float) -> tuple[_Body, list[_Body]]:
    half, wide, belt = model.length_m / 2, model.width_m / 2, 0.92
    profile = [
        (-half + 0.05, 0.26), (-half, 0.6), (-half + 0.1, belt - 0.04), (-half + 0.5, belt),
        (half - 1.2, belt), (half - 0.25, belt - 0.16), (half, 0.58), (half - 0.05, 0.26),
    ]  # fmt: skip
    lower = _prism(profile, wide, model.paint)
    dark = brighter(model.paint, 0.62)
    for side in (-1, 1):
        y = side * (wide + 0.004)
        for x in (0.62, -0.5):
            lower.patches.append((_upright(x, x + 0.03, y, 0.4, belt), dark))
        lower.patches.append((_upright(-half + 0.1, half - 0.1, y, 0.26, 0.36), (52, 52, 54)))
        for x in (-half * 0.6, half * 0.62):
            lower.patches.extend(_wheel(x, y, 0.33, rolled_m))
    for y in (-wide + 0.25, wide - 0.25):
        lower.patches.append((_across(half - 0.08, y, 0.2, 0.55, 0.72), (226, 240, 244)))
        lower.patches.append((_across(-half + 0.02, y, 0.2, 0.58, 0.78), lamp))
    lower.patches.append((_across(half, 0, 0.26, 0.36, 0.48), (214, 218, 220)))
    lower.patches.append((_across(-half, 0, 0.26, 0.36, 0.48), (214, 218, 220)))
    tail = -half + 0.15 + 0.85 * model.boot
    low = ((tail, half - 1.25), wide - 0.06)
    high = ((tail + 0.35 + 0.2 * model.boot, half - 1.95), wide - 0.26)
    cabin = _tapered(low, high, (belt - 0.02, model.height_m), side=_GLASS, top=model.paint)
    c = cabin.corners
    for near, far in ((0, 1), (2, 3)):
        for share in (0.0, 0.47, 0.93):
            pillar = [_between(c[near], c[far], share), _between(c[near], c[far], share + 0.07)]
            pillar += [
                _between(c[near + 4], c[far + 4], share + 0.07),
                _between(c[near + 4], c[far + 4], share),
            ]
            cabin.patches.append((np.array(pillar), brighter(model.paint, 0.9)))
    return lower, [cabin]


def _truck(model: Model, lamp: Color, rolled_m: float) -> tuple[_Body, list[_Body]]:
    half, wide, floor = model.length_m / 2, model.width_m / 2, 0.95
    lower = _prism(
        [(-half + 0.1, 0.45), (-half + 0.1, floor), (half, floor), (half, 0.4)],
        wide - 0.06,
        (66, 64, 62),
    )
    for side in (-1, 1):
        y = side * (wide - 0.05)
        for x in (-half + 1.2, half - 0.95):
            lower.patches.extend(_wheel(x, y, 0.48, rolled_m))
    for y in (-wide + 0.3, wide - 0.3):
        lower.patches.append((_across(half, y, 0.2, 0.55, 0.75), (226, 240, 244)))
        lower.patches.append((_across(-half + 0.1, y, 0.18, 0.6, 0.85), lamp))
    front, back = half, half - 1.75
    nose = [
        (back, floor - 0.1),
        (front, floor - 0.1),
        (front, 1.45),
        (front - 0.3, 2.35),
        (back, 2.4),
    ]
    cab = _prism(nose, wide - 0.04, model.paint)
    for side in (-1, 1):
        y = side * (wide - 0.036)
        window = [(back + 0.5, 1.5), (front - 0.1, 1.5), (front - 0.34, 2.2), (back + 0.5, 2.2)]
        cab.patches.append((np.array([(x, y, z) for x, z in window]), _GLASS))
        cab.patches.append(
            (_upright(back + 0.45, back + 0.48, y, 0.9, 2.2), brighter(model.paint, 0.6))
        )
    pane = [(front + 0.005, -wide + 0.2, 1.5), (front + 0.005, wide - 0.2, 1.5)]
    pane += [(front - 0.27, wide - 0.25, 2.25), (front - 0.27, -wide + 0.25, 2.25)]
    cab.patches.append((np.array(pane), _GLASS))
    cab.patches.append((_across(front + 0.005, 0, 0.7, 0.9, 1.2), (70, 66, 64)))
    cargo = _tapered(
        ((-half, back - 0.12), wide), ((-half, back - 0.12), wide), (floor, model.height_m),
        side=model.cargo, top=brighter(model.cargo, 1.03),
    )  # fmt: skip
    stripe = mix(model.cargo, model.paint, 0.75)
    for side in (-1, 1):
        y = side * (wide + 0.004)
        cargo.patches.append((_upright(-half, back - 0.12, y, floor, floor + 0.12), (90, 90, 92)))
        cargo.patches.append((_upright(-half + 0.4, back - 0.5, y, 1.6, 1.95), stripe))
        cargo.patches.append((_upright(-half + 0.4, back - 1.6, y, 2.1, 2.22), stripe))
    cargo.patches.append(
        (_across(-half - 0.004, 0, 0.02, floor, model.height_m - 0.1), (120, 122, 124))
    )
    return lower, [cab, cargo]


def _prism(profile: list[tuple[float, float]], half_width: float, color: Color) -> _Body:
    """A side view (x, z), as wide as the vehicle."""
    right = np.array([(x, -half_width, z) for x, z in profile])
    left = np.array([(x, half_width, z) for x, z in profile])
    faces = [(right, color), (left, color)]
    for number in range(len(profile)):
        after = (number + 1) % len(profile)
        faces.append((np.array([right[number], right[after], left[after], left[number]]), color))
    return _Body(np.concatenate([right, left]), faces, [])


def _tapered(
    low: tuple[tuple[float, float], float],
    high: tuple[tuple[float, float], float],
    z: tuple[float, float],
    *,
    side: Color,
    top: Color,
) -> _Body:
    """A block whose roof may be smaller than its base; each end is ((x from, x to), half width)."""
    corners = np.concatenate(
        [
            block(xs, (-half_width, half_width), (height, height))[:4]
            for (xs, half_width), height in zip((low, high), z, strict=True)
        ]
    )
    return _Body(corners, block_faces(corners, side, top), [])


def _wheel(x: float, y: float, radius: float, rolled_m: float) -> list[tuple[Points, Color]]:
    """Tyre, hub and two spokes that turn with the distance."""
    around = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    outward = 0.004 if y > 0 else -0.004

    def disc(size: float, layer: int) -> Points:
        return np.stack(
            [
                x + size * np.cos(around),
                np.full(20, y + layer * outward),
                radius + size * np.sin(around),
            ],
            axis=1,
        )

    patches: list[tuple[Points, Color]] = [(disc(radius, 1), _TYRE), (disc(radius * 0.6, 2), _HUB)]
    for spoke in (0.0, np.pi / 2):
        angle = spoke - rolled_m / radius
        along = np.array([cos(angle), sin(angle)]) * radius * 0.55
        across = np.array([-sin(angle), cos(angle)]) * radius * 0.08
        corners = [along + across, along - across, -along - across, -along + across]
        patches.append(
            (np.array([(x + c[0], y + 3 * outward, radius + c[1]) for c in corners]), (96, 96, 98))
        )
    return patches


def _upright(x1: float, x2: float, y: float, z1: float, z2: float) -> Points:
    """A rectangle on a side."""
    return np.array([(x1, y, z1), (x2, y, z1), (x2, y, z2), (x1, y, z2)])


def _across(x: float, y: float, half_width: float, z1: float, z2: float) -> Points:
    """A rectangle on the front or the back."""
    return np.array(
        [
            (x, y - half_width, z1),
            (x, y + half_width, z1),
            (x, y + half_width, z2),
            (x, y - half_width, z2),
        ]
    )


def _between(start: Points, end: Points, share: float) -> Points:
    return start + (end - start) * share
