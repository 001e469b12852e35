"""Staying, alone or with others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.scene.rules.company import groups, present
from backend.analysis.scene.rules.crowding import crowding
from backend.analysis.scene.rules.loitering import loitering
from backend.analysis.scene.rules.settings import CrowdingSettings, LoiteringSettings
from backend.analysis.scene.tracks import Track
from backend.findings.incident import Incident
from tests.analysis.scene.rules.people import still, track, walk


def loiterers(*tracks: Track) -> list[Incident]:
    return list(loitering(tracks, LoiteringSettings(), CrowdingSettings()))


def crowds(*tracks: Track) -> list[Incident]:
    return list(crowding(tracks, CrowdingSettings()))


def huddle(count: int, *, seconds: float, start: float = 0.0, apart: float = 60) -> list[Track]:
    return [
        track(i + 1, still(400 + apart * i, 500 + 10 * (i % 2)), seconds=seconds, start=start)
        for i in range(count)
    ]


def test_somebody_who_stays_is_found() -> None:
    (incident,) = loiterers(track(4, still(300), seconds=40, start=3))
    assert (incident.t_start, incident.t_end) == (3, 43)
    assert incident.severity == 1
    assert incident.evidence[-1].note == "still in the same place after 40 s"


def test_longer_is_surer() -> None:
    short, long = (loiterers(track(1, still(300), seconds=s))[0] for s in (25, 60))
    assert short.confidence < long.confidence == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("somebody", "why"),
    [
        (track(1, still(300), seconds=15), "too short"),
        (track(1, walk((50, 500), speed=0.3), seconds=40), "walks, if slowly"),
        (track(1, lambda t: (300, 500), seconds=60), "never moves at all: a poster"),
        (track(1, still(300), seconds=60, label="dog"), "no person"),
    ],
)
def test_other_things_are_no_loitering(somebody: Track, why: str) -> None:
    assert loiterers(somebody) == [], why


def test_who_comes_stays_and_goes_is_found_for_the_stay_only() -> None:
    def way(t: float) -> tuple[float, float]:
        if t < 10:
            return 100 + 40 * t, 500
        return (500 + 8 * (int(t) % 3), 500) if t < 40 else (500 + 40 * (t - 40), 500)

    (incident,) = loiterers(track(1, way, seconds=50))
    assert incident.t_start == pytest.approx(9, abs=2)
    assert incident.t_end == pytest.approx(41, abs=2)


def test_a_crowd_that_waits_does_not_loiter() -> None:
    assert loiterers(*huddle(5, seconds=40)) == []
    assert len(loiterers(*huddle(2, seconds=40))) == 2


def test_five_close_together_are_a_crowd() -> None:
    (incident,) = crowds(*huddle(5, seconds=20, start=2))
    assert incident.severity == 2
    assert incident.t_start == pytest.approx(2, abs=2)
    assert incident.t_end == pytest.approx(22, abs=2)
    assert len(incident.evidence) == 5
    assert incident.evidence[0].note == "one of 5 people close together"


@pytest.mark.parametrize(
    ("people", "why"),
    [
        (huddle(4, seconds=30), "too few"),
        (huddle(5, seconds=1.5), "too short"),
        (huddle(6, seconds=30, apart=300), "too far apart"),
    ],
)
def test_fewer_shorter_or_further_is_no_crowd(people: list[Track], why: str) -> None:
    assert crowds(*people) == [], why


def test_people_who_pass_each_other_are_no_crowd() -> None:
    passing = [track(i, walk((100, 500), speed=0.8), seconds=12, start=8 * i) for i in range(6)]
    assert crowds(*passing) == []


def test_more_people_are_surer() -> None:
    five, nine = (crowds(*huddle(n, seconds=20))[0].confidence for n in (5, 9))
    assert five < nine


@given(st.lists(st.tuples(st.floats(0, 1280), st.floats(100, 720)), max_size=12))
def test_everybody_is_in_one_group(places: list[tuple[float, float]]) -> None:
    people = [track(i, lambda t, p=p: p, seconds=1) for i, p in enumerate(places)]
    standing = present(people, 0.5)
    found = groups(standing, reach=1.2)
    assert sorted(t.id for group in found for t, _ in group) == list(range(len(places)))
