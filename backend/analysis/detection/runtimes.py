"""What multiplies the matrices on a CPU: OpenVINO, or onnxruntime where OpenVINO cannot.

Both run on the calling thread's share of one core; neither imports torch. A runtime may be used
from several threads at once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from backend.analysis.protocol import AnalysisError

log = structlog.get_logger(__name__)

Floats = NDArray[np.float32]


class Runtime(Protocol):
    """A loaded network."""

    name: str
    """Library and version."""
    metadata: dict[str, str]
    """What the exporter wrote into the file (names, imgsz, stride, ...)."""
    fixed_size: tuple[int, int] | None
    """Width and height, if the network takes one size only."""

    def infer(self, tensor: Floats) -> list[Floats]:
        """Outputs for a 1 x 3 x height x width input."""


def load_runtime(path: Path, *, threads: int) -> Runtime:
    """Load an .onnx file or an OpenVINO .xml.

    Raises:
        AnalysisError: `weights_unreadable`: neither library could.
    """
    try:
        return OpenVinoRuntime(path, threads=threads)
    except Exception as error:  # noqa: BLE001  OpenVINO and its loader raise what they like
        log.warning(
            "OpenVINO could not load the weights",
            action="detector.openvino_failed",
            weights=path.name,
            error=str(error)[:500],
        )
        reason: Exception = error
    if path.suffix == ".onnx":
        try:
            return OnnxRuntime(path, threads=threads)
        except Exception as error:  # noqa: BLE001  the same
            reason = error
    raise AnalysisError(
        "weights_unreadable", f"the detector weights {path.name} cannot be loaded", permanent=True
    ) from reason


class OpenVinoRuntime:
    """Compiles the network once per input size, and gives each thread its own request."""

    def __init__(self, path: Path, *, threads: int) -> None:
        import openvino

        self.name = f"OpenVINO {openvino.__version__.partition('-')[0]}"
        self._core = openvino.Core()
        self._core.set_property(
            "CPU",
            {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"},
        )
        self._network = self._core.read_model(path)
        self.metadata = _openvino_metadata(self._network, path)
        shape = self._network.input(0).get_partial_shape()
        self.fixed_size = (
            None
            if shape[2].is_dynamic or shape[3].is_dynamic
            else (shape[3].get_length(), shape[2].get_length())
        )
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._compiling = threading.Lock()
        self._mine = threading.local()
        if self.fixed_size is not None:
            self._compile((1, 3, self.fixed_size[1], self.fixed_size[0]))

    def infer(self, tensor: Floats) -> list[Floats]:
        """Outputs for a 1 x 3 x height x width input."""
        requests: dict[tuple[int, ...], Any] = self._mine.__dict__.setdefault("requests", {})
        shape = tensor.shape
        if shape not in requests:
            requests[shape] = self._compile(shape).create_infer_request()
        results = requests[shape].infer([tensor], share_inputs=True)
        return [np.asarray(result, dtype=np.float32) for result in results.values()]

    def _compile(self, shape: tuple[int, ...]) -> Any:
        with self._compiling:
            if shape not in self._compiled:
                network = self._network.clone()
                if self.fixed_size is None:
                    network.reshape(list(shape))
                self._compiled[shape] = self._core.compile_model(network, "CPU")
            return self._compiled[shape]


class OnnxRuntime:
    """onnxruntime on the CPU; its sessions are safe to share."""

    def __init__(self, path: Path, *, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._input = self._session.get_inputs()[0]
        height, width = self._input.shape[2:4]
        self.fixed_size = (
            (width, height) if isinstance(width, int) and isinstance(height, int) else None
        )

    def infer(self, tensor: Floats) -> list[Floats]:
        """Outputs for a 1 x 3 x height x width input."""
        fed = tensor.astype(np.float16) if self._input.type == "tensor(float16)" else tensor
        outputs: Sequence[Any] = self._session.run(None, {self._input.name: fed})
        return [np.asarray(output, dtype=np.float32) for output in outputs]


def _openvino_metadata(network: Any, path: Path) -> dict[str, str]:
    """From `metadata.yaml` beside an export by ultralytics, else from inside the file."""
    beside = path.with_name("metadata.yaml")
    if path.suffix == ".xml" and beside.exists():
        import yaml  # type: ignore[import-untyped]

        plain = yaml.safe_load(beside.read_text())
        return {str(key): str(value) for key, value in plain.items()}
    found: dict[str, str] = {}
    for section in ("framework", "model_info"):
        for key in ("names", "imgsz", "stride", "task"):
            if network.has_rt_info([section, key]):
                found[key] = str(network.get_rt_info([section, key]).value)
    return found
