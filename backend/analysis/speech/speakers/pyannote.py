"""The diarizer for real work: pyannote.audio 4, where it is installed (the image with CUDA).

Its pipeline comes from the folder `pyannote` in the folder of models, if there is one, else from
the hub, for which its licence has to be accepted and a token be in the environment. It hears the
whole recording at once, which takes 230 MB for an hour. What it finds outside of the speech that
was detected before is left out.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.analysis.protocol import AnalysisError
from backend.analysis.speech.protocol import (
    SAMPLE_RATE,
    AudioReader,
    Check,
    Samples,
    Share,
    SpeechSettings,
    Stretch,
    Turn,
)

HUB_NAME = "pyannote/speaker-diarization-community-1"
FOLDER = "pyannote"
MOST_SPEAKERS = 8
_BLOCK_S = 60.0
# steps as the pipeline's hook names them; what is not here comes at the end
_STARTS = {"segmentation": 0.0, "speaker_counting": 0.3, "embeddings": 0.3}
_LENGTHS = {"segmentation": 0.3, "embeddings": 0.6}


class PyannoteDiarizer:
    """pyannote.audio's pipeline, one speaker at a time."""

    def __init__(self, settings: SpeechSettings) -> None:
        if not _installed():
            raise AnalysisError(
                "backend_missing", "pyannote.audio is not installed", permanent=True
            )
        # It counts its uses for its makers unless it is told before it is imported not to
        os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # noqa: TID251  told to a library, not read
        self._where = _where(settings.models_dir)
        self._device = settings.device
        self._pipeline: Any = None
        self.name = f"pyannote.audio {Path(str(self._where)).name}"

    def turns(
        self, audio: AudioReader, speech: Sequence[Stretch], *, check: Check, progress: Share
    ) -> list[Turn]:
        """Turns within the speech, in order.

        Raises:
            AnalysisError: the pipeline cannot be had, or fails.
        """
        import torch

        if not speech:
            return []
        check()
        if self._pipeline is None:
            self._pipeline = _loaded(self._where, self._device)
        waveform = torch.from_numpy(_whole(audio, check)[None, :])

        def hook(step: str, *_: object, **counts: Any) -> None:
            check()
            completed, total = counts.get("completed"), counts.get("total")
            part = completed / total if completed is not None and total else 1.0
            progress(min(1.0, _STARTS.get(step, 0.9) + part * _LENGTHS.get(step, 0.0)))

        try:
            output = self._pipeline(
                {"waveform": waveform, "sample_rate": SAMPLE_RATE},
                hook=hook,
                max_speakers=MOST_SPEAKERS,
            )
        except (RuntimeError, ValueError) as error:
            full = "out of memory" in str(error)
            raise AnalysisError(
                "out_of_memory" if full else "diarization_failed",
                "there is too little memory" if full else "pyannote.audio failed",
                permanent=False,
            ) from error
        tracks = output.exclusive_speaker_diarization.itertracks(yield_label=True)
        return _within(speech, [(part.start, part.end, str(name)) for part, _, name in tracks])


def _installed() -> bool:
    try:
        return importlib.util.find_spec("pyannote.audio") is not None
    except ModuleNotFoundError:  # not even the package above it
        return False


def _where(models_dir: Path | None) -> str | Path:
    if models_dir is not None and (models_dir / FOLDER / "config.yaml").is_file():
        return models_dir / FOLDER
    return HUB_NAME


def _loaded(where: str | Path, device: str) -> Any:
    import torch
    from huggingface_hub.errors import HfHubHTTPError
    from pyannote.audio import Pipeline

    try:
        pipeline = Pipeline.from_pretrained(where)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _missing() from error
    if pipeline is None:  # how it says that the licence was not accepted
        raise _missing()
    wanted = device
    if device == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        pipeline.to(torch.device(wanted))
    except (RuntimeError, AssertionError) as error:
        raise AnalysisError(
            "device_missing", f"there is no device {wanted}", permanent=True
        ) from error
    return pipeline


def _missing() -> AnalysisError:
    return AnalysisError(
        "model_missing",
        "pyannote's pipeline is not here and could not be fetched: it needs a token of somebody "
        "who has accepted its licence",
        permanent=True,
    )


def _whole(audio: AudioReader, check: Check) -> Samples:
    samples = np.zeros(round(audio.seconds * SAMPLE_RATE), dtype=np.float32)
    at = 0
    while at < len(samples):
        check()
        start = at / SAMPLE_RATE
        block = audio.read(start, start + _BLOCK_S)[: len(samples) - at]
        if len(block) == 0:
            break
        samples[at : at + len(block)] = block
        at += len(block)
    return samples


def _within(speech: Sequence[Stretch], spoken: Iterable[tuple[float, float, str]]) -> list[Turn]:
    parts = sorted(
        (max(start, stretch.start), min(end, stretch.end), name)
        for start, end, name in spoken
        for stretch in speech
        if start < stretch.end and end > stretch.start
    )
    return [Turn(*part) for part in parts]
