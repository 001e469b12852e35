"""Words and turns become utterances; utterances become the result that callers were promised."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.speech.assembly import (
    LONGEST_S,
    PAUSE_S,
    in_order,
    speakers_of,
    utterances,
)
from backend.analysis.speech.contract import to_contract
from backend.analysis.speech.protocol import (
    Emotion,
    HeardWord,
    SpeechResult,
    Turn,
    Utterance,
    Word,
)
from backend.analysis.speech.spacing import join

NAN, INF = math.nan, math.inf


def heard(text: str, start: float, end: float, confidence: float = 0.5) -> HeardWord:
    return HeardWord(text, start, end, confidence)


def word(text: str, start: float, end: float, confidence: float = 0.5) -> Word:
    return Word(text, start, end, confidence, -20.0, 200.0)


def measured(words: list[HeardWord]) -> list[Word]:
    return [word(w.text, w.start, w.end, w.confidence) for w in words]


def result(*said: Utterance, **others) -> SpeechResult:
    return SpeechResult(
        **{"duration_s": 10.0, "language": "en", "backends": {}, **others}, utterances=said
    )


def test_a_word_is_said_by_whom_has_the_turn_at_its_middle() -> None:
    turns = [Turn(0, 1, 1), Turn(1, 2, 2)]
    words = [heard("a", 0.2, 0.4), heard("b", 0.7, 1.2), heard("c", 0.9, 1.4)]
    assert speakers_of(words, turns) == [1, 1, 2]


def test_a_word_outside_every_turn_goes_to_the_nearest() -> None:
    turns = [Turn(1, 2, 1), Turn(5, 6, 2)]
    words = [heard("a", 0, 0.2), heard("b", 3, 3.2), heard("c", 4, 4.2), heard("d", 9, 9.2)]
    assert speakers_of(words, turns) == [1, 1, 2, 2]


def test_where_people_talk_at_once_the_turn_with_most_of_the_word_counts() -> None:
    turns = [Turn(0, 1.1, 1), Turn(0.9, 3, 2)]
    assert speakers_of([heard("a", 0.8, 1.3)], turns) == [2]
    assert speakers_of([heard("a", 0.95, 1.05)], turns) == [1]


def test_without_turns_there_is_one_speaker() -> None:
    assert speakers_of([heard("a", 0, 1), heard("b", 1, 2)], []) == [1, 1]
    assert speakers_of([], [Turn(0, 1, 1)]) == []


def test_an_utterance_ends_at_a_pause_or_where_another_speaks() -> None:
    words = [
        word("so", 0.0, 0.5),
        word("what", 1.25, 1.5),  # 0.75 s
        word("then", 2.3, 2.5),  # 0.8 s
        word("nothing", 2.5, 3.0),
    ]
    said = utterances(words, [7, 7, 7, 3])
    assert [(u.speaker, u.text, u.start, u.end) for u in said] == [
        (1, "so what", 0.0, 1.5),
        (1, "then", 2.3, 2.5),
        (2, "nothing", 2.5, 3.0),
    ]


def test_speakers_are_numbered_by_first_appearance() -> None:
    words = [word("x", t, t + 0.5) for t in range(4)]
    said = utterances(words, [9, 2, 9, 5])
    assert [u.speaker for u in said] == [1, 2, 1, 3]


def test_a_long_talk_is_cut_at_its_longest_pause() -> None:
    words = [
        word(str(t), t + (0.4 if t >= 20 else 0.0), t + 0.5 + (0.4 if t >= 20 else 0))
        for t in range(45)
    ]
    said = utterances(words, [1] * 45)
    assert [len(u.words) for u in said] == [20, 25]
    assert all(u.end - u.start <= LONGEST_S for u in said)


def test_the_confidence_is_the_mean_of_the_words() -> None:
    (said,) = utterances([word("a", 0, 1, 0.2), word("b", 1, 2, 0.6)], [1, 1])
    assert said.confidence == pytest.approx(0.4)


def test_times_are_put_in_order_and_inside_the_video() -> None:
    words = [
        heard("a", -1.0, 0.5),
        heard("b", 0.4, 2.0),
        heard("c", 1.0, 0.2),
        heard("d", NAN, INF, NAN),
        heard("e", 9.0, 12.0, 3.0),
        heard("f", 11.0, 12.0),
    ]
    ordered = in_order(words, duration_s=10.0)
    assert [(w.start, w.end) for w in ordered] == [
        (0.0, 0.4),
        (0.4, 1.0),
        (1.0, 1.0),
        (1.0, 1.0),
        (9.0, 10.0),
        (10.0, 10.0),
    ]
    assert [w.confidence for w in ordered] == [0.5, 0.5, 0.5, 0.0, 1.0, 0.5]


def test_words_without_letters_are_left_out_and_others_trimmed() -> None:
    ordered = in_order([heard(" a ", 0, 1), heard("  ", 1, 2), heard("b", 2, 3)], duration_s=9)
    assert [w.text for w in ordered] == ["a", "b"]


any_time = st.one_of(st.floats(-5, 200), st.sampled_from([NAN, INF, -INF, 0.0]))
any_words = st.lists(
    st.builds(
        HeardWord,
        st.text(min_size=1, max_size=6).filter(str.strip),
        any_time,
        any_time,
        st.one_of(st.floats(0, 1), st.floats()),
    ),
    max_size=40,
)
any_turns = st.lists(
    st.builds(
        lambda s, d, who: Turn(s, s + d, who),
        st.floats(0, 150),
        st.floats(0, 20),
        st.integers(1, 5),
    ),
    max_size=8,
)


@given(any_words, any_turns)
def test_no_word_is_lost_or_doubled_and_all_is_in_order_and_range(
    words: list[HeardWord], turns: list[Turn]
) -> None:
    ordered = in_order(words, duration_s=100.0)
    speakers = speakers_of(ordered, turns)
    said = utterances(measured(ordered), speakers)
    flat = [w for u in said for w in u.words]
    assert [w.text for w in flat] == [w.text.strip() for w in words]
    times = [t for w in flat for t in (w.start, w.end)]
    assert times == sorted(times)
    assert all(0 <= t <= 100 for t in times)
    for u in said:
        assert u.words
        assert (u.start, u.end) == (u.words[0].start, u.words[-1].end)
        assert u.end - u.start <= LONGEST_S + 1e-6
        assert 0 <= u.confidence <= 1
        assert all(b.start - a.end < PAUSE_S for a, b in pairwise(u.words))
    appeared = list(dict.fromkeys(u.speaker for u in said))
    assert appeared == list(range(1, len(appeared) + 1))
    assert len(appeared) == len(set(speakers))


@given(any_words, any_turns, st.text(max_size=30))
def test_the_contract_holds_for_whatever_was_heard(
    words: list[HeardWord], turns: list[Turn], filename: str
) -> None:
    ordered = in_order(words, duration_s=100.0)
    said = utterances(measured(ordered), speakers_of(ordered, turns))
    plain = to_contract(result(*said, duration_s=100.0), filename)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["metadata"]["total_segments"] == len(plain["segments"])
    for segment in plain["segments"]:
        assert 0 <= segment["start_time"] <= segment["end_time"] <= 100
        for one in segment["words"]:
            assert segment["start_time"] <= one["start"] <= one["end"] <= segment["end_time"]
            assert -60 <= one["volume_db"] <= 0
            assert 100 <= one["pitch_hz"] <= 1000
            assert 0 <= one["confidence"] <= 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["and", "so"], "and so"),
        (["Hello", ",", "world", "!"], "Hello, world!"),
        (["조금만", "생각을", "하면서", "."], "조금만 생각을 하면서."),
        (["今日", "は", "良い", "天気", "です", "。", "明日", "も"], "今日は良い天気です。明日も"),
        (["他", "说", "\uff1a", "「", "好", "」"], "他说\uff1a「好」"),
        (["我", "用", "GPU", "跑"], "我用 GPU 跑"),
        (["สวัสดี", "ครับ"], "สวัสดีครับ"),
        (["it", "'s", "twenty", "-five", "(", "really", ")"], "it's twenty-five (really)"),
        (["at", "-5", "or", ".5"], "at -5 or .5"),
        (["'Twas", "'tis"], "'Twas 'tis"),
        (["", "a", " b ", ""], "a b"),
        ([], ""),
    ],
)
def test_words_are_joined_as_their_script_is_written(words: list[str], line: str) -> None:
    assert join(words) == line


def test_the_result_is_exactly_what_the_speech_api_asks_for() -> None:
    said = Utterance(
        0.123456, 1.5, 1, "hi you", (word("hi", 0.123456, 0.5, 0.91239), word("you", 0.5, 1.5)), 0.7
    )
    plain = to_contract(
        result(said, backends={"transcription": "x 1"}, remarks=("short",)), "video.mp4"
    )
    assert plain == {
        "metadata": {
            "filename": "video.mp4",
            "duration": 10.0,
            "total_segments": 1,
            "unique_speakers": 1,
            "language": "en",
            "backends": {"transcription": "x 1"},
            "remarks": ["short"],
        },
        "segments": [
            {
                "start_time": 0.123,
                "end_time": 1.5,
                "speaker": {"speaker_id": "SPEAKER_01"},
                "text": "hi you",
                "confidence": 0.7,
                "words": [
                    {
                        "word": "hi",
                        "start": 0.123,
                        "end": 0.5,
                        "volume_db": -20.0,
                        "pitch_hz": 200.0,
                        "confidence": 0.9124,
                    },
                    {
                        "word": "you",
                        "start": 0.5,
                        "end": 1.5,
                        "volume_db": -20.0,
                        "pitch_hz": 200.0,
                        "confidence": 0.5,
                    },
                ],
            }
        ],
    }


def test_an_emotion_is_told_only_where_there_is_one() -> None:
    said = Utterance(0, 1, 1, "hi", (word("hi", 0, 1),), 0.5)
    (plain,) = to_contract(result(said), "a")["segments"]
    assert "emotion" not in plain
    happy = replace(said, emotion=Emotion("happy", 0.87654, "model 1"))
    (plain,) = to_contract(result(happy), "a")["segments"]
    assert plain["emotion"] == {"label": "happy", "score": 0.8765, "backend": "model 1"}


@pytest.mark.parametrize(
    ("given_name", "told"),
    [("/srv/x/a b.mp4", "a b.mp4"), ("C:\\x\\ä.mp4", "ä.mp4"), ("a\n\x00.mp4", "a.mp4"), ("", "")],
)
def test_of_a_file_name_only_the_name_is_told(given_name: str, told: str) -> None:
    assert to_contract(result(), given_name)["metadata"]["filename"] == told


def test_speaker_numbers_have_two_digits_or_more() -> None:
    said = [Utterance(0, 1, n, "x", (word("x", 0, 1),), 0.5) for n in (1, 12, 123)]
    plain = to_contract(result(*said), "a")
    assert [s["speaker"]["speaker_id"] for s in plain["segments"]] == [
        "SPEAKER_01",
        "SPEAKER_12",
        "SPEAKER_123",
    ]
    assert plain["metadata"]["unique_speakers"] == 3
