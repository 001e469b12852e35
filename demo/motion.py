"""How people and vehicles move: a path in time gives place, heading and pose at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin

import numpy as np

from demo.people import Look, Pose
from demo.render import Person, Vehicle
from demo.vehicles import Model

_SMOOTHING_S = 0.22
_FALL_S = 0.75
_RISE_S = 2.4


@dataclass(frozen=True, slots=True)
class Walk:
    """Somebody's way: (seconds, x, y) points, and where they look when they stand."""

    track_id: int
    look: Look
    path: tuple[tuple[float, float, float], ...]
    facing: float | None = None
    fall: tuple[float, float] | None = None
    """Seconds at which they fall and at which they begin to get up."""
    doorways: tuple[float, ...] = ()
    """Seconds at which they come out of, or go into, the dark of the door."""

    @property
    def start_s(self) -> float:
        """When they come into being."""
        return self.path[0][0]

    @property
    def end_s(self) -> float:
        """When they cease to be."""
        return self.path[-1][0]

    def at(self, t: float) -> Person:
        """The person at second `t` of the way."""
        times, xs, ys = (np.array(column) for column in zip(*self.path, strict=True))
        near = np.clip(t + np.linspace(-_SMOOTHING_S, _SMOOTHING_S, 7), times[0], times[-1])
        x, y = np.interp(near, times, xs), np.interp(near, times, ys)
        speed = _speed(times, xs, ys, t)
        lengths = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(xs), np.diff(ys)))])
        walked = float(np.interp(t, times, lengths))
        fastest = float((np.diff(lengths) / np.diff(times)).max())
        stride_m = 2.6 if fastest > 3.5 else 1.45
        fallen, crouch, arms = self._fallen(t)
        pose = Pose(
            phase=2 * pi * walked / stride_m,
            moving=min(1.0, speed / 0.9),
            running=min(1.0, max(0.0, (speed - 2.2) / 1.4)),
            crouch=crouch,
            fallen=fallen,
            arms_out=arms,
        )
        fading = max((1 - min(1.0, abs(t - s) / 0.6) for s in self.doorways), default=0.0)
        place = (float(x.mean()), float(y.mean()))
        return Person(self.track_id, self.look, pose, place, self._heading(t), fading)

    def _heading(self, t: float) -> float:
        """Along the way, averaged over a moment, so that nobody turns in an instant."""
        total = np.zeros(2)
        for moment in np.linspace(t - 0.3, t + 0.3, 9):
            total += self._direction(moment)
        return float(np.arctan2(total[1], total[0]))

    def _direction(self, t: float) -> np.ndarray:
        direction = np.array([1.0, 0.0])
        for (t1, x1, y1), (t2, x2, y2) in zip(self.path, self.path[1:], strict=False):
            step = np.array([x2 - x1, y2 - y1])
            length = float(np.hypot(*step))
            if length / (t2 - t1) > 0.2:
                direction = step / length
            elif t1 <= t <= t2 and self.facing is not None:
                direction = np.array([np.cos(self.facing), np.sin(self.facing)])
            if t <= t2:
                break
        return direction

    def _fallen(self, t: float) -> tuple[float, float, float]:
        """How far down (0..1), how much crouched, and how far the arms are thrown out."""
        if self.fall is None:
            return 0.0, 0.0, 0.0
        down, up = self.fall
        if t < down:
            return 0.0, 0.0, 0.0
        if t < up:
            share = min(1.0, (t - down) / _FALL_S)
            moving = 0.04 * sin((t - down) * 2.1) if share >= 1 else 0.0
            return share**1.7, 0.25 * sin(pi * share), 0.55 * share + moving
        share = min(1.0, (t - up) / _RISE_S)
        return max(0.0, 1 - share * 1.6) ** 1.2, 0.9 * sin(pi * share**0.9), 0.55 * (1 - share)


@dataclass(frozen=True, slots=True)
class Drive:
    """A vehicle's way along x: its start, 1 (right) or -1 (left), and (seconds, m/s) points."""

    track_id: int
    model: Model
    y: float
    start_x: float
    direction: int
    speeds: tuple[tuple[float, float], ...]

    @property
    def start_s(self) -> float:
        """When it comes into being."""
        return self.speeds[0][0]

    @property
    def end_s(self) -> float:
        """When it ceases to be."""
        return self.speeds[-1][0]

    def at(self, t: float) -> Vehicle:
        """The vehicle at second `t` of the way."""
        rolled, slowing = 0.0, False
        for (t1, v1), (t2, v2) in zip(self.speeds, self.speeds[1:], strict=False):
            spent = min(t, t2) - t1
            slope = (v2 - v1) / (t2 - t1)
            rolled += v1 * spent + slope * spent**2 / 2
            if t <= t2:
                slowing = slope < -0.8 or max(v1, v2) < 0.3
                break
        heading = 0.0 if self.direction > 0 else pi
        place = (self.start_x + self.direction * rolled, self.y)
        return Vehicle(self.track_id, self.model, place, heading, rolled, slowing)


@dataclass(frozen=True, slots=True)
class Parked:
    """A vehicle that stands there all the time."""

    track_id: int
    model: Model
    place: tuple[float, float]
    heading: float

    def at(self, _t: float) -> Vehicle:
        """The vehicle, whenever."""
        return Vehicle(self.track_id, self.model, self.place, self.heading)


def _speed(times: np.ndarray, xs: np.ndarray, ys: np.ndarray, t: float) -> float:
    ends = np.clip([t - 0.15, t + 0.15], times[0], times[-1])
    x, y = np.interp(ends, times, xs), np.interp(ends, times, ys)
    return float(np.hypot(x[1] - x[0], y[1] - y[0]) / max(1e-6, ends[1] - ends[0]))
