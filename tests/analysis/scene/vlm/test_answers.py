"""Reading what a model said: what is taken, what is put right, what is sent back and how."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.scene.vlm.answers import (
    MergeAnswer,
    WindowAnswer,
    merge_schema,
    read_merge,
    read_window,
    window_schema,
)
from backend.analysis.scene.vlm.model import UnusableAnswer
from backend.findings.incident import Incident, IncidentCategory

ALL = tuple(IncidentCategory)


def fall(**more: Any) -> dict[str, Any]:
    return {
        "observations": [1, 2],
        "t_start": 3.5,
        "t_end": 9,
        "evidence": "a person is upright, then on the floor",
        "category": "fall",
        "severity": 3,
        "confidence": 0.8,
        **more,
    }


def answer(*incidents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "visibility": "clear",
        "observations": [
            {"id": 1, "t": 2, "text": "a person walks"},
            {"id": 2, "t": 4.5, "text": "the person lies on the floor"},
        ],
        "incidents": list(incidents),
        "summary": "A person falls.",
        "safety_score": 60,
        **more,
    }


def read(said: object, **more: Any) -> WindowAnswer:
    text = said if isinstance(said, str) else json.dumps(said)
    return read_window(text, **{"seconds": 30.0, "categories": ALL, **more})


def refused(said: object, **more: Any) -> str:
    with pytest.raises(UnusableAnswer) as caught:
        read(said, **more)
    assert caught.value.code == "malformed"
    return caught.value.message


def test_a_good_answer_is_read() -> None:
    said = read(answer(fall()))
    assert [one.t for one in said.observations] == [2.0, 4.5]
    (incident,) = said.incidents
    assert incident.category is IncidentCategory.FALL
    assert (incident.t_start, incident.t_end, incident.severity) == (3.5, 9.0, 3)
    assert (said.summary, said.safety_score, said.visibility) == ("A person falls.", 60, "clear")
    calm = answer(observations=[], summary="Nothing.", visibility="none")
    assert read(calm).incidents == ()


def test_a_fence_around_the_answer_is_no_mistake() -> None:
    plain = json.dumps(answer())
    assert read(f"```json\n{plain}\n```\n") == read(plain)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("A person walks.", "the answer is not JSON: expected value at line 1 column 1"),
        (json.dumps(answer())[:-20], "the answer is not JSON: EOF while parsing"),
        ("[]", "the answer: input should be an object"),
        (answer(visibility="foggy"), "visibility: input should be 'clear', 'limited' or 'none'"),
        (answer(safety_score=101), "safety_score: input should be less than or equal to 100"),
        (answer(safety_score="60"), "safety_score: input should be a valid integer, not '60'"),
        (answer(safety_score=True), "safety_score: input should be a valid integer, not True"),
        (answer(summary=" \n"), "summary: must not be empty"),
        ({**answer(), "summary": None}, "summary: input should be a valid string, not None"),
        ({"visibility": "clear"}, "observations: field required"),
        (
            answer(fall(severity=5)),
            "incidents[0].severity: input should be less than or equal to 4, not 5",
        ),
        (
            answer(fall(), fall(confidence=1.5)),
            "incidents[1].confidence: input should be less than or equal to 1, not 1.5",
        ),
        (answer(fall(evidence="")), "incidents[0].evidence: must not be empty, not ''"),
        (answer(fall(observations=[])), "incident 1 names no observation"),
        (
            answer(fall(), fall(observations=[1, 7])),
            "incident 2 names observation 7, which is not in the answer",
        ),
        (
            answer(observations=[{"id": 1, "t": 0, "text": "a"}] * 2),
            "two observations have the id 1",
        ),
        (answer(fall(t_start=9, t_end=3)), "incident 1 ends at 3 s, before its start at 9 s"),
        (answer(fall(t_end=31.5)), "incident 1 has the time 31.5 s, outside of 0 to 30 s"),
        (answer(fall(t_start=-1.5)), "incident 1 has the time -1.5 s, outside of 0 to 30 s"),
        (
            answer(observations=[{"id": 1, "t": 90, "text": "a"}]),
            "observation 1 has the time 90 s, outside of 0 to 30 s",
        ),
        (json.dumps(answer(fall(t_start=float("nan")))), "incidents[0].t_start: input should be"),
        (json.dumps(answer(fall(confidence=float("nan")))), "incidents[0].confidence: input"),
        (answer(*[fall()] * 21), "incidents: list should have at most 20 items"),
        (
            answer(observations=[{"id": i, "t": 0, "text": "a"} for i in range(101)]),
            "observations: list should have at most 100 items",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(said: object, sentence: str) -> None:
    told = refused(said)
    assert told.startswith(sentence)
    assert "\n" not in told
    assert len(told) < 300


def test_a_category_that_was_not_asked_for_is_sent_back_with_those_that_were() -> None:
    asked = (IncidentCategory.FALL, IncidentCategory.FIRE_SMOKE)
    assert read(answer(fall()), categories=asked).incidents
    wanted = "one of fall, fire_smoke"
    said = answer(fall(category="running"))
    assert refused(said, categories=asked) == f"incident 1 is running, but must be {wanted}"
    said = answer(fall(category="explosion"))
    told = refused(said, categories=asked)
    assert told == f"incidents[0].category: must be {wanted}, not 'explosion'"


@pytest.mark.parametrize("nothing", ["", " \n ", "```json\n```"])
def test_an_answer_without_text_is_empty(nothing: str) -> None:
    with pytest.raises(UnusableAnswer) as caught:
        read(nothing)
    assert caught.value.code == "empty"


def test_times_a_little_outside_are_moved_to_the_edge() -> None:
    seen = [{"id": 1, "t": -0.4, "text": "a"}, {"id": 2, "t": 30.9, "text": "b"}]
    said = read(answer(fall(t_start=-1, t_end=31), observations=seen))
    assert [one.t for one in said.observations] == [0.0, 30.0]
    assert (said.incidents[0].t_start, said.incidents[0].t_end) == (0.0, 30.0)


def test_long_texts_are_cut_and_control_characters_are_gone() -> None:
    said = read(
        answer(
            fall(evidence="e" * 5000),
            observations=[{"id": 1, "t": 0, "text": "a\x00b\n c"}, {"id": 2, "t": 0, "text": "d"}],
            summary="s" * 5000,
        )
    )
    assert said.observations[0].text == "a b c"
    assert len(said.incidents[0].evidence) == 500
    assert said.incidents[0].evidence.endswith("e…")
    assert len(said.summary) == 2000


def test_text_that_no_database_takes_is_malformed() -> None:
    assert "not Unicode" in refused('"\ud800"')
    assert "not JSON" in refused('{"visibility": "\\ud800"}')
    assert "not JSON" in refused("[" * 100_000)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["observations", "incidents", "id", "t", "summary", "category"]), inner
        )
    ),
    max_leaves=12,
)


@given(change=st.dictionaries(st.sampled_from(list(answer())), json_like, min_size=1))
def test_whatever_a_model_says_is_read_or_refused(change: dict[str, Any]) -> None:
    try:
        said = read({**answer(fall()), **change})
    except UnusableAnswer:
        return
    known = {one.id for one in said.observations}
    for incident in said.incidents:
        assert incident.observations
        assert set(incident.observations) <= known
        assert 0 <= incident.t_start <= incident.t_end <= 30


SEEN = {
    1: Incident(IncidentCategory.FALL, 1.0, 2.0, 3, 0.7),
    2: Incident(IncidentCategory.RUNNING, 40.0, 50.0, 1, 0.9),
    3: Incident(IncidentCategory.RUNNING, 60.0, 61.0, 2, 0.5),
}


def joined(**more: Any) -> dict[str, Any]:
    return {
        "members": [2, 3],
        "evidence": "the same person",
        "category": "running",
        "severity": 2,
        "confidence": 0.9,
        **more,
    }


def merge(*incidents: dict[str, Any], **more: Any) -> MergeAnswer:
    said = {"incidents": list(incidents), "summary": "All.", "safety_score": 70, **more}
    return read_merge(json.dumps(said), known=SEEN, categories=ALL)


def test_a_good_merge_is_read() -> None:
    assert merge(joined()).incidents[0].members == (2, 3)
    assert merge().incidents == ()
    assert (
        len(merge(joined(members=[3]), joined(members=[1], category="fall", severity=4)).incidents)
        == 2
    )


@pytest.mark.parametrize(
    ("incidents", "sentence"),
    [
        ([joined(members=[])], "incident 1 has no members"),
        ([joined(members=[2, 9])], "incident 1 has the member 9, which is no incident's id"),
        ([joined(members=[2, 2])], "id 2 is used twice in members"),
        ([joined(), joined(members=[3])], "id 3 is used twice in members"),
        ([joined(category="fall")], "incident 1 is fall, but the worst of its members is running"),
        (
            [joined(severity=0)],
            "incident 1 has severity 0 and confidence 0.9, but the worst of its members has 2",
        ),
        (
            [joined(confidence=0.1)],
            "incident 1 has severity 2 and confidence 0.1, but the worst of its members has 2",
        ),
        ([joined(category="x")], "incidents[0].category: must be one of abandoned_object, "),
    ],
)
def test_a_merge_that_adds_or_takes_away_is_sent_back(
    incidents: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(UnusableAnswer) as caught:
        merge(*incidents)
    assert caught.value.code == "malformed"
    assert caught.value.message.startswith(sentence)


def objects_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if schema["type"] == "object":
        yield schema
        for one in schema["properties"].values():
            yield from objects_of(one)
    if schema["type"] == "array":
        yield from objects_of(schema["items"])


@pytest.mark.parametrize("make", [window_schema, merge_schema])
def test_a_schema_is_of_the_kind_that_both_protocols_take(make: Any) -> None:
    schema = make((IncidentCategory.FALL, IncidentCategory.OTHER))
    for one in objects_of(schema):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])
    assert '"enum": ["fall", "other"]' in json.dumps(schema)
    words = set(json.dumps(schema).replace('"', " ").replace(":", " ").split())
    assert not words & {"$ref", "anyOf", "oneOf", "$defs", "null", "const"}


def test_a_schema_asks_for_evidence_before_the_verdict() -> None:
    properties = window_schema(ALL)["properties"]
    assert list(properties) == [
        "visibility",
        "observations",
        "incidents",
        "summary",
        "safety_score",
    ]
    for incident in (properties["incidents"], merge_schema(ALL)["properties"]["incidents"]):
        order = list(incident["items"]["properties"])
        assert order.index("evidence") < order.index("category") < order.index("severity")


@pytest.mark.parametrize(
    ("schema", "shape"), [(window_schema(ALL), WindowAnswer), (merge_schema(ALL), MergeAnswer)]
)
def test_a_schema_names_just_what_is_read(schema: dict[str, Any], shape: Any) -> None:
    assert set(schema["properties"]) == set(shape.model_fields)
    names = [set(one["properties"]) for one in objects_of(schema)]
    read_in_all = [
        set(one["properties"])
        for one in shape.model_json_schema().get("$defs", {}).values()
        if "properties" in one
    ]
    assert all(one in names for one in read_in_all)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"category": "running"}, "is running, but the worst of its members is fall"),
        ({"severity": 2}, "severity 2 and confidence 0.9, but the worst of its members has 3"),
        ({"confidence": 0.6}, "severity 3 and confidence 0.6, but the worst of its members has 3"),
    ],
)
def test_a_merge_cannot_talk_the_worst_of_its_members_away(
    changed: dict[str, Any], sentence: str
) -> None:
    worst = {"members": [1, 2], "category": "fall", "severity": 3}
    assert merge(joined(**worst)).incidents[0].confidence == 0.9
    with pytest.raises(UnusableAnswer, match=sentence):
        merge(joined(**{**worst, **changed}))
