"""The local scene analyser beside `yolo predict`, on the same videos in the same run.

    python -m bench.analyser [--seconds 15] [--rounds 1]

Processor seconds a second of video (user and system time of a fresh process, loading included), the
analyser's stages, and recall and precision on the labelled test video. The peer is ultralytics'
`predict` with the same weights, once on every picture (its default) and once on as many pictures a
second as the analyser looks at; with .onnx weights it lets onnxruntime use all cores. Without real
.pt weights on the machine an untrained yolo11n stands in: good for speed, not for finding anything.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from backend.analysis.environment import quiet_environment
from backend.findings.detection import Box
from bench.tables import print_table
from tests.analysis.labelled import Score, compare, read_labels

ROOT = Path(__file__).resolve().parents[1]
TESTDATA = Path(os.environ.get("TESTDATA_DIR", ROOT.parent / "shared" / "testdata"))
LABELLED = TESTDATA / "video" / "vtest_480x360.mp4"
LABELS = TESTDATA / "video" / "vtest_480x360_gt_frames_5-355.txt"
CONFIDENCE, LOOKS_A_SECOND = 0.35, 5


@dataclass(frozen=True)
class Spent:
    """What one process took."""

    cpu_s: float
    wall_s: float
    rss_mb: float
    said: dict[str, Any]


def measured(mode: str, *arguments: object, models: Path, threads: int = 1) -> Spent:
    """Run this file in that mode in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        began = time.monotonic()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bench.analyser",
                "--as",
                mode,
                answer.name,
                str(models),
                *map(str, arguments),
            ],
            env={**os.environ, **quiet_environment(models, threads=threads)},
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{mode} failed ({process.returncode})")
        wall_s = time.monotonic() - began
        said = json.loads(Path(answer.name).read_text())
    return Spent(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024, said)


# --- what runs in the processes -----------------------------------------------------------------


def as_analyser(models: Path, weights: str, video: str) -> dict[str, Any]:
    """The product's analyser, on a whole file."""
    from backend.analysis.protocol import LocalSceneSettings, SceneRequest
    from backend.analysis.scene.local import LocalSceneAnalyser
    from tests.analysis.requests import Heard

    start = datetime(2026, 1, 1, tzinfo=UTC)
    settings = LocalSceneSettings(
        models, sample_fps=LOOKS_A_SECOND, confidence=CONFIDENCE, device="cpu"
    )
    end = start + timedelta(seconds=1)
    request = SceneRequest(Path(video), "bench", "bench", start, end, settings, weights=weights)
    return LocalSceneAnalyser().analyse(request, Heard()).to_json()


def as_detector(models: Path, weights: str, video: str) -> dict[str, Any]:
    """The product's detector on the labelled pictures."""
    import av

    from backend.analysis.detection.loading import DetectorShelf, NoDetector
    from backend.analysis.scene.video import Sample

    detector = DetectorShelf().get(weights, models_dir=models, device="cpu", check=lambda: None)
    if isinstance(detector, NoDetector):
        raise SystemExit(detector.reason)
    wanted, boxes = labelled_pictures(), {}
    with av.open(video) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index > max(wanted):
                break
            if index in wanted:
                sample = Sample(0, frame)
                found = detector.detect(
                    sample.bgr(*detector.fit(*sample.size)),
                    source_size=sample.size,
                    confidence=CONFIDENCE,
                )
                boxes[index] = [
                    (d.box.x1, d.box.y1, d.box.x2, d.box.y2) for d in found if d.label == "person"
                ]
    return {"boxes": boxes}


def as_predict(models: Path, weights: str, video: str, stride: str) -> dict[str, Any]:
    """Ultralytics' own way, as `yolo predict` does it."""
    from backend.analysis.detection.torchvision_ops import ensure_torchvision_ops

    del models
    ensure_torchvision_ops()
    import torch
    from ultralytics import YOLO
    from ultralytics.utils import torch_utils

    torch_utils.NUM_THREADS = 1
    torch.set_num_threads(1)
    model = YOLO(weights, task="detect")
    answers = model.predict(
        video,
        stream=True,
        conf=CONFIDENCE,
        vid_stride=int(stride),
        device="cpu",
        verbose=False,
        save=False,
    )
    boxes = {}
    for index, answer in enumerate(answers):
        people = answer.boxes.xyxy[answer.boxes.cls == 0].tolist()
        boxes[index * int(stride)] = people
    return {"pictures": len(boxes), "boxes": boxes}


def as_untrained(models: Path, path: str) -> dict[str, Any]:
    """A yolo11n as a training would begin with it."""
    from backend.analysis.detection.torchvision_ops import ensure_torchvision_ops

    del models
    ensure_torchvision_ops()
    from ultralytics import YOLO

    model = YOLO("yolo11n.yaml", task="detect", verbose=False)
    model.ckpt = {"train_args": {"imgsz": 640}}
    model.save(path)
    return {}


MODES = {
    "analyser": as_analyser,
    "detector": as_detector,
    "predict": as_predict,
    "untrained": as_untrained,
}


# --- what is compared ---------------------------------------------------------------------------


def labelled_pictures() -> dict[int, list[Box]]:
    """People by index of the picture; the file counts from one."""
    return {number - 1: boxes for number, boxes in read_labels(LABELS).items()}


def full_hd(folder: Path, seconds: float) -> Path:
    """The labelled video as a camera of today would send it: 1920x1080, 25 a second, H.264."""
    video = folder / "street_1080p25.mp4"
    scale = "fps=25,scale=1440:1080:flags=bicubic,pad=1920:1080:240:0"
    encode = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-b:v",
        "4M",
        "-maxrate",
        "4M",
        "-bufsize",
        "8M",
        "-g",
        "50",
    ]
    ffmpeg = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-y",
        "-i",
        str(LABELLED),
        "-t",
        str(seconds),
    ]
    subprocess.run([*ffmpeg, "-an", "-vf", scale, *encode, str(video)], check=True, timeout=600)
    return video


def speed(weights: Path, video: Path, models: Path, *, seconds: float, rounds: int) -> None:
    """Print how the analyser and its peer do with these weights on this video."""
    # A .pt is converted before anything is counted.
    measured("analyser", weights, video, models=models)
    peers: dict[str, tuple[str, *tuple[int, ...]]] = {
        "VAP analyser": ("analyser",),
        f"yolo predict, {LOOKS_A_SECOND} pictures a second": ("predict", 25 // LOOKS_A_SECOND),
        "yolo predict, every picture": ("predict", 1),
    }
    taken: dict[str, list[Spent]] = {row: [] for row in peers}
    for _ in range(rounds):  # in turns, so that what else the machine does hits all alike
        for row, (mode, *arguments) in peers.items():
            taken[row].append(measured(mode, weights, video, *arguments, models=models))
    best = {row: min(spent, key=lambda one: one.cpu_s) for row, spent in taken.items()}
    ours = best["VAP analyser"]
    print_table(
        f"{weights.name}: 1080p25 video, {seconds:g} s, best of {rounds}",
        ("", "CPU s/s", "x analyser", "cameras a core", "wall s/s", "peak MB"),
        [
            (
                row,
                f"{one.cpu_s / seconds:.3f}",
                f"{one.cpu_s / ours.cpu_s:.2f}",
                f"{seconds / one.cpu_s:.1f}",
                f"{one.wall_s / seconds:.3f}",
                f"{one.rss_mb:.0f}",
            )
            for row, one in best.items()
        ],
    )
    timings, coverage = ours.said["timings"], ours.said["coverage"]
    stages = {name[:-6]: spent for name, spent in timings.items() if name.endswith("_cpu_s")}
    parts = ", ".join(f"{stage} {spent / seconds:.4f}" for stage, spent in stages.items())
    print(
        f"Stages (CPU s/s): {parts}. {coverage['frames_decoded']} pictures decoded,"
        f" {coverage['frames_sampled']} looked at,"
        f" {coverage['frames_detected']} searched for objects."
    )


def quality(weights: Path, models: Path) -> None:
    """Print recall and precision of both on the labelled pictures."""
    labels = labelled_pictures()
    rows = []
    peers: dict[str, tuple[str, *tuple[int, ...]]] = {
        "VAP detector": ("detector",),
        "yolo predict": ("predict", 1),
    }
    for row, (mode, *arguments) in peers.items():
        said = measured(mode, weights, LABELLED, *arguments, models=models).said["boxes"]
        found = {int(index): [Box(*box) for box in boxes] for index, boxes in said.items()}
        score: Score = compare(labels, found)
        rows.append((row, f"{score.recall:.3f}", f"{score.precision:.3f}"))
    people = sum(map(len, labels.values()))
    print_table(
        f"{weights.name} on the labelled video ({people} people, IoU 0.5)",
        ("", "recall", "precision"),
        rows,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--as", dest="mode", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=15, help="length of the 1080p video")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode:
        answer, models, *arguments = options.rest
        said = MODES[options.mode](Path(models), *arguments)
        Path(answer).write_text(json.dumps(said))
        return
    if not LABELLED.exists():
        raise SystemExit("no test data: set TESTDATA_DIR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = full_hd(folder, options.seconds)
        onnx, pt = TESTDATA / "weights" / "yolov8n_int8.onnx", folder / "yolo11n_untrained.pt"
        measured("untrained", pt, models=folder)
        for weights in (onnx, pt, ROOT / "demo" / "assets" / "detector.onnx"):
            if weights.exists():
                speed(weights, video, folder, seconds=options.seconds, rounds=options.rounds)
        quality(onnx, folder)


if __name__ == "__main__":
    main()
