"""pyannote.audio behind our protocol: a package with its documented shape stands in for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.analysis.protocol import AnalysisError, Cancelled
from backend.analysis.speech.protocol import SpeechSettings, Stretch, Turn
from backend.analysis.speech.speakers import DIARIZERS
from tests.analysis.speech.speakers.recordings import Recording

STUB = """
import os
from dataclasses import dataclass
from types import SimpleNamespace

METRICS = os.environ.get("PYANNOTE_METRICS_ENABLED")
CALLS = []


class Annotation:
    def __init__(self, tracks):
        self.tracks = tracks

    def itertracks(self, yield_label=False):
        for number, (start, end, label) in enumerate(self.tracks):
            yield SimpleNamespace(start=start, end=end), number, label


@dataclass
class DiarizeOutput:
    speaker_diarization: Annotation
    exclusive_speaker_diarization: Annotation


class Pipeline:
    @classmethod
    def from_pretrained(cls, checkpoint, hparams_file=None, token=None, cache_dir=None):
        CALLS.append(("from_pretrained", str(checkpoint)))
        if "speaker-diarization-community-1" in str(checkpoint):
            return None
        return cls()

    def to(self, device):
        CALLS.append(("to", str(device)))
        return self

    def __call__(self, file, hook=None, **kwargs):
        waveform = file["waveform"]
        CALLS.append(("call", tuple(waveform.shape), file["sample_rate"], kwargs))
        if not waveform.any():
            raise RuntimeError("CUDA out of memory")
        hook("segmentation", None, file=file, total=4, completed=2)
        hook("segmentation", object(), file=file)
        hook("speaker_counting", object(), file=file)
        for done in range(3):
            hook("embeddings", None, file=file, total=2, completed=done)
        hook("discrete_diarization", object(), file=file)
        both = Annotation([(0.5, 4.0, "SPEAKER_01"), (3.0, 6.0, "SPEAKER_00")])
        one = Annotation([(0.5, 3.5, "SPEAKER_01"), (3.5, 6.0, "SPEAKER_00")])
        return DiarizeOutput(both, one)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of models with a pipeline, and the package."""
    package = tmp_path / "packages" / "pyannote" / "audio"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(STUB)
    pipeline = tmp_path / "models" / "pyannote"
    pipeline.mkdir(parents=True)
    (pipeline / "config.yaml").write_text("pipeline: {}\n")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setenv("PYANNOTE_METRICS_ENABLED", "1")
    yield tmp_path / "models"
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyannote"]:
        del sys.modules[name]


def noise(seconds: float) -> Recording:
    samples = np.random.default_rng(1).standard_normal(round(seconds * 16_000))
    return Recording((samples * 0.1).astype(np.float32))


def test_turns_are_those_of_one_speaker_at_a_time_within_the_speech(installed: Path) -> None:
    diarizer = DIARIZERS["pyannote"](SpeechSettings(models_dir=installed, device="cpu"))
    done: list[float] = []
    turns = diarizer.turns(
        noise(150.0),
        [Stretch(1.0, 3.0), Stretch(3.2, 5.0)],
        check=lambda: None,
        progress=done.append,
    )
    one, other = "SPEAKER_01", "SPEAKER_00"
    assert turns == [Turn(1.0, 3.0, one), Turn(3.2, 3.5, one), Turn(3.5, 5.0, other)]
    assert done == sorted(done)
    assert 0.9 <= done[-1] <= 1.0
    stub = sys.modules["pyannote.audio"]
    assert stub.METRICS == "0"
    calls = stub.CALLS
    assert calls == [
        ("from_pretrained", str(installed / "pyannote")),
        ("to", "cpu"),
        ("call", (1, 150 * 16_000), 16_000, {"max_speakers": 8}),
    ]


def test_it_can_be_cancelled_while_the_pipeline_runs(installed: Path) -> None:
    diarizer = DIARIZERS["pyannote"](SpeechSettings(models_dir=installed, device="cpu"))
    done: list[float] = []

    def check() -> None:
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        diarizer.turns(noise(2.0), [Stretch(0.0, 2.0)], check=check, progress=done.append)
    assert len(done) == 1


def test_a_licence_that_was_not_accepted_is_a_missing_model(installed: Path) -> None:
    diarizer = DIARIZERS["pyannote"](SpeechSettings(models_dir=installed / "x", device="cpu"))
    with pytest.raises(AnalysisError, match="licence") as caught:
        diarizer.turns(
            noise(1.0), [Stretch(0.0, 1.0)], check=lambda: None, progress=lambda done: None
        )
    assert (caught.value.code, caught.value.permanent) == ("model_missing", True)


def test_too_little_memory_is_temporary(installed: Path) -> None:
    diarizer = DIARIZERS["pyannote"](SpeechSettings(models_dir=installed, device="cpu"))
    with pytest.raises(AnalysisError) as caught:
        diarizer.turns(
            Recording(np.zeros(16_000, dtype=np.float32)),
            [Stretch(0.0, 1.0)],
            check=lambda: None,
            progress=lambda done: None,
        )
    assert (caught.value.code, caught.value.permanent) == ("out_of_memory", False)


def test_where_it_is_not_installed_that_is_said() -> None:
    with pytest.raises(AnalysisError, match="not installed") as caught:
        DIARIZERS["pyannote"](SpeechSettings())
    assert (caught.value.code, caught.value.permanent) == ("backend_missing", True)
