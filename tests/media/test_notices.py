"""What ffmpeg says on the segment pipe is understood, in whatever pieces it comes."""

from __future__ import annotations

import os

import pytest

from backend.media.notices import SegmentNotice, SegmentNotices, parse_notice


@pytest.mark.parametrize(
    ("line", "notice"),
    [
        ("archive_20261121_120000.mp4,0.000000,60.040000", 60.04),
        ("/data/archive/archive_20261121_120000.mp4,60.0,61.0", 1.0),
        ('"archive_20261121_120000.mp4",5.0,4.0', 0.0),
    ],
)
def test_a_line_names_the_segment_and_its_length(line: str, notice: float) -> None:
    parsed = parse_notice(line)
    assert parsed is not None
    assert parsed.name == "archive_20261121_120000.mp4"
    assert parsed.duration_s == pytest.approx(notice)


@pytest.mark.parametrize("line", ["", "a,b", "a,b,c", "a,1,2,3", "name,,"])
def test_anything_else_is_no_notice(line: str) -> None:
    assert parse_notice(line) is None


async def test_notices_in_pieces_arrive_whole_and_are_kept_past_the_writers_death() -> None:
    async with SegmentNotices() as notices:
        writer = os.dup(notices.write_fd)
        notices.close_write_end()
        for piece in (b"a.mp4,0,", b"1\nb.m", b"p4,1,3\nc.mp4,3"):
            os.write(writer, piece)
        os.close(writer)
        found = [notice async for notice in notices]
    assert found == [SegmentNotice("a.mp4", 1.0), SegmentNotice("b.mp4", 2.0)]
