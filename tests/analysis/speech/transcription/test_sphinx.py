"""English words from real recordings, by pocketsphinx."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.analysis.protocol import AnalysisError, Cancelled
from backend.analysis.speech.protocol import (
    SAMPLE_RATE,
    HeardWord,
    SpeechSettings,
    Stretch,
    Transcriber,
)
from backend.analysis.speech.transcription import TRANSCRIBERS
from backend.analysis.speech.transcription import sphinx as sphinx_module
from tests.analysis.speech.scoring import plain_words, word_error_rate, word_errors
from tests.analysis.speech.speakers.recordings import Recording, decoded, from_zip, loud_parts

SAID = {
    "jfk.flac": "And so my fellow Americans ask not what your country can do for you "
    "ask what you can do for your country",
    "langs/en.wav": "The tribal chieftain called for the boy and presented him with fifty pieces "
    "of gold.",
    "vosk_test.wav": "one zero zero zero one nine oh two one oh zero one eight zero three",
}
WIZARD = (
    "He began a confused complaint against the wizard, who had vanished behind the curtain "
    "on the left."
)


@pytest.fixture(scope="module")
def sphinx() -> Transcriber:
    return TRANSCRIBERS["pocketsphinx"](SpeechSettings())


def heard(
    sphinx: Transcriber, recording: Recording, speech: Sequence[Stretch] | None = None
) -> list[HeardWord]:
    parts = loud_parts(recording, gap_s=0.3) if speech is None else speech
    return list(
        sphinx.words(
            recording, parts, language=None, check=lambda: None, progress=lambda done: None
        )
    )


def text(words: Sequence[HeardWord]) -> str:
    return " ".join(word.text for word in words)


def test_read_speech_is_mostly_understood(sphinx: Transcriber, testdata: Path) -> None:
    recording, said = from_zip(testdata / "speech" / "azure" / "en-US_testing.zip")
    words = heard(sphinx, recording)
    assert word_error_rate(said, text(words)) < 0.35
    assert sphinx.language == "en"
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0 <= word.start < word.end <= recording.seconds for word in words)
    assert not any(set(word.text) & set("<>[]()+0123456789") for word in words)


def test_a_sentence_is_understood_and_its_confidence_means_something(
    sphinx: Transcriber, testdata: Path
) -> None:
    recording = decoded(testdata / "speech" / "stereo_diarization.wav", channel=0)
    words = heard(sphinx, recording)
    assert word_error_rate(WIZARD, text(words)) < 0.4
    right = set(plain_words(WIZARD))
    hits = [word.confidence for word in words if word.text in right]
    misses = [word.confidence for word in words if word.text not in right]
    assert np.mean(hits) > np.mean(misses) + 0.2


def test_all_recordings_together_are_more_right_than_wrong(
    sphinx: Transcriber, testdata: Path
) -> None:
    speech = testdata / "speech"
    cases = [(decoded(speech / name), said) for name, said in SAID.items()]
    cases.append(from_zip(speech / "azure" / "en-US_testing.zip"))
    wrong = total = 0
    for recording, said in cases:
        wrong += word_errors(plain_words(said), plain_words(text(heard(sphinx, recording))))
        total += len(plain_words(said))
    assert wrong / total < 0.5


def test_words_are_where_they_are_spoken(sphinx: Transcriber, testdata: Path) -> None:
    recording = decoded(testdata / "speech" / "stereo_diarization.wav", channel=0)
    moved = Recording(np.concatenate([np.zeros(SAMPLE_RATE * 7, "f4"), recording.samples]))
    early = heard(sphinx, recording, [Stretch(0.0, recording.seconds)])
    late = heard(sphinx, moved, [Stretch(7.0, moved.seconds)])
    assert text(early) == text(late)
    for one, other in zip(early, late, strict=True):
        assert other.start - one.start == pytest.approx(7.0)
    assert early[0].start < 0.5
    assert all(0.02 < word.end - word.start < 1.2 for word in early)


def test_only_the_speech_is_heard(sphinx: Transcriber, testdata: Path) -> None:
    recording, _ = from_zip(testdata / "speech" / "azure" / "en-US_testing.zip")
    words = heard(sphinx, recording, [Stretch(5.0, 9.0), Stretch(20.0, 24.0)])
    assert words
    assert all(5.0 <= word.start < 9.0 or 20.0 <= word.start < 24.0 for word in words)


def test_words_come_while_it_works(sphinx: Transcriber, testdata: Path) -> None:
    recording, _ = from_zip(testdata / "speech" / "azure" / "en-US_testing.zip")
    done: list[float] = []
    speech = [Stretch(0.0, 4.0), Stretch(10.0, 14.0), Stretch(20.0, 24.0)]
    words = sphinx.words(recording, speech, language="en", check=lambda: None, progress=done.append)
    assert next(words).start < 4.0
    assert done == []
    list(words)
    assert done == pytest.approx([1 / 3, 2 / 3, 1.0])


def test_other_languages_are_refused(sphinx: Transcriber) -> None:
    silence = Recording(np.zeros(SAMPLE_RATE, dtype=np.float32))
    with pytest.raises(AnalysisError, match="English") as caught:
        sphinx.words(silence, [], language="ko", check=lambda: None, progress=lambda done: None)
    assert (caught.value.code, caught.value.permanent) == ("language_unsupported", True)


@pytest.mark.parametrize(
    "samples", [np.zeros(48_000), -np.ones(16_000), np.zeros(1_000), np.zeros(0)]
)
def test_what_is_no_speech_has_no_words(sphinx: Transcriber, samples: np.ndarray) -> None:
    recording = Recording(samples.astype(np.float32))
    assert heard(sphinx, recording, recording.whole()) == []


class Noted:
    """A decoder of pocketsphinx that notes how many seconds of sound it is given at once."""

    def __init__(self, decoder: Any, notes: list[float | None]) -> None:
        self._decoder, self._notes = decoder, notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def process_raw(self, content: bytes, **options: Any) -> Any:
        self._notes.append(len(content) / 2 / SAMPLE_RATE)
        return self._decoder.process_raw(content, **options)


def test_it_looks_after_each_quarter_second_of_sound_whether_it_was_cancelled(
    sphinx: Transcriber, testdata: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others run then, too: while it decodes, the library holds the interpreter's lock."""
    recording, _ = from_zip(testdata / "speech" / "azure" / "en-US_testing.zip")
    made = sphinx_module._decoder
    notes: list[float | None] = []  # None: it looked
    monkeypatch.setattr(sphinx_module, "_decoder", lambda: Noted(made(), notes))

    def check() -> None:
        notes.append(None)
        if len(notes) > 40:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(
            sphinx.words(
                recording,
                recording.whole(),
                language=None,
                check=check,
                progress=lambda done: None,
            )
        )
    assert notes[-1] is None, "no more is decoded once it is cancelled"
    given = [seconds for seconds in notes if seconds is not None]
    assert len(given) > 10
    assert max(given) <= 0.25
    assert all(None in pair for pair in pairwise(notes))
