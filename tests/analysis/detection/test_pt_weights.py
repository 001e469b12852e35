"""A .pt file: converted once with torch in a process of its own, then used without torch."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from backend.analysis.detection.loading import DetectorShelf
from backend.analysis.environment import quiet_environment
from backend.analysis.protocol import AnalysisError

MAKE = """
import sys
from backend.analysis.detection.torchvision_ops import ensure_torchvision_ops
ensure_torchvision_ops()
import torch
from ultralytics import YOLO
torch.manual_seed(1)
model = YOLO("yolo11n.yaml", verbose=False)
model.ckpt = {"train_args": {"imgsz": 96}}  # as a training writes it
model.save(sys.argv[1])
"""


USE = """
import sys
from pathlib import Path
import numpy as np
from backend.analysis.detection.loading import DetectorShelf
shelf, weights, models = DetectorShelf(), sys.argv[1], Path(sys.argv[2])
detector = shelf.get(weights, models_dir=models, device="cpu", check=lambda: None)
picture = np.zeros((54, 96, 3), dtype=np.uint8)
detector.detect(picture, source_size=(960, 540), confidence=0.01)
print(detector.model.format, detector.model.runtime.split()[0], detector.fit(960, 540))
print([name for name in ("torch", "ultralytics", "torchvision") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real checkpoint of an untrained yolo11n, made here."""
    folder = tmp_path_factory.mktemp("pt")
    path = folder / "untrained.pt"
    subprocess.run(
        [sys.executable, "-c", MAKE, str(path)],
        check=True,
        timeout=500,
        env={**os.environ, **quiet_environment(folder)},
    )
    return path


def test_a_pt_file_is_converted_once_and_runs_without_torch(
    untrained: Path, tmp_path: Path
) -> None:
    stamps = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", USE, str(untrained), str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()[-2:]
        assert first == "pytorch OpenVINO (96, 54)"
        assert second == "[]"
        (made,) = (tmp_path / "converted").glob("*_openvino_model")
        stamps.append(made.stat().st_ctime_ns)
    assert stamps[0] == stamps[1]
    assert not list((tmp_path / "converted").glob(".making-*"))


USE_ULTRALYTICS = """
import sys
from pathlib import Path
import numpy as np
from backend.analysis.detection.cuda_detector import CudaDetector
from backend.analysis.detection.weights import find_weights
detector = CudaDetector(find_weights(sys.argv[1], []), device="cpu")
picture = np.full((54, 96, 3), 90, dtype=np.uint8)
found = detector.detect(picture, source_size=(960, 540), confidence=0.000001)
assert found and found == sorted(found, key=lambda one: -one.confidence)
assert all(0 <= one.box.x1 <= one.box.x2 <= 960.01 for one in found)
assert max(one.box.x2 for one in found) > 96, "in pixels of the source"
print(detector.model.runtime.split()[0], detector.fit(960, 540), found[0].label)
"""


def test_the_way_for_gpus_gives_boxes_of_the_source_too(untrained: Path, tmp_path: Path) -> None:
    """On the CPU here: it says nothing about CUDA, but about what is done around it."""
    done = subprocess.run(
        [sys.executable, "-c", USE_ULTRALYTICS, str(untrained)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, **quiet_environment(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("ultralytics (96, 54) ")


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.mark),))


@pytest.fixture
def evil(tmp_path: Path) -> tuple[Path, Path]:
    """A .pt file with code inside, and the folder that the code makes."""
    mark, weights = tmp_path / "planted", tmp_path / "evil.pt"
    with zipfile.ZipFile(weights, "w") as archive:  # the layout that torch.save writes
        archive.writestr("evil/data.pkl", pickle.dumps({"model": Planted(mark)}, protocol=2))
        archive.writestr("evil/version", "3\n")
        archive.writestr("evil/byteorder", "little")
    return weights, mark


def test_code_inside_a_pt_file_is_not_run(evil: tuple[Path, Path], tmp_path: Path) -> None:
    weights, mark = evil
    with pytest.raises(AnalysisError) as caught:
        DetectorShelf().get(str(weights), models_dir=tmp_path / "models", device="cpu", check=int)
    assert (caught.value.code, caught.value.permanent) == ("weights_refused", True)
    assert not mark.exists()


def test_the_planted_code_would_run_in_an_ordinary_loader(evil: tuple[Path, Path]) -> None:
    """Else the test above would prove nothing."""
    weights, mark = evil
    load = "import sys, torch; torch.load(sys.argv[1], weights_only=False)"
    subprocess.run([sys.executable, "-c", load, str(weights)], check=True, timeout=500)
    assert mark.exists()


def test_a_damaged_pt_file_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / "damaged.pt"
    weights.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(AnalysisError) as caught:
        DetectorShelf().get(str(weights), models_dir=tmp_path / "models", device="cpu", check=int)
    assert caught.value.code == "weights_refused"


def test_the_stand_in_for_torchvisions_operator_keeps_the_right_boxes() -> None:
    torch = pytest.importorskip("torch")
    from backend.analysis.detection.torchvision_ops import _nms

    random = np.random.default_rng(3)
    corners = random.uniform(0, 100, (300, 2))
    boxes = np.concatenate((corners, corners + random.uniform(5, 40, (300, 2))), axis=1)
    scores = random.permutation(300) / 300
    kept = _nms(torch.tensor(boxes), torch.tensor(scores), 0.5).tolist()

    def iou(a: np.ndarray, b: np.ndarray) -> float:
        size = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
        shared = size.prod()
        return shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)

    expected: list[int] = []
    for index in np.argsort(-scores):
        if all(iou(boxes[index], boxes[other]) <= 0.5 for other in expected):
            expected.append(int(index))
    assert kept == expected
