"""A detector on a CUDA device: ultralytics with torch, or a TensorRT engine through it."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backend.analysis.detection.detector import Picture
from backend.analysis.detection.letterbox import GREY
from backend.analysis.detection.torchvision_ops import ensure_torchvision_ops
from backend.analysis.detection.weights import WeightsFile, WeightsFormat
from backend.analysis.protocol import AnalysisError, ModelInfo
from backend.findings.detection import Box, Detection

DEFAULT_SIZE = 640
_NVIDIA = Path("/dev/nvidiactl")


def cuda_device(wanted: str) -> str | None:
    """The CUDA device that `auto`, `cpu` or `cuda:1` means on this machine; None is the CPU.

    Raises:
        AnalysisError: `device_missing`: a CUDA device was asked for by name and is not there.
    """
    if wanted == "cpu" or (wanted == "auto" and not _NVIDIA.exists()):
        return None  # without importing torch
    import torch

    if torch.cuda.is_available():
        return "cuda:0" if wanted in ("auto", "cuda") else wanted
    if wanted == "auto":
        return None
    raise AnalysisError("device_missing", f"there is no device {wanted} here", permanent=False)


class CudaDetector:
    """Runs a YOLO model with ultralytics; one picture at a time."""

    def __init__(self, weights: WeightsFile, *, device: str) -> None:
        """Load the weights.

        Raises:
            AnalysisError: `weights_refused`: it is not a plain YOLO checkpoint; `runtime_missing`,
                `weights_unreadable`: it is an engine that cannot be run here.
        """
        is_engine = weights.format is WeightsFormat.TENSORRT
        if is_engine and importlib.util.find_spec("tensorrt") is None:
            raise AnalysisError(
                "runtime_missing",
                f"{weights.path.name} is a TensorRT engine and needs the package tensorrt,"
                " which is not installed",
                permanent=True,
            )
        ensure_torchvision_ops()
        import torch
        import ultralytics
        from ultralytics.models import YOLO

        try:
            self._yolo: Any = YOLO(weights.main, task="detect")
        except TypeError as error:  # how ultralytics says: damaged, or more inside than a model
            raise AnalysisError(
                "weights_refused",
                f"{weights.path.name} is damaged or holds more than a YOLO model;"
                " it was not loaded",
                permanent=True,
            ) from error
        self._device = device
        self._turn = threading.Lock()
        size = self._size_of_engine(weights) if is_engine else _trained_size(self._yolo)
        self._size = max(size)
        self._model = ModelInfo(
            name=weights.path.name,
            sha256=weights.sha256(),
            format=weights.format,
            runtime=f"ultralytics {ultralytics.__version__}, torch {torch.__version__}",
            device=device,
            input_width=size[0],
            input_height=size[1],
        )

    @property
    def model(self) -> ModelInfo:
        """Which weights these are, and what runs them."""
        return self._model

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Width and height at which a picture of that size is best handed over."""
        scale = self._size / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def detect(
        self, picture: Picture, *, source_size: tuple[int, int], confidence: float
    ) -> list[Detection]:
        """Objects of at least that confidence, in pixels of the source, most certain first."""
        with self._turn:
            found = self._yolo.predict(
                picture,
                conf=confidence,
                imgsz=self._size,
                device=self._device,
                verbose=False,
                save=False,
            )[0]
        names: Mapping[int, str] = found.names
        across, down = source_size[0] / picture.shape[1], source_size[1] / picture.shape[0]
        detections = [
            Detection(
                str(names[int(index)]),
                float(score),
                Box(x1 * across, y1 * down, x2 * across, y2 * down),
            )
            for (x1, y1, x2, y2), score, index in zip(
                found.boxes.xyxy.tolist(),
                found.boxes.conf.tolist(),
                found.boxes.cls.tolist(),
                strict=True,
            )
        ]
        return sorted(detections, key=lambda detection: -detection.confidence)

    def _size_of_engine(self, weights: WeightsFile) -> tuple[int, int]:
        """Width and height that an engine was built for: it is opened by its first picture."""
        grey = np.full((DEFAULT_SIZE, DEFAULT_SIZE, 3), GREY, dtype=np.uint8)
        try:
            self._yolo.predict(grey, device=self._device, verbose=False, save=False)
        except Exception as error:  # TensorRT and its loader raise what they like
            raise AnalysisError(
                "weights_unreadable",
                f"{weights.path.name} cannot be run on {self._device}: an engine only runs on the"
                " kind of GPU and with the version of TensorRT that it was built for",
                permanent=False,  # a GPU without free memory looks the same
            ) from error
        height, width = self._yolo.predictor.imgsz
        return int(width), int(height)


def _trained_size(yolo: Any) -> tuple[int, int]:
    """Width and height that the weights were trained at."""
    size = yolo.model.args.get("imgsz", DEFAULT_SIZE)
    longest = int(max(size) if isinstance(size, list | tuple) else size)
    return longest, longest
