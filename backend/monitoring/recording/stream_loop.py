"""Keeps one stream going: looks at its source, records until that ends, waits, and does it again.

The only place where a stream is tried again. A stream has a live view and nothing else, which is
all of a substream; `camera_loop` adds states and archives. A source that comes back may have become
another (another codec, another size), so it is looked at before it is recorded again: briefly,
since what it sends meanwhile is lost. The live view of one that has changed begins anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog
from structlog.contextvars import bound_contextvars

from backend.kernel.clock import Clock, wait
from backend.kernel.errors import InvalidInput
from backend.kernel.retry import Backoff
from backend.media.archive import FinishedSegment
from backend.media.commands import RecordPlan, source_kind
from backend.media.faults import StreamFault
from backend.media.ffmpeg import Ffmpeg
from backend.media.hls import clear_live_folder
from backend.media.probe import ProbeError, ProbeResult
from backend.media.recorder import Recorder, RecorderLimits, RecordingEnded
from backend.monitoring.cameras.service import VERIFY_TLS, CameraService

log = structlog.get_logger(__name__)

RECONNECT = Backoff(first_s=0.5, max_s=30)
HEALTHY_AFTER_S = 60.0
AT_LONGEST = 64  # failures after which the delay grows no more
LOOK_AGAIN_AFTER = 3  # failures in a row, after which even a fault of ours may be the source's
LASTING = frozenset(
    {
        StreamFault.AUTH,
        StreamFault.NOT_FOUND,
        StreamFault.TLS,
        StreamFault.UNSUPPORTED_CODEC,
        StreamFault.NO_VIDEO,
    }
)
"""Faults that trying again soon will not mend; tried again all the same, at the longest delay."""
OUR_OWN = frozenset({StreamFault.KILLED, StreamFault.DISK_FULL})
"""Faults of this machine: the source is still what it was, and recorded again without a look."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one try ended. `reason` is None when it was asked to; code and sentence are for users."""

    reason: StreamFault | None
    code: str
    sentence: str
    detail: str = ""
    is_lasting: bool = False


class StreamLoop:
    """One stream, from when it is wanted until it is not. A service: `run(stop)`."""

    def __init__(
        self,
        camera_id: str,
        source: str,
        live_dir: Path,
        ffmpeg: Ffmpeg,
        cameras: CameraService,
        clock: Clock,
        *,
        limits: RecorderLimits | None = None,
        reconnect: Backoff = RECONNECT,
    ) -> None:
        self._camera_id = camera_id
        self._source = source
        self._live_dir = live_dir
        self._ffmpeg = ffmpeg
        self._cameras = cameras
        self._clock = clock
        self._limits = limits
        self._reconnect = reconnect
        self._probe: ProbeResult | None = None
        self._may_have_changed = False
        self._live_since: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the stream going until stopped."""
        with bound_contextvars(camera_id=self._camera_id, stream=self._live_dir.name):
            await self._keep_going(stop)

    async def _keep_going(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            self._live_since = None
            ended = await self._try(stop)
            if stop.is_set() or ended.reason is None:
                return
            failures = 1 if self._was_healthy() else failures + 1
            if ended.reason not in OUR_OWN or failures >= LOOK_AGAIN_AFTER:
                self._may_have_changed = True
            self._on_ended(ended)
            delay_s = self._reconnect.delay_s(AT_LONGEST if ended.is_lasting else failures)
            log.warning(
                "stream ended, will be tried again",
                action="stream.ended",
                reason=ended.code,
                detail=ended.detail,
                failures=failures,
                delay_s=round(delay_s, 1),
            )
            if await wait(stop, delay_s):
                return
            self._on_retry()

    async def _try(self, stop: asyncio.Event) -> Ended:
        """Look at the source unless it is known, then record until that ends."""
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look())
            stopping = group.create_task(stop.wait())
            await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            looking.cancel()  # a source that hangs must not keep a stream that is over
            stopping.cancel()
        found = _ended(None) if looking.cancelled() else looking.result()
        if isinstance(found, Ended):
            return found
        recorder = Recorder(
            self._ffmpeg,
            found,
            on_live=self._on_live,
            on_segment=self._on_segment,
            on_archive_trouble=self._on_archive_trouble,
            clock=self._clock,
            limits=self._limits,
        )
        try:
            ended = await self._record(recorder, stop)
        except OSError as error:
            return _ended(StreamFault.ARCHIVE_FAILED, type(error).__name__)
        return _ended(ended.reason, ended.detail)

    async def _look(self) -> RecordPlan | Ended:
        """How the source is to be recorded as it is now, or why it cannot be."""
        try:
            opened = await self._cameras.open(self._source)
            if self._probe is not None and self._may_have_changed:
                seen = await self._cameras.look_at(self._source, is_brief=True)
                if not seen.is_like(self._probe):
                    self._probe = None
                    await asyncio.to_thread(clear_live_folder, self._live_dir)
            if self._probe is None:
                self._probe = await self._cameras.look_at(self._source)
                self._on_looked(self._probe)
        except ProbeError as error:
            return _ended(error.fault, "the source could not be looked at")
        except InvalidInput as error:
            return Ended(StreamFault.NOT_FOUND, error.code, error.message, is_lasting=True)
        self._may_have_changed = False
        return self._plan(opened, self._probe)

    def _was_healthy(self) -> bool:
        since = self._live_since
        return since is not None and self._clock.monotonic() - since > HEALTHY_AFTER_S

    # What a stream with more than a live view adds to.

    def _plan(self, opened: str, probe: ProbeResult) -> RecordPlan:
        return RecordPlan(
            source=opened,
            kind=source_kind(opened, duration_s=probe.duration_s, container=probe.container),
            live_dir=self._live_dir,
            archive_dir=None,
            copy=probe.browser_can_copy,
            b_frames=probe.has_b_frames,
            keyframe_interval_s=probe.keyframe_interval_s,
            verify_tls=VERIFY_TLS,
        )

    async def _record(self, recorder: Recorder, stop: asyncio.Event) -> RecordingEnded:
        return await recorder.run(stop)

    async def _on_live(self) -> None:
        self._live_since = self._clock.monotonic()

    async def _on_segment(self, segment: FinishedSegment) -> None: ...

    async def _on_archive_trouble(self, fault: StreamFault, line: str) -> None: ...

    def _on_looked(self, probe: ProbeResult) -> None: ...

    def _on_ended(self, ended: Ended) -> None: ...

    def _on_retry(self) -> None: ...


def _ended(reason: StreamFault | None, detail: str = "") -> Ended:
    how = RecordingEnded(reason)
    return Ended(reason, str(reason), how.message, detail, is_lasting=reason in LASTING)
