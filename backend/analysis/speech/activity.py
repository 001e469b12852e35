"""Where somebody speaks, by silero's voice activity detector.

The detector is one small file of the `silero-vad` package. The package's own code needs torch and
is not imported: onnxruntime runs the file on one thread, block by block with the state carried
over, so that an hour needs no more memory than a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
from backend.analysis.speech.source import SpeechError

WINDOW = 512
"""Samples for one answer."""
_CONTEXT = 64
"""Samples before a window that the network sees again."""
_BLOCK = 938
"""Windows at once: 30 s."""
_STATE = (1, 1, 128)
_FILE = "silero_vad_16k_sequence.onnx"


@dataclass(frozen=True, slots=True)
class ActivitySettings:
    """When a probability is speech."""

    threshold: float = 0.5
    """Speech begins at this probability..."""
    release: float = 0.35
    """...and ends below this one."""
    shortest_speech_s: float = 0.25
    shortest_silence_s: float = 0.1
    padding_s: float = 0.1
    """Added on both sides: the detector comes late and leaves early. Two stretches that would
    overlap meet in the middle."""


class VoiceActivity:
    """The loaded detector; of one thread."""

    def __init__(self, settings: ActivitySettings | None = None) -> None:
        """Take other settings than the default ones."""
        self._settings = settings or ActivitySettings()

    @property
    def name(self) -> str:
        """What it is, and its version."""
        try:
            return f"silero-vad {version('silero-vad')}"
        except PackageNotFoundError:
            return "silero-vad"

    def speech(self, audio: AudioReader, *, check: Check, progress: Share) -> list[Stretch]:
        """Where somebody speaks, in order.

        Raises:
            SpeechError: `speech_detector_missing`.
        """
        blocks = list(self._probabilities(audio, check, progress))
        if not blocks:
            return []
        return stretches(np.concatenate(blocks), audio.seconds, self._settings)

    @cached_property
    def _session(self) -> Any:
        file = detector_file()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def _probabilities(
        self, audio: AudioReader, check: Check, progress: Share
    ) -> Iterator[NDArray[np.float32]]:
        """For every window of the audio, the last one filled up with silence."""
        total = -(-round(audio.seconds * SAMPLE_RATE) // WINDOW)
        h = c = np.zeros(_STATE, np.float32)
        context: Samples = np.zeros(_CONTEXT, np.float32)
        for first in range(0, total, _BLOCK):
            check()
            count = min(_BLOCK, total - first)
            samples = np.zeros(_CONTEXT + count * WINDOW, np.float32)
            samples[:_CONTEXT] = context
            start_s, end_s = (at * WINDOW / SAMPLE_RATE for at in (first, first + count))
            read = audio.read(start_s, end_s)
            samples[_CONTEXT : _CONTEXT + len(read)] = read
            context = samples[-_CONTEXT:]
            windows = np.lib.stride_tricks.sliding_window_view(samples, _CONTEXT + WINDOW)[::WINDOW]
            answers = self._session.run(
                None, {"input": np.ascontiguousarray(windows), "h": h, "c": c}
            )
            probabilities, h, c = answers
            yield np.asarray(probabilities, np.float32).reshape(-1)
            progress((first + count) / total)


def stretches(
    probabilities: NDArray[np.float32], seconds: float, settings: ActivitySettings
) -> list[Stretch]:
    """Speech from the probability of each window."""
    found = [
        (start, end)
        for start, end in _spoken(probabilities, settings)
        if end - start >= settings.shortest_speech_s
    ]
    padded = []
    for at, (start, end) in enumerate(found):
        before = found[at - 1][1] if at else -np.inf
        after = found[at + 1][0] if at + 1 < len(found) else np.inf
        padded.append(
            Stretch(
                float(max(start - min(settings.padding_s, (start - before) / 2), 0.0)),
                float(min(end + min(settings.padding_s, (after - end) / 2), seconds)),
            )
        )
    return [stretch for stretch in padded if stretch.end > stretch.start]


def _spoken(
    probabilities: NDArray[np.float32], settings: ActivitySettings
) -> Iterator[tuple[float, float]]:
    """Seconds; silence that is too short is spoken through."""
    window_s = WINDOW / SAMPLE_RATE
    start: float | None = None
    quiet_since: float | None = None
    for at, probability in enumerate(probabilities.tolist()):
        now = at * window_s
        if probability >= settings.threshold:
            start = now if start is None else start
            quiet_since = None
        elif start is not None and probability < settings.release:
            quiet_since = now if quiet_since is None else quiet_since
            if now - quiet_since >= settings.shortest_silence_s:
                yield start, quiet_since
                start = quiet_since = None
    if start is not None:
        yield start, quiet_since or len(probabilities) * window_s


def detector_file() -> Path:
    """The detector's network.

    Raises:
        SpeechError: `speech_detector_missing`.
    """
    found = find_spec("silero_vad")
    for folder in (found.submodule_search_locations or []) if found else []:
        file = Path(folder) / "data" / _FILE
        if file.is_file():
            return file
    raise SpeechError(
        "speech_detector_missing",
        "the speech detector is not installed on this server",
        permanent=True,
    )
