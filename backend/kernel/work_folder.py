"""Where a worker's short-lived files lie, and how those of a dead worker are found and removed.

Each worker process has a folder of its own under DATA_DIR/work, locked as long as it lives. The
next worker that starts removes every folder whose lock nobody holds.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import structlog

log = structlog.get_logger(__name__)

LOCK = "lock"


@contextmanager
def work_folder(work_dir: Path, instance: str) -> Iterator[Path]:
    """A folder for this process, gone afterwards; what dead ones left goes first."""
    remove_abandoned(work_dir)
    folder = work_dir / instance
    folder.mkdir(parents=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(work_dir: Path) -> int:
    """Remove the folders of workers that are gone; says how many."""
    removed = 0
    for folder in work_dir.iterdir() if work_dir.is_dir() else ():
        lock = _lock(folder / LOCK)
        if lock is None:
            continue
        with lock:
            shutil.rmtree(folder, ignore_errors=True)
        log.info("removed what a dead worker left", action="work.removed", folder=folder.name)
        removed += 1
    return removed


def _lock(path: Path) -> IO[str] | None:
    """The lock, now ours; None while its owner lives or the folder is just being made."""
    try:
        lock = path.open()
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock
