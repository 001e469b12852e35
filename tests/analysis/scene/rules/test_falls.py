"""Falls are told from everything that looks a little like one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.scene.rules.falls import falls
from backend.analysis.scene.rules.settings import FallSettings
from backend.analysis.scene.tracks import Track
from backend.findings.incident import Incident, IncidentCategory
from tests.analysis.scene.rules.people import of_shapes, track

UPRIGHT, LOW, CROUCHED = (40.0, 100.0), (110.0, 45.0), (60.0, 70.0)
FLAT = (44.0, 28.0)
"""Somebody who lies with the head or the feet towards the camera."""


def found(*tracks: Track) -> list[Incident]:
    return list(falls(tracks, FallSettings()))


def test_somebody_who_falls_and_stays_down_is_found() -> None:
    (fall,) = found(of_shapes(7, [UPRIGHT] * 10 + [LOW] * 20))
    assert fall.category is IncidentCategory.FALL
    assert fall.severity == 4
    assert (fall.t_start, fall.t_end) == (1.8, 5.8)
    assert {e.track_id for e in fall.evidence} == {7}
    assert [e.note for e in fall.evidence] == ["upright", "on the ground for 3.8 s"]


def test_somebody_who_gets_up_again_is_less_severe() -> None:
    (fall,) = found(of_shapes(1, [UPRIGHT] * 10 + [LOW] * 20 + [CROUCHED] * 3 + [UPRIGHT] * 10))
    assert fall.severity == 3
    assert fall.t_end == pytest.approx(6.6)
    assert fall.evidence[-1].note == "up again"


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        ([UPRIGHT] * 10 + [LOW] * 8 + [UPRIGHT] * 20, "too short: a stumble"),
        ([UPRIGHT] * 10 + [CROUCHED] * 40, "crouching, sitting"),
        ([LOW] * 40, "lay there from the start"),
        ([UPRIGHT] * 10 + [(40.0, 35.0)] * 20, "half hidden: lower, but no wider"),
        ([UPRIGHT] * 60, "standing"),
    ],
)
def test_other_things_are_no_fall(shapes: list[tuple[float, float]], why: str) -> None:
    assert found(of_shapes(1, shapes)) == [], why


def test_somebody_whose_legs_are_hidden_did_not_fall() -> None:
    whole = of_shapes(1, [UPRIGHT] * 10)
    upper = of_shapes(1, [(60.0, 50.0)] * 20, ground=450)
    moved = tuple(replace(point, t=point.t + 2) for point in upper.points)
    assert found(Track(1, "person", whole.points + moved)) == []


def test_somebody_who_comes_to_the_lower_edge_did_not_fall() -> None:
    whole = of_shapes(1, [UPRIGHT] * 10, ground=650)
    near = of_shapes(1, [(120.0, 70.0)] * 20, ground=720)
    cut = tuple(replace(point, t=point.t + 2, cut_down=True) for point in near.points)
    assert found(Track(1, "person", whole.points + cut)) == []


def test_somebody_who_falls_at_the_lower_edge_is_found() -> None:
    one = of_shapes(1, [UPRIGHT] * 10 + [LOW] * 20, ground=715)
    points = tuple(replace(p, cut_down=p.t >= 2) for p in one.points)
    assert len(found(Track(1, "person", points))) == 1


def test_somebody_who_falls_towards_the_camera_is_found_though_they_get_no_wider() -> None:
    (fall,) = found(of_shapes(7, [UPRIGHT] * 10 + [FLAT] * 20))
    assert (fall.severity, fall.t_start, fall.t_end) == (4, 1.8, 5.8)


@pytest.mark.parametrize(
    ("before", "after", "risen", "cut", "why"),
    [
        ((70.0, 100.0), (78.0, 52.0), 0, False, "sits on the ground, arms spread"),
        (UPRIGHT, (40.0, 32.0), 0, False, "legs under a lorry"),
        (UPRIGHT, FLAT, 30, False, "stoops behind a counter"),
        (UPRIGHT, FLAT, 0, True, "leaves the picture under the camera"),
    ],
)
def test_what_gets_flat_but_no_wider_is_not_always_a_fall(
    before: tuple[float, float], after: tuple[float, float], risen: float, *, cut: bool, why: str
) -> None:
    whole = of_shapes(1, [before] * 10)
    rest = of_shapes(1, [after] * 20, ground=500 - risen)
    moved = tuple(replace(point, t=point.t + 2, cut_down=cut) for point in rest.points)
    assert found(Track(1, "person", whole.points + moved)) == [], why


def test_a_gap_in_what_is_seen_does_not_end_a_fall() -> None:
    one = of_shapes(1, [UPRIGHT] * 10 + [LOW] * 30)
    sparse = tuple(p for i, p in enumerate(one.points) if i < 12 or i % 5 == 0)
    (fall,) = found(Track(1, "person", sparse))
    assert fall.severity == 4


def test_a_rider_whose_box_is_wide_did_not_fall() -> None:
    rider = of_shapes(1, [UPRIGHT] * 10 + [LOW] * 20)
    bicycle = track(2, lambda t: (600, 500), seconds=8, label="bicycle", width=150)
    assert found(rider, bicycle) == []


def test_an_object_that_tips_over_is_no_fall() -> None:
    one = of_shapes(1, [UPRIGHT] * 10 + [LOW] * 20)
    assert found(replace(one, label="chair")) == []


@given(
    scale=st.floats(0.2, 5),
    upright_s=st.integers(1, 10),
    low_s=st.integers(3, 30),
)
def test_a_fall_is_found_at_any_size_and_length(scale: float, upright_s: int, low_s: int) -> None:
    shapes = [UPRIGHT] * (5 * upright_s) + [LOW] * (5 * low_s)
    (fall,) = found(of_shapes(1, [(w * scale, h * scale) for w, h in shapes]))
    assert 0.5 < fall.confidence <= 0.8
