"""The voice encoder's weights, read from the installed Resemblyzer without running any code.

The package cannot be imported (it needs webrtcvad), and torch would cost a second and 200 MB only
to open a file of 17 MB: so the file, in torch's format from before version 1.6, is read here. It is
four pickles (a magic number, a version, the system, the content), the keys of the storages, and for
each its length and numbers. Unpickling knows three names and no others.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from backend.analysis.protocol import AnalysisError

Floats = NDArray[np.float32]

_MAGIC = 0x1950A86A20F9469CFC6C
_FILE = "pretrained.pt"


def voice_encoder_file() -> Path:
    """Where the installed package keeps its weights.

    Raises:
        AnalysisError: `backend_missing`, permanent.
    """
    spec = importlib.util.find_spec("resemblyzer")  # finds, does not import
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / _FILE
        if path.is_file():
            return path
    raise AnalysisError("backend_missing", "the voice encoder is not installed", permanent=True)


def read_weights(path: Path) -> Mapping[str, Floats]:
    """The arrays under `model_state` by their name.

    Raises:
        AnalysisError: `weights_unreadable`, permanent.
    """
    try:
        with path.open("rb") as stream:
            return _read(stream)
    except (pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, EOFError) as error:
        raise AnalysisError(
            "weights_unreadable", "the voice encoder's weights cannot be read", permanent=True
        ) from error


@dataclass(slots=True)
class _Storage:
    """The numbers of one storage; they come in the file after the content that refers to them."""

    numbers: Floats | None = None


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view on a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]

    def array(self) -> Floats:
        """The numbers, once the storage is there."""
        numbers = self.storage.numbers
        size = int(np.prod(self.shape))
        if numbers is None or self.offset + size > len(numbers):
            raise ValueError("a tensor without its numbers")
        return numbers[self.offset : self.offset + size].reshape(self.shape)


@dataclass(slots=True)
class _Storages:
    """All storages of a file, by key."""

    by_key: dict[str, _Storage] = field(default_factory=dict)

    def load(self, reference: Any) -> _Storage:
        """The one that a persistent id of the pickle names."""
        kind, _, key, *_ = reference
        if kind != "storage":
            raise ValueError("not a storage")
        return self.by_key.setdefault(str(key), _Storage())

    def fill(self, stream: BinaryIO) -> None:
        """Read the numbers, which follow the content."""
        for key in _unpickled(stream, {}, None):
            length = int.from_bytes(stream.read(8), "little")
            content = stream.read(4 * length)
            self.by_key[key].numbers = np.frombuffer(content, dtype="<f4")


def _read(stream: BinaryIO) -> Mapping[str, Floats]:
    if _unpickled(stream, {}, None) != _MAGIC:
        raise ValueError("not the format of before torch 1.6")
    _unpickled(stream, {}, None)  # version
    _unpickled(stream, {}, None)  # system
    storages = _Storages()
    known = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch", "FloatStorage"): float,  # only ever named
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    }
    content = _unpickled(stream, known, storages.load)
    storages.fill(stream)
    return {name: tensor.array() for name, tensor in content["model_state"].items()}


def _tensor(storage: _Storage, offset: int, shape: Any, stride: Any, *_: object) -> _Tensor:
    shape, stride = tuple(shape), tuple(stride)
    rows_first = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    if stride != rows_first:
        raise ValueError("a tensor that is not stored row by row")
    return _Tensor(storage, offset, shape)


def _unpickled(
    stream: BinaryIO,
    known: Mapping[tuple[str, str], Any],
    storage: Callable[[Any], _Storage] | None,
) -> Any:
    return _Unpickler(stream, known, storage).load()


class _Unpickler(pickle.Unpickler):
    """Knows only the names it is given, so that no code of a file runs."""

    def __init__(
        self,
        stream: BinaryIO,
        known: Mapping[tuple[str, str], Any],
        storage: Callable[[Any], _Storage] | None,
    ) -> None:
        super().__init__(stream)
        self._known = known
        self._storage = storage

    def find_class(self, module_name: str, global_name: str) -> Any:
        """A name that the content uses."""
        try:
            return self._known[module_name, global_name]
        except KeyError as error:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is not allowed") from error

    def persistent_load(self, pid: Any) -> Any:
        """The storage that the content refers to."""
        if self._storage is None:
            raise pickle.UnpicklingError("no storages here")
        return self._storage(pid)
