"""Motion is seen, noise is not; and pictures without motion are looked at now and then."""

from __future__ import annotations

import numpy as np
import pytest

from backend.analysis.scene.gate import DetectionGate, Why
from backend.analysis.scene.motion import HEIGHT, WIDTH, Look, MotionGate

NOISE = np.random.default_rng(7)


def scene(*, walker_at: int | None = None, noise: int = 2) -> np.ndarray:
    """A textured yard with sensor noise, and perhaps somebody 8 x 20 pixels in it."""
    yard = (
        100 + 30 * np.sin(np.arange(WIDTH) / 15)[None, :] * np.cos(np.arange(HEIGHT) / 9)[:, None]
    )
    if walker_at is not None:
        yard[90:110, walker_at : walker_at + 8] = 220
    noisy = yard + NOISE.normal(0, noise, yard.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def test_a_still_scene_with_noise_does_not_move() -> None:
    gate = MotionGate()
    looks = [gate.look(i / 5, scene()) for i in range(50)]
    assert looks[0].moving, "the first picture is always looked at"
    assert not any(look.moving for look in looks[1:])


def test_somebody_small_who_walks_is_motion() -> None:
    gate = MotionGate()
    for i in range(20):
        gate.look(i / 5, scene())
    looks = [gate.look(4 + i / 5, scene(walker_at=20 + 4 * i)) for i in range(40)]
    assert sum(look.moving for look in looks) >= 38


def test_a_light_that_flickers_all_the_time_becomes_background() -> None:
    gate = MotionGate()
    flicker = []
    for i in range(150):
        picture = scene()
        if i % 2:
            picture[10:30, 10:30] = 250
        flicker.append(gate.look(i / 5, picture).moving)
    assert any(flicker[:20])
    assert not any(flicker[-20:])


def test_a_look_tells_how_bright_and_how_detailed_it_is() -> None:
    gate = MotionGate()
    dark = gate.look(0, np.full((HEIGHT, WIDTH), 3, dtype=np.uint8))
    assert (dark.brightness, dark.contrast, dark.detail) == (3, 0, 0)
    assert gate.look(1, scene()).detail > 1


def look(t: float, *, moving: bool, brightness: float = 100) -> Look:
    return Look(t, moving=moving, brightness=brightness, contrast=30, detail=5)


def decisions(
    seconds: float, *, moving_until: float, tracks_alive: bool
) -> list[tuple[float, Why]]:
    gate = DetectionGate()
    times = [i / 5 for i in range(int(seconds * 5))]
    return [
        (t, gate.decide(look(t, moving=t < moving_until), tracks_alive=tracks_alive)) for t in times
    ]


def test_every_picture_with_motion_is_searched() -> None:
    assert all(why is Why.MOTION for _, why in decisions(4, moving_until=9, tracks_alive=False))


@pytest.mark.parametrize(("tracks_alive", "every_s"), [(True, 1.0), (False, 10.0)])
def test_a_still_scene_is_searched_now_and_then(tracks_alive: bool, every_s: float) -> None:
    looked = [
        t
        for t, why in decisions(61, moving_until=0.1, tracks_alive=tracks_alive)
        if why.detect and t > 1
    ]
    steps = np.diff(looked)
    assert steps.min() == pytest.approx(every_s)
    assert steps.max() == pytest.approx(every_s)


def test_a_dark_picture_is_not_searched() -> None:
    gate = DetectionGate()
    black = Look(0, moving=True, brightness=4, contrast=2, detail=0)
    assert gate.decide(black, tracks_alive=True) is Why.DARK
    assert not Why.DARK.detect
