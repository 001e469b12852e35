"""A worker's files are gone when it is; those of others stay."""

from __future__ import annotations

import fcntl
from pathlib import Path

from backend.kernel.work_folder import LOCK, remove_abandoned, work_folder


def test_the_folder_of_a_dead_worker_is_removed_at_the_next_start(tmp_path: Path) -> None:
    dead, alive, unborn = tmp_path / "dead", tmp_path / "alive", tmp_path / "unborn"
    for folder in (dead, unborn):
        folder.mkdir()
        (folder / "excerpt.mp4").write_bytes(b"video")
    (dead / LOCK).touch()  # nobody holds it
    with work_folder(tmp_path, "alive"):
        assert not dead.exists()
        (alive / "excerpt.mp4").write_bytes(b"video")
        with work_folder(tmp_path, "another") as mine:
            assert mine.is_dir()
            assert (alive / "excerpt.mp4").exists(), "its worker lives"
            assert unborn.exists(), "its worker may just be making it"
        assert remove_abandoned(tmp_path) == 0
    assert not alive.exists()


def test_a_folder_that_is_locked_by_another_process_stays(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with (theirs / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove_abandoned(tmp_path) == 0
    assert remove_abandoned(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
