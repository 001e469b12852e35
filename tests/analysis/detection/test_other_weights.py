"""OpenVINO folders and TensorRT engines, as an operator hands them over."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest

from backend.analysis.detection.cuda_detector import CudaDetector
from backend.analysis.detection.loading import DetectorShelf, NoDetector
from backend.analysis.detection.weights import find_weights
from backend.analysis.environment import quiet_environment
from backend.analysis.protocol import AnalysisError
from tests.analysis.detection.models import anchors, constant_model
from tests.conftest import ROOT


@pytest.fixture
def bus_folder(tmp_path: Path) -> Path:
    """An OpenVINO folder of a model that always sees a bus, laid out as ultralytics exports it."""
    answer = anchors((64, 64), 2)
    answer[0, :, 3] = [32, 32, 20, 10, 0.0, 0.8]
    bare = constant_model(tmp_path / "bus.onnx", answer, size=(64, 64))
    folder = tmp_path / "bus_openvino_model"
    openvino.save_model(openvino.convert_model(bare), folder / "bus.xml")
    names = "names:\n  0: person\n  1: bus\n"
    (folder / "metadata.yaml").write_text(f"task: detect\nstride: 32\nimgsz: [64, 64]\n{names}")
    return folder


@pytest.mark.parametrize("named", ["the folder", "its .xml file"])
def test_an_openvino_model_is_used_as_it_is(named: str, bus_folder: Path, tmp_path: Path) -> None:
    path = bus_folder if named == "the folder" else bus_folder / "bus.xml"
    models = tmp_path / "models"
    detector = DetectorShelf().get(str(path), models_dir=models, device="cpu", check=lambda: None)
    assert not isinstance(detector, NoDetector)
    assert (detector.model.name, detector.model.format) == (path.name, "openvino")
    assert detector.model.runtime.startswith("OpenVINO 20")
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    (found,) = detector.detect(picture, source_size=(64, 64), confidence=0.5)
    assert (found.label, found.confidence) == ("bus", pytest.approx(0.8, abs=1e-3))
    assert not models.exists(), "nothing had to be converted"


def test_an_openvino_model_without_its_numbers_is_refused(bus_folder: Path) -> None:
    (bus_folder / "bus.bin").unlink()
    with pytest.raises(AnalysisError) as caught:
        find_weights(str(bus_folder), [])
    assert caught.value.code == "weights_unsupported"


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """What a TensorRT engine by ultralytics begins with, and nothing that TensorRT could run."""
    said = json.dumps({"task": "detect", "imgsz": [64, 64], "stride": 32, "names": {"0": "bus"}})
    path = tmp_path / "bus.engine"
    path.write_bytes(len(said).to_bytes(4, "little") + said.encode() + b"not an engine")
    return path


def test_an_engine_without_tensorrt_is_refused_for_good(engine: Path) -> None:
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("tensorrt is installed")
    with pytest.raises(AnalysisError) as caught:
        CudaDetector(find_weights(str(engine), []), device="cuda:0")
    assert (caught.value.code, caught.value.permanent) == ("runtime_missing", True)
    assert "needs the package tensorrt, which is not installed" in caught.value.message


USE = """
import sys
from backend.analysis.detection.cuda_detector import CudaDetector
from backend.analysis.detection.weights import find_weights
from backend.analysis.protocol import AnalysisError
try:
    CudaDetector(find_weights(sys.argv[1], []), device="cuda:0")
except AnalysisError as error:
    print(error.code, error.permanent, error.message)
"""


def test_an_engine_that_cannot_be_run_is_said_when_it_is_loaded(
    engine: Path, tmp_path: Path
) -> None:
    """With a stand-in for TensorRT: no engine can be built or run on a machine without a GPU."""
    (tmp_path / "tensorrt.py").write_text("__version__ = '10.9'\n")
    done = subprocess.run(
        [sys.executable, "-c", USE, str(engine)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, **quiet_environment(tmp_path), "PYTHONPATH": f"{ROOT}:{tmp_path}"},
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("weights_unreadable False bus.engine cannot be run on cuda:0")
