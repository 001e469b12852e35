"""The voice encoder: the same numbers as in torch, read without its code."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from backend.analysis.protocol import AnalysisError
from backend.analysis.speech.protocol import SAMPLE_RATE, Stretch
from backend.analysis.speech.speakers import weights
from backend.analysis.speech.speakers.embedding import (
    HOP_S,
    SHORTEST_S,
    WINDOW_S,
    VoiceEncoder,
    mel_spectrogram,
    windows,
)
from backend.analysis.speech.speakers.weights import read_weights, voice_encoder_file


def test_the_weights_are_those_that_torch_reads() -> None:
    import torch

    path = voice_encoder_file()
    wanted = torch.load(path, weights_only=True, map_location="cpu")["model_state"]
    found = read_weights(path)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        assert np.array_equal(array, wanted[name].numpy())


def test_the_voice_is_the_one_that_torch_computes() -> None:
    import torch

    found = read_weights(voice_encoder_file())
    mels = np.random.default_rng(3).random((5, 160, 40), dtype=np.float32)
    lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
    lstm.load_state_dict(
        {
            name.removeprefix("lstm."): torch.tensor(array)
            for name, array in found.items()
            if name.startswith("lstm.")
        }
    )
    with torch.no_grad():
        _, (hidden, _) = lstm(torch.from_numpy(mels))
        linear = torch.tensor(found["linear.weight"])
        raw = torch.relu(hidden[-1] @ linear.T + torch.tensor(found["linear.bias"]))
        wanted = (raw / raw.norm(dim=1, keepdim=True)).numpy()
    assert VoiceEncoder(found).embed(mels) == pytest.approx(wanted, abs=1e-5)


def test_neither_torch_nor_resemblyzer_is_imported() -> None:
    program = (
        "import sys\n"
        "from backend.analysis.speech.protocol import SpeechSettings\n"
        "from backend.analysis.speech.speakers import DIARIZERS\n"
        "DIARIZERS['embedded'](SpeechSettings())\n"
        "print(sorted({'torch', 'resemblyzer', 'librosa', 'webrtcvad'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"


def test_a_file_with_code_in_it_runs_none_of_it(tmp_path: Path) -> None:
    touched = tmp_path / "touched"

    class Evil:
        def __reduce__(self):
            return (Path.touch, (touched,))

    path = tmp_path / "evil.pt"
    content = io.BytesIO()
    for part in (weights._MAGIC, 1001, {"little_endian": True}, Evil()):
        pickle.dump(part, content, protocol=2)
    path.write_bytes(content.getvalue())
    with pytest.raises(AnalysisError, match="cannot be read") as caught:
        read_weights(path)
    assert (caught.value.code, caught.value.permanent) == ("weights_unreadable", True)
    assert not touched.exists()


@pytest.mark.parametrize("kept", [0, 10, 3_000, 5_000, 100_000, 17_000_000])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "short.pt"
    path.write_bytes(voice_encoder_file().read_bytes()[:kept])
    with pytest.raises(AnalysisError, match="cannot be read"):
        read_weights(path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_FILE", "not-there.pt")
    with pytest.raises(AnalysisError) as caught:
        voice_encoder_file()
    assert (caught.value.code, caught.value.permanent) == ("backend_missing", True)


@pytest.mark.parametrize("hertz", [300, 1000, 3000, 6000])
def test_a_tone_is_loudest_in_its_own_band(hertz: int) -> None:
    samples = np.sin(2 * np.pi * hertz * np.arange(160 * 160) / SAMPLE_RATE).astype(np.float32)
    mels = mel_spectrogram(samples)
    assert mels.shape == (160, 40)
    # on Slaney's scale 1000 Hz is 15 of the 45.2 mel that 8000 Hz are
    mel = hertz * 3 / 200 if hertz <= 1000 else 15 + np.log(hertz / 1000) / (np.log(6.4) / 27)
    assert abs(int(mels[80].argmax()) - (mel / 45.245 * 41 - 1)) < 1


@pytest.mark.parametrize("length", [0.5, 1.6, 1.7, 2.4, 10.0, 100.3])
def test_windows_cover_a_stretch_to_both_ends(length: float) -> None:
    found = windows(Stretch(5.0, 5.0 + length))
    assert found[0].start == 5.0
    assert found[-1].end == pytest.approx(5.0 + length)
    for one, other in pairwise(found):
        assert 0 < other.start - one.start <= HOP_S + 1e-9
        assert one.end - one.start == pytest.approx(WINDOW_S)


def test_what_is_too_short_for_a_voice_has_no_window() -> None:
    assert windows(Stretch(1.0, 1.0 + SHORTEST_S / 2)) == []


def test_silence_has_a_finite_voice() -> None:
    encoder = VoiceEncoder(read_weights(voice_encoder_file()))
    silence = mel_spectrogram(np.zeros(160 * 160, dtype=np.float32))
    assert np.isfinite(encoder.embed(silence[None])).all()
