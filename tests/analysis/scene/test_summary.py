"""What a pass over a video amounts to: stretches of motion, who was followed, a sentence."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.protocol import MOST_TRACKS, ObjectCount
from backend.analysis.scene.motion import Look
from backend.analysis.scene.summary import in_words, moving, track_infos
from backend.analysis.scene.tracks import Point, Track
from backend.findings.detection import Box
from backend.findings.incident import Incident, IncidentCategory

EVERY_S = 0.2


def looks(marks: str, *, every_s: float = EVERY_S) -> list[Look]:
    """Looks at evenly spaced pictures; `x` is one in which something moves."""
    return [Look(n * every_s, mark == "x", 100, 20, 5) for n, mark in enumerate(marks)]


def track(number: int, t_start: float, t_end: float, label: str = "person") -> Track:
    """Somebody who was seen from then to then."""
    box = Box(0, 0, 10, 30)
    return Track(number, label, (Point(t_start, box, 0.9), Point(t_end, box, 0.9)))


def incident(category: IncidentCategory) -> Incident:
    """An incident of that kind."""
    return Incident(category, 1, 2, 3, 0.8)


@pytest.mark.parametrize(
    ("marks", "stretches"),
    [
        ("", ()),
        ("x", ()),
        ("x....", ()),  # the first picture has none before it to differ from
        (".....", ()),
        ("xx", ((0.0, 0.2),)),
        ("..x..", ((0.2, 0.4),)),
        ("..xxx..", ((0.2, 0.8),)),
        (".x" + "." * 4 + "x", ((0.0, 1.2),)),  # stands still for 0.8 s
        (".x" + "." * 6 + "x", ((0.0, 0.2), (1.4, 1.6))),
        (".x" + "." * 10 + "xx", ((0.0, 0.2), (2.2, 2.6))),
        ("x" * 300, ((0.0, 59.8),)),
    ],
)
def test_motion_is_told_in_stretches(
    marks: str, stretches: tuple[tuple[float, float], ...]
) -> None:
    assert moving(looks(marks)) == stretches


def test_a_stretch_begins_at_the_last_picture_in_which_all_was_still() -> None:
    assert moving(looks("...x", every_s=10)) == ((20, 30),)


@given(st.text("x.", max_size=200), st.sampled_from([0.2, 0.5, 1.0, 7.0]))
def test_stretches_are_in_order_apart_and_hold_all_motion(marks: str, every_s: float) -> None:
    seen = looks(marks, every_s=every_s)
    stretches = moving(seen)
    assert all(start < end for start, end in stretches)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(stretches))
    for look in seen[1:]:
        if look.moving:
            assert any(start < look.t <= end + 0.01 for start, end in stretches)
    if not any(look.moving for look in seen[1:]):
        assert stretches == ()


def test_tracks_are_told_the_longest_first() -> None:
    found = track_infos([track(1, 0, 2), track(2, 1.004, 9.006, "car"), track(3, 5, 7)])
    assert [(one.id, one.label, one.t_start, one.t_end) for one in found] == [
        (2, "car", 1.0, 9.01),
        (1, "person", 0, 2),
        (3, "person", 5, 7),
    ]


def test_no_more_tracks_are_told_than_anybody_reads() -> None:
    found = track_infos([track(n, 0, n) for n in range(1, MOST_TRACKS + 10)])
    assert len(found) == MOST_TRACKS
    assert found[0].id == MOST_TRACKS + 9
    assert found[-1].id == 10


@pytest.mark.parametrize(
    ("objects", "incidents", "sentence"),
    [
        ({}, [], "Nothing was recognised."),
        ({"person": ObjectCount(2, 1)}, [], "Seen: person (2)."),
        (
            {"car": ObjectCount(1, 1), "person": ObjectCount(3, 2)},
            [IncidentCategory.FALL, IncidentCategory.NEAR_MISS, IncidentCategory.FALL],
            "Seen: car (1), person (3). Incidents: fall (2), near miss (1).",
        ),
        (
            {},
            [IncidentCategory.CAMERA_OBSTRUCTED],
            "Nothing was recognised. Incidents: camera obstructed (1).",
        ),
    ],
)
def test_what_happened_is_told_in_a_sentence_or_two(
    objects: dict[str, ObjectCount], incidents: list[IncidentCategory], sentence: str
) -> None:
    assert in_words(objects, [incident(category) for category in incidents]) == sentence
