"""Cutting an archive into windows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.scene.vlm.windows import plan_windows


def test_ten_minutes_are_twenty_windows_of_thirty_seconds() -> None:
    windows = plan_windows(600, 30, [(31.0, 33.5), (89.9, 90.1)])
    assert [(one.t_start, one.t_end) for one in windows] == [
        (30.0 * index, 30.0 * index + 30) for index in range(20)
    ]
    assert [one.index for one in windows if one.moving] == [1, 2, 3]


@pytest.mark.parametrize(
    ("duration_s", "lengths"),
    [(0, [0]), (7, [7]), (44, [44]), (46, [23, 23]), (100, [100 / 3] * 3), (599.2, [29.96] * 20)],
)
def test_windows_are_equal_and_about_as_long_as_asked(
    duration_s: float, lengths: list[float]
) -> None:
    windows = plan_windows(duration_s, 30, [])
    assert [one.seconds for one in windows] == pytest.approx(lengths)


def test_motion_that_only_touches_a_window_is_not_in_it() -> None:
    still, moving, later = plan_windows(90, 30, [(30.0, 60.0), (75.0, 75.0)])
    assert (still.moving, moving.moving, later.moving) == (False, True, False)


@given(
    duration_s=st.floats(0, 1e5),
    window_s=st.floats(5, 3600),
    moving=st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e4)), max_size=5),
)
def test_windows_tile_the_archive_exactly(
    duration_s: float, window_s: float, moving: list[tuple[float, float]]
) -> None:
    intervals = [(start, start + length) for start, length in moving]
    windows = plan_windows(duration_s, window_s, intervals)
    assert windows[0].t_start == 0
    assert windows[-1].t_end == duration_s
    assert all(one.t_end == other.t_start for one, other in pairwise(windows))
    assert all(one.t_start <= one.t_end for one in windows)
    assert [one.index for one in windows] == list(range(len(windows)))
    if duration_s >= window_s / 2:
        assert all(one.seconds < 1.51 * window_s for one in windows)
    seen = [(start, end) for start, end in intervals if min(end, duration_s) > start]
    assert any(one.moving for one in windows) == bool(seen)


@pytest.mark.parametrize(("duration_s", "window_s"), [(-1, 30), (float("nan"), 30), (9, 0)])
def test_lengths_that_make_no_sense_are_refused(duration_s: float, window_s: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        plan_windows(duration_s, window_s, [])
