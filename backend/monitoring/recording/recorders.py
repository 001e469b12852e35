"""Keeps every enabled camera recording, and the substream of every camera that has one.

A service of the main process. Each stream has a loop of its own (`stream_loop`); the loops are
started, restarted and stopped as cameras come, change and go. A substream's loop shares nothing
with that of its camera: whatever happens to the one does not touch the other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from backend.kernel.clock import Clock, wait, wait_any
from backend.kernel.db import is_disconnect
from backend.kernel.lifecycle import Supervisor
from backend.kernel.retry import Backoff
from backend.media.ffmpeg import Ffmpeg
from backend.media.recorder import RecorderLimits
from backend.monitoring.cameras.service import CameraRecord, CameraService, substream_name
from backend.monitoring.recording.camera_loop import CameraLoop
from backend.monitoring.recording.ledger import Ledger
from backend.monitoring.recording.leftovers import Leftover, adopt, find_leftovers
from backend.monitoring.recording.service import RecordingService
from backend.monitoring.recording.stream_loop import RECONNECT, StreamLoop

REREAD_S = 10.0


@dataclass(frozen=True, slots=True)
class _Stream:
    """What is to be recorded; where anything of it changes, it is another stream."""

    name: str
    camera_id: str
    source: str = field(repr=False)
    archive_seconds: int | None = None

    @property
    def is_substream(self) -> bool:
        return self.archive_seconds is None


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
        self._loops: dict[_Stream, StreamLoop] = {}
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
                        await wait_any(self._cameras.changed, stop, timeout_s=REREAD_S)
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
        wanted = {
            stream.name: stream
            for camera in records
            if camera.enabled
            for stream in _streams(camera)
        }
        over = [stream for stream in self._loops if wanted.get(stream.name) != stream]
        await _stop_together(loops, [stream.name for stream in over])
        for stream in over:
            del self._loops[stream]
            await self._recordings.clear_live(stream.name)
        for loop in self._loops.values():
            if isinstance(loop, CameraLoop):
                loop.camera = self._known[loop.camera.id]  # a new name needs no new recording
        new = [stream for stream in wanted.values() if stream not in self._loops]
        for stream in new:
            loop = self._loops[stream] = self._loop(stream)
            spread_s = random.uniform(0, 0.1) * (len(new) - 1)  # noqa: S311  no storm of starts
            loops.start(stream.name, partial(self._run_later, loop, spread_s))

    async def _clear_abandoned(self) -> None:
        """Take away live views of what was disabled or removed while VAP was down."""
        running = {stream.name for stream in self._loops}
        for name in await self._recordings.streams_with_live():
            if name not in running:
                await self._recordings.clear_live(name)

    @staticmethod
    async def _run_later(loop: StreamLoop, after_s: float, stop: asyncio.Event) -> None:
        if not await wait(stop, after_s):
            await loop.run(stop)

    def _loop(self, stream: _Stream) -> StreamLoop:
        if stream.is_substream:
            return StreamLoop(
                stream.camera_id,
                stream.source,
                self._recordings.live_dir(stream.name),
                self._ffmpeg,
                self._cameras,
                self._clock,
                limits=self._limits,
                reconnect=self._reconnect,
            )
        return CameraLoop(
            self._known[stream.camera_id],
            self._ffmpeg,
            self._cameras,
            self._recordings,
            self._ledger,
            self._clock,
            limits=self._limits,
            reconnect=self._reconnect,
        )


async def _stop_together(loops: Supervisor, names: Sequence[str]) -> None:
    """Stop several loops at once: one that hangs must not make the others wait."""
    await asyncio.gather(*(loops.stop(name) for name in names))


def _streams(camera: CameraRecord) -> list[_Stream]:
    streams = [_Stream(camera.id, camera.id, camera.source, camera.archive_seconds)]
    if camera.substream is not None:
        streams.append(_Stream(substream_name(camera.id), camera.id, camera.substream))
    return streams
