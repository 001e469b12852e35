"""Files without a sound that could be listened to, each for a reason of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

from tests.peers.videos import make_video

KEY = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"]
KEY += ["-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"]


def playlist(folder: Path) -> Path:
    """A playlist of addresses inside."""
    path = folder / "list.m3u8"
    inside = "http://169.254.169.254/latest/meta-data/"
    path.write_text(f"#EXTM3U\n#EXTINF:5,\n{inside}\n#EXTINF:5,\nfile:///etc/passwd\n")
    return path


def without_sound(folder: Path) -> Path:
    """A video that is silent by nature."""
    return make_video(folder / "video.mp4", seconds=2, size=(160, 90))


def too_long(folder: Path) -> Path:
    """Eight seconds, where fewer are allowed."""
    return tone(folder / "long.mp4")


def cut_off(folder: Path) -> Path:
    """Half of a file; what lies where stands in the other half."""
    whole = tone(folder / "cut.mp4")
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    return whole


def no_video(folder: Path) -> Path:
    """A page that was sent instead."""
    page = folder / "page.html"
    page.write_text("<!doctype html><title>Log in</title>")
    return page


def encrypted(folder: Path) -> Path:
    """A protected file, without its key."""
    return tone(folder / "encrypted.mp4", "-t", "2", *KEY)


def tone(path: Path, *options: str) -> Path:
    """Eight seconds of a tone, or what the options make of it."""
    source = ["-f", "lavfi", "-i", "sine=duration=8", "-c:a", "aac"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *source, *options, str(path)]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return path
