"""From windows to the archive: times, and that no incident is lost or doubled."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.scene.vlm.answers import (
    MergeAnswer,
    MergedIncident,
    Observation,
    SeenIncident,
    Visibility,
    WindowAnswer,
)
from backend.analysis.scene.vlm.merge import (
    WindowIncident,
    in_archive,
    merge_by_model,
    merge_in_code,
    numbered,
)
from backend.analysis.scene.vlm.windows import Window
from backend.findings.incident import Evidence, Incident, IncidentCategory

FALL, RUNNING = IncidentCategory.FALL, IncidentCategory.RUNNING


def seen(
    number: int,
    window: int,
    t_start: float,
    t_end: float,
    *,
    category: IncidentCategory = RUNNING,
    severity: int = 1,
    confidence: float = 0.5,
) -> WindowIncident:
    note = Evidence(t_start, f"note {number}")
    return WindowIncident(
        number, window, Incident(category, t_start, t_end, severity, confidence, (note,))
    )


def spans(incidents: tuple[Incident, ...]) -> list[tuple[float, float]]:
    return [(one.t_start, one.t_end) for one in incidents]


def notes(incidents: tuple[Incident, ...]) -> list[list[str]]:
    return [[evidence.note for evidence in one.evidence] for one in incidents]


def window_answer(*incidents: SeenIncident) -> WindowAnswer:
    return WindowAnswer(
        visibility=Visibility.CLEAR,
        observations=(
            Observation(id=2, t=4.5, text="lies"),
            Observation(id=1, t=2.0, text="walks"),
            Observation(id=3, t=9.0, text="somebody else passes"),
        ),
        incidents=incidents,
        summary="A person falls.",
        safety_score=60,
    )


def a_fall(**more: Any) -> SeenIncident:
    plain: dict[str, Any] = {
        "observations": (2, 1, 2),
        "t_start": 3.5,
        "t_end": 9.25,
        "evidence": "fell",
        "category": FALL,
        "severity": 3,
        "confidence": 0.8,
    }
    return SeenIncident(**{**plain, **more})


def test_times_are_moved_to_the_archive_and_evidence_is_what_was_observed() -> None:
    window = Window(2, 60.0, 90.0, moving=True)
    (incident,) = in_archive(window, window_answer(a_fall()))
    assert incident == Incident(
        FALL,
        63.5,
        69.25,
        3,
        0.8,
        (Evidence(63.5, "fell"), Evidence(62.0, "walks"), Evidence(64.5, "lies")),
    )


def test_nothing_ends_after_its_window() -> None:
    window = Window(1, 100 / 3, 200 / 3, moving=True)
    (incident,) = in_archive(window, window_answer(a_fall(t_end=window.seconds)))
    assert incident.t_end == 66.667


def test_ids_count_through_all_windows_in_order() -> None:
    first, second = Window(0, 0.0, 30.0, moving=True), Window(3, 90.0, 120.0, moving=True)
    found = numbered({second: window_answer(a_fall()), first: window_answer(a_fall(), a_fall())})
    assert [(one.id, one.window, one.incident.t_start) for one in found] == [
        (1, 0, 3.5),
        (2, 0, 3.5),
        (3, 3, 93.5),
    ]


def test_in_code_what_goes_on_in_the_next_window_is_one_incident() -> None:
    merged = merge_in_code(
        [
            seen(1, 0, 20, 30, severity=1, confidence=0.9),
            seen(2, 1, 30, 60, severity=2, confidence=0.5),
            seen(3, 2, 62, 70, severity=1, confidence=0.6),
        ]
    )
    assert spans(merged) == [(20, 70)]
    assert (merged[0].severity, merged[0].confidence) == (2, 0.9)
    assert notes(merged) == [["note 1", "note 2", "note 3"]]


@pytest.mark.parametrize(
    "apart",
    [
        [seen(1, 0, 20, 28), seen(2, 1, 30.1, 40)],
        [seen(1, 0, 20, 30), seen(2, 1, 30, 40, category=FALL)],
        [seen(1, 0, 20, 25), seen(2, 0, 24, 30)],
        [seen(1, 0, 20, 30), seen(2, 2, 31, 40)],
    ],
    ids=["a longer gap", "another category", "told apart in one window", "not neighbours"],
)
def test_in_code_what_is_not_the_same_stays_apart(apart: list[WindowIncident]) -> None:
    assert len(merge_in_code(apart)) == 2


def test_in_code_two_people_who_go_on_stay_two() -> None:
    merged = merge_in_code(
        [seen(1, 0, 20, 30), seen(2, 0, 25, 29), seen(3, 1, 30, 35), seen(4, 1, 30, 50)]
    )
    assert spans(merged) == [(20, 35), (25, 50)]


def test_a_model_joins_what_it_names_and_the_rest_stays() -> None:
    incidents = [
        seen(1, 0, 10, 20, severity=2),
        seen(2, 4, 130, 140, severity=3),
        seen(3, 1, 40, 50, category=FALL, severity=4),
    ]
    said = MergeAnswer(
        incidents=(
            MergedIncident(
                members=(2, 1), evidence="same man", category=RUNNING, severity=4, confidence=1.0
            ),
        ),
        summary="All.",
        safety_score=50,
    )
    merged = merge_by_model(said, incidents)
    assert spans(merged) == [(10, 140), (40, 50)]
    assert (merged[0].severity, merged[0].confidence) == (4, 1.0)
    assert notes(merged) == [["same man", "note 1", "note 2"], ["note 3"]]
    assert merged[1] is incidents[2].incident


@st.composite
def some_incidents(draw: st.DrawFn) -> list[WindowIncident]:
    places = draw(
        st.lists(
            st.tuples(
                st.integers(0, 4),
                st.floats(0, 30),
                st.floats(0, 30),
                st.sampled_from([FALL, RUNNING]),
            ),
            max_size=12,
        )
    )
    found = []
    for number, (window, one, other, category) in enumerate(sorted(places), start=1):
        start, end = sorted((30 * window + one, 30 * window + other))
        found.append(seen(number, window, start, end, category=category))
    return found


@given(incidents=some_incidents())
def test_merging_in_code_loses_and_doubles_nothing(incidents: list[WindowIncident]) -> None:
    merged = merge_in_code(incidents)
    said = Counter(note for one in notes(merged) for note in one)
    assert said == Counter(f"note {one.id}" for one in incidents)
    by_note = {f"note {one.id}": one for one in incidents}
    for one in merged:
        members = [by_note[evidence.note] for evidence in one.evidence]
        assert {member.incident.category for member in members} == {one.category}
        assert one.t_start == min(member.incident.t_start for member in members)
        assert one.t_end == max(member.incident.t_end for member in members)
        windows = [member.window for member in members]
        assert windows == list(range(windows[0], windows[0] + len(windows)))
    assert list(merged) == sorted(merged, key=lambda one: one.t_start)


@given(incidents=some_incidents(), data=st.data())
def test_a_model_s_merge_loses_and_doubles_nothing(
    incidents: list[WindowIncident], data: st.DataObject
) -> None:
    groups: dict[int, list[WindowIncident]] = {}
    for one in incidents:
        groups.setdefault(data.draw(st.integers(0, 3)), []).append(one)
    groups.pop(0, None)  # not mentioned
    said = MergeAnswer(
        incidents=tuple(
            MergedIncident(
                members=tuple(one.id for one in members),
                evidence="joined",
                category=members[0].incident.category,
                severity=2,
                confidence=0.5,
            )
            for members in groups.values()
        ),
        summary="All.",
        safety_score=50,
    )
    merged = merge_by_model(said, incidents)
    told = Counter(note for one in notes(merged) for note in one)
    assert told.pop("joined", 0) == len(groups)
    assert told == Counter(f"note {one.id}" for one in incidents)
    joined = sum(len(members) for members in groups.values())
    assert len(merged) == len(incidents) - joined + len(groups)
