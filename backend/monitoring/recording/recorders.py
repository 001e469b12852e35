"""Keeps every enabled camera recording: the only place where a stream is tried again.

A service of the main process. Each camera has a loop of its own (look at the source, record until
that ends, wait, again); the loops are started, restarted and stopped as cameras come, change and
go. States and segments go to the database through the ledger, so that a database that is away
never stops a recording.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
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
from backend.media.faults import MESSAGES, StreamFault
from backend.media.ffmpeg import Ffmpeg
from backend.media.probe import ProbeError, ProbeResult
from backend.media.recorder import Recorder, RecorderLimits, RecordingEnded
from backend.monitoring.cameras.service import VERIFY_TLS, CameraRecord, CameraService
from backend.monitoring.cameras.states import CAMERA, CameraState
from backend.monitoring.recording.ledger import Ledger, wait_for_either
from backend.monitoring.recording.leftovers import Leftover, adopt, find_leftovers
from backend.monitoring.recording.service import RecordingService

log = structlog.get_logger(__name__)

RECONNECT = Backoff(first_s=0.5, max_s=30)
HEALTHY_AFTER_S = 60.0
AT_LONGEST = 64  # failures after which the delay grows no more
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


@dataclass(frozen=True, slots=True)
class Ended:
    """How one try ended. `reason` is None when it was asked to; code and sentence are for users."""

    reason: StreamFault | None
    code: str
    sentence: str
    detail: str = ""
    is_lasting: bool = False


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
        self.camera = camera
        self._ffmpeg = ffmpeg
        self._cameras = cameras
        self._recordings = recordings
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._reconnect = reconnect
        self._state = CameraState.STOPPED
        self._reason: str | None = None
        self._probe = cameras.take_fresh_probe(camera)
        self._live_since: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Record until stopped."""
        camera_id = self.camera.id
        with bound_contextvars(camera_id=camera_id):
            self._recordings.occupy(camera_id)
            self._say(CameraState.STARTING, None)
            try:
                await self._keep_recording(stop)
            finally:
                self._say(CameraState.STOPPED, None)
                self._ledger.put("release", partial(self._recordings.release, camera_id))

    async def _keep_recording(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            self._live_since = None
            ended = await self._record(stop)
            if stop.is_set() or ended.reason is None:
                return
            failures = 1 if self._was_healthy() else failures + 1
            if ended.is_lasting or failures >= LOOK_AGAIN_AFTER:
                self._probe = None
            self._say(self._state_after(ended), f"{ended.code}: {ended.sentence}")
            delay_s = self._reconnect.delay_s(AT_LONGEST if ended.is_lasting else failures)
            log.warning(
                "stream ended, will be tried again",
                action="camera.ended",
                reason=ended.code,
                detail=ended.detail,
                failures=failures,
                delay_s=round(delay_s, 1),
            )
            if await wait(stop, delay_s):
                return
            if self._state is CameraState.STALLED:
                self._say(CameraState.RECONNECTING, self._reason)

    async def _record(self, stop: asyncio.Event) -> Ended:
        """One try: look at the source unless it is known, then record until that ends."""
        camera = self.camera
        try:
            source = await self._cameras.open(camera.source)
            if self._probe is None:
                self._probe = await self._cameras.look_at(camera.source)
                note = partial(self._cameras.note_probe, camera.id, self._probe)
                self._ledger.put("probe", note, replaces=f"probe:{camera.id}")
        except ProbeError as error:
            return _ended(error.fault, "the source could not be looked at")
        except InvalidInput as error:
            return Ended(StreamFault.NOT_FOUND, error.code, error.message, is_lasting=True)
        recorder = Recorder(
            self._ffmpeg,
            self._plan(source, self._probe),
            on_live=self._on_live,
            on_segment=self._on_segment,
            on_archive_trouble=self._on_archive_trouble,
            clock=self._clock,
            limits=self._limits,
        )
        self._recordings.begin_writing(camera.id)
        try:
            ended = await recorder.run(stop)
        except OSError as error:
            return _ended(StreamFault.ARCHIVE_FAILED, type(error).__name__)
        finally:
            self._recordings.end_writing(camera.id)
        return _ended(ended.reason, ended.detail)

    def _plan(self, source: str, probe: ProbeResult) -> RecordPlan:
        camera = self.camera
        return RecordPlan(
            source=source,
            kind=source_kind(source, duration_s=probe.duration_s, container=probe.container),
            live_dir=self._recordings.live_dir(camera.id),
            archive_dir=self._recordings.archive_dir(camera.id),
            copy=probe.browser_can_copy,
            b_frames=probe.has_b_frames,
            segment_s=camera.archive_seconds,
            keyframe_interval_s=probe.keyframe_interval_s,
            verify_tls=VERIFY_TLS,
        )

    async def _on_live(self) -> None:
        self._live_since = self._clock.monotonic()
        self._say(CameraState.LIVE, None)

    async def _on_segment(self, segment: FinishedSegment) -> None:
        register = partial(self._recordings.register, self.camera, segment)
        self._ledger.put("segment", register)

    async def _on_archive_trouble(self, fault: StreamFault, _: str) -> None:
        """Live goes on, and says that nothing is kept of it."""
        if self._state is CameraState.LIVE:
            self._say(CameraState.LIVE, f"{fault}: {MESSAGES[fault]}")

    def _was_healthy(self) -> bool:
        since = self._live_since
        return since is not None and self._clock.monotonic() - since > HEALTHY_AFTER_S

    def _state_after(self, ended: Ended) -> CameraState:
        if ended.is_lasting:
            return CameraState.FAILED
        has_stalled = ended.reason is StreamFault.STALLED and self._state is CameraState.LIVE
        return CameraState.STALLED if has_stalled else CameraState.RECONNECTING

    def _say(self, state: CameraState, reason: str | None) -> None:
        if (state, reason) == (self._state, self._reason):
            return
        if state is not self._state:
            CAMERA.check(self._state, state)
            log.info("camera state", action="camera.state", state=state, reason=reason)
        self._state, self._reason = state, reason
        short = reason[:500] if reason else None
        camera_id = self.camera.id
        note = partial(self._cameras.note_state, camera_id, state, short, self._clock.now())
        self._ledger.put("state", note, replaces=f"state:{camera_id}")


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
        self._loops: dict[str, CameraLoop] = {}
        self._known: dict[str, CameraRecord] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Keep what runs equal to what is enabled; at the end, stop everything."""
        self._loops.clear()
        await self._cameras.stop_all()
        leftovers = await find_leftovers(self._recordings)
        ledger_stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ledger.run(ledger_stop))
            try:
                async with Supervisor(self._clock) as loops:
                    await self._match(loops)
                    await self._clear_abandoned()
                    adoption = group.create_task(self._adopt(leftovers))
                    while not stop.is_set():
                        await self._until_changed(stop)
                        await self._match(loops)
                    adoption.cancel()  # what is left is found again at the next start
                    await _stop_together(loops, loops.names())
            finally:
                ledger_stop.set()

    async def _adopt(self, leftovers: Sequence[Leftover]) -> None:
        await adopt(leftovers, self._recordings, self._ledger, find_camera=self._known.get)

    async def _match(self, loops: Supervisor) -> None:
        self._cameras.changed.clear()
        try:
            records = await self._cameras.records()
        except Exception as error:
            if not is_disconnect(error):
                raise
            return  # what runs goes on; the table is read again soon
        self._known.clear()
        self._known.update({camera.id: camera for camera in records})
        wanted = {camera.id: camera for camera in records if camera.enabled}
        over = [
            camera_id
            for camera_id, loop in self._loops.items()
            if camera_id not in wanted or _shape(wanted[camera_id]) != _shape(loop.camera)
        ]
        await _stop_together(loops, over)
        for camera_id in over:
            del self._loops[camera_id]
            if camera_id not in wanted:
                await self._recordings.clear_live(camera_id)
        new = [camera for camera in wanted.values() if camera.id not in self._loops]
        for camera in wanted.values():
            if camera.id in self._loops:
                self._loops[camera.id].camera = camera  # a new name needs no new recording
        for camera in new:
            loop = self._loops[camera.id] = self._loop(camera)
            spread_s = random.uniform(0, 0.1) * (len(new) - 1)  # noqa: S311  no storm of starts
            loops.start(camera.id, partial(self._run_later, loop, spread_s))

    async def _clear_abandoned(self) -> None:
        """Take away live views of cameras that were disabled or removed while VAP was down."""
        for camera_id in await self._recordings.cameras_with_live():
            if camera_id not in self._loops:
                await self._recordings.clear_live(camera_id)

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


def _ended(reason: StreamFault | None, detail: str = "") -> Ended:
    how = RecordingEnded(reason)
    return Ended(reason, str(reason), how.message, detail, is_lasting=reason in LASTING)


async def _stop_together(loops: Supervisor, names: Sequence[str]) -> None:
    """Stop several loops at once: one that hangs must not make the others wait."""
    await asyncio.gather(*(loops.stop(name) for name in names))


def _shape(camera: CameraRecord) -> tuple[object, ...]:
    """What of a camera makes its loop another one when it changes."""
    return camera.source, camera.archive_seconds
