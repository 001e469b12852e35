"""Walking figures: a skeleton in metres, posed, and drawn as capsules.

A pose is a point in a gait (walk, run), a stance (standing, crouching) and how far the body has
fallen. The same figure serves the clip and the training pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from demo.camera import Camera, Points, shadow_of
from demo.drawing import Color, Shape, brighter, capsule

_SKINS: tuple[Color, ...] = ((150, 180, 224), (120, 150, 205), (85, 115, 165), (60, 80, 120))
_HAIRS: tuple[Color, ...] = (
    (30, 34, 44),
    (40, 62, 92),
    (92, 130, 168),
    (130, 130, 135),
    (26, 30, 58),
)
_TOPS: tuple[Color, ...] = (
    (58, 62, 190), (176, 112, 48), (76, 134, 62), (60, 170, 214), (196, 196, 200), (92, 58, 112),
    (58, 58, 64), (140, 148, 66), (120, 96, 202), (224, 168, 108), (88, 100, 120), (70, 110, 190),
)  # fmt: skip
_TROUSERS: tuple[Color, ...] = (
    (92, 66, 48), (56, 52, 50), (84, 110, 138), (120, 100, 82), (52, 64, 72), (110, 116, 122),
)  # fmt: skip
HI_VIS: Color = (60, 214, 226)
_BAND: Color = (222, 226, 228)


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody wears, and how tall they are."""

    skin: Color
    hair: Color
    top: Color
    trousers: Color
    height_m: float = 1.75
    build: float = 1.0
    vest: bool = False
    helmet: Color | None = None
    backpack: Color | None = None
    skirt: bool = False


@dataclass(frozen=True, slots=True)
class Pose:
    """How a body is held: the gait's phase in radians, everything else a share 0..1."""

    phase: float = 0.0
    moving: float = 0.0
    running: float = 0.0
    crouch: float = 0.0
    fallen: float = 0.0
    arms_out: float = 0.0


@dataclass(frozen=True, slots=True)
class _Part:
    """A limb between two joints (metres), with its radii and colour."""

    ends: Points
    radii: tuple[float, float]
    color: Color


def random_look(rng: np.random.Generator) -> Look:
    """Somebody's clothes, drawn from the wardrobe."""

    def pick(choices: tuple[Color, ...]) -> Color:
        chosen = choices[int(rng.integers(len(choices)))]
        return brighter(chosen, float(rng.uniform(0.85, 1.15)))

    worker = rng.random() < 0.2
    return Look(
        skin=pick(_SKINS),
        hair=pick(_HAIRS),
        top=HI_VIS if worker else pick(_TOPS),
        trousers=pick(_TROUSERS),
        height_m=float(rng.uniform(1.62, 1.88)),
        build=float(rng.uniform(0.94, 1.14)),
        vest=worker,
        helmet=(230, 232, 236) if worker and rng.random() < 0.6 else None,
        backpack=pick(_TOPS) if rng.random() < 0.25 and not worker else None,
        skirt=bool(rng.random() < 0.15) and not worker,
    )


def figure(
    camera: Camera, look: Look, pose: Pose, *, at: tuple[float, float], heading: float
) -> tuple[list[Shape], list[Points]]:
    """Shapes of somebody at `at` who faces `heading` (radians, 0 = right), and of the shadow."""
    parts = _parts(look, pose)
    placed = _place(parts, pose, at=at, heading=heading)
    order = sorted(
        placed, key=lambda part: -float(np.linalg.norm(part.ends.mean(axis=0) - camera.position))
    )
    shapes: list[Shape] = []
    for part in order:
        pixels = camera.project(part.ends)
        scale = camera.pixels_per_metre(part.ends)
        radii = (part.radii[0] * scale[0], part.radii[1] * scale[1])
        shapes.append(Shape(capsule(pixels[0], pixels[1], *radii), brighter(part.color, 0.84)))
        # The sun stands to the left: a narrower, lighter limb on that side rounds the figure.
        lit = pixels + np.array([-0.22, -0.14]) * max(radii)
        inner = (radii[0] * 0.7, radii[1] * 0.7)
        shapes.append(Shape(capsule(lit[0], lit[1], *inner), brighter(part.color, 1.06)))
    shadow = []
    for part in placed:
        flat = shadow_of(part.ends)
        pixels, scale = camera.project(flat), camera.pixels_per_metre(flat)
        shadow.append(
            capsule(pixels[0], pixels[1], part.radii[0] * scale[0], part.radii[1] * scale[1] * 0.9)
        )
    return shapes, shadow


def _parts(look: Look, pose: Pose) -> list[_Part]:
    """The body upright, facing +x, feet around the origin."""
    size = look.height_m / 1.75
    wide = size * look.build
    lean = 0.05 * pose.moving + 0.24 * pose.running + 0.7 * pose.crouch
    hip = np.array([0.0, 0.0, 0.93]) * size
    up = np.array([sin(lean), 0.0, cos(lean)])
    chest = hip + up * 0.46 * size
    head = hip + up * 0.71 * size
    parts: list[_Part] = []

    def add(start: Points, end: Points, radii: tuple[float, float], color: Color) -> None:
        parts.append(_Part(np.array([start, end]), (radii[0] * wide, radii[1] * wide), color))

    for side in (-1, 1):
        knee, ankle = _leg(hip, side, pose, size)
        root = hip + np.array([0, side * 0.085 * wide, 0])
        thigh = look.top if look.skirt else look.trousers
        add(root, knee, (0.095, 0.07), thigh)
        add(knee, ankle, (0.066, 0.05), look.skin if look.skirt else look.trousers)
        add(ankle, ankle + np.array([0.15 * size, 0, -0.02]), (0.05, 0.042), (44, 44, 48))
        shoulder = chest + np.array([0, side * 0.2 * wide, 0])
        elbow, hand = _arm(shoulder, side, pose, size)
        sleeve = brighter(look.top, 0.8) if look.vest else look.top
        add(shoulder, elbow, (0.064, 0.054), sleeve)
        add(elbow, hand, (0.05, 0.042), look.skin if look.skirt else sleeve)
        add(hand, hand, (0.046, 0.046), look.skin)
        # Half the trunk each, so that the shoulders have their width from any side.
        add(shoulder - np.array([0, side * 0.08 * wide, 0.02]), root, (0.125, 0.105), look.top)
    if look.vest:
        band = hip + up * 0.2 * size
        add(
            band + np.array([0, -0.1 * wide, 0]),
            band + np.array([0, 0.1 * wide, 0]),
            (0.135, 0.135),
            _BAND,
        )
    if look.backpack is not None:
        back = np.array([-0.17 * size, 0, 0])
        add(chest + back - up * 0.05, hip + back + up * 0.12, (0.13, 0.14), look.backpack)
    add(chest, head, (0.06, 0.06), look.skin)
    add(head, head + up * 0.07 * size, (0.1, 0.095), look.skin)
    crown = head + up * 0.09 * size + np.array([-0.03 * size, 0, 0])
    add(crown, crown - up * 0.03 * size, (0.108, 0.1), look.helmet or look.hair)
    return parts


def _leg(hip: Points, side: int, pose: Pose, size: float) -> tuple[Points, Points]:
    phase = pose.phase + (0 if side > 0 else pi)
    swing = pose.moving * (0.44 + 0.4 * pose.running)
    angle = swing * sin(phase) + 1.15 * pose.crouch * (1 if side > 0 else 0.75)
    bend = (
        pose.moving * (0.75 + 0.9 * pose.running) * max(0.0, cos(phase)) + 0.08 + 2.0 * pose.crouch
    )
    root = hip + np.array([0, side * 0.085 * size, 0])
    knee = root + 0.44 * size * np.array([sin(angle), side * 0.03, -cos(angle)])
    ankle = knee + 0.42 * size * np.array([sin(angle - bend), 0.0, -cos(angle - bend)])
    return knee, ankle


def _arm(shoulder: Points, side: int, pose: Pose, size: float) -> tuple[Points, Points]:
    swing = pose.moving * (0.42 + 0.5 * pose.running)
    phase = pose.phase + (pi if side > 0 else 0)
    angle = swing * sin(phase) + 0.9 * pose.arms_out
    bend = 0.25 + 1.2 * pose.running + 0.5 * pose.crouch
    spread = 0.12 + 0.75 * pose.arms_out
    elbow = shoulder + 0.29 * size * np.array([sin(angle), side * spread, -cos(angle)])
    hand = elbow + 0.25 * size * np.array([sin(angle + bend), side * 0.05, -cos(angle + bend)])
    return elbow, hand


def _place(
    parts: list[_Part], pose: Pose, *, at: tuple[float, float], heading: float
) -> list[_Part]:
    """Tip the body over as far as it has fallen, set it on the ground, turn and move it."""
    tip = pose.fallen * 1.5
    tilt = np.array([[cos(tip), 0, sin(tip)], [0, 1, 0], [-sin(tip), 0, cos(tip)]])
    turn = np.array([[cos(heading), -sin(heading), 0], [sin(heading), cos(heading), 0], [0, 0, 1]])
    tipped = [part.ends @ tilt.T for part in parts]
    lowest = min(
        float((ends[:, 2] - np.array(part.radii)).min())
        for ends, part in zip(tipped, parts, strict=True)
    )
    shift = np.array([-0.25 * pose.fallen, 0.0, -lowest])
    return [
        _Part((ends + shift) @ turn.T + np.array([at[0], at[1], 0.0]), part.radii, part.color)
        for ends, part in zip(tipped, parts, strict=True)
    ]
