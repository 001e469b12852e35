"""What `bench.speech` runs in a process of its own: the analyser, or one of its libraries alone.

`measured(mode, ...)` starts one, as the worker starts an analysis child (one thread, quiet
libraries), and says what it took; `python -m bench.speech_processes MODE ANSWER ...` is one.
Loading the model counts, decoding the file does not where a library is called directly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from backend.analysis.environment import quiet_environment
from tests.analysis.speech.speakers.recordings import decoded

ROOT = Path(__file__).resolve().parents[1]
LONGEST_S = 3600
PACE_S = 0.35
"""One word in so many seconds of speech: about what people say."""
WINDOWS = 200
SAMPLE_EVERY_S = 0.1


@dataclass(frozen=True)
class Spent:
    """What one process took; memory in MB, `said` is its answer."""

    wall_s: float
    rss_mb: float
    pss_mb: float
    said: dict[str, Any]


def measured(mode: str, *arguments: object, models: Path) -> Spent:
    """Run this file in that mode in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        argv = [sys.executable, "-m", "bench.speech_processes", mode, answer.name]
        began = time.monotonic()
        process = subprocess.Popen(
            [*argv, *map(str, arguments)],
            env={**os.environ, **quiet_environment(models)},
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
        )
        pss_mb = 0.0
        while process.poll() is None:
            pss_mb = max(pss_mb, pss_of(process.pid))
            time.sleep(SAMPLE_EVERY_S)
        if process.returncode:
            raise SystemExit(f"{mode} failed ({process.returncode})")
        wall_s = time.monotonic() - began
        said = json.loads(Path(answer.name).read_text())
    return Spent(wall_s, said.pop("rss_mb"), pss_mb, said)


def pss_of(pid: int) -> float:
    """MB now; 0 of a process that is gone."""
    try:
        return float(psutil.Process(pid).memory_full_info().pss) / 1e6
    except psutil.Error:
        return 0.0


# --- what runs in the processes -----------------------------------------------------------------


@dataclass
class Watch:
    """A context that notes the processor's seconds of each stage."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    _stage: str = ""
    _since: float = 0.0

    def progress(self, _: int, message: str) -> None:
        if message != self._stage:
            self.end()
            self._stage = message

    def end(self) -> None:
        now = time.process_time()
        if self._stage:
            self.cpu_s[self._stage] = round(now - self._since, 3)
        self._since = now

    def check(self) -> None:
        """Nothing is cancelled here."""


class Paced:
    """A transcriber that hears a word every `PACE_S`."""

    name, language = "paced", None

    def words(self, _: Any, speech: Any, **__: Any) -> Iterator[Any]:
        from backend.analysis.speech.protocol import HeardWord

        for stretch in speech:
            for start in np.arange(stretch.start, stretch.end, PACE_S).tolist():
                yield HeardWord("word", start, min(start + 0.3, stretch.end), 0.5)


def as_chain(video: str, transcriber: str) -> dict[str, Any]:
    """The product's analyser on a whole file."""
    from backend.analysis.speech.analyser import MESSAGES, SpeechAnalyser
    from backend.analysis.speech.protocol import SpeechRequest, SpeechSettings
    from backend.analysis.speech.speakers import DIARIZERS
    from backend.analysis.speech.transcription import TRANSCRIBERS

    turns: list[Any] = []

    class Noted:
        def __init__(self, settings: SpeechSettings) -> None:
            self._diarizer = DIARIZERS["embedded"](settings)
            self.name = self._diarizer.name

        def turns(self, *given: Any, **named: Any) -> Any:
            turns.extend(self._diarizer.turns(*given, **named))
            return turns

    watch = Watch()
    with tempfile.TemporaryDirectory() as work:
        settings = SpeechSettings(transcriber=transcriber, diarizer="noted")
        request = SpeechRequest(Path(video), Path(work), LONGEST_S, settings)
        analyser = SpeechAnalyser({"noted": Noted}, {**TRANSCRIBERS, "paced": lambda _: Paced()})
        result = analyser.analyse(request, watch)
    watch.end()
    return {
        "cpu_s": {stage.value: watch.cpu_s[message] for stage, message in MESSAGES.items()},
        "wall_s": dict(result.timings),
        "text": " ".join(one.text for one in result.utterances),
        "words": sum(len(one.words) for one in result.utterances),
        "turns": [(turn.start, turn.end, turn.speaker) for turn in turns],
    }


def as_sphinx(path: str) -> dict[str, Any]:
    """Pocketsphinx as its own documentation calls it, on the whole file."""
    content = pcm(path)
    began = time.process_time()
    from pocketsphinx import Decoder

    decoder = Decoder(loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(content, full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return {"cpu_s": time.process_time() - began, "text": heard.hypstr if heard else ""}


def as_silero(path: str) -> dict[str, Any]:
    """Silero's own package, with its defaults, on the whole array."""
    samples = np.frombuffer(pcm(path), "<i2").astype(np.float32) / 32768
    began = time.process_time()
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    torch.set_num_threads(1)
    found = get_speech_timestamps(
        torch.from_numpy(samples), load_silero_vad(onnx=True), return_seconds=True
    )
    return {
        "cpu_s": time.process_time() - began,
        "speech": [(part["start"], part["end"]) for part in found],
    }


def as_activity(path: str) -> dict[str, Any]:
    """The product's use of silero's network."""
    from backend.analysis.speech.activity import VoiceActivity

    recording = decoded(Path(path))
    began = time.process_time()
    found = VoiceActivity().speech(recording, check=lambda: None, progress=lambda _: None)
    return {
        "cpu_s": time.process_time() - began,
        "speech": [(part.start, part.end) for part in found],
    }


def as_encoders(path: str) -> dict[str, Any]:
    """Resemblyzer's own network beside the product's, on the same windows."""
    from backend.analysis.speech.protocol import Stretch
    from backend.analysis.speech.speakers import embedding
    from backend.analysis.speech.speakers.weights import read_weights, voice_encoder_file

    recording = decoded(Path(path))
    places = embedding.windows(Stretch(0.0, recording.seconds))[:WINDOWS]
    mels = np.stack([embedding.mel_spectrogram(recording.read(p.start, p.end)) for p in places])
    ours = embedding.VoiceEncoder(read_weights(voice_encoder_file()))
    batches = np.array_split(mels, -(-len(mels) // embedding.BATCH))
    began = time.process_time()
    one = np.concatenate([ours.embed(batch) for batch in batches])
    ours_s = time.process_time() - began
    for name in ("webrtcvad", "librosa"):  # it imports them, and its network needs neither
        sys.modules.setdefault(name, types.ModuleType(name))
    import torch
    from resemblyzer.voice_encoder import VoiceEncoder

    torch.set_num_threads(1)
    theirs = VoiceEncoder("cpu", verbose=False)
    began = time.process_time()
    with torch.inference_mode():
        other = np.concatenate([theirs(torch.from_numpy(batch)).numpy() for batch in batches])
    theirs_s = time.process_time() - began
    least = float((one * other).sum(axis=1).min())
    return {"windows": len(mels), "ours_s": ours_s, "theirs_s": theirs_s, "least_cosine": least}


def pcm(path: str) -> bytes:
    """16 bit samples of a file; decoding it is not measured."""
    samples = decoded(Path(path)).samples
    return (np.clip(samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes()


MODES: dict[str, Callable[..., dict[str, Any]]] = {
    "chain": as_chain,
    "sphinx": as_sphinx,
    "silero": as_silero,
    "activity": as_activity,
    "encoders": as_encoders,
}


def most_resident_mb() -> float:
    """Of this process; what `getrusage` says would include the one that started it."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    """Be one of the processes."""
    mode, answer, *arguments = sys.argv[1:]
    said = MODES[mode](*arguments)
    Path(answer).write_text(json.dumps({**said, "rss_mb": most_resident_mb()}))


if __name__ == "__main__":
    main()
