"""Speech in pieces: nothing lost, nothing too long, cut where it is quiet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.analysis.speech.protocol import SAMPLE_RATE, Stretch
from backend.analysis.speech.transcription.pieces import pieces
from tests.analysis.speech.speakers.recordings import Recording

NOISE = Recording(
    np.random.default_rng(5).standard_normal(SAMPLE_RATE * 120).astype(np.float32) * 0.1
)


def cut(
    speech: list[Stretch], *, audio: Recording = NOISE, longest_s: float = 30.0, gap_s: float = 0.5
) -> list[Stretch]:
    return list(pieces(audio, speech, longest_s=longest_s, gap_s=gap_s))


def stretches(numbers: list[float]) -> list[Stretch]:
    ends = np.cumsum(numbers)
    return [Stretch(float(a), float(b)) for a, b in zip(ends[::2], ends[1::2], strict=False)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0.05, 25), min_size=2, max_size=12).map(stretches),
    st.floats(5, 30),
    st.floats(0, 1),
)
def test_pieces_cover_the_speech_in_order_and_are_short_enough(speech, longest_s, gap_s) -> None:
    found = cut(speech, longest_s=longest_s, gap_s=gap_s)
    assert all(0 < piece.end - piece.start <= longest_s + 1e-9 for piece in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    for stretch in speech:
        inside = sum(
            max(0.0, min(piece.end, stretch.end) - max(piece.start, stretch.start))
            for piece in found
        )
        assert inside == pytest.approx(stretch.end - stretch.start)
    spoken = sum(stretch.end - stretch.start for stretch in speech)
    assert sum(piece.end - piece.start for piece in found) <= spoken + gap_s * len(speech) + 1e-6


def test_a_long_stretch_is_cut_where_it_is_quietest() -> None:
    samples = NOISE.samples.copy()
    for second in (22, 49):
        samples[second * SAMPLE_RATE : second * SAMPLE_RATE + SAMPLE_RATE // 5] *= 0.01
    first, second, third = cut([Stretch(0.0, 70.0)], audio=Recording(samples))
    assert 22.0 < first.end < 22.2
    assert 49.0 < second.end < 49.2
    assert (third.start, third.end) == (second.end, 70.0)


def test_neighbours_are_heard_together_but_not_across_a_pause() -> None:
    speech = [Stretch(0, 5), Stretch(5.4, 9), Stretch(10, 12), Stretch(12.1, 39.5)]
    assert cut(speech) == [Stretch(0, 9), Stretch(10, 39.5)]


def test_neighbours_stay_apart_where_together_they_are_too_long() -> None:
    assert cut([Stretch(0, 20), Stretch(20.1, 40)]) == [Stretch(0, 20), Stretch(20.1, 40)]


def test_no_speech_has_no_pieces() -> None:
    assert cut([]) == []
