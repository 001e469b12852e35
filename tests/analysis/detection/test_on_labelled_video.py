"""Real pedestrians: what the detector finds against hand-made labels, and beside a plain run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import onnxruntime
import pytest

from backend.analysis.detection.detector import Detector
from backend.analysis.detection.loading import DetectorShelf, NoDetector
from backend.analysis.scene.video import Sample
from backend.findings.detection import Box
from tests.analysis.labelled import compare, read_labels

CONFIDENCE = 0.35


@pytest.fixture(scope="module")
def labels(testdata: Path) -> dict[int, list[Box]]:
    """People by index of the picture; the file counts from one."""
    counted = read_labels(testdata / "video" / "vtest_480x360_gt_frames_5-355.txt")
    return {number - 1: boxes for number, boxes in counted.items()}


@pytest.fixture(scope="module")
def pictures(testdata: Path, labels: dict[int, list[Box]]) -> Iterator[dict[int, Sample]]:
    """The labelled pictures."""
    with av.open(str(testdata / "video" / "vtest_480x360.mp4")) as container:
        yield {
            index: Sample(index / 10, frame)
            for index, frame in zip(range(max(labels) + 1), container.decode(video=0), strict=False)
            if index in labels
        }


def load(weights: Path) -> Detector:
    detector = DetectorShelf().get(
        str(weights), models_dir=weights.parent, device="cpu", check=lambda: None
    )
    assert not isinstance(detector, NoDetector)
    return detector


def people(detector: Detector, pictures: dict[int, Sample]) -> dict[int, list[Box]]:
    return {
        index: [
            found.box
            for found in detector.detect(
                sample.bgr(*detector.fit(*sample.size)),
                source_size=sample.size,
                confidence=CONFIDENCE,
            )
            if found.label == "person"
        ]
        for index, sample in pictures.items()
    }


def test_it_finds_what_a_plain_run_finds(
    testdata: Path, labels: dict[int, list[Box]], pictures: dict[int, Sample]
) -> None:
    weights = testdata / "weights" / "yolov8n_int8.onnx"
    score = compare(labels, people(load(weights), pictures))
    session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    plain = compare(labels, {i: plainly(session, s.bgr(480, 360)) for i, s in pictures.items()})
    assert score.recall >= plain.recall - 0.02, (score, plain)
    assert score.precision >= plain.precision - 0.02, (score, plain)
    assert score.recall >= 0.80
    assert score.precision >= 0.90


def test_yolox_weights_are_understood(
    testdata: Path, labels: dict[int, list[Box]], pictures: dict[int, Sample]
) -> None:
    score = compare(labels, people(load(testdata / "weights" / "yolox_nano.onnx"), pictures))
    assert score.recall >= 0.80
    assert score.precision >= 0.70


def plainly(session: onnxruntime.InferenceSession, picture: np.ndarray) -> list[Box]:
    """The shortest way from a picture to people, with nothing of ours in it."""
    padded = np.full((640, 640, 3), 114, dtype=np.uint8)
    padded[80:560] = cv2.resize(picture, (640, 480))
    tensor = padded[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
    output = session.run(None, {"images": tensor})[0][0]
    sure = (output[4:].argmax(axis=0) == 0) & (output[4] >= CONFIDENCE)
    boxes, scores = output[:4, sure].T, output[4, sure]
    sizes = np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]), axis=1)
    kept = cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), CONFIDENCE, 0.6)
    return [
        Box(x * 0.75, (y - 80) * 0.75, (x + w) * 0.75, (y - 80 + h) * 0.75)
        for x, y, w, h in sizes[np.asarray(kept).reshape(-1)].tolist()
    ]
