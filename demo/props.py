"""Things that stand around and may hide people: swaying trees, lamps, benches, a hedge."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin

import numpy as np

from demo.camera import Camera, Points, shadow_of
from demo.drawing import Color, Shape, block, block_faces, brighter, capsule, ground_shadow, solid

_LEAVES: tuple[Color, ...] = ((62, 112, 74), (70, 128, 88), (80, 142, 104))


@dataclass(frozen=True, slots=True)
class Drawn:
    """Something with a place on the ground: shapes back to front, and outlines of its shadow."""

    y: float
    shapes: list[Shape]
    shadow: list[Points]


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree: where it stands, how high, and the seed of its crown."""

    x: float
    y: float
    height_m: float
    seed: int


TREES = (
    Tree(-12.0, 26.6, 4.6, 1),
    Tree(-15.2, 30.5, 5.4, 2),
    Tree(-11.6, 34.5, 5.8, 3),
    Tree(-15.5, 37.0, 6.4, 4),
    Tree(-11.0, 41.0, 6.4, 5),
    Tree(-16.5, 44.0, 7.0, 6),
    Tree(-20.0, 40.0, 6.6, 7),
)


def props(camera: Camera, loop_share: float) -> list[Drawn]:
    """All of them at a moment of the loop (0..1); what sways is back at the loop's end."""
    things = [_tree(camera, tree, loop_share) for tree in TREES]
    things += [_lamp(camera, 3.3, 24.2), _lamp(camera, -10.6, 21.7)]
    things += [_bench(camera, 6.4, 12.75), _bench(camera, -7.6, 24.9)]
    things += [_shrub(camera, x, y, seed) for seed, (x, y) in enumerate(_SHRUBS)]
    things += [_bollard(camera, x, 24.6) for x in (3.9, 9.5)]
    return things


_SHRUBS = (
    (-8.4, 12.2), (-7.7, 12.45), (-6.9, 12.1), (8.6, 12.3), (9.2, 12.05), (7.9, 12.0),
    (-2.9, 24.95), (-2.1, 24.95), (-1.3, 24.95), (-0.5, 24.95), (0.3, 24.95),
    (1.1, 24.95), (1.9, 24.95),
)  # fmt: skip


def _tree(camera: Camera, tree: Tree, loop_share: float) -> Drawn:
    rng = np.random.default_rng(tree.seed)
    root, top = np.array([tree.x, tree.y, 0.0]), np.array([tree.x, tree.y, tree.height_m * 0.6])
    shapes = [_limb(camera, root, top, 0.16, 0.1, (58, 78, 98))]
    shadow = [
        _limb(
            camera, shadow_of(root[None])[0], shadow_of(top[None])[0], 0.14, 0.1, (0, 0, 0)
        ).points
    ]
    leaves = []
    for _ in range(16):
        angle, out = rng.uniform(0, 2 * pi), rng.uniform(0.0, 0.24) * tree.height_m
        height = tree.height_m * rng.uniform(0.56, 0.92)
        center = np.array([tree.x + out * np.cos(angle), tree.y + out * np.sin(angle), height])
        radius = tree.height_m * rng.uniform(0.1, 0.16)
        leaves.append((center, radius, rng.integers(25, 46), rng.uniform(0, 2 * pi)))
    leaves.sort(key=lambda leaf: -leaf[0][1] + leaf[0][2])
    for number, (center, radius, waves, phase) in enumerate(leaves):
        swayed = center + np.array(
            [0.035 * sin(2 * pi * int(waves) * loop_share + phase), 0.0, 0.0]
        )
        color = _LEAVES[min(2, number * 3 // len(leaves))]
        shapes.append(_limb(camera, swayed, swayed, radius, radius, color))
        lit = swayed + np.array([-0.25, -0.1, 0.3]) * radius
        shapes.append(_limb(camera, lit, lit, radius * 0.66, radius * 0.66, brighter(color, 1.1)))
        flat = shadow_of(swayed[None])[0]
        shadow.append(
            _limb(camera, flat, flat, radius, radius, (0, 0, 0)).points * np.array([1.0, 1.0])
        )
    return Drawn(tree.y, shapes, shadow)


def _limb(
    camera: Camera, start: Points, end: Points, start_m: float, end_m: float, color: Color
) -> Shape:
    ends = np.array([start, end])
    pixels, scale = camera.project(ends), camera.pixels_per_metre(ends)
    return Shape(capsule(pixels[0], pixels[1], start_m * scale[0], end_m * scale[1]), color)


def _shadow_line(camera: Camera, start: Points, end: Points, radius_m: float) -> Points:
    flat = shadow_of(np.array([start, end]))
    return _limb(camera, flat[0], flat[1], radius_m, radius_m, (0, 0, 0)).points


def _lamp(camera: Camera, x: float, y: float) -> Drawn:
    foot, head = np.array([x, y, 0.0]), np.array([x, y, 4.4])
    arm = np.array([x - 0.9, y - 0.3, 4.5])
    color: Color = (84, 82, 78)
    shapes = [
        _limb(camera, foot, foot + np.array([0, 0, 0.5]), 0.09, 0.08, brighter(color, 0.8)),
        _limb(camera, foot, head, 0.06, 0.045, color),
        _limb(camera, head, arm, 0.045, 0.035, color),
        _limb(camera, arm, arm + np.array([-0.35, 0, 0.0]), 0.09, 0.07, (190, 206, 210)),
    ]
    return Drawn(
        y, shapes, [_shadow_line(camera, foot, head, 0.05), _shadow_line(camera, head, arm, 0.04)]
    )


def _bench(camera: Camera, x: float, y: float) -> Drawn:
    wood: Color = (70, 112, 160)
    seat = block((x - 0.8, x + 0.8), (y - 0.22, y + 0.22), (0.4, 0.47))
    back = block((x - 0.8, x + 0.8), (y - 0.3, y - 0.24), (0.5, 0.85))
    legs = [block((lx, lx + 0.08), (y - 0.2, y + 0.2), (0.0, 0.4)) for lx in (x - 0.7, x + 0.62)]
    shapes = []
    for corners, color in [(leg, (60, 60, 62)) for leg in legs] + [
        (seat, wood),
        (back, brighter(wood, 0.92)),
    ]:
        shapes += solid(camera, block_faces(corners, color, brighter(color, 1.08)))
    return Drawn(y, shapes, [ground_shadow(camera, corners) for corners in (seat, back)])


def _shrub(camera: Camera, x: float, y: float, seed: int) -> Drawn:
    rng = np.random.default_rng(100 + seed)
    shapes, shadow = [], []
    for number in range(5):
        center = np.array(
            [x + rng.uniform(-0.3, 0.3), y + rng.uniform(-0.08, 0.08), 0.2 + 0.06 * number]
        )
        color = brighter(_LEAVES[number * 3 // 5], 1.02)
        shapes.append(_limb(camera, center, center, 0.27, 0.27, color))
        shadow.append(_shadow_line(camera, center, center, 0.27))
    if seed < 6:
        for _ in range(6):
            spot = np.array([x + rng.uniform(-0.4, 0.4), y - 0.1, rng.uniform(0.25, 0.6)])
            bloom: Color = (150, 130, 236) if rng.random() < 0.5 else (120, 214, 240)
            shapes.append(_limb(camera, spot, spot, 0.045, 0.045, bloom))
    return Drawn(y, shapes, shadow)


def _bollard(camera: Camera, x: float, y: float) -> Drawn:
    foot, top = np.array([x, y, 0.0]), np.array([x, y, 0.9])
    shapes = [
        _limb(camera, foot, top, 0.09, 0.09, (60, 190, 224)),
        _limb(camera, np.array([x, y, 0.55]), np.array([x, y, 0.65]), 0.092, 0.092, (50, 50, 52)),
    ]
    return Drawn(y, shapes, [_shadow_line(camera, foot, top, 0.09)])
