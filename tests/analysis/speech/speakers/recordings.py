"""Recordings of the test data in memory, and mixtures of them, as an `AudioReader`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from scipy.signal import butter, sosfilt

from backend.analysis.speech.protocol import SAMPLE_RATE, Samples, Stretch
from tests.analysis.speech.scoring import Spoken


@dataclass(frozen=True)
class Recording:
    """Samples in memory; `repeated` makes a long recording of a short one without its memory."""

    samples: Samples
    repeated: int = 1

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) * self.repeated / SAMPLE_RATE

    def read(self, start: float, end: float) -> Samples:
        """The samples of a stretch."""
        first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        first, last = max(0, first), min(last, len(self.samples) * self.repeated)
        if self.repeated == 1:
            return self.samples[first:last]
        return self.samples[np.arange(first, last) % len(self.samples)]

    def whole(self) -> list[Stretch]:
        """One stretch of speech from the beginning to the end."""
        return [Stretch(0.0, self.seconds)]


def decoded(source: Path | BinaryIO, *, channel: int | None = None, stream: int = 0) -> Recording:
    """A file as 16 kHz mono, or one channel of it."""
    layout = "mono" if channel is None else "stereo"
    pieces = []
    with av.open(source if not isinstance(source, Path) else str(source)) as container:
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=SAMPLE_RATE)
        for frame in container.decode(container.streams.audio[stream]):
            pieces += [part.to_ndarray() for part in resampler.resample(frame)]
        pieces += [part.to_ndarray() for part in resampler.resample(None)]
    samples = np.concatenate(pieces, axis=1)[channel or 0]
    return Recording(np.ascontiguousarray(samples, dtype=np.float32))


def from_zip(path: Path) -> tuple[Recording, str]:
    """The recording in a zip file of Azure's samples, and what is said in it."""
    with zipfile.ZipFile(path) as archive:
        recording = decoded(io.BytesIO(archive.read("audio.wav")))
        _, _, text = archive.read("trans.txt").decode("utf-8-sig").partition("\t")
    return recording, text


def loud_parts(recording: Recording, *, gap_s: float = 0.5) -> list[Stretch]:
    """Where it is louder than its background: a plain stand-in for speech detection."""
    step = SAMPLE_RATE // 50
    frames = recording.samples[: len(recording.samples) // step * step].reshape(-1, step)
    level = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-10)
    loud = np.flatnonzero(level > max(np.percentile(level, 95) - 30, -60))
    breaks = np.flatnonzero(np.diff(loud) > gap_s * 50) + 1
    return [
        Stretch(
            max(0.0, float(part[0]) / 50 - 0.1),
            min(recording.seconds, float(part[-1] + 1) / 50 + 0.1),
        )
        for part in np.split(loud, breaks)
        if len(part) > 5
    ]


def one_after_another(
    parts: Sequence[tuple[str, Recording]], *, gap_s: float = 0.4
) -> tuple[Recording, list[Stretch], list[Spoken]]:
    """Speakers' parts one after another: the mixture, where there is speech, and who speaks."""
    silence = np.zeros(round(gap_s * SAMPLE_RATE), dtype=np.float32)
    pieces: list[Samples] = []
    speech: list[Stretch] = []
    truth: list[Spoken] = []
    at = 0.0
    for speaker, recording in parts:
        for stretch in loud_parts(recording):
            speech.append(Stretch(at + stretch.start, at + stretch.end))
            truth.append(Spoken(at + stretch.start, at + stretch.end, speaker))
        pieces += [recording.samples, silence]
        at += recording.seconds + len(silence) / SAMPLE_RATE
    return Recording(np.concatenate(pieces)), speech, truth


def over_the_telephone(recording: Recording) -> Recording:
    """What a telephone line leaves of it: 300 to 3400 Hz, in the 255 steps of mu-law."""
    band = butter(4, [300, 3400], "bandpass", fs=SAMPLE_RATE, output="sos")
    samples = sosfilt(band, recording.samples)
    samples = samples / max(float(np.abs(samples).max()), 1e-9)
    steps = np.round(127 * np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256)) / 127
    heard = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255
    return Recording(heard.astype(np.float32))


def alone(recording: Recording, truth: Sequence[Spoken], speaker: str) -> Recording:
    """All that one speaker says while nobody else speaks, joined."""
    step = SAMPLE_RATE // 100
    frames = recording.samples[: len(recording.samples) // step * step].reshape(-1, step)
    theirs, others = (np.zeros(len(frames), dtype=bool) for _ in range(2))
    for spoken in truth:
        row = theirs if spoken.speaker == speaker else others
        row[round(spoken.start * 100) : round(spoken.end * 100)] = True
    return Recording(frames[theirs & ~others].ravel())
