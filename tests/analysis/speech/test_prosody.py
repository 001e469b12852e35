"""Loudness and pitch of words, against sounds whose loudness and pitch are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.analysis.protocol import Cancelled
from backend.analysis.speech.activity import VoiceActivity
from backend.analysis.speech.audio import AudioFile, extract
from backend.analysis.speech.prosody import UNKNOWN_HZ, pitch_track, volume_db, with_prosody
from backend.analysis.speech.protocol import SAMPLE_RATE, HeardWord, Word
from tests.analysis.speech.sounds import Sound, nothing, sine


def word(start: float, end: float) -> HeardWord:
    return HeardWord("word", start, end, 0.9)


def measure(
    sound: Sound, words: Sequence[HeardWord], speakers: Sequence[int] | None = None
) -> list[Word]:
    speakers = speakers or [1] * len(words)
    return with_prosody(sound, words, speakers, check=nothing, progress=nothing)


def voice(hertz: float, *, seconds: float, db: float = -20) -> NDArray[np.float32]:
    """A buzz with overtones, like a vowel."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tones = [np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, int(4000 / hertz))]
    sound = np.sum(tones, axis=0)
    return (sound * 10 ** (db / 20) / np.sqrt(np.mean(sound**2))).astype(np.float32)


@pytest.mark.parametrize("hertz", [100.5, 130, 180, 220, 330, 440, 550, 590])
@pytest.mark.parametrize("make", [sine, voice])
def test_the_pitch_of_a_tone_is_right_within_one_percent(hertz: float, make) -> None:
    (measured,) = measure(Sound(make(hertz, seconds=1)), [word(0.2, 0.8)])
    assert measured.pitch_hz == pytest.approx(hertz, rel=0.01)


@pytest.mark.parametrize("hertz", [70, 85])
def test_a_voice_below_the_range_is_told_as_its_lowest(hertz: float) -> None:
    track = pitch_track(voice(hertz, seconds=1))
    assert np.median(track[track > 0]) == pytest.approx(hertz, rel=0.01)
    assert measure(Sound(voice(hertz, seconds=1)), [word(0.2, 0.8)])[0].pitch_hz == 100


@pytest.mark.parametrize("db", [-3.1, -20, -40, -55])
def test_loudness_is_that_of_the_sound(db: float) -> None:
    (measured,) = measure(Sound(sine(220, seconds=1, db=db)), [word(0.2, 0.8)])
    assert measured.volume_db == pytest.approx(db, abs=0.05)
    assert measured.pitch_hz == pytest.approx(220, rel=0.01)


def test_loudness_ends_at_silence_and_at_full_scale() -> None:
    assert volume_db(np.zeros(100, np.float32)) == -60
    assert volume_db(np.zeros(0, np.float32)) == -60
    assert volume_db(sine(220, seconds=1, db=-80)) == -60
    assert volume_db(-np.ones(100, np.float32)) == 0


def test_each_word_has_its_own_numbers() -> None:
    sound = np.concatenate(
        [
            voice(120, seconds=0.5, db=-30),
            np.zeros(SAMPLE_RATE // 2),
            voice(240, seconds=0.5, db=-12),
        ]
    )
    one, two = measure(Sound(sound), [word(0.05, 0.45), word(1.05, 1.45)])
    assert (one.pitch_hz, two.pitch_hz) == (
        pytest.approx(120, rel=0.01),
        pytest.approx(240, rel=0.01),
    )
    assert (one.volume_db, two.volume_db) == (
        pytest.approx(-30, abs=0.3),
        pytest.approx(-12, abs=0.3),
    )


def test_noise_has_no_pitch() -> None:
    track = pitch_track(np.random.default_rng(3).normal(0, 0.1, SAMPLE_RATE).astype(np.float32))
    assert np.mean(track > 0) < 0.1


def test_a_gliding_voice_is_followed_without_jumps() -> None:
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(120 + 60 * t) / SAMPLE_RATE
    sound = sum(np.sin(k * phase) / k for k in range(1, 12)) * 0.1
    track = pitch_track(sound.astype(np.float32))
    middles = (np.arange(len(track)) + 0.5) * 0.01
    inside = slice(5, -5)
    assert (track[inside] > 0).all()
    assert track[inside] == pytest.approx((120 + 60 * middles)[inside], rel=0.02)


def test_a_word_without_voice_lies_between_those_of_the_same_speaker() -> None:
    quiet = np.zeros(SAMPLE_RATE // 2)
    sound = Sound(
        np.concatenate(
            [
                voice(150, seconds=0.5),
                quiet,
                voice(400, seconds=0.5),
                quiet,
                voice(250, seconds=0.5),
            ]
        )
    )
    words = [word(0.5 * k + 0.05, 0.5 * k + 0.45) for k in range(5)]
    measured = measure(sound, words, [1, 1, 2, 1, 1])
    assert [m.pitch_hz for m in measured] == [
        pytest.approx(150, rel=0.01),
        pytest.approx(150 + 100 * 1 / 4, rel=0.01),
        pytest.approx(400, rel=0.01),
        pytest.approx(150 + 100 * 3 / 4, rel=0.01),
        pytest.approx(250, rel=0.01),
    ]


def test_before_the_first_and_after_the_last_voiced_word_the_nearest_counts() -> None:
    quiet = np.zeros(SAMPLE_RATE // 2)
    sound = Sound(np.concatenate([quiet, voice(200, seconds=0.5), quiet]))
    words = [word(0.5 * k + 0.05, 0.5 * k + 0.45) for k in range(3)]
    assert [m.pitch_hz for m in measure(sound, words)] == pytest.approx([200] * 3, rel=0.01)


def test_a_speaker_without_any_voice_gets_what_is_usual_in_the_recording() -> None:
    sound = Sound(np.concatenate([voice(200, seconds=0.5), np.zeros(SAMPLE_RATE // 2)]))
    words = [word(0.05, 0.45), word(0.55, 0.95)]
    assert measure(sound, words, [1, 2])[1].pitch_hz == pytest.approx(200, rel=0.01)
    silent = measure(Sound(np.zeros(SAMPLE_RATE)), words, [1, 2])
    assert [(m.pitch_hz, m.volume_db) for m in silent] == [(UNKNOWN_HZ, -60)] * 2


def test_a_long_recording_is_read_in_pieces_with_the_same_answer() -> None:
    parts = [voice(110 + 10 * k, seconds=1) for k in range(40)]
    sound = Sound(np.concatenate([*parts, np.zeros(100 * SAMPLE_RATE), parts[0]]))
    words = [word(k + 0.1, k + 0.9) for k in range(40)] + [word(140.1, 140.9)]
    shares: list[float] = []
    measured = with_prosody(sound, words, [1] * len(words), check=nothing, progress=shares.append)
    expected = [110 + 10 * k for k in range(40)] + [110]
    assert [m.pitch_hz for m in measured] == pytest.approx(expected, rel=0.01)
    assert sound.longest_read_s < 25
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_words_of_no_length_or_beyond_the_end_are_measured_too() -> None:
    sound = Sound(voice(200, seconds=1))
    words = [word(0.0, 0.0), word(0.5, 0.5), word(0.9, 1.5), word(1.5, 2.0)]
    one, two, three, four = measure(sound, words)
    assert two.volume_db == pytest.approx(-20, abs=3)
    assert {round(m.pitch_hz / 200, 1) for m in (one, two, three, four)} == {1.0}
    assert four.volume_db == -60


def test_no_words_are_no_trouble() -> None:
    assert measure(Sound(np.zeros(0)), []) == []


def test_it_can_be_cancelled() -> None:
    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        with_prosody(Sound(np.zeros(16_000)), [word(0, 1)], [1], check=check, progress=nothing)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 5), st.integers(1, 3)), min_size=1, max_size=12
    ),
    st.sampled_from(["noise", "clipped", "voice", "DC", "silence"]),
)
def test_numbers_are_always_in_range(made: list[tuple[float, float, int]], kind: str) -> None:
    noise = np.random.default_rng(5).normal(0, 0.2, 3 * SAMPLE_RATE)
    sound = {
        "noise": noise,
        "clipped": np.sign(noise),
        "voice": voice(90, seconds=3, db=0),
        "DC": np.ones(3 * SAMPLE_RATE),
        "silence": np.zeros(3 * SAMPLE_RATE),
    }[kind]
    words = sorted(
        (word(start, start + length) for start, length, _ in made), key=lambda w: w.start
    )
    for measured in measure(Sound(sound), words, [speaker for *_, speaker in made]):
        assert math.isfinite(measured.volume_db)
        assert -60 <= measured.volume_db <= 0
        assert 100 <= measured.pitch_hz <= 1000


def test_a_real_voice_has_the_pitch_that_its_overtones_show(testdata: Path, tmp_path: Path) -> None:
    to = tmp_path / "a.pcm"
    extract(testdata / "speech" / "jfk.flac", to, longest_s=60, check=nothing, progress=nothing)
    with AudioFile(to) as audio:
        spoken = VoiceActivity().speech(audio, check=nothing, progress=nothing)
        track = np.concatenate([pitch_track(audio.read(s.start, s.end)) for s in spoken])
    voiced = track[track > 0]
    assert 0.4 < len(voiced) / len(track) < 0.9
    # the spacing of its overtones, searched for in the spectrum, has its median at 232 Hz
    assert np.median(voiced) == pytest.approx(232, abs=12)
    jumps = np.abs(np.diff(np.log2(np.maximum(track, 1))))[(track[1:] > 0) & (track[:-1] > 0)]
    assert np.mean(jumps > 0.4) < 0.01
