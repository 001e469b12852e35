"""Running is told from walking, riding and jumping boxes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.scene.rules.running import running
from backend.analysis.scene.rules.settings import RunningSettings
from backend.analysis.scene.tracks import Track
from backend.findings.incident import Incident
from tests.analysis.scene.rules.people import still, track, walk


def found(*tracks: Track) -> list[Incident]:
    return list(running(tracks, RunningSettings()))


def test_a_runner_is_found() -> None:
    (incident,) = found(track(3, walk((100, 500), speed=2.5), seconds=4))
    assert incident.severity == 1
    assert incident.evidence[0].note == "2.5 body heights a second"
    assert incident.confidence == 0.8


@given(speed=st.floats(0, 1.3), direction=st.sampled_from([-1, 1]))
def test_a_walker_is_not(speed: float, direction: int) -> None:
    assert found(track(1, walk((600, 500), speed=direction * speed), seconds=8)) == []


@given(speed=st.floats(1.8, 4), height=st.floats(20, 300))
def test_distance_from_the_camera_does_not_matter(speed: float, height: float) -> None:
    runner = track(
        1, lambda t: (600 + speed * height * t, 500), seconds=3, height=height, width=height / 2
    )
    assert len(found(runner)) == 1


def test_a_few_quick_steps_are_not() -> None:
    hurry = track(1, lambda t: (100 + 220 * min(t, 0.8), 500), seconds=8)
    assert found(hurry) == []


def test_a_box_that_jumps_once_is_not() -> None:
    jump = track(1, lambda t: (100 if t < 2 else 500, 500), seconds=5)
    assert found(jump) == []


def test_a_cyclist_is_not() -> None:
    rider = track(1, walk((100, 490), speed=3), seconds=4)
    bicycle = track(2, walk((100, 500), speed=3), seconds=4, label="bicycle", width=90, height=70)
    assert found(rider, bicycle) == []


def test_who_enters_at_the_edge_is_not() -> None:
    entering = track(1, walk((0, 500), speed=2.5), seconds=2)
    cut = replace(entering, points=tuple(replace(p, cut_across=True) for p in entering.points))
    assert found(cut) == []


def test_somebody_who_stands_is_not() -> None:
    assert found(track(1, still(300), seconds=30)) == []
