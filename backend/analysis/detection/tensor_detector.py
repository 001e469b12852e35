"""A detector without torch: letterbox, a CPU runtime, decoding."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from backend.analysis.detection.decoding import Family, class_count, decode, family_of
from backend.analysis.detection.detector import Picture
from backend.analysis.detection.letterbox import GREY, Letterbox, fixed, rectangle, to_tensor
from backend.analysis.detection.runtimes import Runtime
from backend.analysis.detection.weights import WeightsFile
from backend.analysis.protocol import AnalysisError, ModelInfo
from backend.findings.detection import Box, Detection

DEFAULT_SIZE = 640
DEFAULT_STRIDE = 32

_COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
    "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
    "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,"
    "fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,"
    "cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,"
    "hair drier,toothbrush"
)
COCO_NAMES = tuple(_COCO.split(","))
"""Classes of a model that has 80 and does not say which."""


class TensorDetector:
    """Runs a YOLO model on a CPU runtime."""

    def __init__(self, runtime: Runtime, weights: WeightsFile) -> None:
        """Look at the model once, with a grey picture.

        Raises:
            AnalysisError: `weights_unsupported`: it is no YOLO detection model.
        """
        self._runtime = runtime
        metadata = runtime.metadata
        if metadata.get("task", "detect") != "detect":
            raise AnalysisError(
                "weights_unsupported",
                f"{weights.path.name} is a model for {metadata['task']}, not for detection",
                permanent=True,
            )
        self._stride = int(float(metadata.get("stride", DEFAULT_STRIDE)))
        self._longest = max(_sizes(metadata.get("imgsz"), runtime))
        names = _names(metadata.get("names"))
        trial = self._trial_size()
        grey = np.full((1, 3, trial[1], trial[0]), GREY / 255, dtype=np.float32)
        shapes = [output.shape for output in runtime.infer(grey)]
        self._family = family_of(
            shapes, input_size=trial, classes=None if names is None else len(names)
        )
        self._names = names or _unnamed(class_count(self._family, shapes[0]))
        self._model = ModelInfo(
            name=weights.path.name,
            sha256=weights.sha256(),
            format=weights.format,
            runtime=runtime.name,
            device="cpu",
            input_width=trial[0],
            input_height=trial[1],
        )

    @property
    def model(self) -> ModelInfo:
        """Which weights these are, and what runs them."""
        return self._model

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Width and height at which a picture of that size is best handed over."""
        letterbox = self._letterbox(width, height)
        return letterbox.inner_width, letterbox.inner_height

    def detect(
        self, picture: Picture, *, source_size: tuple[int, int], confidence: float
    ) -> list[Detection]:
        """Objects of at least that confidence, in pixels of the source, most certain first."""
        letterbox = self._letterbox(*source_size)
        is_yolox = self._family is Family.YOLOX
        tensor = to_tensor(picture, letterbox, as_trained="bgr255" if is_yolox else "rgb01")
        found = decode(
            self._runtime.infer(tensor)[0],
            self._family,
            confidence=confidence,
            input_size=(letterbox.input_width, letterbox.input_height),
        )
        return [
            Detection(
                self._name(int(index)),
                min(float(score), 1.0),
                letterbox.back(Box(*map(float, corners)), source_size=source_size),
            )
            for corners, score, index in zip(
                found.corners, found.scores, found.classes, strict=True
            )
        ]

    def _letterbox(self, width: int, height: int) -> Letterbox:
        size = self._runtime.fixed_size
        if size is None:
            return rectangle(width, height, longest=self._longest, stride=self._stride)
        if self._family is Family.YOLOX:
            return fixed(width, height, input_size=size, place="corner")
        return fixed(width, height, input_size=size)

    def _trial_size(self) -> tuple[int, int]:
        return self._runtime.fixed_size or (self._longest, self._longest)

    def _name(self, index: int) -> str:
        return self._names.get(index, f"class {index}")


def _sizes(said: str | None, runtime: Runtime) -> tuple[int, ...]:
    if runtime.fixed_size is not None:
        return runtime.fixed_size
    value = _literal(said)
    if isinstance(value, int):
        return (value,)
    if isinstance(value, list | tuple) and value and all(isinstance(v, int) for v in value):
        return tuple(value)
    return (DEFAULT_SIZE,)


def _names(said: str | None) -> Mapping[int, str] | None:
    match _literal(said):
        case dict() as names if names:
            return {int(index): str(name) for index, name in names.items()}
        case list() as names if names:
            return {index: str(name) for index, name in enumerate(names)}
        case _:
            return None


def _unnamed(count: int | None) -> Mapping[int, str]:
    return dict(enumerate(COCO_NAMES)) if count == len(COCO_NAMES) else {}


def _literal(said: str | None) -> Any:
    """Exporters write Python literals as text."""
    try:
        return None if said is None else ast.literal_eval(said)
    except (ValueError, SyntaxError):
        return None
