"""Gaps are what no segment covers, whatever the segments are."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.monitoring.recording.gaps import TOLERANCE, Span, find_gaps
from tests.monitoring.house import at

DAY = at("00:00:00")
SECONDS = st.integers(0, 3600)


def span(begin_s: int, end_s: int) -> Span:
    return DAY + timedelta(seconds=begin_s), DAY + timedelta(seconds=end_s)


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    begins = draw(st.lists(SECONDS, max_size=12))
    return [span(begin, begin + draw(st.integers(1, 700))) for begin in begins]


def covers(moment: datetime, ranges: list[Span]) -> bool:
    return any(begin <= moment < end for begin, end in ranges)


@given(spans=spans(), since=SECONDS, length=st.integers(0, 3600))
def test_no_moment_is_both_recorded_and_a_gap(spans: list[Span], since: int, length: int) -> None:
    window = span(since, since + length)
    gaps = find_gaps(spans, *window)
    for second in range(since, since + length, 7):
        moment = DAY + timedelta(seconds=second)
        assert not (covers(moment, spans) and covers(moment, gaps))


@given(spans=spans(), since=SECONDS, length=st.integers(0, 3600))
def test_a_moment_after_the_first_segment_is_recorded_a_gap_or_within_the_tolerance(
    spans: list[Span], since: int, length: int
) -> None:
    gaps = find_gaps(spans, *span(since, since + length))
    begun = min((begin for begin, _ in spans), default=None)
    edges = [edge for pair in spans for edge in pair] + [DAY + timedelta(seconds=since + length)]
    for second in range(since, since + length, 7):
        moment = DAY + timedelta(seconds=second)
        if begun is None or moment < begun:
            assert not covers(moment, gaps)
        elif not covers(moment, spans) and not covers(moment, gaps):
            before = max(edge for edge in edges if edge <= moment)
            after = min(edge for edge in edges if edge > moment)
            assert after - before <= TOLERANCE


@given(spans=spans(), since=SECONDS, length=st.integers(0, 3600))
def test_gaps_are_in_order_apart_and_within_what_was_asked_for(
    spans: list[Span], since: int, length: int
) -> None:
    begin, end = span(since, since + length)
    gaps = find_gaps(spans, begin, end)
    moments = [moment for pair in gaps for moment in pair]
    assert moments == sorted(set(moments))
    assert all(begin <= moment <= end for moment in moments)


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([], []),
        ([(0, 600), (600, 1200)], []),
        ([(0, 600), (602, 1200)], []),
        ([(0, 600), (603, 1200)], [(600, 603)]),
        ([(0, 600)], [(600, 1200)]),
        ([(0, 900), (300, 400), (1000, 1200)], [(900, 1000)]),
        ([(900, 1200)], []),
        ([(-900, -600), (900, 1200)], [(0, 900)]),
        ([(-900, -600)], [(0, 1200)]),
    ],
)
def test_gaps_between_twelve_and_twenty_past(
    segments: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    found = find_gaps([span(*pair) for pair in segments], *span(0, 1200))
    assert found == [span(*pair) for pair in expected]
