"""Outputs of the YOLO families become boxes; others are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.analysis.detection.decoding import Family, decode, family_of
from backend.analysis.protocol import AnalysisError
from tests.analysis.detection.models import anchors

SQUARE = (640, 640)


@pytest.mark.parametrize(
    ("shape", "size", "classes", "family"),
    [
        ((1, 84, 8400), SQUARE, 80, Family.ANCHORS),
        ((1, 7, 5040), (640, 384), 3, Family.ANCHORS),
        ((1, 7, 1344), (256, 256), None, Family.ANCHORS),
        ((1, 300, 6), SQUARE, 80, Family.END2END),
        ((1, 3549, 85), (416, 416), None, Family.YOLOX),
    ],
)
def test_the_family_follows_from_the_shape(
    shape: tuple[int, ...], size: tuple[int, int], classes: int | None, family: Family
) -> None:
    assert family_of([shape], input_size=size, classes=classes) is family


@pytest.mark.parametrize(
    "shapes",
    [[(1, 1000)], [(1, 25200, 85)], [(1, 116, 8400), (1, 32, 160, 160)], [(4, 84, 8400)], []],
)
def test_other_outputs_are_refused_by_their_shape(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(AnalysisError, match="not of a known YOLO") as caught:
        family_of(shapes, input_size=SQUARE, classes=80)
    assert caught.value.code == "weights_unsupported"
    assert caught.value.permanent


def test_doubles_of_one_class_are_one_object_and_other_classes_stay() -> None:
    output = anchors((64, 64), 2)
    output[0, :, 0] = [20, 20, 10, 30, 0.9, 0]
    output[0, :, 1] = [21, 20, 10, 30, 0.8, 0]
    output[0, :, 2] = [20, 20, 10, 30, 0, 0.7]
    output[0, :, 3] = [50, 50, 4, 4, 0.3, 0]
    found = decode(output, Family.ANCHORS, confidence=0.35, input_size=(64, 64))
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])
    assert found.classes.tolist() == [0, 1]
    assert found.corners[0].tolist() == [15, 5, 25, 35]


def test_end2end_boxes_are_taken_as_they_are() -> None:
    output = np.zeros((1, 300, 6), dtype=np.float32)
    output[0, 5] = [1, 2, 3, 4, 0.5, 7]
    output[0, 9] = [1, 2, 3, 5, 0.9, 1]
    found = decode(output, Family.END2END, confidence=0.4, input_size=SQUARE)
    assert found.classes.tolist() == [1, 7]
    assert found.corners[1].tolist() == [1, 2, 3, 4]


def test_yolox_offsets_are_counted_from_their_cell() -> None:
    output = np.zeros((1, 3549, 7), dtype=np.float32)
    cell = 52 * 52 + 26 * 3 + 2  # stride 16, row 3, column 2
    output[0, cell] = [0.5, 0.5, np.log(2), np.log(3), 0.8, 0.1, 1.0]
    found = decode(output, Family.YOLOX, confidence=0.5, input_size=(416, 416))
    assert found.classes.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.8])
    assert found.corners[0].tolist() == pytest.approx([40 - 16, 56 - 24, 40 + 16, 56 + 24])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), confidence=st.floats(0.05, 0.9))
def test_whatever_is_found_is_certain_enough_and_sorted(seed: int, confidence: float) -> None:
    random = np.random.default_rng(seed)
    output = anchors((64, 64), 3)
    output[0, :4] = random.uniform(0, 64, output[0, :4].shape)
    output[0, 4:] = random.uniform(0, 1, output[0, 4:].shape)
    found = decode(output, Family.ANCHORS, confidence=confidence, input_size=(64, 64))
    assert (found.scores >= confidence - 1e-6).all()
    assert (np.diff(found.scores) <= 0).all()
    assert len(found.corners) == len(found.scores) == len(found.classes)
