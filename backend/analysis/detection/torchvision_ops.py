"""Lets ultralytics run where torchvision's compiled operators do not load.

A CPU build of torch beside a CUDA build of torchvision, as package registries serve them, has no
`torchvision::nms`, and torchvision then cannot even be imported. The operator is declared here and
implemented with plain torch before the first import. Where torchvision is whole nothing is done.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[Any] = []
"""A torch.library.Library takes its operators with it when it is collected."""


def ensure_torchvision_ops() -> bool:
    """Call before ultralytics is first imported; says whether the replacement is in use."""
    if _declared:
        return True
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    else:
        return False
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # half imported
    import torch

    declare: Any = torch.library.Library
    library = declare("torchvision", "FRAGMENT")
    library.define("nms" + _SIGNATURE)
    library.impl("nms", _nms, "CPU")
    library.define("qnms" + _SIGNATURE)  # only mentioned while torchvision is imported
    _declared.append(library)
    boxes: Any = importlib.import_module("torchvision.ops.boxes")
    boxes._assert_has_ops = _has_what_is_needed  # noqa: SLF001
    return True


def _has_what_is_needed() -> None:
    """Instead of torchvision's own check, which asks for the compiled extension."""


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Indices of the boxes that stay, most certain first, as torchvision gives them."""
    import torch

    corners, sizes = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    areas = sizes.prod(dim=1)
    order = scores.sort(descending=True, stable=True).indices
    kept = []
    while order.numel() > 0:
        first, order = order[0], order[1:]
        kept.append(first)
        start = torch.maximum(corners[first], corners[order])
        end = torch.minimum(boxes[first, 2:], boxes[order, 2:])
        shared = (end - start).clamp(min=0).prod(dim=1)
        overlap = shared / (areas[first] + areas[order] - shared)
        order = order[overlap <= iou_threshold]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)
