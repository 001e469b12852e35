"""A blind camera; and all rules together, with repeated incidents merged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.scene.motion import Look
from backend.analysis.scene.rules.judge import judge, merged
from backend.analysis.scene.rules.obstruction import obstruction
from backend.analysis.scene.rules.settings import ObstructionSettings, RuleSettings
from backend.findings.incident import Evidence, Incident, IncidentCategory
from tests.analysis.scene.rules.people import of_shapes, still, track, walk

DAY = Look(0, moving=False, brightness=110, contrast=45, detail=8)
NIGHT_WITH_A_LAMP = replace(DAY, brightness=15, contrast=25, detail=3)
DARK = replace(DAY, brightness=5, contrast=2, detail=0.5)
COVERED = replace(DAY, brightness=120, contrast=3, detail=0.4)
BLURRED = replace(DAY, contrast=20, detail=0.9)


def film(*parts: tuple[Look, float]) -> list[Look]:
    looks: list[Look] = []
    for look, seconds in parts:
        looks += [replace(look, t=(len(looks) + i) / 5) for i in range(int(seconds * 5))]
    return looks


def blind(*parts: tuple[Look, float]) -> list[Incident]:
    return list(obstruction(film(*parts), ObstructionSettings()))


@pytest.mark.parametrize(
    ("look", "note"),
    [
        (DARK, "the picture is dark for 20 s"),
        (COVERED, "the picture is of one colour for 20 s"),
        (BLURRED, "detail is gone for 20 s"),
    ],
)
def test_a_camera_that_sees_nothing_is_found(look: Look, note: str) -> None:
    (incident,) = blind((DAY, 30), (look, 20), (DAY, 10))
    assert incident.category is IncidentCategory.CAMERA_OBSTRUCTED
    assert (incident.t_start, incident.t_end) == (30, pytest.approx(49.8))
    assert incident.severity == 2
    assert incident.evidence[0].note == note


def test_a_cover_that_stays_for_most_of_the_time_is_found() -> None:
    (incident,) = blind((DAY, 18), (BLURRED, 42))
    assert incident.t_start == 18


@pytest.mark.parametrize(
    "parts",
    [
        [(DAY, 60)],
        [(NIGHT_WITH_A_LAMP, 60)],
        [(DAY, 30), (DARK, 3), (DAY, 27)],
        [(DAY, 30), (NIGHT_WITH_A_LAMP, 30)],
        [],
    ],
    ids=["day", "night", "a short blink", "evening", "nothing"],
)
def test_a_camera_that_sees_is_left_in_peace(parts: list[tuple[Look, float]]) -> None:
    assert blind(*parts) == []


def test_all_rules_speak_in_order_of_time() -> None:
    tracks = [
        of_shapes(1, [(40, 100)] * 10 + [(110, 45)] * 30),
        track(2, walk((100, 300), speed=2.4), seconds=4, start=1),
        track(3, still(1000), seconds=40, start=20),
    ]
    found = judge(tracks, film((DAY, 50), (DARK, 10)), RuleSettings())
    assert [i.category.value for i in found] == [
        "running",
        "fall",
        "loitering",
        "camera_obstructed",
    ]


def test_a_quiet_video_has_no_incident() -> None:
    people = [track(i, walk((100, 200 + 90 * i), speed=0.8), seconds=12) for i in range(4)]
    assert judge(people, film((DAY, 60)), RuleSettings()) == ()


def incident(
    t: float,
    *,
    who: int,
    seconds: float = 2,
    confidence: float = 0.5,
    severity: int = 1,
    category: IncidentCategory = IncidentCategory.RUNNING,
) -> Incident:
    evidence = (Evidence(t, "seen", who),)
    return Incident(category, t, t + seconds, severity, confidence, evidence)


def test_the_same_again_within_seconds_is_one() -> None:
    (one,) = merged(
        [incident(10, who=1), incident(15, who=1, confidence=0.7, severity=2)], within_s=5
    )
    assert (one.t_start, one.t_end, one.confidence, one.severity) == (10, 17, 0.7, 2)
    assert [e.t for e in one.evidence] == [10, 15]


@pytest.mark.parametrize(
    "other",
    [
        incident(20, who=1),
        incident(12, who=2),
        incident(12, who=1, category=IncidentCategory.FALL),
    ],
    ids=["later", "somebody else", "something else"],
)
def test_others_stay_apart(other: Incident) -> None:
    assert len(merged([incident(10, who=1), other], within_s=5)) == 2


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 3)), max_size=15))
def test_merging_loses_no_evidence_and_adds_none(given_ones: list[tuple[float, int]]) -> None:
    incidents = [incident(t, who=who) for t, who in given_ones]
    kept = merged(incidents, within_s=5)
    assert sorted(e.t for i in kept for e in i.evidence) == sorted(t for t, _ in given_ones)
    assert [i.t_start for i in kept] == sorted(i.t_start for i in kept)
