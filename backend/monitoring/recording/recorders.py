"""Keeps every enabled camera recording: the only place where a stream is tried again.

A service of the main process. Each camera has a loop of its own (look at the source, record until
that ends, wait, again); the loops are started, restarted and stopped as cameras come, change and
go. States and segments go to the database through the ledger, so that a database that is away
never stops a recording.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from backend.kernel.clock import Clock, wait
from backend.kernel.db import is_disconnect
from backend.kernel.errors import InvalidInput
from backend.kernel.lifecycle import Supervisor
from backend.kernel.retry import Backoff
from backend.media.archive import FinishedSegment
from backend.media.commands import RecordPlan, source_kind
from backend.media.faults import StreamFault
from backend.media.ffmpeg import Ffmpeg
from backend.media.probe import ProbeError, ProbeResult
from backend.media.recorder import Recorder, RecorderLimits, RecordingEnded
from backend.monitoring.cameras.service import CameraRecord, CameraService
from backend.monitoring.cameras.states import CAMERA, CameraState
from backend.monitoring.recording.ledger import Ledger, wait_for_either
from backend.monitoring.recording.service import RecordingService

log = structlog.get_logger(__name__)

RECONNECT = Backoff(first_s=0.5, max_s=30)
HEALTHY_AFTER_S = 60.0
LOOK_AGAIN_AFTER = 3  # failures in a row, after which the source may have become another
REREAD_S = 10.0
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


class CameraLoop:
    """One camera, from when it is enabled until it is not. A service: `run(stop)`."""

    def __init__(
        self,
        camera: CameraRecord,
        ffmpeg: Ffmpeg,
        cameras: CameraService,
        recordings: RecordingService,
        ledger: Ledger,
        clock: Clock,
        *,
        limits: RecorderLimits | None = None,
        reconnect: Backoff = RECONNECT,
    ) -> None:
        self._camera = camera
        self._ffmpeg = ffmpeg
        self._cameras = cameras
        self._recordings = recordings
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._reconnect = reconnect
        self._state = CameraState.STOPPED
        self._reason: str | None = None
        self._probe: ProbeResult | None = None
        self._live_since: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Record until stopped."""
        with bound_contextvars(camera_id=self._camera.id):
            self._say(CameraState.STARTING, None)
            try:
                await self._recordings.adopt_leftovers(self._camera)
                await self._keep_recording(stop)
            finally:
                self._recordings.recording.discard(self._camera.id)
                self._say(CameraState.STOPPED, None)

    async def _keep_recording(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            self._live_since = None
            ended = await self._record(stop)
            self._recordings.recording.discard(self._camera.id)
            if stop.is_set() or ended.reason is None:
                return
            failures = 1 if self._was_healthy() else failures + 1
            lasting = ended.reason in LASTING
            if lasting or failures >= LOOK_AGAIN_AFTER:
                self._probe = None
            self._say(_state_after(ended.reason), f"{ended.reason}: {ended.message}")
            delay_s = self._reconnect.max_s if lasting else self._reconnect.delay_s(failures)
            log.warning(
                "stream ended, will be tried again",
                action="camera.ended",
                reason=ended.reason,
                detail=ended.detail,
                failures=failures,
                delay_s=round(delay_s, 1),
            )
            if await wait(stop, delay_s):
                return
            if self._state is CameraState.STALLED:
                self._say(CameraState.RECONNECTING, self._reason)

    async def _record(self, stop: asyncio.Event) -> RecordingEnded:
        """One try: look at the source unless it is known, then record until that ends."""
        camera = self._camera
        try:
            source = await self._cameras.open(camera.source)
            if self._probe is None:
                self._probe = await self._cameras.look_at(camera.source)
                self._ledger.put("probe", partial(self._cameras.note_probe, camera.id, self._probe))
        except ProbeError as error:
            return RecordingEnded(error.fault, "the source could not be looked at")
        except InvalidInput as error:
            return RecordingEnded(StreamFault.NOT_FOUND, error.message)
        recorder = Recorder(
            self._ffmpeg,
            self._plan(source, self._probe),
            on_live=self._on_live,
            on_segment=self._on_segment,
            clock=self._clock,
            limits=self._limits,
        )
        try:
            self._recordings.recording.add(camera.id)
            return await recorder.run(stop)
        except OSError as error:
            return RecordingEnded(StreamFault.ARCHIVE_FAILED, type(error).__name__)

    def _plan(self, source: str, probe: ProbeResult) -> RecordPlan:
        camera = self._camera
        return RecordPlan(
            source=source,
            kind=source_kind(source, duration_s=probe.duration_s, container=probe.container),
            live_dir=self._recordings.live_dir(camera.id),
            archive_dir=self._recordings.archive_dir(camera.id),
            copy=probe.browser_can_copy,
            b_frames=probe.has_b_frames,
            segment_s=camera.archive_seconds,
            keyframe_interval_s=probe.keyframe_interval_s,
            verify_tls=False,  # cameras sign their own certificates
        )

    async def _on_live(self) -> None:
        self._live_since = self._clock.monotonic()
        self._say(CameraState.LIVE, None)

    async def _on_segment(self, segment: FinishedSegment) -> None:
        register = partial(self._recordings.register, self._camera, segment)
        self._ledger.put("segment", register)

    def _was_healthy(self) -> bool:
        since = self._live_since
        return since is not None and self._clock.monotonic() - since > HEALTHY_AFTER_S

    def _say(self, state: CameraState, reason: str | None) -> None:
        if (state, reason) == (self._state, self._reason):
            return
        if state is not self._state:
            CAMERA.check(self._state, state)
            log.info("camera state", action="camera.state", state=state, reason=reason)
        self._state, self._reason = state, reason
        short = reason[:500] if reason else None
        note = partial(self._cameras.note_state, self._camera.id, state, short, self._clock.now())
        self._ledger.put("state", note)


class CameraSupervision:
    """Starts, restarts and stops the cameras' loops. A service: `run(stop)`."""

    def __init__(
        self,
        ffmpeg: Ffmpeg,
        cameras: CameraService,
        recordings: RecordingService,
        clock: Clock,
        *,
        limits: RecorderLimits | None = None,
        reconnect: Backoff = RECONNECT,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._cameras = cameras
        self._recordings = recordings
        self._clock = clock
        self._limits = limits
        self._reconnect = reconnect
        self._ledger = Ledger()
        self._running: dict[str, tuple[object, ...]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Keep what runs equal to what is enabled; at the end, stop everything."""
        await self._cameras.stop_all()
        ledger_stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ledger.run(ledger_stop))
            try:
                async with Supervisor(self._clock) as loops:
                    while not stop.is_set():
                        await self._match(loops)
                        await self._until_changed(stop)
            finally:
                ledger_stop.set()

    async def _match(self, loops: Supervisor) -> None:
        self._cameras.changed.clear()
        try:
            wanted = {c.id: c for c in await self._cameras.records() if c.enabled}
        except Exception as error:
            if not is_disconnect(error):
                raise
            return  # what runs goes on; the table is read again soon
        for camera_id in [*self._running]:
            camera = wanted.get(camera_id)
            if camera is None or _shape(camera) != self._running[camera_id]:
                await loops.stop(camera_id)
                del self._running[camera_id]
        new = [camera for camera in wanted.values() if camera.id not in self._running]
        for camera in new:
            self._running[camera.id] = _shape(camera)
            spread_s = random.uniform(0, 0.1) * (len(new) - 1)  # noqa: S311  no storm of starts
            loops.start(camera.id, partial(self._run_later, self._loop(camera), spread_s))

    @staticmethod
    async def _run_later(loop: CameraLoop, after_s: float, stop: asyncio.Event) -> None:
        if not await wait(stop, after_s):
            await loop.run(stop)

    def _loop(self, camera: CameraRecord) -> CameraLoop:
        return CameraLoop(
            camera,
            self._ffmpeg,
            self._cameras,
            self._recordings,
            self._ledger,
            self._clock,
            limits=self._limits,
            reconnect=self._reconnect,
        )

    async def _until_changed(self, stop: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(REREAD_S):
                await wait_for_either(self._cameras.changed, stop)
        except TimeoutError:
            return


def _state_after(reason: StreamFault) -> CameraState:
    if reason in LASTING:
        return CameraState.FAILED
    return CameraState.STALLED if reason is StreamFault.STALLED else CameraState.RECONNECTING


def _shape(camera: CameraRecord) -> tuple[object, ...]:
    """What of a camera makes its loop another one when it changes."""
    return camera.source, camera.archive_seconds, camera.name
