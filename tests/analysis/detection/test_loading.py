"""Names become detectors: formats, metadata, fallbacks, refusals."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from backend.analysis.detection import conversion, loading, runtimes
from backend.analysis.detection.detector import Detector
from backend.analysis.detection.loading import DetectorShelf, NoDetector
from backend.analysis.detection.runtimes import OnnxRuntime, OpenVinoRuntime
from backend.analysis.detection.weights import find_weights
from backend.analysis.protocol import AnalysisError, Cancelled
from tests.analysis.detection.models import anchors, constant_model

NAMES = "{0: 'person', 1: 'car'}"


def no_check() -> None:
    """Never cancelled."""


def get(name: Path | str | None, models_dir: Path) -> Detector | NoDetector:
    return DetectorShelf().get(
        None if name is None else str(name), models_dir=models_dir, device="cpu", check=no_check
    )


@pytest.fixture
def one_car(tmp_path: Path) -> Path:
    """A model of any input size (trained at 64) that always sees a car in the middle of 64x64."""
    answer = anchors((64, 64), 2)
    answer[0, :, 7] = [32, 32, 16, 8, 0.1, 0.75]
    return constant_model(
        tmp_path / "car.onnx", answer, size=(64, 64), names=NAMES, stride=32, imgsz="[64, 64]"
    )


def test_an_onnx_file_is_loaded_with_its_names_and_fingerprint(one_car: Path) -> None:
    detector = get(one_car, one_car.parent)
    assert not isinstance(detector, NoDetector)
    assert detector.model.runtime.startswith("OpenVINO 20")
    assert detector.model.sha256 == find_weights(str(one_car), []).sha256()
    assert (detector.model.input_width, detector.model.input_height) == (64, 64)
    assert detector.fit(1280, 720) == (64, 36)
    picture = np.zeros((36, 64, 3), dtype=np.uint8)
    (found,) = detector.detect(picture, source_size=(1280, 720), confidence=0.5)
    assert (found.label, found.confidence) == ("car", 0.75)
    # 16 x 8 around the middle of the input, 20 times larger in the source
    assert (found.box.x1, found.box.y1, found.box.x2, found.box.y2) == (480, 280, 800, 440)
    assert detector.detect(picture, source_size=(1280, 720), confidence=0.8) == []


def test_both_runtimes_read_the_same_metadata_and_give_the_same_answer(one_car: Path) -> None:
    one, other = OpenVinoRuntime(one_car, threads=1), OnnxRuntime(one_car, threads=1)
    assert one.fixed_size == other.fixed_size == (64, 64)
    for key in ("names", "stride", "imgsz"):
        assert one.metadata[key] == other.metadata[key]
    tensor = np.random.default_rng(1).random((1, 3, 64, 64), dtype=np.float32)
    assert one.infer(tensor)[0] == pytest.approx(other.infer(tensor)[0])


def test_onnxruntime_steps_in_where_openvino_cannot(
    one_car: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *, threads: int) -> OpenVinoRuntime:
        raise RuntimeError("no plugin for this processor")

    monkeypatch.setattr(runtimes, "OpenVinoRuntime", refuse)
    detector = get(one_car, one_car.parent)
    assert not isinstance(detector, NoDetector)
    assert detector.model.runtime.startswith("onnxruntime 1.")
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    assert detector.detect(picture, source_size=(64, 64), confidence=0.5)[0].label == "car"


def test_a_detector_is_loaded_once_until_its_file_changes(one_car: Path) -> None:
    shelf = DetectorShelf()

    def again() -> Detector | NoDetector:
        return shelf.get(str(one_car), models_dir=one_car.parent, device="cpu", check=no_check)

    first = again()
    assert again() is first
    os.utime(one_car, ns=(1, 1))
    assert again() is not first


def test_a_bare_name_is_looked_up_among_the_models(one_car: Path) -> None:
    assert not isinstance(get("car.onnx", one_car.parent), NoDetector)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("gone.onnx", "weights_missing"),
        ("broken.onnx", "weights_unreadable"),
        ("notes.txt", "weights_unsupported"),
        ("empty_folder", "weights_unsupported"),
        ("engine.engine", "device_missing"),
        ("pose.onnx", "weights_unsupported"),
        ("numbers.onnx", "weights_unsupported"),
    ],
)
def test_useless_weights_are_refused_for_good_with_a_reason(
    name: str, code: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a network")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "engine.engine").write_bytes(b"x")
    (tmp_path / "empty_folder").mkdir()
    constant_model(tmp_path / "pose.onnx", anchors((64, 64), 1), size=(64, 64), task="pose")
    constant_model(tmp_path / "numbers.onnx", np.zeros((1, 1000)), size=(64, 64))
    with pytest.raises(AnalysisError) as caught:
        get(tmp_path / name, tmp_path)
    assert (caught.value.code, caught.value.permanent) == (code, True)
    assert str(tmp_path) not in caught.value.message


def test_detection_can_be_switched_off(tmp_path: Path) -> None:
    assert get("none", tmp_path) == NoDetector("detection is switched off")


def test_the_default_weights_are_asked_for_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def refuse(what: str, path: Path, **_: object) -> tuple[int, str]:
        asked.append(path)
        return 1, "no route to host"

    monkeypatch.setattr(conversion, "_run", refuse)
    for _ in range(3):
        answer = get(None, tmp_path)
        assert isinstance(answer, NoDetector)
        assert "yolo11n.pt could not be fetched" in answer.reason
    assert [path.name for path in asked] == ["yolo11n.pt"]
    long_ago = time.time() - conversion.REFUSAL_HOLDS_S - 1
    os.utime(tmp_path / ".yolo11n.pt.refused", (long_ago, long_ago))
    get(None, tmp_path)
    assert len(asked) == 2


def test_fetched_default_weights_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def give(what: str, path: Path, **_: object) -> tuple[int, str]:
        path.write_bytes(b"weights")
        return 0, ""

    monkeypatch.setattr(conversion, "_run", give)
    path = conversion.fetched("yolo11n.pt", models_dir=tmp_path, check=no_check)
    assert path is not None
    assert path.read_bytes() == b"weights"
    assert [file.name for file in tmp_path.iterdir() if not file.name.startswith(".")] == [
        "yolo11n.pt"
    ]


def test_waiting_for_another_process_that_converts_can_be_cancelled(tmp_path: Path) -> None:
    import fcntl

    def cancelled() -> None:
        raise Cancelled

    with (tmp_path / ".yolo11n.pt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Cancelled):
            conversion.fetched("yolo11n.pt", models_dir=tmp_path, check=cancelled)


def test_the_shelf_holds_few(one_car: Path, tmp_path: Path) -> None:
    shelf = DetectorShelf()
    for number in range(loading.KEEP_LOADED + 1):
        copy = tmp_path / f"car{number}.onnx"
        copy.write_bytes(one_car.read_bytes())
        shelf.get(str(copy), models_dir=tmp_path, device="cpu", check=no_check)
    assert len(shelf._loaded) == loading.KEEP_LOADED
