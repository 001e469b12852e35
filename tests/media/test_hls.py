"""The live folder is served from memory, and nothing but the live folder."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from backend.media import hls
from backend.media.hls import LiveFolder, clear_live_folder, prune_live_folder


class SetClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self):
        raise NotImplementedError


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    live = tmp_path / "live"
    live.mkdir()
    (live / "index.m3u8").write_text('#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:1\n7.ts\n')
    (live / "7.ts").write_bytes(b"seven")
    (live / "init.mp4").write_bytes(b"init")
    (live / "8.m4s").write_bytes(b"eight")
    return live


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were looked at on disk, and how often."""
    names: list[str] = []
    real = hls._load

    def counted(path: Path, *rest):
        assert threading.current_thread() is not threading.main_thread()
        names.append(path.name)
        return real(path, *rest)

    monkeypatch.setattr(hls, "_load", counted)
    return names


@pytest.mark.parametrize(
    ("name", "media_type", "cache_control"),
    [
        ("index.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
        ("7.ts", "video/mp2t", "private, max-age=5"),
        ("8.m4s", "video/mp4", "private, max-age=5"),
        ("init.mp4", "video/mp4", "private, max-age=5"),
    ],
)
async def test_each_file_has_its_type_and_lifetime(
    folder: Path, name: str, media_type: str, cache_control: str
) -> None:
    file = await LiveFolder(folder).read(name)
    assert file is not None
    assert file.body == (folder / name).read_bytes()
    assert (file.media_type, file.cache_control) == (media_type, cache_control)
    assert "immutable" not in file.cache_control


@pytest.mark.parametrize(
    "name",
    [
        "../secret.ts",
        "..%2f7.ts",
        "/etc/passwd",
        "7.ts.tmp",
        "index.m3u8.tmp",
        "other.m3u8",
        "x.ts",
        "7.ts\n",
        "\u0667.ts",
        "init/../7.ts",
        "",
        ".",
        "7.mp4",
        "9" * 20 + ".ts",
    ],
)
async def test_no_other_name_is_served(folder: Path, name: str) -> None:
    (folder.parent / "secret.ts").write_bytes(b"secret")
    for extra in ["7.ts.tmp", "index.m3u8.tmp", "other.m3u8", "x.ts", "7.mp4"]:
        (folder / extra).write_bytes(b"x")
    assert await LiveFolder(folder).read(name) is None


async def test_what_is_not_there_yet_or_any_more_is_none(folder: Path, clock: SetClock) -> None:
    live = LiveFolder(folder, clock=clock)
    assert await live.read("9.ts") is None
    assert await live.read("7.ts") is not None
    (folder / "7.ts").unlink()
    clock.seconds += 2
    assert await live.read("7.ts") is None
    assert live.kept_bytes == 0
    assert await LiveFolder(folder / "nowhere").read("index.m3u8") is None


async def test_four_hundred_viewers_cost_one_read(
    folder: Path, clock: SetClock, loads: list[str]
) -> None:
    live = LiveFolder(folder, clock=clock)
    files = await asyncio.gather(*(live.read("7.ts") for _ in range(400)))
    assert {file.body for file in files if file is not None} == {b"seven"}
    assert loads == ["7.ts"]


async def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(
    folder: Path, clock: SetClock
) -> None:
    live = LiveFolder(folder, clock=clock)
    first = await live.read("index.m3u8")
    clock.seconds += 1
    assert await live.read("index.m3u8") is first  # looked at, and kept
    (folder / "index.m3u8.tmp").write_text("#EXTM3U\n8.ts\n")
    (folder / "index.m3u8.tmp").rename(folder / "index.m3u8")
    clock.seconds += 0.2
    second = await live.read("index.m3u8")
    assert second is not None
    assert second.body == b"#EXTM3U\n8.ts\n"


async def test_a_playlist_is_at_most_a_moment_old(
    folder: Path, clock: SetClock, loads: list[str]
) -> None:
    live = LiveFolder(folder, clock=clock)
    for _ in range(10):
        await live.read("index.m3u8")
        clock.seconds += 0.06
    assert 4 <= len(loads) <= 6


async def test_memory_is_bounded_and_the_oldest_goes_first(
    folder: Path, clock: SetClock, loads: list[str]
) -> None:
    for number in range(10):
        (folder / f"{number}.ts").write_bytes(bytes(100))
    live = LiveFolder(folder, max_bytes=350, clock=clock)
    for number in range(10):
        await live.read(f"{number}.ts")
    assert live.kept_bytes == 300
    loads.clear()
    for number in range(7, 10):
        await live.read(f"{number}.ts")
    assert loads == []


async def test_a_file_larger_than_the_memory_is_served_all_the_same(folder: Path) -> None:
    live = LiveFolder(folder, max_bytes=3)
    file = await live.read("7.ts")
    assert file is not None
    assert file.body == b"seven"
    assert live.kept_bytes == 0


async def test_what_nobody_asks_for_is_forgotten(folder: Path, clock: SetClock) -> None:
    live = LiveFolder(folder, clock=clock)
    await live.read("7.ts")
    clock.seconds += 60
    await live.read("8.m4s")
    assert live.kept_bytes == len(b"eight")


def test_clearing_empties_a_folder_but_takes_nothing_foreign(folder: Path) -> None:
    for name in ["9.ts.tmp", "notes.txt"]:
        (folder / name).write_bytes(b"x")
    clear_live_folder(folder)
    assert names(folder) == ["notes.txt"]
    clear_live_folder(folder / "nowhere")  # harmless


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_pruning_keeps_what_the_playlist_names(folder: Path) -> None:
    for name in ["1.ts", "9.ts.tmp", "init_old.mp4", "notes.txt"]:
        (folder / name).write_bytes(b"x")
    prune_live_folder(folder)
    assert names(folder) == ["7.ts", "index.m3u8", "init.mp4", "notes.txt"]
    (folder / "index.m3u8").unlink()
    prune_live_folder(folder)
    assert names(folder) == ["notes.txt"]
    prune_live_folder(folder / "nowhere")  # harmless
