"""Near misses: close, moving, and on the same ground; nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.analysis.scene.rules.near_misses import near_misses
from backend.analysis.scene.rules.settings import NearMissSettings
from backend.analysis.scene.tracks import Track
from backend.findings.incident import Incident
from tests.analysis.scene.rules.people import still, track, walk


def found(*tracks: Track) -> list[Incident]:
    return list(near_misses(tracks, NearMissSettings()))


def car(*, speed: float, ground: float = 510, start: float = 100, label: str = "car") -> Track:
    way = walk((start, ground), speed=speed)
    return track(9, way, seconds=5, label=label, width=220, height=110)


PERSON = track(1, still(640), seconds=5)


def test_a_car_that_passes_right_by_somebody_is_found() -> None:
    (incident,) = found(PERSON, car(speed=2.0))
    assert incident.severity == 3
    assert {e.track_id for e in incident.evidence} == {1, 9}
    assert "from a car" in incident.evidence[0].note
    assert "body heights a second" in incident.evidence[1].note
    # The front reaches 640 - 20 after (620 - 210) / 200 = 2 s; it is expected 0.4 s before.
    assert incident.t_start == pytest.approx(1.6, abs=0.3)


@pytest.mark.parametrize("label", ["car", "truck", "bus", "motorcycle"])
def test_every_motor_vehicle_counts(label: str) -> None:
    assert len(found(PERSON, car(speed=2.0, label=label))) == 1


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (car(speed=0.0, start=600), "parked"),
        (car(speed=0.3, start=560), "rolls slower than a step"),
        (car(speed=2.0, ground=640), "nearer to the camera, on another lane"),
        (car(speed=2.0, ground=400), "behind, on another lane"),
        (car(speed=-2.0, start=300), "drives away"),
        (car(speed=2.0, label="boat"), "no vehicle"),
    ],
)
def test_what_is_far_or_slow_or_elsewhere_is_none(other: Track, why: str) -> None:
    assert found(PERSON, other) == [], why


def test_who_sits_in_or_on_it_is_not_in_danger() -> None:
    driver = track(1, walk((100, 490), speed=2.0), seconds=5, height=60)
    assert found(driver, car(speed=2.0)) == []


def test_two_who_were_never_there_at_the_same_time_did_not_meet() -> None:
    later = replace(PERSON, points=tuple(replace(p, t=p.t + 20) for p in PERSON.points))
    assert found(later, car(speed=2.0)) == []


def test_one_picture_is_not_enough() -> None:
    vehicle = car(speed=2.0)
    close = replace(PERSON, points=tuple(p for p in PERSON.points if p.t in (0.2, 0.4, 0.6, 2.2)))
    assert found(close, vehicle) == []


def test_closer_is_surer() -> None:
    def confidence(gap: float) -> float:
        # The car brakes hard and stops `gap` body heights away.
        stops = track(
            9,
            lambda t: (min(100 + 300 * t, 620 - 110 - gap * 100), 510),
            seconds=5,
            label="car",
            width=220,
            height=110,
        )
        (incident,) = found(track(1, lambda t: (640, 500), seconds=5), stops)
        return incident.confidence

    assert confidence(0.05) > confidence(0.3)
