"""Fixtures of the media tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backend.media import commands
from backend.media import ffmpeg as finding
from backend.media.ffmpeg import Ffmpeg, find_ffmpeg
from tests.media.harness import apart
from tests.peers.videos import make_video


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    """The ffmpeg that VAP finds on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "ANSWER_WITHIN_S", 60.0)
        return apart(lambda: asyncio.run(find_ffmpeg()))


@pytest.fixture
def patient_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """ffmpeg itself never gives up a camera that is silent: only who watches over it does."""
    monkeypatch.setattr(commands, "SOCKET_TIMEOUT_US", 100_000_000)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Short sources of each kind, by name."""
    folder = tmp_path_factory.mktemp("sources")
    small = (320, 240)
    return {
        "h264": make_video(folder / "h264.mp4", seconds=4, size=small),
        "demo": make_video(folder / "demo.mp4", seconds=5, fps=12, size=small),
        "b_frames": make_video(folder / "b.mp4", seconds=4, b_frames=2, size=small),
        "hevc": make_video(folder / "hevc.mp4", seconds=4, codec="hevc", size=small),
        "mjpeg": make_video(folder / "mjpeg.avi", seconds=3, codec="mjpeg", size=small),
    }
