"""Archive files are named, found, made durable and removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from backend.media.archive import (
    archive_name,
    disk_usage,
    list_archives,
    make_durable,
    parse_archive_name,
    remove_archive,
)

NOON = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)


def test_a_name_says_in_utc_when_the_segment_began() -> None:
    assert archive_name(NOON) == "archive_20261121_120005.mp4"
    in_seoul = NOON.astimezone(timezone(timedelta(hours=9)))
    assert archive_name(in_seoul) == "archive_20261121_120005.mp4"
    assert parse_archive_name(archive_name(NOON)) == NOON


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        archive_name(NOON.replace(tzinfo=None))


@pytest.mark.parametrize(
    "name",
    [
        "archive_20261121_120005.mp4.part",
        "archive_20261321_120005.mp4",
        "archive_20261121_250005.mp4",
        "archive_2026112_1120005.mp4",
        "archive_\u06620261121_120005.mp4",
        "../archive_20261121_120005.mp4",
        "archive_20261121_120005.mp4\n",
        "index.m3u8",
        "",
    ],
)
def test_other_names_are_no_segments(name: str) -> None:
    assert parse_archive_name(name) is None


def test_segments_are_listed_oldest_first_and_nothing_else(tmp_path: Path) -> None:
    for name in ["archive_20261121_120010.mp4", "archive_20261121_120000.mp4", "notes.txt"]:
        (tmp_path / name).write_bytes(b"x" * len(name))
    files = list_archives(tmp_path)
    assert [file.path.name for file in files] == [
        "archive_20261121_120000.mp4",
        "archive_20261121_120010.mp4",
    ]
    assert files[0].started_at == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert files[0].size_bytes == 27
    assert abs(files[0].modified_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert list_archives(tmp_path / "nowhere") == []


def test_removing_is_final_and_may_be_said_twice(tmp_path: Path) -> None:
    path = tmp_path / archive_name(NOON)
    path.write_bytes(b"x")
    make_durable(path)
    assert remove_archive(path) is True
    assert remove_archive(path) is False
    assert list_archives(tmp_path) == []


def test_the_pictures_beside_a_segment_go_with_it_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / archive_name(NOON)
    other = tmp_path / archive_name(NOON + timedelta(seconds=1))
    mine = [f"{path.stem}_0.jpg", f"{path.stem}_11.jpg", f".{path.stem}_2.jpg.x7.tmp"]
    theirs = [f"{other.stem}_0.jpg", other.name, f".{other.stem}_0.jpg.x7.tmp", "notes_0.jpg"]
    for name in [path.name, *mine, *theirs]:
        (tmp_path / name).write_bytes(b"x")
    assert remove_archive(path) is True
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(theirs)


def test_pictures_that_a_crash_left_go_although_the_segment_is_gone(tmp_path: Path) -> None:
    path = tmp_path / archive_name(NOON)
    picture = tmp_path / f"{path.stem}_0.jpg"
    picture.write_bytes(b"x")
    assert remove_archive(path) is False
    assert not picture.exists()


def test_a_file_that_is_gone_cannot_be_made_durable(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_durable(tmp_path / "gone.mp4")


def test_disk_usage_is_told_for_a_folder_that_is_still_to_be_made(tmp_path: Path) -> None:
    usage = disk_usage(tmp_path / "not" / "yet")
    assert 0 < usage.free_bytes <= usage.total_bytes
    assert 0 <= usage.used_percent <= 100
