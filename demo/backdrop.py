"""What never moves: ground, road, building. Painted once and copied under every picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from demo.camera import HEIGHT_PX, WIDTH_PX, Camera, Points
from demo.drawing import (
    SUPERSAMPLING,
    Color,
    Picture,
    blank,
    block,
    block_faces,
    brighter,
    paint,
    solid,
)

_Panel = Callable[[tuple[float, float], tuple[float, float], Color], None]

WALL_Y = 33.0
YARD_Y = (24.5, WALL_Y)
FAR_WALK_Y = (22.3, 24.5)
ROAD_Y = (15.0, 20.8)
NEAR_WALK_Y = (13.1, 14.85)
LAWN_RIGHT_X = -9.5
ZEBRA_X = (-3.6, -0.6)
DRIVEWAY_X = (4.2, 9.2)
DOOR_X = (-6.2, -5.0)
DOCK_X = (5.2, 12.6)
DOCK_Y = 31.4
DOCK_HEIGHT_M = 1.05


@dataclass(frozen=True, slots=True)
class Colors:
    """The scene's palette; training varies it a little."""

    lawn: Color = (92, 146, 116)
    asphalt: Color = (104, 98, 94)
    line: Color = (214, 222, 224)
    walk: Color = (176, 184, 190)
    kerb: Color = (196, 204, 208)
    yard: Color = (150, 154, 156)
    wall: Color = (178, 200, 214)
    plinth: Color = (112, 116, 122)
    accent: Color = (132, 104, 36)


def backdrop(camera: Camera, colors: Colors) -> Picture:
    """The empty scene, `SUPERSAMPLING` times the picture's size."""
    picture = blank(colors.lawn)
    _ground(picture, camera, colors)
    _markings(picture, camera, colors)
    _building(picture, camera, colors)
    _dock(picture, camera, colors)
    return _shade(picture)


def flat(x: tuple[float, float], y: tuple[float, float], z: float = 0.0) -> Points:
    """A rectangle on the ground, in metres."""
    return np.array([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)])


def _wall(x: tuple[float, float], z: tuple[float, float], y: float = WALL_Y) -> Points:
    return np.array([(x[0], y, z[0]), (x[1], y, z[0]), (x[1], y, z[1]), (x[0], y, z[1])])


def _ground(picture: Picture, camera: Camera, colors: Colors) -> None:
    def lay(x: tuple[float, float], y: tuple[float, float], color: Color) -> None:
        paint(picture, camera.project(flat(x, y)), color)

    wide = (-40.0, 40.0)
    # Mown stripes.
    for number, y in enumerate(np.arange(9.0, 60.0, 1.5)):
        lay(wide, (y, y + 1.5), brighter(colors.lawn, 1.03 if number % 2 else 0.98))
    lay((LAWN_RIGHT_X, 40.0), YARD_Y, colors.yard)
    lay((LAWN_RIGHT_X, LAWN_RIGHT_X + 0.15), YARD_Y, colors.kerb)
    for x in np.arange(LAWN_RIGHT_X + 4, 24, 4.0):
        lay((x, x + 0.05), YARD_Y, brighter(colors.yard, 0.93))
    lay(wide, (YARD_Y[0] + 4.2, YARD_Y[0] + 4.27), brighter(colors.yard, 0.93))
    for walk in (FAR_WALK_Y, NEAR_WALK_Y):
        lay(wide, walk, colors.walk)
        for x in np.arange(-24, 24, 1.1):
            lay((x, x + 0.035), walk, brighter(colors.walk, 0.92))
        middle = sum(walk) / 2
        lay(wide, (middle, middle + 0.035), brighter(colors.walk, 0.92))
    lay(wide, (FAR_WALK_Y[0] - 0.1, FAR_WALK_Y[0]), colors.kerb)
    lay(wide, (NEAR_WALK_Y[0] - 0.1, NEAR_WALK_Y[0]), colors.kerb)
    lay(wide, ROAD_Y, colors.asphalt)
    lay(wide, (ROAD_Y[1], ROAD_Y[1] + 0.2), colors.kerb)
    lay(wide, (ROAD_Y[0] - 0.2, ROAD_Y[0]), colors.kerb)
    lay(wide, (ROAD_Y[0], ROAD_Y[0] + 0.12), brighter(colors.asphalt, 0.86))
    # The way into the yard, over verge and pavement, and the two ends of the crossing.
    lay(DRIVEWAY_X, (ROAD_Y[1], YARD_Y[0]), brighter(colors.asphalt, 1.12))
    lay(ZEBRA_X, (ROAD_Y[1], FAR_WALK_Y[0]), colors.walk)


def _markings(picture: Picture, camera: Camera, colors: Colors) -> None:
    def lay(x: tuple[float, float], y: tuple[float, float], color: Color) -> None:
        paint(picture, camera.project(flat(x, y)), color)

    middle = sum(ROAD_Y) / 2
    for x in np.arange(-24.6, 24, 3.0):
        if not ZEBRA_X[0] - 2.2 < x < ZEBRA_X[1] + 0.6:
            lay((x, x + 1.5), (middle - 0.06, middle + 0.06), colors.line)
    for y in np.arange(ROAD_Y[0] + 0.35, ROAD_Y[1] - 0.4, 1.0):
        lay(ZEBRA_X, (y, y + 0.5), colors.line)
    lay((ZEBRA_X[0] - 1.3, ZEBRA_X[0] - 1.0), (ROAD_Y[0] + 0.2, middle - 0.1), colors.line)
    lay((ZEBRA_X[1] + 1.0, ZEBRA_X[1] + 1.3), (middle + 0.1, ROAD_Y[1] - 0.2), colors.line)
    for x in (-4.0, -1.3, 1.4, 4.1):
        lay((x, x + 0.1), (28.4, WALL_Y - 0.4), colors.line)
    yellow: Color = (70, 190, 226)
    for x in (5.3, 8.85, 12.4):
        lay((x, x + 0.12), (25.6, DOCK_Y), yellow)
    # Hatching in front of the door, to be kept free.
    lay((DOOR_X[0] - 0.4, DOOR_X[1] + 0.4), (31.4, WALL_Y), brighter(colors.walk, 0.96))


def _building(picture: Picture, camera: Camera, colors: Colors) -> None:
    def panel(x: tuple[float, float], z: tuple[float, float], color: Color) -> None:
        paint(picture, camera.project(_wall(x, z)), color)

    side = block((LAWN_RIGHT_X + 0.6, 40.0), (WALL_Y, WALL_Y + 15), (0.0, 9.0))
    for shape in solid(camera, block_faces(side, colors.wall, colors.wall)):
        paint(picture, shape.points, brighter(shape.color, 0.9))
    left = LAWN_RIGHT_X + 0.6
    panel((left, 40.0), (0.0, 9.0), colors.wall)
    for x in np.arange(left + 2.4, 20, 2.4):
        panel((x, x + 0.05), (0.5, 9.0), brighter(colors.wall, 0.93))
    panel((left, 40.0), (0.0, 0.5), colors.plinth)
    panel((left, 40.0), (3.55, 3.95), colors.accent)
    _door(panel, colors)
    for x in (-3.7, -1.2, 1.3):
        _window(panel, (x, x + 1.9), (1.25, 2.6))
    for number, x in enumerate((5.6, 9.15)):
        _dock_door(picture, camera, panel, x, str(number + 1))
    _sign(picture, camera)


def _door(panel: _Panel, colors: Colors) -> None:
    x1, x2 = DOOR_X
    panel((x1 - 0.12, x2 + 0.12), (0.0, 2.4), (232, 234, 234))
    panel((x1, x2), (0.0, 2.28), (58, 50, 46))
    panel((x1 - 0.5, x2 + 0.5), (2.62, 2.8), brighter(colors.accent, 0.9))
    panel((x1 - 0.5, x2 + 0.5), (2.5, 2.62), brighter(colors.wall, 0.72))
    panel((x2 + 0.45, x2 + 0.7), (1.5, 1.85), (40, 60, 190))


def _window(panel: _Panel, x: tuple[float, float], z: tuple[float, float]) -> None:
    panel((x[0] - 0.1, x[1] + 0.1), (z[0] - 0.1, z[1] + 0.1), (236, 238, 238))
    panel(x, z, (150, 122, 88))
    wide = x[1] - x[0]
    panel((x[0], x[0] + wide * 0.42), (z[0], z[1]), (172, 146, 112))
    panel((x[0] + wide / 2 - 0.03, x[0] + wide / 2 + 0.03), z, (236, 238, 238))
    panel((x[0] - 0.15, x[1] + 0.15), (z[0] - 0.2, z[0] - 0.1), (200, 204, 206))


def _dock_door(picture: Picture, camera: Camera, panel: _Panel, x: float, number: str) -> None:
    wide = 2.9
    panel((x - 0.25, x + wide + 0.25), (DOCK_HEIGHT_M, 3.5), (60, 58, 58))
    panel((x, x + wide), (DOCK_HEIGHT_M, 3.3), (190, 192, 190))
    for z in np.arange(DOCK_HEIGHT_M + 0.3, 3.3, 0.3):
        panel((x, x + wide), (z, z + 0.04), (168, 170, 168))
    _letters(
        picture,
        camera,
        number,
        corner=(x + 1.2, WALL_Y - 0.01, 3.3),
        size_m=(0.5, 0.9),
        color=(70, 66, 60),
    )


def _sign(picture: Picture, camera: Camera) -> None:
    _letters(
        picture, camera, "NORTH GATE DEPOT", corner=(-4.2, WALL_Y - 0.01, 3.93), size_m=(5.6, 0.36),
        color=(236, 240, 240),
    )  # fmt: skip


def _letters(
    picture: Picture,
    camera: Camera,
    text: str,
    *,
    corner: tuple[float, float, float],
    size_m: tuple[float, float],
    color: Color,
) -> None:
    """Write on the wall, in perspective; `corner` is the upper left one."""
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 3.0, 6)
    stencil = np.zeros((high + below + 20, wide + 20), np.uint8)
    cv2.putText(stencil, text, (10, high + 10), cv2.FONT_HERSHEY_DUPLEX, 3.0, 255, 6, cv2.LINE_AA)
    x, y, z = corner
    target = camera.project(_wall((x, x + size_m[0]), (z, z - size_m[1]), y)) * SUPERSAMPLING
    rows, columns = stencil.shape
    source = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
    warp = cv2.getPerspectiveTransform(source, target.astype(np.float32))
    size = (WIDTH_PX * SUPERSAMPLING, HEIGHT_PX * SUPERSAMPLING)
    share = cv2.warpPerspective(stencil, warp, size, flags=cv2.INTER_AREA)[..., None] / 255.0
    picture[:] = (picture * (1 - share) + np.array(color) * share).astype(np.uint8)


def _dock(picture: Picture, camera: Camera, colors: Colors) -> None:
    shadow = camera.project(flat((DOCK_X[0], DOCK_X[1] + 0.7), (DOCK_Y - 0.05, WALL_Y)))
    paint(picture, shadow, brighter(colors.yard, 0.7))
    platform = block(DOCK_X, (DOCK_Y, WALL_Y), (0.0, DOCK_HEIGHT_M))
    for shape in solid(camera, block_faces(platform, (138, 142, 146), (172, 178, 182))):
        paint(picture, shape.points, shape.color)
    for number, x in enumerate(np.arange(DOCK_X[0], DOCK_X[1] - 0.1, 0.37)):
        color: Color = (56, 186, 230) if number % 2 else (52, 52, 54)
        edge = _wall(
            (x, min(x + 0.37, DOCK_X[1])), (DOCK_HEIGHT_M - 0.16, DOCK_HEIGHT_M), DOCK_Y - 0.01
        )
        paint(picture, camera.project(edge), color)
    for x in (6.0, 7.9, 9.6, 11.5):
        bumper = _wall((x, x + 0.25), (0.35, 0.85), DOCK_Y - 0.02)
        paint(picture, camera.project(bumper), (44, 44, 46))
    for step in range(4):
        height = DOCK_HEIGHT_M * (4 - step) / 5
        stair = block(
            (DOCK_X[0] - 0.3 * (step + 1), DOCK_X[0] - 0.3 * step),
            (DOCK_Y + 0.3, WALL_Y),
            (0.0, height),
        )
        for shape in solid(camera, block_faces(stair, (132, 136, 140), (176, 182, 186))):
            paint(picture, shape.points, shape.color)


def _shade(picture: Picture) -> Picture:
    """Evening-out light: a little brighter in the middle, a little darker towards the corners."""
    rows, columns = picture.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    far = ((x / columns - 0.45) ** 2 + ((y / rows - 0.5) * 0.8) ** 2) / 0.36
    light = 1.03 - 0.13 * far
    return np.clip(picture * light[..., None], 0, 255).astype(np.uint8)
