"""faster-whisper with a model of a megabyte that always says the same; and what can go wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
from backend.analysis.speech.transcription import TRANSCRIBERS, models
from tests.analysis.speech.speakers.recordings import Recording
from tests.analysis.speech.transcription.tiny_whisper import (
    WORD_S,
    word_times,
    write_tiny_whisper,
)

SENTENCE = "Ask not what your country can do for you."
WORDS = SENTENCE.split()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny-made", SENTENCE)


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper") / "tiny-made.en"
    return write_tiny_whisper(folder, SENTENCE, multilingual=False)


def noise(seconds: float, *, repeated: int = 1) -> Recording:
    samples = np.random.default_rng(2).standard_normal(round(seconds * SAMPLE_RATE)) * 0.1
    return Recording(samples.astype(np.float32), repeated)


def made(model: Path | str, **settings: object) -> Transcriber:
    return TRANSCRIBERS["whisper"](
        SpeechSettings(whisper_model=str(model), device="cpu", **settings)  # type: ignore[arg-type]
    )


def heard(
    whisper: Transcriber,
    speech: list[Stretch],
    *,
    language: str | None = None,
    audio: Recording | None = None,
) -> list[HeardWord]:
    return list(
        whisper.words(
            audio or noise(60.0),
            speech,
            language=language,
            check=lambda: None,
            progress=lambda done: None,
        )
    )


def test_each_clip_has_its_words_where_they_are(tiny: Path) -> None:
    whisper = made(tiny)
    speech = [Stretch(2.0, 8.0), Stretch(10.005, 15.001), Stretch(31.7, 40.0)]
    words = heard(whisper, speech)
    assert [word.text for word in words] == WORDS * 3
    assert whisper.language == "en"
    assert whisper.name.endswith(" tiny-made")
    for number, stretch in enumerate(speech):
        inside = words[number * len(WORDS) : (number + 1) * len(WORDS)]
        for word, (start, end) in list(zip(inside, word_times(len(WORDS)), strict=True))[1:]:
            assert word.start == pytest.approx(stretch.start + start, abs=WORD_S)
            assert word.end == pytest.approx(stretch.start + end, abs=WORD_S)
        assert all(stretch.start <= word.start <= word.end <= stretch.end for word in inside)
    assert all(0.9 < word.confidence <= 1 for word in words)


def test_a_long_stretch_and_more_clips_than_a_batch_lose_nothing(tiny: Path) -> None:
    speech = [Stretch(0.0, 100.0), *(Stretch(s, s + 5.0) for s in np.arange(110.0, 210.0, 10.0))]
    words = heard(made(tiny), speech, audio=noise(60.0, repeated=4))
    assert [word.text for word in words] == WORDS * (len(words) // len(WORDS))
    assert 4 + 10 <= len(words) // len(WORDS) <= 5 + 10  # the noise is cut where it is quietest
    assert [word.start for word in words] == sorted(word.start for word in words)


def test_neighbours_are_one_clip(tiny: Path) -> None:
    assert len(heard(made(tiny), [Stretch(0, 5), Stretch(5.5, 9), Stretch(9.2, 12)])) == len(WORDS)


def test_words_and_progress_come_batch_by_batch(tiny: Path) -> None:
    done: list[float] = []
    speech = [Stretch(s, s + 5.0) for s in np.arange(0.0, 160.0, 10.0)]
    words = made(tiny).words(
        noise(60.0, repeated=3), speech, language=None, check=lambda: None, progress=done.append
    )
    assert next(words).text == WORDS[0]
    assert done == []
    list(words)
    assert done == [0.5, 1.0]


def test_a_given_language_is_kept(tiny: Path) -> None:
    whisper = made(tiny)
    assert whisper.language is None
    assert heard(whisper, [Stretch(0, 5)], language="ko")
    assert whisper.language == "ko"


def test_an_english_model_is_english(english: Path) -> None:
    whisper = made(english)
    assert [word.text for word in heard(whisper, [Stretch(0, 6)])] == WORDS
    assert whisper.language == "en"


@pytest.mark.parametrize(("kind", "language"), [("tiny", "xx"), ("english", "ko")])
def test_an_unknown_language_is_refused(
    request: pytest.FixtureRequest, kind: str, language: str
) -> None:
    whisper = made(request.getfixturevalue(kind))
    with pytest.raises(AnalysisError, match=language) as caught:
        heard(whisper, [Stretch(0, 5)], language=language)
    assert (caught.value.code, caught.value.permanent) == ("language_unsupported", True)


def test_no_speech_needs_no_model(tiny: Path) -> None:
    whisper = made(tiny)
    assert heard(whisper, []) == []
    assert heard(whisper, [Stretch(1.0, 1.05)]) == []


def test_a_model_is_found_by_name_in_the_folder_of_models(tiny: Path) -> None:
    assert heard(made("tiny-made", models_dir=tiny.parent), [Stretch(0, 6)])


@pytest.mark.parametrize(
    "lacking", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"]
)
def test_an_incomplete_folder_is_named_before_anything_is_loaded(
    tiny: Path, tmp_path: Path, lacking: str
) -> None:
    folder = tmp_path / "half"
    shutil.copytree(tiny, folder)
    (folder / lacking).unlink()
    with pytest.raises(AnalysisError) as caught:
        made(folder)
    assert (caught.value.code, caught.value.permanent) == ("model_missing", True)
    assert caught.value.message == f"the whisper model half lacks {lacking}"


def test_the_preprocessor_may_be_absent(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "older")
    (tmp_path / "older" / "preprocessor_config.json").unlink()
    assert heard(made(tmp_path / "older"), [Stretch(0, 6)])


@pytest.mark.parametrize("name", ["/nowhere/model", "./model", "../model", "a/b/c", "~/no-model"])
def test_a_path_that_is_not_there_never_becomes_a_name(name: str) -> None:
    with pytest.raises(AnalysisError, match="not there") as caught:
        made(name)
    assert caught.value.code == "model_missing"
    assert "nowhere" not in caught.value.message


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.bin", b"not a model"),
        ("model.bin", b""),
        ("tokenizer.json", b"{}"),
        ("config.json", b"{"),
        ("vocabulary.json", b"["),
    ],
)
def test_a_broken_file_is_an_unreadable_model(
    tiny: Path, tmp_path: Path, file: str, content: bytes
) -> None:
    shutil.copytree(tiny, tmp_path / "broken")
    (tmp_path / "broken" / file).write_bytes(content)
    with pytest.raises(AnalysisError) as caught:
        heard(made(tmp_path / "broken"), [Stretch(0, 5)])
    assert (caught.value.code, caught.value.permanent) == ("model_unreadable", True)
    assert str(tmp_path) not in caught.value.message


OFFLINE = """
import numpy as np
from backend.analysis.protocol import AnalysisError
from backend.analysis.speech.protocol import SpeechSettings, Stretch
from backend.analysis.speech.transcription import TRANSCRIBERS
from tests.analysis.speech.speakers.recordings import Recording
for name in ("small", "somebody/some-model", "no-such-size"):
    whisper = TRANSCRIBERS["whisper"](SpeechSettings(whisper_model=name, device="cpu"))
    words = whisper.words(Recording(np.zeros(16_000, "f4")), [Stretch(0, 1)], language=None,
                          check=lambda: None, progress=lambda done: None)
    try:
        next(words)
    except AnalysisError as error:
        print(error.code, error.permanent)
"""


def test_offline_a_name_that_was_never_fetched_is_a_missing_model(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[4],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        text=True,
    )
    assert done.stdout.splitlines() == ["model_missing True"] * 3


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cuda:x9"])
def test_a_device_that_is_not_there_is_refused(tiny: Path, device: str) -> None:
    with pytest.raises(AnalysisError, match=device) as caught:
        TRANSCRIBERS["whisper"](SpeechSettings(whisper_model=str(tiny), device=device))
    assert (caught.value.code, caught.value.permanent) == ("device_missing", True)


def test_a_device_that_is_full_is_a_temporary_error(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whisper = made(tiny)
    heard(whisper, [Stretch(0, 5)])

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failed with error out of memory")

    monkeypatch.setattr(whisper._pipeline, "transcribe", full)  # type: ignore[attr-defined]
    with pytest.raises(AnalysisError) as caught:
        heard(whisper, [Stretch(0, 5)])
    assert (caught.value.code, caught.value.permanent) == ("out_of_memory", False)


def test_a_cancelled_request_ends_with_its_batch(tiny: Path) -> None:
    speech = [Stretch(s, s + 5.0) for s in np.arange(0.0, 240.0, 10.0)]
    done: list[float] = []

    def check() -> None:
        if done:
            raise Cancelled

    words = made(tiny).words(
        noise(60.0, repeated=4), speech, language="en", check=check, progress=done.append
    )
    with pytest.raises(Cancelled):
        list(words)
    assert done == [1 / 3], "the second of three batches is never begun"


def test_auto_is_the_processor_where_there_is_no_other() -> None:
    device = models.find_device("auto")
    assert (device.kind, device.compute_type) in [("cpu", "int8"), ("cuda", "float16")]
