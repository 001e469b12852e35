"""The safety score: the formula as `docs/scoring.md` explains it."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.findings.incident import Incident, IncidentCategory
from backend.findings.score import SEVERITY_WEIGHT, safety_score

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "scoring.md").read_text()
CERTAIN_AND_WORST = Incident(IncidentCategory.FALL, 1.0, 2.0, 4, 1.0)


def incident(severity: int, confidence: float) -> Incident:
    return Incident(IncidentCategory.OTHER, 1.0, 2.0, severity, confidence)


some_incidents = st.lists(st.builds(incident, st.integers(0, 4), st.floats(0, 1)), max_size=30)


@pytest.mark.parametrize(
    ("seen", "score"),
    [
        ([], 100),
        ([(0, 1.0)], 100),
        ([(3, 0.8)], 68),
        ([(4, 0.9), (1, 0.6)], 32),
        ([(4, 1.0)], 25),
        ([(4, 1.0)] * 20, 0),
    ],
)
def test_the_score_of_known_incidents(seen: list[tuple[int, float]], score: int) -> None:
    assert safety_score(incident(*one) for one in seen) == score


def test_the_document_has_the_weights_and_examples_that_are_used() -> None:
    rows = re.findall(r"^\| (\d) \| [^|]+ \| ([\d.]+) \|$", DOCUMENT, re.MULTILINE)
    assert {int(severity): float(weight) for severity, weight in rows} == SEVERITY_WEIGHT
    examples = re.findall(r"(100(?: \* \(1 - [^=]+?\))+) =\s+(\d+)", DOCUMENT)
    assert [int(score) for _, score in examples] == [68, 32]
    for sum_, score in examples:
        shares = re.findall(r"\(1 - ([\d.]+)(?: \* ([\d.]+))?\)", sum_)
        left = prod(1 - float(one) * float(other or 1) for one, other in shares)
        assert round(100 * left) == int(score), sum_


@given(seen=some_incidents)
def test_a_score_lies_between_0_and_100_in_whichever_order(seen: list[Incident]) -> None:
    assert 0 <= safety_score(seen) <= 100
    assert safety_score(seen) == pytest.approx(safety_score(reversed(seen)), abs=1)


@given(seen=some_incidents, severity=st.integers(0, 4), confidence=st.floats(0, 1))
def test_one_more_incident_never_raises_the_score(
    seen: list[Incident], severity: int, confidence: float
) -> None:
    assert safety_score([*seen, incident(severity, confidence)]) <= safety_score(seen)
    assert safety_score([*seen, CERTAIN_AND_WORST]) <= safety_score(seen)


@pytest.mark.parametrize(
    "wrong",
    [
        {"severity": 5},
        {"severity": -1},
        {"confidence": 1.01},
        {"t_start": -0.1},
        {"t_start": 3.0},
        {"confidence": float("nan")},
        {"t_end": float("nan")},
    ],
)
def test_what_cannot_be_scored_or_shown_is_no_incident(wrong: dict[str, float]) -> None:
    right = {"t_start": 1.0, "t_end": 2.0, "severity": 2, "confidence": 0.5}
    assert Incident(IncidentCategory.OTHER, **right)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be 0"):
        Incident(IncidentCategory.OTHER, **{**right, **wrong})  # type: ignore[arg-type]
