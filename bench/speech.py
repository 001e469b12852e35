"""The speech analysis by stage, beside its libraries called directly, and what the service adds.

Real recordings (TESTDATA_DIR): four English voices one after another with pauses, repeated to
60 and to 10 minutes and muxed with a small picture. The long one goes through every stage, which
takes 10 minutes of one core; the short one is for the service around it. Everything runs in a
fresh process each, as the analysis child does: one thread, model loading included. Yardsticks in
the same run: pocketsphinx with its defaults on a whole file, silero's own package, Resemblyzer's
own network (torch), and the analyser without the service around it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import imageio_ffmpeg
import numpy as np
import psutil

from backend.analysis.speech.protocol import SAMPLE_RATE, Stage
from bench.speech_processes import Spent, measured, pss_of
from bench.tables import print_table
from tests.analysis.speech.scoring import (
    Spoken,
    read_rttm,
    speaker_score,
    word_error_rate,
)
from tests.analysis.speech.speakers.recordings import decoded, from_zip, one_after_another
from tests.peers.callback_receiver import CallbackReceiver
from tests.peers.file_server import FileServer
from tests.system.programs import Installation, Main, Program, eventually

ROOT = Path(__file__).resolve().parents[1]
TESTDATA = Path(os.environ.get("TESTDATA_DIR", ROOT.parent / "shared" / "testdata"))
SPEECH = TESTDATA / "speech"
HOUR_S, TEN_S = 3590, 590
PAUSE_S = 1.2
ROUNDS = 3
SAID = {
    "jfk.flac": "And so my fellow Americans ask not what your country can do for you ask what you"
    " can do for your country",
    "langs/en.wav": "The tribal chieftain called for the boy and presented him with fifty pieces of"
    " gold",
    "vosk_test.wav": "one zero zero zero one nine oh two one oh zero one eight zero three",
}
AZURE = "azure/en-US_testing.zip"


@dataclass(frozen=True)
class Labelled:
    """A recording of which it is known what is said, and who speaks when."""

    path: Path
    seconds: float
    text: str
    truth: list[Spoken]


# --- recordings -----------------------------------------------------------------------------------


def four_voices(folder: Path) -> Labelled:
    """Four voices one after another, as a wav file."""
    azure, text = from_zip(SPEECH / AZURE)
    parts = [("azure", azure), *((name, decoded(SPEECH / name)) for name in SAID)]
    mixture, _, truth = one_after_another(parts, gap_s=PAUSE_S)
    to = folder / "four.wav"
    _write(to, mixture.samples)
    return Labelled(to, mixture.seconds, " ".join([text, *SAID.values()]), truth)


def azure_alone(folder: Path) -> Path:
    """The recording in the zip file."""
    to = folder / "azure.wav"
    _write(to, from_zip(SPEECH / AZURE)[0].samples)
    return to


def repeated(once: Labelled, to: Path, *, seconds: float) -> Labelled:
    """The recording again and again, muxed with a small picture."""
    times = int(seconds // once.seconds)
    length_s = times * once.seconds
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error"]
    argv += ["-stream_loop", "-1", "-i", str(once.path)]
    argv += ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=5", "-t", f"{length_s:.3f}"]
    argv += ["-c:a", "aac", "-b:a", "96k", "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run([*argv, "-pix_fmt", "yuv420p", str(to)], check=True)
    truth = [
        Spoken(part.start + at, part.end + at, part.speaker)
        for at in (number * once.seconds for number in range(times))
        for part in once.truth
    ]
    return Labelled(to, length_s, " ".join([once.text] * times), truth)


def _write(to: Path, samples: np.ndarray) -> None:
    with wave.open(str(to), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())


# --- tables ---------------------------------------------------------------------------------------


def stages(hour: Labelled, ten: Labelled, models: Path) -> tuple[Spent, Spent]:
    """Seconds by stage, and memory."""
    long = measured("chain", hour.path, "pocketsphinx", models=models)
    short = measured("chain", ten.path, "pocketsphinx", models=models)
    rows: list[list[object]] = []
    took = [(stage, long.said["cpu_s"][stage], long.said["wall_s"][stage]) for stage in Stage]
    took.append(("all", sum(cpu_s for _, cpu_s, _ in took), sum(wall_s for *_, wall_s in took)))
    for stage, cpu_s, wall_s in took:
        factors = f"{cpu_s / hour.seconds:.4f}", f"{wall_s / hour.seconds:.4f}"
        rows.append([stage, f"{cpu_s:.1f}", f"{wall_s:.1f}", *factors])
    print_table(
        f"Seconds by stage of {hour.seconds / 60:.1f} minutes, on one thread",
        ["stage", "CPU s", "wall s", "CPU s a second", "wall s a second (real-time factor)"],
        rows,
    )
    print_table(
        "Peak memory of a process that does the whole chain",
        ["minutes", "RSS MB", "PSS MB"],
        [
            [f"{of.seconds / 60:.0f}", f"{spent.rss_mb:.0f}", f"{spent.pss_mb:.0f}"]
            for of, spent in ((hour, long), (ten, short))
        ],
    )
    return long, short


def words(once: Labelled, azure: Path, models: Path) -> None:
    """Word error rates, beside pocketsphinx on the whole file."""
    text = from_zip(SPEECH / AZURE)[1]
    files = [(azure, "read, most likely a synthetic voice", text)]
    files += [(SPEECH / name, name, said) for name, said in SAID.items()]
    files += [(once.path, "these four one after another", once.text)]
    rows = []
    for path, name, said in files:
        ours = measured("chain", path, "pocketsphinx", models=models).said
        plain = measured("sphinx", path, models=models).said
        cpu_s = ours["cpu_s"][Stage.TRANSCRIPTION]
        rows.append(
            [name, len(said.split()), _percent(word_error_rate(said, ours["text"])),
             _percent(word_error_rate(said, plain["text"])), f"{cpu_s:.1f}",
             f"{plain['cpu_s']:.1f}", f"{cpu_s / plain['cpu_s']:.2f}"]
        )  # fmt: skip
    print_table(
        "Words that are wrong (word error rate), beside plain pocketsphinx on the whole file",
        ["recording", "words", "VAP", "plain", "VAP CPU s", "plain CPU s", "CPU ratio"],
        rows,
    )


def speakers(once: Labelled, long: tuple[Labelled, Spent], models: Path) -> None:
    """Diarization error, beside one speaker for all that silero's own package finds."""
    diar = SPEECH / "diar"
    files = [
        ("telephone, 2 speakers", diar / "sample.wav", read_rttm(diar / "sample.rttm", "sample"))
    ]
    files += [
        (f"AMI meeting, overlaps ({name})", diar / f"{name}.wav",
         read_rttm(diar / "debug.train.rttm", name))
        for name in ("trn03", "trn09")
    ]  # fmt: skip
    files += [("4 voices in turn, 1 min", once.path, once.truth)]
    rows = []
    for name, path, truth in files:
        ours = measured("chain", path, "paced", models=models).said["turns"]
        plain = measured("silero", path, models=models).said["speech"]
        one = [Spoken(start, end, "one") for start, end in plain]
        rows.append(_speaker_row(name, truth, ours, _percent(speaker_score(truth, one).error_rate)))
    hour, heard = long
    name = f"4 voices in turn, {hour.seconds / 60:.0f} min"
    rows.append(_speaker_row(name, hour.truth, heard.said["turns"], "-"))
    print_table(
        "Speakers (diarization error, no collar, overlaps counted), beside silero and one speaker",
        ["recording", "speakers", "found", "error", "missed", "false alarm", "confused",
         "one speaker for all"],
        rows,
    )  # fmt: skip


def _speaker_row(
    name: str, truth: Sequence[Spoken], turns: Sequence[Any], plain: str
) -> list[object]:
    score = speaker_score(truth, [Spoken(*turn) for turn in turns])
    parts = (score.missed_s, score.false_alarm_s, score.confused_s)
    return [
        name,
        len({part.speaker for part in truth}),
        len({turn[2] for turn in turns}),
        _percent(score.error_rate),
        *(_percent(part / score.total_s) for part in parts),
        plain,
    ]


def libraries(ten: Labelled, models: Path) -> None:
    """Detector and voice encoder beside the packages that they come from."""
    ours = measured("activity", ten.path, models=models)
    theirs = measured("silero", ten.path, models=models)
    spoken = [sum(end - start for start, end in by.said["speech"]) for by in (ours, theirs)]
    cpu_s = [by.said["cpu_s"] for by in (ours, theirs)]
    print_table(
        f"Speech detection over {ten.seconds / 60:.0f} minutes, beside silero's package",
        ["who", "CPU s", "peak RSS MB", "speech found s", "CPU ratio"],
        [
            ["VAP", f"{cpu_s[0]:.1f}", f"{ours.rss_mb:.0f}", f"{spoken[0]:.0f}",
             f"{cpu_s[0] / cpu_s[1]:.2f}"],
            ["silero_vad", f"{cpu_s[1]:.1f}", f"{theirs.rss_mb:.0f}", f"{spoken[1]:.0f}", "1.00"],
        ],
    )  # fmt: skip
    said = measured("encoders", ten.path, models=models).said
    each_ms = [said[who] / said["windows"] * 1000 for who in ("ours_s", "theirs_s")]
    print_table(
        f"Voice encoder, {said['windows']} windows; least cosine {said['least_cosine']:.6f}",
        ["who", "CPU ms a window", "ratio"],
        [
            ["VAP (numpy)", f"{each_ms[0]:.1f}", f"{each_ms[0] / each_ms[1]:.2f}"],
            ["Resemblyzer (torch, one thread)", f"{each_ms[1]:.1f}", "1.00"],
        ],
    )


# --- the service ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """One video from POST to the callback that ends it."""

    wall_s: float
    answered_s: float
    programs_cpu_s: float
    child_pss_mb: float
    callbacks: int


async def service(ten: Labelled, direct: Spent, folder: Path, models: Path) -> None:
    """A short and a long video: POST, download, queue, child, callbacks; beside the analyser."""
    rows = []
    short = SPEECH / "jfk.flac"
    for name, path, times in (("jfk.flac, 11 s", short, ROUNDS), ("10 minutes", ten.path, 1)):
        alone = [direct.wall_s]
        if path is short:
            alone = [
                measured("chain", path, "pocketsphinx", models=models).wall_s for _ in range(times)
            ]
        async with CallbackReceiver() as receiver, FileServer(path.read_bytes()) as files:
            place = Installation(
                folder / path.stem,
                URL_ALLOW_HTTP="true",
                URL_ALLOWED_HOSTS="127.0.0.1",
                BACKEND_URL=receiver.url.removesuffix(urlsplit(receiver.url).path),
            )
            place.folder.mkdir()
            made = await asyncio.to_thread(_served, place, receiver, files.url(), times)
        wall_s, alone_s = (
            statistics.median(values) for values in ([one.wall_s for one in made], alone)
        )
        rows.append(
            [name, f"{wall_s:.1f}", f"{alone_s:.1f}", f"{wall_s / alone_s:.2f}",
             f"{statistics.median(one.answered_s for one in made) * 1000:.0f}",
             f"{made[-1].programs_cpu_s:.1f}", f"{max(one.child_pss_mb for one in made):.0f}",
             made[-1].callbacks]
        )  # fmt: skip
    print_table(
        "POST to `completed` beside the analyser in a process of its own (medians)",
        ["video", "service s", "analyser s", "ratio", "POST answered ms",
         "CPU s of main and worker", "PSS of the analysis child MB", "callbacks"],
        rows,
    )  # fmt: skip


def _served(place: Installation, receiver: CallbackReceiver, url: str, times: int) -> list[Served]:
    place.migrate()
    with place.main() as main, place.worker() as worker:
        return [_one(place, (main, worker), receiver, f"{url}?n={n}", n) for n in range(times)]


def _one(
    place: Installation,
    programs: tuple[Main, Program],
    receiver: CallbackReceiver,
    url: str,
    number: int,
) -> Served:
    def cpu_s() -> float:
        times = [psutil.Process(one.pid).cpu_times() for one in programs]
        return sum(one.user + one.system for one in times)

    def ended() -> bool:
        nonlocal most_mb
        children = [one for one in place.processes() if "backend.analysis.child" in one.cmdline()]
        most_mb = max([most_mb, *(pss_of(child.pid) for child in children)])
        return bool(mine()) and mine()[-1]["status"] in {"completed", "failed"}

    def mine() -> list[Any]:
        return [one.json for one in receiver.received if one.json["job_id"] == f"bench-{number}"]

    most_mb, before_s, began = 0.0, cpu_s(), time.monotonic()
    main = programs[0]
    main.post("/api/upload-video/process-video", {"job_id": f"bench-{number}", "video_url": url})
    answered_s = time.monotonic() - began
    eventually(ended, within_s=900, what="the video is done")
    wall_s = time.monotonic() - began
    assert mine()[-1]["status"] == "completed", mine()[-1]
    return Served(wall_s, answered_s, cpu_s() - before_s, most_mb, len(mine()))


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def main() -> None:
    """Measure and print."""
    if not SPEECH.exists():
        raise SystemExit("no test data: set TESTDATA_DIR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        once = four_voices(folder)
        azure = azure_alone(folder)
        ten = repeated(once, folder / "ten.mp4", seconds=TEN_S)
        hour = repeated(once, folder / "hour.mp4", seconds=HOUR_S)
        long, direct = stages(hour, ten, folder)
        words(once, azure, folder)
        speakers(once, (hour, long), folder)
        libraries(ten, folder)
        asyncio.run(service(ten, direct, folder, folder))


if __name__ == "__main__":
    main()
