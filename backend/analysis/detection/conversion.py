"""What needs ultralytics on a machine without a GPU, done once, in a process of its own.

- `converted`: a .pt as an OpenVINO folder under `models_dir/converted`, so that the analysis
  itself runs without torch. Weights are a pickle: they are read with ultralytics' safe loader,
  which refuses to run what is inside.
- `fetched`: the default weights, where ultralytics can get them; a refusal is remembered for
  `REFUSAL_HOLDS_S`, so that a machine without internet does not ask for every archive.

Started by `loading`; the process (`python -m backend.analysis.detection.conversion`) ends with the
analysis that waits for it. Results appear by renaming: they are whole or not there.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from backend.analysis.detection.torchvision_ops import ensure_torchvision_ops
from backend.analysis.detection.weights import WeightsFile, describe
from backend.analysis.environment import quiet_environment
from backend.analysis.protocol import AnalysisError
from backend.media.process import start_process

log = structlog.get_logger(__name__)

CONVERT_WITHIN_S = 600.0
FETCH_WITHIN_S = 120.0
REFUSAL_HOLDS_S = 6 * 3600.0
_REFUSED = 3
_LOOK_EVERY_S = 0.1
_OUTSIDE_TIES = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "wandb")
"""Settings of ultralytics that talk to someone."""

Check = Callable[[], None]
"""Raises when the answer is no longer wanted."""


def converted(weights: WeightsFile, *, models_dir: Path, check: Check) -> WeightsFile:
    """The same model as an OpenVINO folder; made when it is asked for the first time.

    Raises:
        AnalysisError: `weights_refused`: it is not a plain YOLO checkpoint; `conversion_failed`.
    """
    shelf = models_dir / "converted"
    target = shelf / f"{weights.path.stem}-{weights.sha256()[:16]}_openvino_model"
    with _alone(target.with_suffix(".lock"), check):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=shelf, prefix=".making-") as folder:
                _convert(weights.main, Path(folder), target, models_dir=models_dir, check=check)
    return describe(target)


def fetched(name: str, *, models_dir: Path, check: Check) -> Path | None:
    """The file of that name, from where ultralytics publishes its weights; None if it cannot."""
    target = models_dir / name
    refusal = models_dir / f".{name}.refused"
    with _alone(models_dir / f".{name}.lock", check):
        if target.exists():
            return target
        if refusal.exists() and time.time() - refusal.stat().st_mtime < REFUSAL_HOLDS_S:
            return None
        with tempfile.TemporaryDirectory(dir=models_dir, prefix=".fetching-") as folder:
            got = Path(folder) / name
            status, said = _run(
                "fetch", got, models_dir=models_dir, within_s=FETCH_WITHIN_S, check=check
            )
            if status == 0 and got.exists():
                got.replace(target)
                return target
        log.warning(
            "default detector weights could not be fetched",
            action="detector.fetch_failed",
            weights=name,
            said=said,
        )
        refusal.write_text(said)
        return None


def _convert(source: Path, folder: Path, target: Path, *, models_dir: Path, check: Check) -> None:
    copy = folder / source.name
    shutil.copyfile(source, copy)  # the export is written beside its source
    status, said = _run(
        "convert", copy, models_dir=models_dir, within_s=CONVERT_WITHIN_S, check=check
    )
    made = copy.with_name(f"{copy.stem}_openvino_model")
    if status == 0 and made.is_dir():
        made.replace(target)
        return
    log.error(
        "weights could not be converted",
        action="detector.conversion_failed",
        weights=source.name,
        status=status,
        said=said,
    )
    if status == _REFUSED:
        raise AnalysisError(
            "weights_refused",
            f"{source.name} is damaged or holds more than a YOLO model; it was not loaded",
            permanent=True,
        )
    raise AnalysisError(
        "conversion_failed",
        f"{source.name} could not be converted for this machine's processor",
        permanent=False,
    )


def _run(
    what: str, path: Path, *, models_dir: Path, within_s: float, check: Check
) -> tuple[int, str]:
    """Exit status and last words of this module as a program."""
    return asyncio.run(_run_checked(what, path, models_dir, within_s=within_s, check=check))


async def _run_checked(
    what: str, path: Path, models_dir: Path, *, within_s: float, check: Check
) -> tuple[int, str]:
    process = await start_process(
        (sys.executable, "-m", __name__, what, str(path)),
        env=quiet_environment(models_dir),
        inherit_env="plain",
    )
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    try:
        while process.returncode is None and loop.time() < end:
            check()
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        status = await process.terminate(grace_s=0.2)
    return status, "\n".join(process.stderr_tail[-3:])


@contextmanager
def _alone(lock: Path, check: Check) -> Iterator[None]:
    """Only one process on this machine is in here at a time."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                check()
                time.sleep(_LOOK_EVERY_S)  # noqa: TID251  a thread of a child, not the loop
        yield


def main() -> int:
    """Convert one .pt, or fetch one file; the exit status tells how it went."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("convert", "fetch"))
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    ensure_torchvision_ops()
    from ultralytics import settings

    quiet: Callable[[dict[str, bool]], None] = settings.update
    quiet({name: False for name in _OUTSIDE_TIES if name in settings})
    if arguments.what == "fetch":
        from ultralytics.utils.downloads import attempt_download_asset

        attempt_download_asset(arguments.path)
        return 0
    return _export(arguments.path)


def _export(path: Path) -> int:
    from ultralytics.models import YOLO

    try:
        model: Any = YOLO(path, task="detect")
    except TypeError as error:  # how ultralytics says: damaged, or more inside than a model
        sys.stderr.write(f"refused: {error}\n")
        return _REFUSED
    trained_at = model.model.args.get("imgsz", 640)
    model.export(format="openvino", imgsz=trained_at, dynamic=True, verbose=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
