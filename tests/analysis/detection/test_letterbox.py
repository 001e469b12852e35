"""Boxes survive the way into a network's input and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.detection.letterbox import GREY, Letterbox, fixed, rectangle, to_tensor
from backend.findings.detection import Box

sides = st.integers(16, 4000)


@given(width=sides, height=sides, longest=st.sampled_from([256, 320, 640]))
def test_a_rectangle_fits_the_stride_and_the_picture(width: int, height: int, longest: int) -> None:
    box = rectangle(width, height, longest=longest, stride=32)
    assert box.input_width % 32 == box.input_height % 32 == 0
    assert max(box.inner_width, box.inner_height) == longest
    assert box.left >= 0
    assert box.left + box.inner_width <= box.input_width < box.inner_width + 64
    assert box.top >= 0
    assert box.top + box.inner_height <= box.input_height < box.inner_height + 64


def test_a_wide_picture_costs_less_than_a_square() -> None:
    box = rectangle(1920, 1080, longest=640, stride=32)
    assert (box.input_width, box.input_height) == (640, 384)


@given(
    width=sides,
    height=sides,
    x=st.floats(0, 0.9),
    y=st.floats(0, 0.9),
    make=st.sampled_from(["rectangle", "fixed", "corner"]),
)
def test_a_box_comes_back_where_it_was(
    width: int, height: int, x: float, y: float, make: str
) -> None:
    letterbox = {
        "rectangle": lambda: rectangle(width, height, longest=640, stride=32),
        "fixed": lambda: fixed(width, height, input_size=(640, 480)),
        "corner": lambda: fixed(width, height, input_size=(416, 416), place="corner"),
    }[make]()
    source = Box(x * width, y * height, (x + 0.1) * width, (y + 0.1) * height)
    across, down = letterbox.inner_width / width, letterbox.inner_height / height
    inside = Box(
        source.x1 * across + letterbox.left,
        source.y1 * down + letterbox.top,
        source.x2 * across + letterbox.left,
        source.y2 * down + letterbox.top,
    )
    back = letterbox.back(inside, source_size=(width, height))
    for one, other in zip(
        (back.x1, back.y1, back.x2, back.y2),
        (source.x1, source.y1, source.x2, source.y2),
        strict=True,
    ):
        assert one == pytest.approx(other, abs=1e-6 * max(width, height))


def test_boxes_end_at_the_edges_of_the_picture() -> None:
    letterbox = rectangle(100, 100, longest=64, stride=32)
    assert letterbox.back(Box(-9, -9, 999, 999), source_size=(100, 100)) == Box(0, 0, 100, 100)


def test_a_tensor_is_rgb_between_0_and_1_with_grey_around() -> None:
    picture = np.zeros((36, 64, 3), dtype=np.uint8)
    picture[..., 0] = 255  # blue, in BGR
    tensor = to_tensor(picture, Letterbox(64, 64, 64, 36, 0, 14), as_trained="rgb01")
    assert tensor.shape == (1, 3, 64, 64)
    assert tensor[0, :, 30, 5].tolist() == [0.0, 0.0, 1.0]
    assert tensor[0, :, 2, 5] == pytest.approx(GREY / 255)


def test_a_yolox_tensor_keeps_bgr_and_the_full_range() -> None:
    picture = np.zeros((10, 10, 3), dtype=np.uint8)
    picture[..., 0] = 255
    tensor = to_tensor(picture, Letterbox(16, 16, 16, 16, 0, 0), as_trained="bgr255")
    assert tensor[0, :, 8, 8].tolist() == [255.0, 0.0, 0.0]
