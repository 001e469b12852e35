"""Finds the ffmpeg to use and what it can do. Called once by each process when it starts.

`FFMPEG_BINARY` where set (then nothing else is tried), else the one that the package
imageio-ffmpeg brings, unless the system's is newer.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from backend.kernel.errors import Unavailable
from backend.media.process import start_process

OLDEST_VERSION = (5, 1)
ANSWER_WITHIN_S = 30.0
_VERSION = re.compile(r"ffmpeg version n?(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class Ffmpeg:
    """An ffmpeg that works. `version` is () for a build that names none (a git snapshot)."""

    path: Path
    version: tuple[int, ...]
    has_hybrid_fragmented: bool

    @property
    def version_text(self) -> str:
        """The version for people."""
        return ".".join(map(str, self.version)) or "unknown"


async def find_ffmpeg(configured: Path | None = None) -> Ffmpeg:
    """The ffmpeg to use.

    Raises:
        Unavailable: none works, or the configured one does not or is too old.
    """
    if configured is not None:
        found = await _look_at(shutil.which(configured))
        if found is None:
            raise Unavailable("FFMPEG_BINARY is not a working ffmpeg", code="ffmpeg_missing")
        if _is_too_old(found):
            raise Unavailable(
                f"FFMPEG_BINARY is ffmpeg {found.version_text}; 5.1 or newer is needed",
                code="ffmpeg_too_old",
            )
        return found
    bundled = await _look_at(await asyncio.to_thread(_bundled_path))
    system = await _look_at(shutil.which("ffmpeg"))
    usable = [found for found in (bundled, system) if found is not None and not _is_too_old(found)]
    if not usable:
        raise Unavailable(
            "No working ffmpeg 5.1 or newer: install the package imageio-ffmpeg, or the system's"
            " ffmpeg, or set FFMPEG_BINARY",
            code="ffmpeg_missing",
        )
    return max(usable, key=lambda found: found.version)  # the first, bundled, wins a tie


def _is_too_old(found: Ffmpeg) -> bool:
    return found.version != () and found.version < OLDEST_VERSION


def _bundled_path() -> str | None:
    try:
        return shutil.which(str(imageio_ffmpeg.get_ffmpeg_exe()))
    except RuntimeError:
        return None


async def _look_at(path: str | None) -> Ffmpeg | None:
    if path is None:
        return None
    banner = await _ask(path, "-version")
    if "ffmpeg version" not in banner:
        return None
    version = _VERSION.search(banner)
    muxer = await _ask(path, "-hide_banner", "-h", "muxer=mp4")
    return Ffmpeg(
        path=Path(path),
        version=tuple(int(part) for part in version[1].split(".")) if version else (),
        has_hybrid_fragmented="hybrid_fragmented" in muxer,
    )


async def _ask(path: str, *arguments: str) -> str:
    """What ffmpeg answers on stdout; "" when it cannot be run or does not answer."""
    try:
        process = await start_process([path, *arguments], inherit_env="plain", stdout="pipe")
    except OSError:
        return ""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await process.stdout.read()
            await process.wait()
    except TimeoutError:
        return ""
    finally:
        await process.terminate(0)
    return answer.decode("utf-8", "replace")
