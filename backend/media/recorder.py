"""Runs one ffmpeg that writes a stream's live view and archive, watches it, and says how it ended.

Started by whoever owns the camera, once per try: there is no retry in here. Guarantees:

- `on_live` is called once, when pictures flow and the playlist has been written by this run.
- `on_segment` is called for each finished archive, in order, also for those that ffmpeg left
  behind when it died; all calls are done when `run` returns. A call that raises is logged, and the
  file stays where a later look at the folder finds it.
- Where the plan has no archive only the live view is written, and there are no segments.
- A source that stops growing ends the run. So does an archive that fails or goes silent, but later:
  live goes on for a while, `on_archive_trouble` is told at once.
- No ffmpeg is left behind, whatever ends `run`: return, exception or cancellation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from backend.kernel.clock import Clock, SystemClock, wait
from backend.media.archive import FinishedSegment, archive_name, parse_archive_name
from backend.media.commands import PLAYLIST_NAME, RECORD_ENV, RecordPlan, record_command
from backend.media.faults import MESSAGES, StreamFault, archive_trouble, classify
from backend.media.ffmpeg import Ffmpeg
from backend.media.hls import prune_live_folder
from backend.media.notices import SegmentNotice, SegmentNotices
from backend.media.process import SupervisedProcess, start_process
from backend.media.salvage import salvage_segments
from backend.media.tls import certificates_env

log = structlog.get_logger(__name__)

OnLive = Callable[[], Awaitable[None]]
OnSegment = Callable[[FinishedSegment], Awaitable[None]]
OnArchiveTrouble = Callable[[StreamFault, str], Awaitable[None]]

WATCH_EVERY_S = 1.0
WATCH_UNTIL_LIVE_EVERY_S = 0.25
BLAME_LINES_OF_LAST_S = 15.0


@dataclass(frozen=True, slots=True)
class RecorderLimits:
    """How long which silence is borne, in seconds."""

    start_s: float = 15.0  # until the first picture
    stall_s: float = 8.0  # between two pictures
    archive_late_s: float = 30.0  # past the time at which a segment had to be finished
    archive_retry_s: float = 60.0  # from the archive's failure to a new try; live is cut for it
    terminate_s: float = 3.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """How a run ended: `reason` is None when it was asked to stop.

    `message` is for users; `detail`, a redacted line of ffmpeg's, is for the log.
    """

    reason: StreamFault | None
    detail: str = ""

    @property
    def message(self) -> str:
        """A sentence for users."""
        return "Stopped." if self.reason is None else MESSAGES[self.reason]


class Recorder:
    """One run of one ffmpeg. Make a new one for each try."""

    def __init__(
        self,
        ffmpeg: Ffmpeg,
        plan: RecordPlan,
        *,
        on_live: OnLive,
        on_segment: OnSegment,
        on_archive_trouble: OnArchiveTrouble | None = None,
        clock: Clock | None = None,
        limits: RecorderLimits | None = None,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._plan = plan
        self._on_live = on_live
        self._on_segment = on_segment
        self._on_archive_trouble = on_archive_trouble
        self._clock = clock or SystemClock()
        self._limits = limits or RecorderLimits()
        self.frame_count = 0
        """Pictures so far."""
        self._lines: deque[tuple[float, str]] = deque(maxlen=40)
        self._archive_trouble: tuple[float, StreamFault, str] | None = None
        self._delivered: set[str] = set()
        self._is_live = False
        self._has_told_of_trouble = False
        self._old_playlist_mtime_ns = 0
        self._grew_at = self._noticed_at = 0.0

    async def run(self, stop: asyncio.Event) -> RecordingEnded:
        """Record until `stop` is set or something ends it.

        Raises:
            OSError: a folder cannot be made, or ffmpeg not be started.
        """
        await asyncio.to_thread(self._prepare)
        archive_dir = self._plan.archive_dir
        if archive_dir is not None and await self._name_is_taken(archive_dir, stop):
            return RecordingEnded(None)
        first_second = self._clock.now().replace(microsecond=0)
        async with SegmentNotices() as notices:
            process = await start_process(
                self._command(notices.write_fd),
                env=RECORD_ENV | certificates_env(),
                inherit_env="plain",
                cwd=self._plan.live_dir,
                pass_fds=[notices.write_fd],
                stdout="pipe",
                on_stderr_line=self._take_line,
            )
            notices.close_write_end()
            try:
                ended = await self._supervise(process, notices, stop)
            finally:
                await process.terminate(0)
        if archive_dir is not None:
            await self._salvage(archive_dir, first_second)
        log.info(
            "recording ended",
            action="recording.ended",
            reason=ended.reason or "stopped",
            detail=ended.detail,
            frames=self.frame_count,
        )
        return ended

    async def _supervise(
        self, process: SupervisedProcess, notices: SegmentNotices, stop: asyncio.Event
    ) -> RecordingEnded:
        self._grew_at = self._noticed_at = self._clock.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_progress(process.stdout))
            group.create_task(self._deliver_all(notices))
            stopping = group.create_task(stop.wait())
            exiting = group.create_task(process.wait())
            ended = await self._watch(stopping, exiting)
            await process.terminate(self._limits.terminate_s)  # then both readers see the end
            stopping.cancel()
        return ended

    async def _watch(
        self,
        stopping: asyncio.Task[bool],
        exiting: asyncio.Task[int],
    ) -> RecordingEnded:
        while True:
            pause_s = WATCH_EVERY_S if self._is_live else WATCH_UNTIL_LIVE_EVERY_S
            await asyncio.wait(
                {stopping, exiting}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED
            )
            if stopping.done():
                return RecordingEnded(None)
            if exiting.done():
                return self._blame_exit(exiting.result())
            if not self._is_live and await self._live_has_begun():
                self._is_live = True
                self._noticed_at = self._clock.monotonic()
                await self._on_live()
            await self._tell_of_archive_trouble()
            if ended := self._overdue() or self._archive_overdue():
                return ended

    def _overdue(self) -> RecordingEnded | None:
        silent_s = self._clock.monotonic() - self._grew_at
        if self.frame_count == 0:
            if silent_s < self._limits.start_s:
                return None
            fault, line = self._recent_fault()
            fault = StreamFault.TIMEOUT if fault is StreamFault.UNKNOWN else fault
            return RecordingEnded(fault, line or f"no picture within {silent_s:.0f} s")
        if silent_s < self._limits.stall_s:
            return None
        return RecordingEnded(StreamFault.STALLED, f"no picture for {silent_s:.0f} s")

    async def _tell_of_archive_trouble(self) -> None:
        if self._archive_trouble is None or self._has_told_of_trouble:
            return
        self._has_told_of_trouble = True
        _, fault, line = self._archive_trouble
        log.error("archive is lost, live goes on", action="recording.archive_lost", line=line)
        if self._on_archive_trouble is not None:
            await self._on_archive_trouble(fault, line)

    def _archive_overdue(self) -> RecordingEnded | None:
        if self._plan.archive_dir is None:
            return None
        now = self._clock.monotonic()
        if self._archive_trouble is not None:
            since, fault, line = self._archive_trouble
            return (
                RecordingEnded(fault, line) if now - since > self._limits.archive_retry_s else None
            )
        keyframes_s = 2 * (self._plan.keyframe_interval_s or 0)  # cuts wait for the next one
        late_s = now - self._noticed_at - self._plan.segment_s - keyframes_s
        if not self._is_live or late_s < self._limits.archive_late_s:
            return None
        return RecordingEnded(StreamFault.ARCHIVE_FAILED, "no segment was finished in time")

    def _blame_exit(self, status: int) -> RecordingEnded:
        """Every exit is a fault: ffmpeg also returns 0 when the peer hangs up."""
        fault, line = self._recent_fault()
        if fault is StreamFault.UNKNOWN:
            if status < 0:
                return RecordingEnded(StreamFault.KILLED, f"signal {-status}")
            if status == 0:
                return RecordingEnded(StreamFault.ENDED, "exit status 0")
            line = self._lines[-1][1] if self._lines else f"exit status {status}"
        return RecordingEnded(fault, line)

    def _recent_fault(self) -> tuple[StreamFault, str]:
        now = self._clock.monotonic()
        return classify(line for at, line in self._lines if now - at < BLAME_LINES_OF_LAST_S)

    def _take_line(self, line: str) -> None:
        log.debug("ffmpeg says", action="ffmpeg.line", line=line)
        now = self._clock.monotonic()
        self._lines.append((now, line))
        fault = archive_trouble(line)
        if fault is not None and self._archive_trouble is None:
            self._archive_trouble = (now, fault, line)

    async def _read_progress(self, stdout: asyncio.StreamReader) -> None:
        while raw := await stdout.readline():
            name, _, value = raw.decode("ascii", "replace").strip().partition("=")
            if name != "frame" or not value.isdecimal():
                continue
            if int(value) > self.frame_count:
                self._grew_at = self._clock.monotonic()
            self.frame_count = int(value)

    async def _deliver_all(self, notices: SegmentNotices) -> None:
        async for notice in notices:
            self._noticed_at = self._clock.monotonic()
            segment = await asyncio.to_thread(self._finished, notice)
            if segment is not None:
                await self._deliver(segment)

    def _finished(self, notice: SegmentNotice) -> FinishedSegment | None:
        started_at = parse_archive_name(notice.name)
        if self._plan.archive_dir is None or started_at is None:
            return None
        path = self._plan.archive_dir / notice.name
        try:
            size_bytes = path.stat().st_size
        except FileNotFoundError:
            size_bytes = 0
        if size_bytes == 0:
            return None
        return FinishedSegment(path, started_at, notice.duration_s, size_bytes)

    async def _deliver(self, segment: FinishedSegment) -> None:
        self._delivered.add(segment.path.name)
        try:
            await self._on_segment(segment)
        except Exception:  # the caller's trouble must not end the recording; the file stays
            log.exception(
                "segment was not taken", action="recording.segment_refused", name=segment.path.name
            )

    async def _salvage(self, archive_dir: Path, first_second: datetime) -> None:
        """Deliver what ffmpeg left without a notice."""
        for segment in await salvage_segments(
            archive_dir, since=first_second, known=self._delivered
        ):
            await self._deliver(segment)

    async def _live_has_begun(self) -> bool:
        if self.frame_count == 0:
            return False
        return await asyncio.to_thread(self._playlist_mtime_ns) != self._old_playlist_mtime_ns

    def _playlist_mtime_ns(self) -> int:
        try:
            return (self._plan.live_dir / PLAYLIST_NAME).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _command(self, segment_list_fd: int) -> list[str]:
        # A new playlist counts from now, so that no name comes back with another content.
        goes_on = self._old_playlist_mtime_ns > 0
        return record_command(
            self._ffmpeg,
            self._plan,
            segment_list_fd=segment_list_fd,
            first_live_number=0 if goes_on else int(self._clock.now().timestamp()),
        )

    def _prepare(self) -> None:
        self._plan.live_dir.mkdir(parents=True, exist_ok=True)
        if self._plan.archive_dir is not None:
            self._plan.archive_dir.mkdir(parents=True, exist_ok=True)
        prune_live_folder(self._plan.live_dir)
        self._old_playlist_mtime_ns = self._playlist_mtime_ns()

    async def _name_is_taken(self, archive_dir: Path, stop: asyncio.Event) -> bool:
        """Wait while the run before has a file of this second; ffmpeg would overwrite it.

        Says whether it was asked to stop meanwhile.
        """
        while not stop.is_set():
            now = self._clock.now()
            path = archive_dir / archive_name(now)
            if not await asyncio.to_thread(path.exists):
                return False
            next_second = now.replace(microsecond=0) + timedelta(seconds=1)
            await wait(stop, (next_second - now).total_seconds())
        return True
