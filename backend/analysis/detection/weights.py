"""Which file a name of weights means, and what is in it.

Nothing is loaded here: names are looked up, formats told apart by their ending, and the content is
fingerprinted, so that a result can say exactly which weights it comes from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from backend.analysis.protocol import AnalysisError

DEFAULT_WEIGHTS = "yolo11n.pt"
"""What is looked for when nothing is named."""
NO_WEIGHTS = "none"
"""The name that switches detection off."""
_CHUNK_BYTES = 1 << 20


class WeightsFormat(StrEnum):
    """How weights are stored."""

    PYTORCH = "pytorch"
    ONNX = "onnx"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


_BY_SUFFIX = {
    ".pt": WeightsFormat.PYTORCH,
    ".onnx": WeightsFormat.ONNX,
    ".xml": WeightsFormat.OPENVINO,
    ".engine": WeightsFormat.TENSORRT,
}


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Weights that are there. `path` is the file or folder that was named."""

    path: Path
    main: Path
    """The file to load: `path`, or the .xml in it."""
    format: WeightsFormat
    files: tuple[Path, ...]

    @property
    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Changes when the content does; cheap."""
        stats = [(str(file), file.stat()) for file in self.files]
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)

    def sha256(self) -> str:
        """Fingerprint of the content; of both files, one after the other, for OpenVINO."""
        digest = hashlib.sha256()
        for file in self.files:
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
        return digest.hexdigest()


def find_weights(name: str, folders: Sequence[Path]) -> WeightsFile:
    """The weights of that name: a path, or a name in one of the folders.

    Raises:
        AnalysisError: `weights_missing` or `weights_unsupported`.
    """
    for candidate in (Path(name).expanduser(), *(folder / name for folder in folders)):
        if candidate.exists():
            return describe(candidate)
    raise AnalysisError(
        "weights_missing", f"the detector weights {Path(name).name} are not there", permanent=True
    )


def describe(path: Path) -> WeightsFile:
    """What lies at an existing path.

    Raises:
        AnalysisError: `weights_unsupported`.
    """
    path = path.resolve()
    main = path
    if path.is_dir():
        inside = sorted(path.glob("*.xml"))
        if len(inside) != 1:
            raise _unsupported(path)
        main = inside[0]
    kind = _BY_SUFFIX.get(main.suffix.lower())
    if kind is None:
        raise _unsupported(path)
    if kind is WeightsFormat.OPENVINO:
        numbers = main.with_suffix(".bin")
        if not numbers.exists():
            raise _unsupported(path)
        return WeightsFile(path, main, kind, (main, numbers))
    return WeightsFile(path, main, kind, (main,))


def _unsupported(path: Path) -> AnalysisError:
    return AnalysisError(
        "weights_unsupported",
        f"{path.name} is not a .pt, .onnx or .engine file nor an OpenVINO folder",
        permanent=True,
    )
