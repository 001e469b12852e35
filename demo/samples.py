"""Random pictures for training: the same place, other people, vehicles, light and quality.

`write` renders a data set in ultralytics' layout (pictures and one label file each) on several
processes. The same seed gives the same pictures, whatever the number of processes.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import pi
from pathlib import Path

import cv2
import numpy as np

from demo.backdrop import Colors, backdrop
from demo.camera import HEIGHT_PX, WIDTH_PX, Camera
from demo.drawing import Picture, brighter
from demo.people import Pose, random_look
from demo.props import props
from demo.render import CLASSES, Actor, Labelled, Person, Vehicle, develop, picture_of
from demo.vehicles import random_model

MIN_VISIBLE = {"person": 0.3, "car": 0.15, "truck": 0.15}
"""Less of somebody or something than this share is not labelled."""

_BACKDROPS = 6
_NEAR, _FAR, _YARD, _ROAD = (13.2, 14.8), (22.2, 24.4), (25.2, 32.3), (15.2, 20.8)
_GROUNDS = (_NEAR, _FAR, _YARD, _ROAD)
_GROUND_SHARES = (0.28, 0.28, 0.34, 0.10)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one process renders: pictures `first` to `last` of a seed, into a folder."""

    folder: Path
    seed: int
    first: int
    last: int


def write(folder: Path, *, seed: int, count: int, processes: int) -> None:
    """Render `count` pictures with their labels into `folder`/images and `folder`/labels."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    size = 50
    batches = [
        _Batch(folder, seed, first, min(first + size, count)) for first in range(0, count, size)
    ]
    with ProcessPoolExecutor(processes) as pool:
        for _ in pool.map(_write_batch, batches):
            pass


def sample(seed: int, number: int) -> tuple[Picture, list[Labelled]]:
    """Picture `number` of a seed, and the boxes of what can be seen in it."""
    rng = np.random.default_rng((seed, number))
    camera = Camera()
    actors = _actors(rng)
    ground = _ground(int(rng.integers(_BACKDROPS)))
    picture, labels = picture_of(camera, ground, props(camera, float(rng.random())), actors)
    return _taken(picture, rng), [
        label for label in labels if label.visible >= MIN_VISIBLE[label.label]
    ]


def _write_batch(batch: _Batch) -> None:
    cv2.setNumThreads(1)
    for number in range(batch.first, batch.last):
        picture, labels = sample(batch.seed, number)
        # Half of them are scaled down here by area, the others by the trainer (linear): the
        # detector may be fed by either.
        if number % 2:
            picture = cv2.resize(
                picture, (WIDTH_PX // 3, HEIGHT_PX // 3), interpolation=cv2.INTER_AREA
            )
        rows = []
        for label in labels:
            x1, y1, x2, y2 = label.box
            center = ((x1 + x2) / 2 / WIDTH_PX, (y1 + y2) / 2 / HEIGHT_PX)
            size = ((x2 - x1) / WIDTH_PX, (y2 - y1) / HEIGHT_PX)
            numbers = " ".join(f"{value:.6f}" for value in (*center, *size))
            rows.append(f"{CLASSES.index(label.label)} {numbers}\n")
        cv2.imwrite(str(batch.folder / "images" / f"{number:05d}.png"), picture)
        (batch.folder / "labels" / f"{number:05d}.txt").write_text("".join(rows))


@lru_cache(_BACKDROPS)
def _ground(number: int) -> Picture:
    """A backdrop; all but the first have colours of their own."""
    colors = Colors()
    rng = np.random.default_rng(number)
    if number:
        shades = {
            field.name: brighter(getattr(colors, field.name), rng.uniform(0.85, 1.15))
            for field in fields(colors)
        }
        colors = replace(colors, **shades)
    return backdrop(Camera(), colors)


def _actors(rng: np.random.Generator) -> list[Actor]:
    vehicles = _vehicles(rng)
    people: list[Person] = []
    for _ in range(int(rng.integers(2, 10))):
        ground = _GROUNDS[int(rng.choice(len(_GROUNDS), p=_GROUND_SHARES))]
        half_width = 6.6 + (ground[0] - 13) * 0.5
        people.append(
            _person(rng, (rng.uniform(-half_width, half_width), rng.uniform(*ground)), len(people))
        )
    if rng.random() < 0.35:
        ground = _GROUNDS[int(rng.integers(3))]
        middle = np.array([rng.uniform(-8, 8), rng.uniform(*ground)])
        for _ in range(int(rng.integers(3, 8))):
            place = middle + rng.normal(0, 1.0, 2) * np.array([1.2, 0.6])
            people.append(_person(rng, (place[0], place[1]), len(people)))
    free = [
        person for person in people if not any(_covers(vehicle, person.at) for vehicle in vehicles)
    ]
    return [*vehicles, *free]


def _person(rng: np.random.Generator, at: tuple[float, float], number: int) -> Person:
    kind = rng.choice(
        ["walking", "standing", "running", "lying", "falling", "crouching"],
        p=[0.5, 0.17, 0.1, 0.11, 0.06, 0.06],
    )
    pose = Pose(phase=float(rng.uniform(0, 2 * pi)))
    if kind in ("walking", "running"):
        pose = replace(pose, moving=float(rng.uniform(0.6, 1.0)))
    if kind == "running":
        pose = replace(pose, moving=1.0, running=float(rng.uniform(0.3, 1.0)))
    if kind in ("lying", "falling"):
        fallen = 1.0 if kind == "lying" else float(rng.uniform(0.25, 1.0))
        pose = replace(
            pose,
            fallen=fallen,
            arms_out=float(rng.uniform(0.2, 0.8)),
            moving=float(rng.uniform(0, 0.5)),
        )
    if kind == "crouching":
        pose = replace(
            pose, crouch=float(rng.uniform(0.4, 1.0)), fallen=float(rng.choice([0.0, 0.2]))
        )
    along = rng.random() < 0.6
    heading = rng.choice([0.0, pi]) + rng.normal(0, 0.15) if along else rng.uniform(0, 2 * pi)
    return Person(number + 1, random_look(rng), pose, (float(at[0]), float(at[1])), float(heading))


def _vehicles(rng: np.random.Generator) -> list[Vehicle]:
    found: list[Vehicle] = []

    def add(kind: str, at: tuple[float, float], heading: float) -> None:
        model = random_model(rng, kind)
        rolled, braking = float(rng.uniform(0, 3)), bool(rng.random() < 0.25)
        found.append(Vehicle(200 + len(found), model, at, heading, rolled, braking))

    for y, heading in ((16.5, 0.0), (19.3, pi)):
        x = float(rng.uniform(-13, 13))
        for _ in range(int(rng.choice([0, 1, 2], p=[0.3, 0.5, 0.2]))):
            kind = "truck" if rng.random() < 0.35 else "car"
            add(kind, (x, y + float(rng.normal(0, 0.15))), heading)
            x += float(rng.uniform(9, 14)) * (1 if x < 0 else -1)
    if rng.random() < 0.75:
        add("truck", (10.6 + float(rng.normal(0, 0.15)), 28.0), -pi / 2)
    if rng.random() < 0.7:
        add(
            "car",
            (0.15 + float(rng.choice([-2.7, 0.0, 2.7])), 30.3),
            float(rng.choice([-pi / 2, pi / 2])),
        )
    if rng.random() < 0.15:
        add(
            str(rng.choice(["car", "truck"])),
            (6.7, float(rng.uniform(22, 28))),
            float(rng.choice([-pi / 2, pi / 2])),
        )
    return found


def _covers(vehicle: Vehicle, place: tuple[float, float]) -> bool:
    """Whether somebody would stand inside the vehicle; all of them stand along an axis."""
    along, across = vehicle.model.length_m / 2 + 0.2, vehicle.model.width_m / 2 + 0.2
    half_x, half_y = (along, across) if abs(np.cos(vehicle.heading)) > 0.5 else (across, along)
    return abs(place[0] - vehicle.at[0]) < half_x and abs(place[1] - vehicle.at[1]) < half_y


def _taken(picture: Picture, rng: np.random.Generator) -> Picture:
    """Light, tint, grain, blur and compression of one exposure."""
    tint = 1 + rng.normal(0, 0.03, 3)
    tinted = np.clip(picture * tint, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        tinted = cv2.GaussianBlur(tinted, (0, 0), float(rng.uniform(0.4, 1.2)))
    exposed = develop(
        tinted, rng, noise=float(rng.uniform(0, 4)), light=float(rng.uniform(0.8, 1.15))
    )
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
    return cv2.imdecode(cv2.imencode(".jpg", exposed, quality)[1], cv2.IMREAD_COLOR)
