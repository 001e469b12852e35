"""Speech and what is none."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.analysis.protocol import Cancelled
from backend.analysis.speech.activity import (
    ActivitySettings,
    VoiceActivity,
    detector_file,
    stretches,
)
from backend.analysis.speech.audio import AudioFile, extract
from backend.analysis.speech.protocol import SAMPLE_RATE, Stretch
from backend.analysis.speech.source import SpeechError
from tests.analysis.speech.sounds import Sound, nothing, sine


@pytest.fixture(scope="module")
def activity() -> VoiceActivity:
    return VoiceActivity()


def speech_in(activity: VoiceActivity, path: Path, folder: Path) -> tuple[list[Stretch], float]:
    audio = extract(path, folder / "a.pcm", longest_s=60, check=nothing, progress=nothing)
    with AudioFile(audio.path) as file:
        return activity.speech(file, check=nothing, progress=nothing), audio.seconds


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(5 * SAMPLE_RATE),
        np.ones(5 * SAMPLE_RATE),
        -np.ones(5 * SAMPLE_RATE),
        sine(220, seconds=5),
        np.random.default_rng(1).normal(0, 0.1, 5 * SAMPLE_RATE),
        np.zeros(0),
        np.zeros(100),
    ],
    ids=["silence", "DC", "negative DC", "tone", "noise", "nothing", "short"],
)
def test_what_is_no_speech_is_not_taken_for_it(
    samples: NDArray[np.float64], activity: VoiceActivity
) -> None:
    assert activity.speech(Sound(samples), check=nothing, progress=nothing) == []


def test_full_scale_dc_of_a_real_file_is_not_speech(
    activity: VoiceActivity, testdata: Path, tmp_path: Path
) -> None:
    found, _ = speech_in(activity, testdata / "speech" / "diar" / "empty.wav", tmp_path)
    assert found == []


def test_three_spoken_numbers_are_found_with_the_pauses_between_them(
    activity: VoiceActivity, testdata: Path, tmp_path: Path
) -> None:
    found, seconds = speech_in(activity, testdata / "speech" / "vosk_test.wav", tmp_path)
    pauses = [after.start - before.end for before, after in pairwise(found)]
    assert sum(pause > 0.5 for pause in pauses) == 2
    assert 3 < sum(stretch.end - stretch.start for stretch in found) < 6
    assert found[0].start >= 0
    assert found[-1].end <= seconds


def test_a_telephone_talk_is_found_where_people_marked_it(
    activity: VoiceActivity, testdata: Path, tmp_path: Path
) -> None:
    diar = testdata / "speech" / "diar"
    found, seconds = speech_in(activity, diar / "sample.wav", tmp_path)
    marked = np.zeros(round(seconds * 100), bool)
    for line in (diar / "sample.rttm").read_text().splitlines():
        start, length = (float(part) for part in line.split()[3:5])
        marked[round(start * 100) : round((start + length) * 100)] = True
    heard = np.zeros_like(marked)
    for stretch in found:
        heard[round(stretch.start * 100) : round(stretch.end * 100)] = True
    assert (heard & marked).sum() / marked.sum() > 0.85
    assert (heard & ~marked).sum() / marked.sum() < 0.12


def test_the_state_is_carried_from_block_to_block(
    activity: VoiceActivity, testdata: Path, tmp_path: Path
) -> None:
    """The same speech is found at any place, also across the borders of the blocks."""
    audio = extract(
        testdata / "speech" / "jfk.flac",
        tmp_path / "a.pcm",
        longest_s=60,
        check=nothing,
        progress=nothing,
    )
    with AudioFile(audio.path) as file:
        spoken = file.read(0, file.seconds)
    alone = activity.speech(Sound(spoken), check=nothing, progress=nothing)
    silence = np.zeros(800 * 512, np.float32)  # 25.6 s: the border falls into the speech
    shares: list[float] = []
    late = activity.speech(
        Sound(np.concatenate([silence, spoken])), check=nothing, progress=shares.append
    )
    assert [s.start - 25.6 for s in late] == pytest.approx([s.start for s in alone], abs=0.1)
    assert [s.end - 25.6 for s in late] == pytest.approx([s.end for s in alone], abs=0.1)
    assert shares == [pytest.approx(938 / 1144, abs=0.01), 1.0]


def test_it_looks_whether_it_is_still_wanted_for_every_block(activity: VoiceActivity) -> None:
    looks = []

    def check() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        activity.speech(Sound(np.zeros(120 * SAMPLE_RATE)), check=check, progress=nothing)


def test_a_missing_detector_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert detector_file().name == "silero_vad_16k_sequence.onnx"
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(SpeechError, match="speech detector is not installed") as caught:
        VoiceActivity().speech(Sound(np.zeros(16_000)), check=nothing, progress=nothing)
    assert (caught.value.code, caught.value.permanent) == ("speech_detector_missing", True)


def test_torch_is_not_needed() -> None:
    detector_file()
    assert "silero_vad" not in sys.modules


SETTINGS = ActivitySettings()


def probabilities(*parts: tuple[float, float]) -> NDArray[np.float32]:
    """Of (seconds, probability)."""
    return np.concatenate([np.full(round(s / 0.032), p, np.float32) for s, p in parts])


def test_speech_begins_at_the_higher_threshold_and_ends_below_the_lower() -> None:
    found = stretches(
        probabilities((1.024, 0.45), (0.512, 0.9), (1.024, 0.4), (1.024, 0.1)), 9.0, SETTINGS
    )
    assert found == [Stretch(pytest.approx(0.924), pytest.approx(2.66))]


def test_short_speech_is_dropped_and_short_silence_spoken_through() -> None:
    assert stretches(probabilities((1, 0), (0.224, 1), (1, 0)), 9.0, SETTINGS) == []
    joined = probabilities((0.512, 1), (0.096, 0), (0.512, 1), (0.512, 0))
    assert len(stretches(joined, 9.0, SETTINGS)) == 1
    apart = stretches(probabilities((0.512, 1), (0.16, 0), (0.512, 1)), 1.184, SETTINGS)
    assert apart == [
        Stretch(0.0, pytest.approx(0.592)),
        Stretch(pytest.approx(0.592), pytest.approx(1.184)),
    ]


@given(st.lists(st.floats(0, 1, width=32), max_size=300))
def test_stretches_are_in_order_apart_and_inside(values: list[float]) -> None:
    seconds = len(values) * 0.032
    found = stretches(np.array(values, np.float32), seconds, SETTINGS)
    edges = [edge for stretch in found for edge in (stretch.start, stretch.end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= seconds for edge in edges)
    assert all(stretch.end - stretch.start >= 0.25 - 1e-9 for stretch in found)
