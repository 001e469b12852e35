"""Delays grow, stay below their limit, and differ; nonsense that a server asks for is ignored."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.kernel.retry import Backoff, asked_delay_s


@given(
    first=st.floats(0.01, 100),
    most=st.floats(100, 10_000),
    factor=st.floats(1, 10),
    jitter=st.floats(0, 0.9),
    failures=st.integers(-5, 10_000),
)
def test_a_delay_is_between_its_share_and_its_limit(
    first: float, most: float, factor: float, jitter: float, failures: int
) -> None:
    delay_s = Backoff(first, most, factor, jitter).delay_s(failures)
    assert first * (1 - jitter) * 0.999 <= delay_s <= most


def test_without_jitter_the_delays_double_up_to_the_limit() -> None:
    backoff = Backoff(first_s=0.5, max_s=30, jitter=0)
    delays = [backoff.delay_s(n) for n in range(1, 9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_two_that_failed_together_do_not_come_back_together() -> None:
    backoff = Backoff(first_s=10, max_s=10)
    assert len({backoff.delay_s(1) for _ in range(20)}) > 10


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "delay_s"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("9" * 60_000, 999_999_999_999),
        ("Thu, 01 Jan 2026 12:05:00 GMT", 300),
        ("Thu, 01 Jan 2026 13:05:00 +0100", 300),
        ("Thu, 01 Jan 2026 12:05:00 -0000", 300),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("\u0663", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +9999999999999999", None),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_what_a_server_asks_for_is_seconds_or_a_date(said: str, delay_s: float | None) -> None:
    assert asked_delay_s(said, NOW) == delay_s


_PIECES = [
    "Mon,",
    "01",
    "Jan",
    "2024",
    "9" * 20,
    "00:00:00",
    "24:61",
    "GMT",
    "+9999",
    "-2359",
    "1.1",
]


@given(st.text() | st.lists(st.sampled_from(_PIECES), max_size=8).map(" ".join))
def test_nonsense_is_no_error(said: str) -> None:
    delay_s = asked_delay_s(said, NOW)
    assert delay_s is None or delay_s >= 0


@pytest.mark.parametrize(
    ("said", "delay_s"),
    [("2.5", 2.5), ("0.25", 0.25), ("9" * 12 + ".9", 999_999_999_999), ("1.", None), (".5", None)],
)
def test_decimals_are_taken_though_the_standard_has_none(said: str, delay_s: float | None) -> None:
    assert asked_delay_s(said, NOW) == delay_s
