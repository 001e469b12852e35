"""The scorers themselves, on cases that can be counted by hand."""

from __future__ import annotations

import pytest

from tests.analysis.speech.scoring import Spoken, speaker_score, word_error_rate


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("Ask not, what!", "ask not what", 0.0),
        ("one two three four", "one too three", 0.5),
        ("one", "one two three", 2.0),
        ("one two", "", 1.0),
        ("You\N{RIGHT SINGLE QUOTATION MARK}ll see", "you'll see", 0.0),
    ],
)
def test_word_errors_are_changed_added_and_missing_words(said, heard, rate) -> None:
    assert word_error_rate(said, heard) == rate


def test_names_of_speakers_do_not_matter() -> None:
    truth = [Spoken(0, 5, "A"), Spoken(5, 10, "B")]
    assert speaker_score(truth, [Spoken(0, 5, 2), Spoken(5, 10, 1)]).error_rate == 0


def test_errors_are_told_apart() -> None:
    truth = [Spoken(0, 6, "A"), Spoken(6, 10, "B")]
    score = speaker_score(truth, [Spoken(1, 7, 1), Spoken(7, 12, 2)])
    assert (score.missed_s, score.false_alarm_s) == (pytest.approx(1), pytest.approx(2))
    assert score.confused_s == pytest.approx(1)
    assert score.error_rate == pytest.approx(0.4)


def test_of_two_at_once_one_is_missed() -> None:
    truth = [Spoken(0, 10, "A"), Spoken(5, 10, "B")]
    score = speaker_score(truth, [Spoken(0, 10, 1)])
    assert (score.missed_s, score.confused_s) == (pytest.approx(5), pytest.approx(0))
