"""Delays grow, stay below their limit, and differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backend.kernel.retry import Backoff


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
