"""The right ffmpeg is found, or it is said what is missing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backend.kernel.errors import Unavailable
from backend.media.ffmpeg import Ffmpeg, find_ffmpeg


@pytest.fixture(autouse=True)
def slow_programs_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of these programs is missed."""
    monkeypatch.setattr("backend.media.ffmpeg.ANSWER_WITHIN_S", 60.0)


def fake(folder: Path, version: str, *, muxer: str = "") -> Path:
    """A program that answers as an ffmpeg of this version would."""
    path = folder / "ffmpeg"
    path.write_text(
        f"#!/bin/sh\nif [ \"$1\" = -version ]; then echo 'ffmpeg version {version} Copyright';"
        f" else echo '{muxer}'; fi\n"
    )
    path.chmod(0o755)
    return path


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


async def test_the_bundled_one_is_found_and_writes_crash_safe_files() -> None:
    found = await find_ffmpeg()
    assert found.path.is_file()
    assert found.version >= (5, 1)
    if "imageio_ffmpeg" in str(found.path):
        assert found.has_hybrid_fragmented


async def test_a_newer_one_of_the_system_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fake(tmp_path, "99.1", muxer="hybrid_fragmented  E....")
    on_path(tmp_path, monkeypatch)
    assert await find_ffmpeg() == Ffmpeg(path, (99, 1), has_hybrid_fragmented=True)


async def test_an_older_one_of_the_system_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ffmpeg: Ffmpeg
) -> None:
    fake(tmp_path, "5.1.9-0+deb12u1")
    on_path(tmp_path, monkeypatch)
    assert await find_ffmpeg() == ffmpeg


async def test_the_configured_one_is_taken_even_if_older(tmp_path: Path) -> None:
    path = fake(tmp_path, "5.1.9-0+deb12u1", muxer="frag_keyframe")
    assert await find_ffmpeg(path) == Ffmpeg(path, (5, 1, 9), has_hybrid_fragmented=False)


async def test_a_snapshot_without_a_version_may_be_configured(tmp_path: Path) -> None:
    found = await find_ffmpeg(fake(tmp_path, "N-118448-g43be8d0728"))
    assert found.version == ()
    assert found.version_text == "unknown"


@pytest.mark.parametrize("content", [None, "#!/bin/sh\necho hello\n", "not a program"])
async def test_a_configured_one_that_does_not_work_is_refused(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ffmpeg"
    if content is not None:
        path.write_text(content)
        path.chmod(0o755)
    with pytest.raises(Unavailable, match="FFMPEG_BINARY"):
        await find_ffmpeg(path)


async def test_a_configured_one_that_is_too_old_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"4\.4\.2.*5\.1"):
        await find_ffmpeg(fake(tmp_path, "4.4.2-0ubuntu0.22.04.1"))


async def test_without_any_the_message_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "gone"))
    with pytest.raises(Unavailable, match="imageio-ffmpeg") as caught:
        await find_ffmpeg()
    assert caught.value.code == "ffmpeg_missing"


async def test_one_that_never_answers_does_not_hold_up_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ffmpeg"
    path.write_text("#!/bin/sh\nexec sleep 100\n")
    path.chmod(0o755)
    monkeypatch.setattr("backend.media.ffmpeg.ANSWER_WITHIN_S", 0.2)
    async with asyncio.timeout(60):
        with pytest.raises(Unavailable):
            await find_ffmpeg(path)
