"""How many voices there are: invariants of the clustering, and voices that are clear."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.analysis.speech.speakers import clustering
from backend.analysis.speech.speakers.clustering import (
    FEWEST_WINDOWS,
    MOST_SPEAKERS,
    by_first_appearance,
    voices_in,
)
from backend.analysis.speech.speakers.embedding import HOP_S

WIDTH = 16


def of_length_one(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-9)).astype(np.float32)


def heard(
    speakers: list[int], *, width: int = 64, noise: float = 0.25, line: float = 0.0
) -> np.ndarray:
    """Windows of speakers with voices far apart, blurred; the line is the same in all of them."""
    rng = np.random.default_rng(7)
    clean = np.eye(max(speakers) + 1, width)[speakers]
    clean[:, -1] += line
    return of_length_one(clean + noise * rng.standard_normal(clean.shape) / np.sqrt(width))


def voices(windows: np.ndarray, *, seconds_each: float = HOP_S) -> np.ndarray:
    return voices_in(windows, [seconds_each] * len(windows))


def whose(windows: np.ndarray) -> list[int]:
    labels = np.argmax(windows @ voices(windows).T, axis=1)
    return by_first_appearance(labels).tolist()


anything = st.integers(1, 90).flatmap(
    lambda count: arrays(
        np.float32, (count, WIDTH), elements=st.floats(0, 1, width=32, allow_subnormal=False)
    )
)


@settings(max_examples=60, deadline=None)
@given(anything)
def test_whatever_it_hears_there_are_one_to_eight_voices_of_length_one(rows: np.ndarray) -> None:
    found = voices(of_length_one(rows))
    assert 1 <= len(found) <= MOST_SPEAKERS
    assert found.shape[1] == WIDTH
    assert np.isfinite(found).all()
    assert (np.linalg.norm(found, axis=1) < 1.001).all()


@settings(max_examples=30, deadline=None)
@given(anything)
def test_the_same_windows_give_the_same_voices(rows: np.ndarray) -> None:
    windows = of_length_one(rows)
    assert np.array_equal(voices(windows), voices(windows.copy()))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=20, max_size=120), st.randoms(use_true_random=False))
def test_the_order_of_the_windows_does_not_matter(speakers, random) -> None:
    speakers = [*speakers, *(FEWEST_WINDOWS * [0, 1, 2, 3])]
    windows = heard(speakers)
    order = list(range(len(windows)))
    random.shuffle(order)
    assert len(voices(windows)) == len(voices(windows[order])) == 4
    assert whose(windows[order]) == by_first_appearance(np.array(speakers)[order]).tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 200))
def test_equal_windows_are_one_voice(count: int) -> None:
    assert whose(heard([0], noise=0.0).repeat(count, axis=0)) == [0] * count


@pytest.mark.parametrize("speakers", range(1, MOST_SPEAKERS + 1))
@pytest.mark.parametrize("windows_each", [4, 30])
def test_clear_voices_are_counted(speakers: int, windows_each: int) -> None:
    wanted = np.tile(np.arange(speakers), windows_each).tolist()
    assert whose(heard(wanted)) == wanted


def test_more_than_eight_voices_become_eight() -> None:
    assert len(voices(heard(list(range(12)) * 4))) == MOST_SPEAKERS
    assert len(voices(heard(list(range(12)) * 30))) <= MOST_SPEAKERS


@pytest.mark.parametrize("speakers", [1, 2, 3])
def test_what_all_windows_have_in_common_hides_no_voice_and_makes_none(speakers: int) -> None:
    wanted = np.tile(np.arange(speakers).repeat(10), 3).tolist()
    windows = heard(wanted, noise=1.45, line=2.3)
    whose_is = np.array(wanted)
    means = [windows[whose_is == who].mean(axis=0) for who in range(speakers)]
    alike = of_length_one(np.stack(means)) @ of_length_one(np.stack(means)).T
    assert alike.min() > 0.8  # as of two people on one telephone line
    assert whose(windows) == wanted


def test_what_overlaps_says_less() -> None:
    windows = heard([0] * 12 + [1] * 3)
    assert len(voices(windows, seconds_each=1.6)) == 2
    assert len(voices(windows, seconds_each=0.01)) == 1


def test_a_long_recording_is_clustered_by_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    proposed = clustering._proposed

    def spied(windows: np.ndarray) -> np.ndarray:
        sizes.append(len(windows))
        return proposed(windows)

    monkeypatch.setattr(clustering, "_proposed", spied)
    wanted = ([0] * 7 + [1] * 5 + [2] * 9) * 100
    assert whose(heard(wanted)) == wanted
    assert sizes == [clustering.MOST_CLUSTERED]


def test_a_single_odd_window_is_no_voice() -> None:
    assert len(voices(heard([0] * 10 + [1]))) == 1


def test_no_windows_are_no_voices() -> None:
    assert voices(np.zeros((0, WIDTH), dtype=np.float32)).shape == (0, WIDTH)


@given(st.lists(st.integers(-3, 9), max_size=50))
def test_numbers_go_by_first_appearance_and_keep_the_groups(labels: list[int]) -> None:
    numbered = by_first_appearance(np.array(labels, dtype=np.int64)).tolist()
    assert list(dict.fromkeys(numbered)) == list(range(len(set(labels))))
    assert len(set(zip(labels, numbered, strict=True))) == len(set(labels))
