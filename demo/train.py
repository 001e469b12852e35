"""Trains the demo's detector on rendered pictures, exports it to ONNX and measures it.

    python -m demo.train
    python -m demo.train --only-measure    counts again on a clip that was rendered anew

A narrow YOLO11 (about half a million parameters) from random weights: nothing is downloaded. Data
live in a temporary folder; `assets/detector.onnx` and `assets/measured.json` are the results.
About a quarter of an hour on two CPU threads.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backend.analysis.detection.torchvision_ops import ensure_torchvision_ops
from demo import measure, samples
from demo.render import CLASSES
from demo.scene import ASSETS

INPUT_ROWS, INPUT_COLUMNS = 192, 320
SCALES = (0.33, 0.125, 512)
"""Depth, width and most channels of the network."""
TRAIN_SEED, VALIDATION_SEED = 1000, 2000
EVERY = 6
"""Which pictures of the clip are measured: every n-th, two a second."""
PACKAGES = (
    "torch",
    "ultralytics-opencv-headless",
    "onnx",
    "onnxruntime",
    "numpy",
    "opencv-python-headless",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the detector is trained."""

    seed: int
    train_pictures: int
    validation_pictures: int
    epochs: int
    batch: int
    threads: int


def train(plan: Plan, weights: Path, figures: Path) -> None:
    """Render, train, export, measure; writes the ONNX file and its figures."""
    with tempfile.TemporaryDirectory(prefix="demo-train-") as temporary:
        folder = Path(temporary)
        _keep_quiet(folder, plan.threads)
        started = time.monotonic()
        samples.write(
            folder / "train", seed=TRAIN_SEED, count=plan.train_pictures, processes=plan.threads
        )
        samples.write(
            folder / "val",
            seed=VALIDATION_SEED,
            count=plan.validation_pictures,
            processes=plan.threads,
        )
        rendered = time.monotonic()
        print(f"rendered in {rendered - started:.0f} s", flush=True)
        model, parameters = _fit(plan, folder)
        trained = time.monotonic()
        held_out = _validate(model, folder, plan)
        _export(model, weights)
    report = {
        "plan": asdict(plan) | {"train_seed": TRAIN_SEED, "validation_seed": VALIDATION_SEED},
        "input": [INPUT_ROWS, INPUT_COLUMNS],
        "parameters": parameters,
        "seconds": {"rendering": round(rendered - started), "training": round(trained - rendered)},
        "held_out": held_out,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }
    _write_figures(report, weights, figures)


def _keep_quiet(folder: Path, threads: int) -> None:
    """Before torch and ultralytics are imported: no network, no installs, few threads."""
    import matplotlib  # noqa: PLC0415

    config = folder / "config"
    os.environ |= {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(config),
        "ULTRALYTICS_SAFE_LOAD": "1",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "CI": "true",
    }
    # It would fetch this font otherwise, which only its plots use.
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    (config / "Ultralytics").mkdir(parents=True)
    shutil.copy(font, config / "Ultralytics" / "Arial.ttf")


def _fit(plan: Plan, folder: Path) -> tuple[Any, int]:
    """The trained model (ultralytics) and its number of parameters."""
    ensure_torchvision_ops()
    import torch  # noqa: PLC0415
    import ultralytics  # noqa: PLC0415
    from ultralytics.utils import torch_utils  # noqa: PLC0415

    off = dict.fromkeys(("sync", "clearml", "comet", "dvc", "mlflow", "raytune"), False)
    ultralytics.settings.update(off)
    torch_utils.NUM_THREADS = plan.threads
    torch.set_num_threads(plan.threads)
    model = ultralytics.YOLO(str(_architecture(folder)), task="detect", verbose=False)
    model.train(
        data=str(_data(folder)), project=str(folder / "runs"), name="demo", device="cpu",
        seed=plan.seed,
        deterministic=True, epochs=plan.epochs, batch=plan.batch, nbs=plan.batch,
        imgsz=INPUT_COLUMNS, rect=True,
        workers=0, cache="ram", amp=False, optimizer="AdamW", lr0=0.004, cos_lr=True,
        warmup_epochs=1.0,
        # The generator varies what there is to vary; the camera never moves.
        mosaic=0.0, fliplr=0.0, translate=0.03, scale=0.12, erasing=0.0,
        hsv_h=0.01, hsv_s=0.3, hsv_v=0.2,
        val=False, plots=False, verbose=False,
    )  # fmt: skip
    # The last weights (their moving average), not the best on the held-out pictures.
    last = ultralytics.YOLO(str(folder / "runs" / "demo" / "weights" / "last.pt"))
    return last, sum(parameter.numel() for parameter in last.model.parameters())


def _architecture(folder: Path) -> Path:
    """YOLO11 as ultralytics ships it, with this detector's classes and scale."""
    import ultralytics  # noqa: PLC0415
    import yaml  # noqa: PLC0415

    shipped = Path(ultralytics.__file__).parent / "cfg" / "models" / "11" / "yolo11.yaml"
    layers = yaml.safe_load(shipped.read_text())
    layers |= {"nc": len(CLASSES), "scales": {"n": list(SCALES)}}
    path = folder / "narrow.yaml"
    path.write_text(yaml.safe_dump(layers, sort_keys=False))
    return path


def _data(folder: Path) -> Path:
    path = folder / "data.yaml"
    names = dict(enumerate(CLASSES))
    path.write_text(
        json.dumps(
            {"path": str(folder), "train": "train/images", "val": "val/images", "names": names}
        )
    )
    return path


def _validate(model: Any, folder: Path, plan: Plan) -> dict[str, float]:
    """Average precision on the held-out pictures, as ultralytics counts it."""
    result = model.val(
        data=str(_data(folder)), imgsz=INPUT_COLUMNS, batch=plan.batch, device="cpu",
        workers=0, rect=True,
        plots=False, verbose=False, project=str(folder / "runs"), name="val",
    )  # fmt: skip
    return {"map50": round(float(result.box.map50), 4), "map50_95": round(float(result.box.map), 4)}


def _export(model: Any, weights: Path) -> None:
    exported = model.export(
        format="onnx",
        imgsz=(INPUT_ROWS, INPUT_COLUMNS),
        opset=17,
        simplify=True,
        dynamic=False,
        nms=False,
        device="cpu",
    )
    weights.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(exported, weights)
    pack(weights)


def pack(weights: Path) -> None:
    """Make the file as it is handed out: half the size, and the same bytes for the same seed."""
    import onnx  # noqa: PLC0415

    network = onnx.load(str(weights))
    _forget_the_run(network)
    _store_in_half(network)
    onnx.checker.check_model(network, full_check=True)
    onnx.save(network, str(weights))


def _forget_the_run(network: Any) -> None:
    """Take date and temporary folder out."""
    import onnx  # noqa: PLC0415

    kept = [entry for entry in network.metadata_props if entry.key not in {"date", "description"}]
    told = [(entry.key, entry.value) for entry in kept]
    del network.metadata_props[:]
    onnx.helper.set_model_props(network, dict(told) | {"description": "The demo camera's detector"})


def _store_in_half(network: Any) -> None:
    """Kernels as float16, each behind a cast that runtimes fold when they load the file.

    It is computed in float32 as before; biases and what little else there is stay as they are.
    """
    import numpy as np  # noqa: PLC0415
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    casts = []
    for stored in network.graph.initializer:
        if stored.data_type == TensorProto.FLOAT and len(stored.dims) == 4:
            name, values = stored.name, numpy_helper.to_array(stored).astype(np.float16)
            stored.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
            casts.append(helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *network.graph.node]
    del network.graph.node[:]
    network.graph.node.extend(nodes)


def _write_figures(report: dict[str, Any], weights: Path, figures: Path) -> None:
    """Measure the exported file on the clip and write that with what the training reported."""
    truth = measure.read_truth(ASSETS / "scene_truth.json.gz")
    detector = measure.Detector(weights)
    found, real, spent = [], [], 0.0
    for number, picture in measure.pictures(ASSETS / "scene.mp4", every=EVERY):
        before = time.monotonic()
        found.append(detector.find(picture))
        spent += time.monotonic() - before
        real.append(truth.frames[number])
    on_clip = measure.measure(found, real, list(CLASSES))
    print(on_clip)
    of_clip = {
        "weights_bytes": weights.stat().st_size,
        "milliseconds_a_picture_on_one_thread": round(1000 * spent / len(found), 1),
        "clip": {
            "confidence": measure.CONFIDENCE,
            "nms_iou": measure.NMS_IOU,
            "every_nth_picture": EVERY,
            **asdict(on_clip),
        },
    }
    figures.write_text(json.dumps(report | of_clip, indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.train", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pictures", type=int, default=1600)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path, default=ASSETS / "detector.onnx")
    parser.add_argument("--figures", type=Path, default=ASSETS / "measured.json")
    parser.add_argument(
        "--only-measure", action="store_true", help="measure existing weights on the clip"
    )
    options = parser.parse_args(arguments)
    if options.only_measure:
        _write_figures(json.loads(options.figures.read_text()), options.weights, options.figures)
        return 0
    plan = Plan(options.seed, options.pictures, 200, options.epochs, 16, options.threads)
    train(plan, options.weights, options.figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
