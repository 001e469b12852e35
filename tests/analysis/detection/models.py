"""Small networks that behave like YOLO models: their answer is known, and they hold no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def constant_model(
    path: Path, answer: np.ndarray, *, size: tuple[int, int] | None, **metadata: Any
) -> Path:
    """An .onnx file that gives the same answer for every picture; `size` None takes any."""
    width, height = size or ("w", "h")
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, list(answer.shape))
    nodes = [
        # The picture has to be used, and adds nothing: (mean of it) * 0.
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["answer", "nothing"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [picture],
        [output],
        [
            numpy_helper.from_array(answer.astype(np.float32), "answer"),
            numpy_helper.from_array(np.float32(0), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, str(value)
    onnx.save(model, path)
    return path


def anchors(size: tuple[int, int], classes: int) -> np.ndarray:
    """An empty answer in the layout of v8 and 11: 1 x (4 + classes) x cells."""
    cells = sum((size[0] // s) * (size[1] // s) for s in (8, 16, 32))
    return np.zeros((1, 4 + classes, cells), dtype=np.float32)
