"""A camera's main stream: its states and its archives, told to the database through the ledger, so
that a database that is away never stops a recording.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import structlog
from structlog.contextvars import bound_contextvars

from backend.kernel.clock import Clock
from backend.kernel.retry import Backoff
from backend.media.archive import FinishedSegment
from backend.media.commands import RecordPlan
from backend.media.faults import MESSAGES, StreamFault
from backend.media.ffmpeg import Ffmpeg
from backend.media.probe import ProbeResult
from backend.media.recorder import Recorder, RecorderLimits, RecordingEnded
from backend.monitoring.cameras.service import CameraRecord, CameraService
from backend.monitoring.cameras.states import CAMERA, CameraState
from backend.monitoring.recording.ledger import Ledger
from backend.monitoring.recording.service import RecordingService
from backend.monitoring.recording.stream_loop import RECONNECT, Ended, StreamLoop

log = structlog.get_logger(__name__)


class CameraLoop(StreamLoop):
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
        live_dir = recordings.live_dir(camera.id)
        super().__init__(
            camera.id,
            camera.source,
            live_dir,
            ffmpeg,
            cameras,
            clock,
            limits=limits,
            reconnect=reconnect,
        )
        self.camera = camera
        self._recordings = recordings
        self._ledger = ledger
        self._state = CameraState.STOPPED
        self._reason: str | None = None
        self._probe = cameras.take_fresh_probe(camera)

    async def run(self, stop: asyncio.Event) -> None:
        """Record until stopped."""
        camera_id = self.camera.id
        with bound_contextvars(camera_id=camera_id):
            self._recordings.occupy(camera_id)
            self._say(CameraState.STARTING, None)
            try:
                await self._keep_going(stop)
            finally:
                self._say(CameraState.STOPPED, None)
                self._ledger.put("release", partial(self._recordings.release, camera_id))

    def _plan(self, opened: str, probe: ProbeResult) -> RecordPlan:
        camera = self.camera
        return replace(
            super()._plan(opened, probe),
            archive_dir=self._recordings.archive_dir(camera.id),
            segment_s=camera.archive_seconds,
        )

    async def _record(self, recorder: Recorder, stop: asyncio.Event) -> RecordingEnded:
        self._recordings.begin_writing(self.camera.id)
        try:
            return await super()._record(recorder, stop)
        finally:
            self._recordings.end_writing(self.camera.id)

    async def _on_live(self) -> None:
        await super()._on_live()
        self._say(CameraState.LIVE, None)

    async def _on_segment(self, segment: FinishedSegment) -> None:
        register = partial(self._recordings.register, self.camera, segment)
        self._ledger.put("segment", register)

    async def _on_archive_trouble(self, fault: StreamFault, line: str) -> None:  # noqa: ARG002
        """Live goes on, and says that nothing is kept of it."""
        if self._state is CameraState.LIVE:
            self._say(CameraState.LIVE, f"{fault}: {MESSAGES[fault]}")

    def _on_looked(self, probe: ProbeResult) -> None:
        note = partial(self._cameras.note_probe, self.camera.id, probe)
        self._ledger.put("probe", note, replaces=f"probe:{self.camera.id}")

    def _on_ended(self, ended: Ended) -> None:
        self._say(self._state_after(ended), f"{ended.code}: {ended.sentence}")

    def _on_retry(self) -> None:
        if self._state is CameraState.STALLED:
            self._say(CameraState.RECONNECTING, self._reason)

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
