"""Who does what, and when, in the 180 seconds that the demo camera loops.

Ordinary walking and driving all the time; five incidents in the first 131 seconds, of which long
stretches between them and the rest of the loop are free. Whatever crosses the loop's end goes on
at its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi

import numpy as np

from demo.backdrop import DOOR_X, WALL_Y
from demo.motion import Drive, Parked, Walk
from demo.people import HI_VIS, Look, random_look
from demo.render import Actor
from demo.vehicles import Model, random_model

LOOP_S = 180
SEED = 20

_NEAR_LANE_Y, _FAR_LANE_Y = 16.5, 19.3
_NEAR_EDGE, _FAR_EDGE, _LANE_EDGE = 9.4, 13.6, 15.5
_DOOR = (sum(DOOR_X) / 2, WALL_Y - 0.25)
_Path = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class ScriptedIncident:
    """What happens on purpose: category, seconds in the loop, and the tracks that take part."""

    category: str
    t_start: float
    t_end: float
    tracks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """Everything that moves, and the incidents among it."""

    tracks: tuple[Walk | Drive | Parked, ...]
    incidents: tuple[ScriptedIncident, ...]

    def actors(self, t: float) -> list[Actor]:
        """Who is about at second `t` of the loop."""
        about: list[Actor] = []
        for track in self.tracks:
            if isinstance(track, Parked):
                about.append(track.at(t))
                continue
            about += [track.at(s) for s in (t, t + LOOP_S) if track.start_s <= s < track.end_s]
        return about


def script(seed: int = SEED) -> Script:
    """The demo camera's loop. The seed changes clothes, paint and the ordinary coming and going."""
    cast = _Cast(np.random.default_rng(seed))
    incidents = (
        _fall(cast),
        _near_miss(cast),
        _loitering(cast),
        _running(cast),
        _crowding(cast),
    )
    _crossings(cast)
    _walkers(cast)
    _workers(cast)
    _traffic(cast)
    truck = Model("truck", (176, 112, 48), (226, 228, 228), 6.8, 2.2, 3.0, 0.0)
    cast.park(truck, (10.6, 28.0), -pi / 2)
    cast.park(Model("car", (58, 50, 160), (0, 0, 0), 4.4, 1.78, 1.5, 0.35), (0.15, 30.3), pi / 2)
    return Script(tuple(cast.tracks), incidents)


class _Cast:
    """Hands out track ids, clothes and paint."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.tracks: list[Walk | Drive | Parked] = []

    def walk(
        self,
        path: _Path,
        *,
        look: Look | None = None,
        facing: float | None = None,
        fall: tuple[float, float] | None = None,
        doorways: tuple[float, ...] = (),
    ) -> int:
        """Somebody who goes along `path`; the track's id."""
        look = look or replace(random_look(self.rng), vest=False, helmet=None)
        self.tracks.append(Walk(len(self.tracks) + 1, look, path, facing, fall, doorways))
        return len(self.tracks)

    def drive(self, kind: str, direction: int, speeds: tuple[tuple[float, float], ...]) -> int:
        """A vehicle that drives through; the track's id."""
        y = _NEAR_LANE_Y if direction > 0 else _FAR_LANE_Y
        model = random_model(self.rng, kind)
        self.tracks.append(
            Drive(len(self.tracks) + 1, model, y, -direction * _LANE_EDGE, direction, speeds)
        )
        return len(self.tracks)

    def park(self, model: Model, place: tuple[float, float], heading: float) -> None:
        """A vehicle that stands in the yard."""
        self.tracks.append(Parked(len(self.tracks) + 1, model, place, heading))


def _look(top: tuple[float, float, float], trousers: tuple[float, float, float]) -> Look:
    return Look(skin=(120, 150, 205), hair=(40, 62, 92), top=top, trousers=trousers)


def _fall(cast: _Cast) -> ScriptedIncident:
    """Somebody stumbles, lies for nine seconds and gets up; somebody else comes to help."""
    falling = cast.walk(
        (
            (7.6, -_NEAR_EDGE, 13.9), (14.0, -1.4, 13.9), (14.5, -1.0, 13.9), (27.2, -1.0, 13.9),
            (35.4, _NEAR_EDGE, 13.9),
        ),
        look=_look((48, 60, 196), (92, 66, 48)),
        fall=(14.1, 23.2),
    )  # fmt: skip
    cast.walk(
        ((13.4, _NEAR_EDGE, 14.3), (18.8, 2.4, 14.3), (27.4, 2.4, 14.3), (36.6, -_NEAR_EDGE, 14.3)),
        facing=pi,
    )
    return ScriptedIncident("fall", 14.1, 25.6, (falling,))


def _near_miss(cast: _Cast) -> ScriptedIncident:
    """Somebody steps in front of a car, which brakes hard and passes an arm's length away."""
    path: _Path = (
        (38.6, -_FAR_EDGE, 23.5), (43.7, -6.8, 23.5), (45.0, -5.9, 22.0), (46.3, -5.5, 20.4),
        (46.75, -5.5, 20.3), (47.3, -5.8, 21.7), (49.2, -5.8, 21.7), (50.6, -5.4, 23.2),
        (64.8, _FAR_EDGE, 23.2),
    )  # fmt: skip
    person = cast.walk(path, look=_look((200, 150, 60), (56, 52, 50)), facing=-pi / 2)
    car = cast.drive(
        "car",
        -1,
        (
            (44.2, 8.4),
            (45.55, 8.4),
            (46.8, 2.8),
            (47.6, 2.2),
            (48.6, 2.6),
            (50.4, 7.5),
            (52.8, 8.0),
        ),
    )
    return ScriptedIncident("near_miss", 45.2, 48.2, (person, car))


def _loitering(cast: _Cast) -> ScriptedIncident:
    """Somebody hangs about by the bench on the far pavement for forty seconds."""
    spots = ((-9.0, 24.1), (-8.6, 24.2), (-9.3, 24.0), (-8.8, 24.25), (-8.5, 24.1), (-9.1, 24.2))
    path: list[tuple[float, float, float]] = [(46.4, -_FAR_EDGE, 24.2), (50.0, *spots[0])]
    for number, spot in enumerate(spots[1:]):
        path += [(55.5 + 7 * number, *path[-1][1:]), (56.3 + 7 * number, *spot)]
    path += [(90.5, *path[-1][1:]), (94.2, -_FAR_EDGE, 24.2)]
    person = cast.walk(tuple(path), look=_look((62, 60, 66), (84, 110, 138)), facing=-pi / 3)
    return ScriptedIncident("loitering", 50.0, 90.5, (person,))


def _running(cast: _Cast) -> ScriptedIncident:
    """Somebody runs along the far pavement."""
    person = cast.walk(
        ((100.6, _FAR_EDGE, 23.1), (106.8, -_FAR_EDGE, 23.3)),
        look=_look((60, 170, 214), (56, 52, 50)),
    )
    return ScriptedIncident("running", 101.0, 106.4, (person,))


def _crowding(cast: _Cast) -> ScriptedIncident:
    """Six people meet on the near pavement, stand together for a quarter of a minute, and part."""
    tracks = []
    for number in range(6):
        x, y = 1.6 + 0.52 * (number - 2.5), 14.0 + (0.4 if number % 2 else -0.4)
        arrives, leaves = 112.4 + 0.5 * ((number * 5) % 6), 129.4 + 0.4 * number
        edge = (_NEAR_EDGE if number > 2 else -_NEAR_EDGE, y)
        far = abs(edge[0] - x) / 1.35
        tracks.append(
            cast.walk(
                (
                    (arrives - far, *edge), (arrives, x, y),
                    (leaves, x, y), (leaves + far, *edge),
                ),
                facing=float(np.arctan2(14.0 - y, 1.6 - x)),
            )
        )  # fmt: skip
    return ScriptedIncident("crowding", 114.9, 129.6, tuple(tracks))


def _crossings(cast: _Cast) -> None:
    """Two people use the crossing; the second time a car waits for them."""
    cast.walk(
        (
            (20.0, -_FAR_EDGE, 23.3), (28.5, -2.2, 23.0), (29.4, -2.2, 22.6), (36.2, -2.0, 14.1),
            (37.0, -1.4, 13.7), (45.2, _NEAR_EDGE, 13.7),
        )
    )  # fmt: skip
    cast.walk(
        (
            (142.6, -_NEAR_EDGE, 13.8), (147.8, -2.4, 14.0), (150.6, -2.2, 14.3),
            (157.2, -2.1, 22.9),
            (158.0, -1.4, 23.3), (169.2, _FAR_EDGE, 23.4),
        ),
        facing=pi / 2,
    )  # fmt: skip
    cast.drive(
        "car",
        1,
        ((146.9, 6.2), (147.5, 6.2), (149.9, 0.0), (155.4, 0.0), (158.0, 7.0), (160.8, 7.5)),
    )


_NEAR_STARTS = (41, 53, 63, 74, 85, 92, 137, 153, 163, 170)
_FAR_STARTS = (2, 11, 27, 58, 69, 78, 88, 109, 119, 132, 141, 160, 169)


def _walkers(cast: _Cast) -> None:
    """People who come along the two pavements, now from the left, now from the right."""
    rng = cast.rng
    for starts, edge, middle in ((_NEAR_STARTS, _NEAR_EDGE, 13.9), (_FAR_STARTS, _FAR_EDGE, 23.4)):
        for number, start in enumerate(starts):
            side = 1 if (number + int(edge)) % 2 else -1
            y = middle + side * 0.45 + float(rng.uniform(-0.15, 0.15))
            end = start + 2 * edge / float(rng.uniform(1.22, 1.5))
            cast.walk(((float(start), -side * edge, y), (end, side * edge, y)))


def _workers(cast: _Cast) -> None:
    """People of the depot who go from the door to the loading bay and back."""
    for start, x in (
        (27.0, 7.4),
        (64.0, 8.0),
        (86.0, 7.6),
        (111.0, 7.0),
        (136.0, 7.2),
        (160.0, 8.2),
    ):
        look = replace(
            random_look(cast.rng), top=HI_VIS, vest=True, helmet=(230, 232, 236), skirt=False
        )
        turn, bay = (_DOOR[0] + 0.4, 27.2), (x, 26.7)
        down = (_DOOR[1] - turn[1]) / 1.35
        far = down + (bay[0] - turn[0]) / 1.4
        path: _Path = (
            (start, *_DOOR), (start + down, *turn), (start + far, *bay), (start + far + 3.5, *bay),
            (start + 2 * far + 3.5 - down, *turn), (start + 2 * far + 3.5, *_DOOR),
        )  # fmt: skip
        cast.walk(path, look=look, facing=0.0, doorways=(start, start + 2 * far + 3.5))


_KEPT_FREE = {
    1: ((27.0, 38.0), (42.0, 49.5), (139.0, 161.0)),
    -1: ((27.0, 38.0), (39.0, 53.0), (147.0, 159.0)),
}
"""Seconds in which a lane belongs to the script: by direction."""


def _traffic(cast: _Cast) -> None:
    """Cars and trucks on both lanes, none of which catches up with the one before it."""
    for direction, free in _KEPT_FREE.items():
        t = 1.0 if direction > 0 else 4.0
        while t < LOOP_S - 5:
            speed = float(cast.rng.uniform(6.8, 8.6))
            kind = "truck" if cast.rng.random() < 0.3 else "car"
            end = t + 2 * _LANE_EDGE / speed
            if all(end < start or t > stop for start, stop in free):
                cast.drive(kind, direction, ((t, speed), (end, speed)))
            t += float(cast.rng.uniform(5.0, 10.5))
