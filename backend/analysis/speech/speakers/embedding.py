"""What a voice sounds like: one vector for each short window of speech.

The network is Resemblyzer's voice encoder (a speaker encoder trained with the GE2E loss): 40 mel
bands, three LSTM layers, one linear layer. It runs in numpy, at 5.5 ms of one core a window: torch
would need 3 ms, but a second and 200 MB to be there, in a process that needs it for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from backend.analysis.speech.protocol import (
    SAMPLE_RATE,
    AudioReader,
    Check,
    Samples,
    Share,
    Stretch,
)

Floats = NDArray[np.float32]

WINDOW_S = 1.6
"""What the network was trained on; 160 frames."""
HOP_S = 0.4
SHORTEST_S = 0.4
"""Less than this of speech says nothing about the voice."""
BATCH = 32
"""Windows at a time: 0.3 s of work and 60 MB."""

_FFT = 400
_STEP = 160
_FRAMES = round(WINDOW_S * SAMPLE_RATE) // _STEP
_BANDS = 40
_HIDDEN = 256
_LAYERS = 3
_LOUDNESS = 10 ** (-30 / 20)
"""Root mean square that quieter windows are raised to: the network sees absolute power."""
_SILENCE = 1e-5


def windows(stretch: Stretch) -> list[Stretch]:
    """Windows that cover the stretch; a short one is a window by itself, a very short one none."""
    length = stretch.end - stretch.start
    if length < SHORTEST_S:
        return []
    if length <= WINDOW_S:
        return [stretch]
    count = int(np.ceil((length - WINDOW_S) / HOP_S)) + 1
    starts = np.linspace(stretch.start, stretch.end - WINDOW_S, count)
    return [Stretch(float(start), float(start) + WINDOW_S) for start in starts]


def embeddings(
    audio: AudioReader,
    places: Sequence[Stretch],
    encoder: VoiceEncoder,
    *,
    check: Check,
    progress: Share,
) -> Floats:
    """One vector of length 1 a window: windows x 256."""
    done = np.zeros((len(places), _HIDDEN), dtype=np.float32)
    for first in range(0, len(places), BATCH):
        check()
        batch = places[first : first + BATCH]
        mels = np.stack([mel_spectrogram(_window(audio, place)) for place in batch])
        done[first : first + len(batch)] = encoder.embed(mels)
        progress((first + len(batch)) / len(places))
    return done


def mel_spectrogram(samples: Samples) -> Floats:
    """Power in 40 mel bands, every 10 ms: 160 x 40, as librosa computes it."""
    padded = np.pad(samples, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_STEP][:_FRAMES]
    power = np.abs(np.fft.rfft(frames * _hann(), axis=1)) ** 2
    return np.asarray(power.astype(np.float32) @ _mel_bands(), dtype=np.float32)


def _window(audio: AudioReader, place: Stretch) -> Samples:
    """Exactly one window of samples, loud enough; a short one is repeated until it is full."""
    samples = audio.read(place.start, place.end)
    samples = samples[: _FRAMES * _STEP]
    if len(samples) == 0:
        return np.zeros(_FRAMES * _STEP, dtype=np.float32)
    loudness = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
    if _SILENCE < loudness < _LOUDNESS:
        samples = samples * np.float32(_LOUDNESS / loudness)
    return np.resize(samples, _FRAMES * _STEP)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One LSTM layer, transposed for batches; gates in the order i, f, g, o."""

    from_input: Floats
    from_before: Floats
    bias: Floats

    def run(self, inputs: Floats) -> Floats:
        """Frames x batch x features to frames x batch x hidden."""
        frames, batch, _ = inputs.shape
        gates_in = (inputs.reshape(frames * batch, -1) @ self.from_input + self.bias).reshape(
            frames, batch, 4 * _HIDDEN
        )
        hidden = np.zeros((batch, _HIDDEN), dtype=np.float32)
        cell = np.zeros_like(hidden)
        outputs = np.empty((frames, batch, _HIDDEN), dtype=np.float32)
        for frame in range(frames):
            gates = hidden @ self.from_before + gates_in[frame]
            # sigmoid(x) = (tanh(x / 2) + 1) / 2, and the weights of i, f and o are halved before
            np.tanh(gates, out=gates)
            put, keep, new, show = np.split(gates, 4, axis=1)
            cell = 0.5 * ((keep + 1) * cell + (put + 1) * new)
            hidden = np.multiply(0.5 * (show + 1), np.tanh(cell), out=outputs[frame])
        return outputs


class VoiceEncoder:
    """Mel spectrograms to voices. Safe to use from several threads."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        half = np.full(4 * _HIDDEN, 0.5, dtype=np.float32)
        half[2 * _HIDDEN : 3 * _HIDDEN] = 1.0
        self._layers = [
            _Layer(
                from_input=np.ascontiguousarray(weights[f"lstm.weight_ih_l{layer}"].T * half),
                from_before=np.ascontiguousarray(weights[f"lstm.weight_hh_l{layer}"].T * half),
                bias=(weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]) * half,
            )
            for layer in range(_LAYERS)
        ]
        self._linear = np.ascontiguousarray(weights["linear.weight"].T)
        self._bias = weights["linear.bias"]

    def embed(self, mels: Floats) -> Floats:
        """Batch x 160 x 40 to batch x 256, each of length 1 (or 0, for what is no sound)."""
        flow = np.ascontiguousarray(mels.transpose(1, 0, 2))
        for layer in self._layers:
            flow = layer.run(flow)
        raw = np.maximum(flow[-1] @ self._linear + self._bias, 0)
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        return np.asarray(raw / np.maximum(lengths, 1e-9), dtype=np.float32)


@cache
def _hann() -> Floats:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)


@cache
def _mel_bands() -> Floats:
    """Bins x bands: Slaney's mel scale, triangles of equal area."""
    corners = _hertz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), _BANDS + 2))
    bins = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    ramps = corners[:, None] - bins[None, :]
    widths = np.diff(corners)
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    triangles *= (2.0 / (corners[2:] - corners[:-2]))[:, None]
    return np.ascontiguousarray(triangles.T.astype(np.float32))


_LINEAR_HZ = 200 / 3
_BREAK_MEL = 1000 / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27


def _mel(hertz: float) -> float:
    """Slaney's scale: linear below 1000 Hz, logarithmic above."""
    if hertz < 1000:
        return hertz / _LINEAR_HZ
    return float(_BREAK_MEL + np.log(hertz / 1000) / _LOG_STEP)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 1000 * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)
