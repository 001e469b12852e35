"""The whole pass over real files, with small parts in place of the models that name words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from backend.analysis.protocol import AnalysisError, Cancelled
from backend.analysis.speech.analyser import MESSAGES, SpeechAnalyser
from backend.analysis.speech.contract import to_contract
from backend.analysis.speech.protocol import (
    BANDS,
    AudioReader,
    Check,
    HeardWord,
    Share,
    SpeechRequest,
    SpeechResult,
    SpeechSettings,
    Stage,
    Stretch,
    Turn,
)
from tests.analysis.requests import Heard
from tests.analysis.speech.test_audio import PICTURE, X264, ffmpeg, tone

SETTINGS = SpeechSettings(transcriber="words", diarizer="halves", language="en")


class Halves:
    """Two speakers: one in the first half of the audio, one in the second."""

    name = "halves 1"

    def turns(
        self, audio: AudioReader, speech: Sequence[Stretch], *, check: Check, progress: Share
    ) -> list[Turn]:
        check()
        progress(0.5)
        half = audio.seconds / 2
        return [Turn(0, half, 1), Turn(half, audio.seconds, 2)]


@dataclass
class EverySecond:
    """A word for every second of speech."""

    name = "words 1"
    language: str | None = None

    def words(
        self,
        audio: AudioReader,
        speech: Sequence[Stretch],
        *,
        language: str | None,
        check: Check,
        progress: Share,
    ) -> Iterator[HeardWord]:
        self.language = language
        for number, stretch in enumerate(speech, start=1):
            check()
            for start in np.arange(stretch.start, stretch.end, 1.0):
                yield HeardWord("word", float(start), float(min(start + 0.9, stretch.end)), 0.8)
            progress(number / len(speech))


class Silent(EverySecond):
    """Understands nothing."""

    def words(self, *_: object, **__: object) -> Iterator[HeardWord]:
        return iter(())


class Broken(EverySecond):
    """Fails in a way that nobody thought of."""

    def words(self, *_: object, **__: object) -> Iterator[HeardWord]:
        raise RuntimeError("/secret/path")


def analyser(transcriber: type[EverySecond] = EverySecond) -> SpeechAnalyser:
    return SpeechAnalyser({"halves": lambda _: Halves()}, {"words": lambda _: transcriber()})


def request(
    video: Path, tmp_path: Path, *, settings: SpeechSettings = SETTINGS, longest_s: float = 3600
) -> SpeechRequest:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    return SpeechRequest(video, work, longest_s, settings)


def test_a_video_with_speech_becomes_a_result(testdata: Path, tmp_path: Path) -> None:
    heard = Heard()
    made = analyser().analyse(request(testdata / "speech" / "nasa_13013.mp4", tmp_path), heard)
    assert made.duration_s == pytest.approx(13.056, abs=0.001)
    assert {u.speaker for u in made.utterances} == {1, 2}
    assert len([w for u in made.utterances for w in u.words]) > 8
    assert all(-50 < w.volume_db < -5 for u in made.utterances for w in u.words)
    assert all(u.emotion is None for u in made.utterances)
    assert made.language == "en"
    assert made.backends["transcription"] == "words 1"
    assert made.backends["speaker_identification"] == "halves 1"
    assert made.backends["speech_detection"].startswith("silero-vad ")
    assert set(made.timings) == {*(stage.value for stage in Stage), "total"}
    assert made.remarks == ()
    assert SpeechResult.from_json(json.loads(json.dumps(made.to_json(), allow_nan=False))) == made
    assert to_contract(made, "nasa.mp4")["metadata"]["unique_speakers"] == 2
    assert {path.parent for path in tmp_path.rglob("*")} == {tmp_path, tmp_path / "work"}


def test_progress_grows_through_the_bands_with_their_messages(
    testdata: Path, tmp_path: Path
) -> None:
    heard = Heard()
    analyser().analyse(request(testdata / "speech" / "jfk.flac", tmp_path), heard)
    percents = [percent for percent, _ in heard.said]
    assert percents == sorted(percents)
    assert {first for first, _ in BANDS.values()} <= set(percents)
    assert (percents[0], percents[-1]) == (10, 99)
    assert len([p for p in percents if p < 25]) > 5, "within a stage too"
    assert list(dict.fromkeys(message for _, message in heard.said)) == [
        MESSAGES[stage] for stage in Stage
    ]
    for percent, message in heard.said:
        (stage,) = [stage for stage, said in MESSAGES.items() if said == message]
        assert BANDS[stage][0] <= percent <= BANDS[stage][1]


def test_a_video_without_speech_is_a_valid_result(tmp_path: Path) -> None:
    heard = Heard()
    made = analyser(Broken).analyse(request(tone(tmp_path / "a.mp4"), tmp_path), heard)
    assert made.utterances == ()
    assert made.remarks == ("no speech was found",)
    assert made.duration_s == pytest.approx(3, abs=0.001)
    assert {first for first, _ in BANDS.values()} <= {percent for percent, _ in heard.said}
    plain = to_contract(made, "a.mp4")
    assert plain["segments"] == []
    assert plain["metadata"]["total_segments"] == plain["metadata"]["unique_speakers"] == 0


def test_speech_that_nobody_understands_is_said(testdata: Path, tmp_path: Path) -> None:
    made = analyser(Silent).analyse(request(testdata / "speech" / "jfk.flac", tmp_path), Heard())
    assert made.utterances == ()
    assert made.remarks == ("speech was found, but no words were understood",)


def test_remarks_about_the_file_are_passed_on(testdata: Path, tmp_path: Path) -> None:
    whole = (testdata / "speech" / "vosk_test.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    made = analyser().analyse(request(tmp_path / "cut.wav", tmp_path), Heard())
    assert made.utterances
    assert made.duration_s == pytest.approx(4.15, abs=0.1)


@pytest.mark.parametrize("looks", [0, 3, 30, 200])
def test_cancelling_works_everywhere(looks: int, testdata: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        analyser().analyse(
            request(testdata / "speech" / "nasa_13013.mp4", tmp_path), Heard(cancel_after=looks)
        )


def test_an_error_of_a_stage_is_typed_and_named(testdata: Path, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError) as caught:
        analyser(Broken).analyse(request(testdata / "speech" / "jfk.flac", tmp_path), Heard())
    assert (caught.value.code, caught.value.permanent) == ("transcription_failed", False)
    assert caught.value.message == "the transcription failed"


def test_what_cannot_be_listened_to_is_an_error(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"no video")
    with pytest.raises(AnalysisError) as caught:
        analyser().analyse(request(video, tmp_path), Heard())
    assert caught.value.code == "unreadable"
    with pytest.raises(AnalysisError) as caught:
        analyser().analyse(request(tone(video), tmp_path, longest_s=1), Heard())
    assert caught.value.code == "too_long"


@pytest.mark.parametrize(
    "settings", [SpeechSettings(transcriber="x", diarizer="halves"), SpeechSettings("words")]
)
def test_an_unknown_backend_is_said_before_anything_is_done(
    settings: SpeechSettings, tmp_path: Path
) -> None:
    heard = Heard()
    with pytest.raises(AnalysisError, match="there is no backend") as caught:
        analyser().analyse(request(tmp_path / "a.mp4", tmp_path, settings=settings), heard)
    assert (caught.value.code, caught.value.permanent) == ("unknown_backend", True)
    assert heard.said == []


def test_a_work_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    video = tone(tmp_path / "a.mp4")
    asked = SpeechRequest(video, tmp_path / "elsewhere", 3600, SETTINGS)
    with pytest.raises(AnalysisError) as caught:
        analyser().analyse(asked, Heard())
    assert (caught.value.code, caught.value.permanent) == ("storage_failed", False)


def test_a_late_sound_gives_words_at_the_time_of_the_video(testdata: Path, tmp_path: Path) -> None:
    speech = testdata / "speech" / "jfk.flac"
    at_once = analyser().analyse(request(speech, tmp_path), Heard())
    video = tmp_path / "late.mp4"
    ffmpeg(
        *PICTURE, "-itsoffset", "4", "-i", speech, "-map", "0:v", "-map", "1:a", "-t", "15",
        *X264, "-c:a", "aac", video,
    )  # fmt: skip
    late = analyser().analyse(request(video, tmp_path), Heard())
    assert late.utterances[0].start - at_once.utterances[0].start == pytest.approx(4, abs=0.05)
    assert late.utterances[-1].end - at_once.utterances[-1].end == pytest.approx(4, abs=0.05)
