"""A recorder at work and everything it said, and looks at what it wrote."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import av

from backend.kernel.clock import SystemClock
from backend.media.archive import FinishedSegment
from backend.media.commands import RecordPlan, SourceKind
from backend.media.faults import StreamFault
from backend.media.ffmpeg import Ffmpeg
from backend.media.recorder import Recorder, RecorderLimits, RecordingEnded
from tests.waiting import until

T = TypeVar("T")

WITHIN_S = 90.0

UNHURRIED = RecorderLimits(
    start_s=100, stall_s=200, archive_late_s=100, archive_retry_s=100, terminate_s=30
)
"""No silence of a machine that is slow is taken for a camera's; tests set what they are about."""


class LeapingClock(SystemClock):
    """The machine's clock, ahead by the seconds that a test has let pass at once."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@dataclass
class Recording:
    """What a recorder was told to do, and what it said."""

    plan: RecordPlan
    recorder: Recorder
    stop: asyncio.Event
    task: asyncio.Task[RecordingEnded]
    live_count: int = 0
    segments: list[FinishedSegment] = field(default_factory=list)
    troubles: list[StreamFault] = field(default_factory=list)

    async def until_live(self) -> None:
        await until(lambda: self.live_count > 0 or self.task.done(), within_s=WITHIN_S)
        assert self.live_count == 1, self.task.result()

    async def until_segments(self, count: int) -> None:
        await until(lambda: len(self.segments) >= count or self.task.done(), within_s=WITHIN_S)
        assert len(self.segments) >= count, self.task.result()

    async def until_pictures(self, count: int) -> None:
        """Wait until so many pictures would outlive a crash."""
        archive_dir = self.plan.archive_dir
        assert archive_dir is not None
        await until(lambda: safe_pictures(archive_dir) >= count, within_s=WITHIN_S)

    async def until_over(self) -> RecordingEnded:
        """How it ended, which it has to do by itself."""
        await until(self.task.done, within_s=WITHIN_S, what="the recording ends")
        return self.task.result()

    async def finish(self) -> RecordingEnded:
        self.stop.set()
        return await self.task

    def pids(self) -> list[int]:
        return pids_with(str(self.plan.archive_dir))


@asynccontextmanager
async def recording(
    ffmpeg: Ffmpeg,
    source: Path | str,
    folder: Path,
    *,
    kind: SourceKind = SourceKind.FILE,
    limits: RecorderLimits = UNHURRIED,
    clock: LeapingClock | None = None,
    on_segment: Callable[[FinishedSegment], None] | None = None,
    **plan: Any,
) -> AsyncIterator[Recording]:
    """A recorder that runs until the block ends."""
    options = {"segment_s": 3, "keyframe_interval_s": 1.0} | plan
    made = RecordPlan(str(source), kind, folder / "live", folder / "archive", **options)

    async def on_live() -> None:
        new.live_count += 1

    async def take(segment: FinishedSegment) -> None:
        if on_segment is not None:
            on_segment(segment)
        new.segments.append(segment)

    async def on_trouble(fault: StreamFault, _detail: str) -> None:
        new.troubles.append(fault)

    recorder = Recorder(
        ffmpeg,
        made,
        on_live=on_live,
        on_segment=take,
        on_archive_trouble=on_trouble,
        clock=clock,
        limits=limits,
    )
    stop = asyncio.Event()
    new = Recording(made, recorder, stop, asyncio.create_task(recorder.run(stop)))
    try:
        yield new
    finally:
        stop.set()
        await asyncio.gather(new.task, return_exceptions=True)


def apart(work: Callable[[], T]) -> T:
    """Run something that needs an event loop of its own on a thread of its own."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def pids_with(argument: str) -> list[int]:
    """Processes (not zombies) whose command line holds this text, other than this one."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            if argument.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Look:
    """A video file as PyAV reads it."""

    codec: str
    frame_count: int
    keyframes_s: list[float]
    shown_s: list[float]


def look_at(*paths: Path | str) -> Look:
    """Decode every whole picture of the files, one after the other."""
    codec, frame_count, keyframes_s, shown_s = "", 0, [], []
    for path in paths:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context.codec.canonical_name
            with suppress(av.error.InvalidDataError):  # the picture that a kill cut off
                for frame in container.decode(stream):
                    frame_count += 1
                    shown_s.append(float(frame.time))
                    if frame.key_frame:
                        keyframes_s.append(float(frame.time))
    return Look(codec, frame_count, keyframes_s, shown_s)


def safe_pictures(folder: Path) -> int:
    """How many pictures of a growing archive can be read: those that a crash would leave."""
    try:
        return look_at(*folder.iterdir()).frame_count
    except (av.error.FFmpegError, OSError, IndexError):  # not even its head is there yet
        return 0


@dataclass(frozen=True)
class Playlist:
    """What a live playlist says."""

    first_number: int
    durations_s: list[float]
    names: list[str]
    discontinuities: int
    has_end: bool


def read_playlist(folder: Path) -> Playlist:
    text = (folder / "index.m3u8").read_text()
    first = re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)
    assert first is not None, text
    names = [line for line in text.splitlines() if line and not line.startswith("#")]
    after_first = text[text.index("#EXTINF") :]
    return Playlist(
        int(first[1]),
        [float(value) for value in re.findall(r"#EXTINF:([\d.]+)", text)],
        names,
        after_first.count("#EXT-X-DISCONTINUITY"),
        "#EXT-X-ENDLIST" in text,
    )
