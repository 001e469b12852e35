"""Which whisper model a name means, and where it runs.

Given something that is not there, faster-whisper asks the hub for it, and says so in its own words
or not at all: so a folder is checked first, and the hub is asked only for what can be a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.analysis.protocol import AnalysisError

DEFAULT_MODEL = "small"
NEEDED = ("model.bin", "config.json", "tokenizer.json")
VOCABULARY = ("vocabulary.json", "vocabulary.txt")
"""One of them; which depends on the age of the converter."""


@dataclass(frozen=True, slots=True)
class WhisperSource:
    """A folder that is complete, or a name for the hub."""

    name: str
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Device:
    """As CTranslate2 wants it."""

    kind: str
    index: int
    compute_type: str


def find_model(name: str | None, models_dir: Path | None) -> WhisperSource:
    """The model of that name: a folder, a folder in models_dir, or else a name for the hub.

    Raises:
        AnalysisError: `model_missing`, permanent.
    """
    wanted = name or DEFAULT_MODEL
    folders = [Path(wanted).expanduser()]
    if models_dir is not None:
        folders.append(models_dir / wanted)
    for folder in folders:
        if folder.is_dir():
            return WhisperSource(folder.name, _complete(folder))
    if not _can_be_on_the_hub(wanted):
        raise _missing(f"the whisper model {Path(wanted).name} is not there")
    return WhisperSource(wanted, None)


def find_device(wanted: str) -> Device:
    """From auto, cpu, cuda, cuda:1.

    Raises:
        AnalysisError: `device_missing`, permanent.
    """
    import ctranslate2

    kind, _, index = wanted.partition(":")
    there = ctranslate2.get_cuda_device_count()
    if kind == "auto":
        kind = "cuda" if there else "cpu"
    if kind == "cpu":
        return Device("cpu", 0, "int8")
    number = int(index) if index.isdecimal() else 0
    if kind != "cuda" or number >= there:
        raise AnalysisError("device_missing", f"there is no device {wanted}", permanent=True)
    able = ctranslate2.get_supported_compute_types("cuda", number)
    return Device("cuda", number, "float16" if "float16" in able else "default")


def load_model(
    source: WhisperSource, device: Device, *, threads: int, models_dir: Path | None
) -> Any:
    """A `faster_whisper.WhisperModel`; may fetch it, and take minutes.

    Raises:
        AnalysisError: `model_missing`, `model_unreadable` or `out_of_memory`.
    """
    from faster_whisper import WhisperModel

    where = str(source.folder) if source.folder is not None else _fetched(source.name, models_dir)
    try:
        return WhisperModel(
            where,
            device=device.kind,
            device_index=device.index,
            compute_type=device.compute_type,
            cpu_threads=threads,
        )
    except (RuntimeError, ValueError) as error:
        if "out of memory" in str(error):
            raise out_of_memory() from error
        raise _unreadable(source) from error
    except Exception as error:
        if type(error) is not Exception:  # the tokenizers library raises plain ones
            raise
        raise _unreadable(source) from error


def out_of_memory() -> AnalysisError:
    """The device is too full just now."""
    return AnalysisError("out_of_memory", "there is too little memory", permanent=False)


def _complete(folder: Path) -> Path:
    lacking = [file for file in NEEDED if not (folder / file).is_file()]
    if not any((folder / file).is_file() for file in VOCABULARY):
        lacking.append(VOCABULARY[0])
    if lacking:
        names = ", ".join(lacking)
        raise _missing(f"the whisper model {folder.name} lacks {names}")
    return folder


def _can_be_on_the_hub(name: str) -> bool:
    """`small`, or `owner/name`."""
    parts = name.split("/")
    return len(parts) <= 2 and all(part and part[0].isalnum() for part in parts)


def _fetched(name: str, models_dir: Path | None) -> str:
    from faster_whisper import download_model
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    offline = bool(constants.HF_HUB_OFFLINE)
    cache = None if models_dir is None else str(models_dir / "whisper")
    try:
        return str(download_model(name, cache_dir=cache, local_files_only=offline))
    except (ValueError, HFValidationError) as error:
        raise _missing(f"there is no whisper model {name}") from error
    except LocalEntryNotFoundError as error:
        raise _missing(f"the whisper model {name} is not here and cannot be fetched") from error
    except (HfHubHTTPError, OSError) as error:
        raise AnalysisError(
            "model_missing", f"the whisper model {name} could not be fetched", permanent=False
        ) from error


def _missing(message: str) -> AnalysisError:
    return AnalysisError("model_missing", message, permanent=True)


def _unreadable(source: WhisperSource) -> AnalysisError:
    return AnalysisError(
        "model_unreadable", f"the whisper model {source.name} cannot be loaded", permanent=True
    )
