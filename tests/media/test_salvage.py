"""Archives that nobody was told of are found again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.media import probe
from backend.media.salvage import salvage_segments

OLD, NEW, BROKEN, EMPTY = (f"archive_20261121_12000{number}.mp4" for number in range(4))


@pytest.fixture
def folder(tmp_path: Path, videos: dict[str, Path]) -> Path:
    content = videos["h264"].read_bytes()
    (tmp_path / OLD).write_bytes(content)
    (tmp_path / NEW).write_bytes(content)
    (tmp_path / BROKEN).write_bytes(content[:64])
    (tmp_path / EMPTY).touch()
    (tmp_path / "notes.txt").write_text("not ours")
    return tmp_path


async def test_unknown_segments_come_back_with_their_true_length(folder: Path) -> None:
    found = await salvage_segments(folder, known={OLD})
    assert [segment.path.name for segment in found] == [NEW]
    [segment] = found
    assert segment.started_at == datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC)
    assert segment.duration_s == pytest.approx(4, abs=0.05)
    assert segment.size_bytes == segment.path.stat().st_size


async def test_only_an_empty_file_is_deleted(folder: Path) -> None:
    await salvage_segments(folder, known=set())
    assert sorted(path.name for path in folder.iterdir()) == [OLD, NEW, BROKEN, "notes.txt"]


async def test_older_segments_can_be_left_alone(folder: Path) -> None:
    since = datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC)
    found = await salvage_segments(folder, known=set(), since=since)
    assert [segment.path.name for segment in found] == [NEW]


async def test_nothing_is_deleted_because_the_look_itself_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "CHILD_MODULE", "backend.media.no_such_module")
    assert await salvage_segments(folder, known={EMPTY}) == []
    assert len(await asyncio.to_thread(lambda: list(folder.iterdir()))) == 5


async def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert await salvage_segments(tmp_path / "nowhere", known=set()) == []
