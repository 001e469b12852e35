"""One picture of the scene: paints the actors and measures what can be seen of each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.backdrop import LAWN_RIGHT_X, WALL_Y
from demo.camera import HEIGHT_PX, WIDTH_PX, Camera, Points
from demo.drawing import Color, Picture, Shape, mix, paint, stencil
from demo.people import Look, Pose, figure
from demo.props import Drawn
from demo.vehicles import Model, vehicle

CLASSES = ("person", "car", "truck")
SHADOW_SHARE = 0.36
_DOORWAY: Color = (58, 50, 46)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a moment. `fading` 0..1: how far gone into the dark of the doorway."""

    track_id: int
    look: Look
    pose: Pose
    at: tuple[float, float]
    heading: float
    fading: float = 0.0


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle at a moment."""

    track_id: int
    model: Model
    at: tuple[float, float]
    heading: float
    rolled_m: float = 0.0
    braking: bool = False


Actor = Person | Vehicle


@dataclass(frozen=True, slots=True)
class Labelled:
    """The box of what is seen of an actor, in pixels, and which share of the actor that is."""

    track_id: int
    label: str
    box: tuple[int, int, int, int]
    visible: float


def picture_of(
    camera: Camera, ground: Picture, things: list[Drawn], actors: list[Actor]
) -> tuple[Picture, list[Labelled]]:
    """The 960x540 picture (BGR) of actors and things on the ground, and a box for each actor."""
    drawn = [(actor, _draw(camera, actor)) for actor in actors]
    picture = ground.copy()
    _cast_shadows(camera, picture, [outline for thing in things for outline in thing.shadow], [
        outline for _, thing in drawn for outline in thing.shadow
    ])  # fmt: skip
    owners = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    queue: list[tuple[float, int, Drawn]] = [(thing.y, 0, thing) for thing in things]
    queue += [(thing.y, number + 1, thing) for number, (_, thing) in enumerate(drawn)]
    for _, owner, thing in sorted(queue, key=lambda entry: (-entry[0], entry[1])):
        for shape in thing.shapes:
            paint(picture, shape.points, shape.color)
            stencil(owners, shape.points, owner)
    small = cv2.resize(picture, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    labels = [
        _label(actor, thing.shapes, owners == number + 1)
        for number, (actor, thing) in enumerate(drawn)
    ]
    return small, [label for label in labels if label is not None]


def _draw(camera: Camera, actor: Actor) -> Drawn:
    if isinstance(actor, Person):
        shapes, shadow = figure(camera, actor.look, actor.pose, at=actor.at, heading=actor.heading)
        if actor.fading > 0:
            shapes = [
                Shape(shape.points, mix(shape.color, _DOORWAY, actor.fading)) for shape in shapes
            ]
            shadow = []
        return Drawn(actor.at[1], shapes, shadow)
    shapes, shadow = vehicle(
        camera,
        actor.model,
        at=actor.at,
        heading=actor.heading,
        rolled_m=actor.rolled_m,
        braking=actor.braking,
    )
    return Drawn(actor.at[1], shapes, shadow)


def _cast_shadows(
    camera: Camera, picture: Picture, fixed: list[Points], moving: list[Points]
) -> None:
    """Darken the ground under all shadows at once: two on one spot are no darker than one."""
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    for outline in (*fixed, *moving):
        paint(mask, outline, (255.0, 255.0, 255.0), scale=1)
    # The wall stands: shadows of what is behind it end at its foot.
    left = LAWN_RIGHT_X + 0.6
    wall = [(left, WALL_Y, 0.0), (40.0, WALL_Y, 0.0), (40.0, WALL_Y, 9.0), (left, WALL_Y, 9.0)]
    stencil(mask, camera.project(np.array(wall)), 0)
    soft = cv2.resize(cv2.GaussianBlur(mask, (3, 3), 0), (picture.shape[1], picture.shape[0]))
    left, top, wide, high = cv2.boundingRect(soft)
    region = picture[top : top + high, left : left + wide]
    # Shadows are lit by the sky: they lose less blue than red.
    for channel, share in enumerate((SHADOW_SHARE * 0.88, SHADOW_SHARE * 0.98, SHADOW_SHARE)):
        light = (255 - soft[top : top + high, left : left + wide] * share).astype(np.uint8)
        region[..., channel] = cv2.multiply(region[..., channel], light, scale=1 / 255)


def _label(actor: Actor, shapes: list[Shape], seen: np.ndarray) -> Labelled | None:
    """Box of the seen pixels; the share is of the actor drawn alone, past the edges too."""
    left, top, wide, high = cv2.boundingRect(seen.view(np.uint8))
    if wide == 0 or high == 0:
        return None
    outline = np.concatenate([shape.points for shape in shapes])
    low, up = np.floor(outline.min(axis=0)), np.ceil(outline.max(axis=0))
    alone = np.zeros((int(up[1] - low[1]) + 1, int(up[0] - low[0]) + 1), np.uint8)
    for shape in shapes:
        stencil(alone, shape.points, 1, (float(low[0]), float(low[1])))
    visible = cv2.countNonZero(seen.view(np.uint8)) / max(1, cv2.countNonZero(alone))
    label = "person" if isinstance(actor, Person) else actor.model.kind
    return Labelled(actor.track_id, label, (left, top, left + wide, top + high), min(1.0, visible))


def develop(
    picture: Picture, rng: np.random.Generator, *, noise: float, light: float = 1.0
) -> Picture:
    """What the sensor makes of the light: exposure, and grain (deviation in grey levels)."""
    grain = rng.normal(0.0, noise, picture.shape[:2]).astype(np.float32)
    return np.clip(picture * light + grain[..., None], 0, 255).astype(np.uint8)
