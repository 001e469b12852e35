"""From the name of some weights to a detector, loaded once per process and device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from backend.analysis.detection.conversion import Check, converted, fetched
from backend.analysis.detection.cuda_detector import CudaDetector, cuda_device
from backend.analysis.detection.detector import Detector
from backend.analysis.detection.runtimes import load_runtime
from backend.analysis.detection.tensor_detector import TensorDetector
from backend.analysis.detection.weights import (
    DEFAULT_WEIGHTS,
    NO_WEIGHTS,
    WeightsFile,
    WeightsFormat,
    find_weights,
)
from backend.analysis.protocol import AnalysisError

log = structlog.get_logger(__name__)

KEEP_LOADED = 4
CPU_THREADS = 1
"""Several one-thread processes get more out of a CPU than one with several threads."""


@dataclass(frozen=True, slots=True)
class NoDetector:
    """There is none, and why."""

    reason: str


@dataclass(slots=True)
class DetectorShelf:
    """The detectors that this process has loaded. Safe to use from several threads."""

    _loaded: dict[tuple[object, str], Detector] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(
        self, name: str | None, *, models_dir: Path, device: str, check: Check
    ) -> Detector | NoDetector:
        """The detector for these weights; for None the default one, where it can be had.

        Raises:
            AnalysisError: named weights are missing, unreadable or of an unknown kind.
        """
        if name == NO_WEIGHTS:
            return NoDetector("detection is switched off")
        weights = self._default(models_dir, check) if name is None else _named(name, models_dir)
        if weights is None:
            return NoDetector(
                f"no detector weights are set, and {DEFAULT_WEIGHTS} could not be fetched"
            )
        cuda = cuda_device(device)
        key = (weights.stamp, cuda or "cpu")
        while not self._lock.acquire(timeout=0.2):
            check()
        try:
            if key not in self._loaded:
                while len(self._loaded) >= KEEP_LOADED:
                    self._loaded.pop(next(iter(self._loaded)))
                self._loaded[key] = _load(weights, cuda, models_dir=models_dir, check=check)
            return self._loaded[key]
        finally:
            self._lock.release()

    def _default(self, models_dir: Path, check: Check) -> WeightsFile | None:
        try:
            return find_weights(DEFAULT_WEIGHTS, [models_dir])
        except AnalysisError:
            path = fetched(DEFAULT_WEIGHTS, models_dir=models_dir, check=check)
            return None if path is None else find_weights(str(path), [])


def _named(name: str, models_dir: Path) -> WeightsFile:
    return find_weights(name, [models_dir])


def _load(
    weights: WeightsFile, cuda: str | None, *, models_dir: Path, check: Callable[[], None]
) -> Detector:
    log.info(
        "loading detector",
        action="detector.load",
        weights=weights.path.name,
        format=weights.format,
        device=cuda or "cpu",
    )
    if weights.format is WeightsFormat.TENSORRT and cuda is None:
        raise AnalysisError(
            "device_missing",
            f"{weights.path.name} is a TensorRT engine and needs a CUDA device",
            permanent=True,
        )
    if cuda is not None and weights.format in (WeightsFormat.PYTORCH, WeightsFormat.TENSORRT):
        return CudaDetector(weights, device=cuda)
    runnable = weights
    if weights.format is WeightsFormat.PYTORCH:
        runnable = converted(weights, models_dir=models_dir, check=check)
    return TensorDetector(load_runtime(runnable.main, threads=CPU_THREADS), weights)
