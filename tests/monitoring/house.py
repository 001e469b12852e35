"""Everything of the main process that has to do with cameras, over one database and one folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy import select

from backend.events.outbox import Outbox
from backend.events.tables import EventRow
from backend.jobs.service import JobQueue
from backend.jobs.tables import JobRow
from backend.kernel.auth import Gate
from backend.kernel.clock import SystemClock
from backend.kernel.db import Database
from backend.kernel.http import install_errors
from backend.kernel.nudge import Nudges
from backend.kernel.retry import Backoff
from backend.media.archive import DiskUsage, FinishedSegment, archive_name
from backend.media.ffmpeg import Ffmpeg
from backend.media.recorder import RecorderLimits
from backend.monitoring.analyses.breakers import Breakers
from backend.monitoring.analyses.routes import router as analyses_router
from backend.monitoring.analyses.service import SceneReports
from backend.monitoring.analyses.spending import Spending
from backend.monitoring.analyses.trials import Trials
from backend.monitoring.cameras.routes import router as cameras_router
from backend.monitoring.cameras.service import CameraRecord, CameraService
from backend.monitoring.cameras.tables import CameraRow
from backend.monitoring.incidents.routes import router as incidents_router
from backend.monitoring.incidents.service import IncidentService
from backend.monitoring.recording.live import LiveViews
from backend.monitoring.recording.recorders import CameraSupervision
from backend.monitoring.recording.retention import Retention
from backend.monitoring.recording.routes import router as recording_router
from backend.monitoring.recording.service import RecordingService
from backend.monitoring.recording.tables import SegmentRow
from backend.settings import (
    CallbackSettings,
    DatabaseSettings,
    FetchSettings,
    ModelSettings,
    RecordingSettings,
    SceneSettings,
    ServerSettings,
    Settings,
    SpeechApiSettings,
    StorageSettings,
    WorkerSettings,
)

GB = 1_000_000_000
ALL_DAY_S = 86_400
"""An archive that no test sees the end of, whatever time of day it is."""
UNHURRIED = RecorderLimits(start_s=60, stall_s=60, archive_late_s=60, terminate_s=10)
"""No silence of a machine that is slow is taken for a camera's."""


class SetClock(SystemClock):
    """The machine's clock, a settable time away from it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class House:
    """The parts, wired as the main process wires them."""

    database: Database
    nudges: Nudges
    data_dir: Path
    clock: SetClock = field(default_factory=SetClock)
    disk: DiskUsage = field(default_factory=lambda: DiskUsage(100 * GB, 90 * GB))
    server: ServerSettings = field(default_factory=ServerSettings)
    scene: SceneSettings = field(default_factory=SceneSettings)
    models: ModelSettings = field(default_factory=ModelSettings)

    def __post_init__(self) -> None:
        self.storage = StorageSettings(data_dir=self.data_dir)
        self.recording = RecordingSettings()
        zone, models = self.server.zone, self.models
        self.outbox = Outbox(self.nudges)
        self.queue = JobQueue(self.database, self.outbox, self.nudges)
        self.cameras = CameraService(self.database, self.outbox, self.storage, self.clock)
        self.incidents = IncidentService(self.database, self.outbox, self.data_dir, self.clock)
        self.recordings = RecordingService(
            self.database, self.outbox, self.queue, self.incidents, self.storage, self.clock
        )
        self.spending = Spending(self.database, self.clock, zone, total_usd=models.total_budget_usd)
        self.breakers = Breakers(self.database)
        self.reports = SceneReports(
            self.database, self.incidents, self.spending, self.storage, models, self.clock, zone
        )
        self.retention = Retention(
            self.database,
            self.outbox,
            self.queue,
            self.cameras,
            storage=self.storage,
            recording=self.recording,
            clock=self.clock,
            read_disk=lambda _: self.disk,
        )

    def app(self) -> FastAPI:
        """The routes of monitoring; every caller from this machine is let in."""
        app = FastAPI()
        app.state.gate = Gate(self.server, session_key="test")
        app.state.cameras, app.state.recordings = self.cameras, self.recordings
        app.state.retention, app.state.clock = self.retention, self.clock
        app.state.live = LiveViews(self.storage.live_dir, clock=self.clock)
        app.state.incidents, app.state.reports = self.incidents, self.reports
        app.state.breakers, app.state.trials = self.breakers, Trials(self.database, self.queue)
        app.state.settings = Settings(
            server=self.server,
            storage=self.storage,
            database=DatabaseSettings(),
            recording=self.recording,
            worker=WorkerSettings(),
            scene=self.scene,
            models=self.models,
            fetch=FetchSettings(),
            callbacks=CallbackSettings(),
            speech=SpeechApiSettings(),
        )
        for router in (cameras_router, recording_router, incidents_router, analyses_router):
            app.include_router(router)
        install_errors(app)
        return app

    async def add_camera(self, camera_id: str = "yard", **values: Any) -> CameraRecord:
        """A camera in the table, without a look at its source."""
        row = CameraRow(**{"id": camera_id, "name": camera_id, "source": "demo:"} | values)
        async with self.database.write() as session:
            session.add(row)
        self.cameras.changed.set()
        return next(c for c in await self.cameras.records() if c.id == camera_id)

    def file(self, camera_id: str, started_at: datetime, *, content: bytes = b"video") -> Path:
        """A file where an archive that began then would lie."""
        path = self.recordings.archive_dir(camera_id) / archive_name(started_at)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    async def add_segment(
        self,
        camera: CameraRecord,
        started_at: datetime,
        *,
        seconds: float = 600,
        size_bytes: int = 5,
        job: str = "completed",
    ) -> SegmentRow:
        """A registered archive of this (alleged) size whose job has this status."""
        path = self.file(camera.id, started_at)
        await self.recordings.register(
            camera, FinishedSegment(path, started_at, seconds, size_bytes)
        )
        async with self.database.write() as session:
            row = await session.scalar(
                select(SegmentRow).where(
                    SegmentRow.started_at == started_at, SegmentRow.camera_id == camera.id
                )
            )
            assert row is not None
            found = await session.get(JobRow, row.job_id)
            assert found is not None
            found.status = job
        return row

    async def segments(self) -> list[SegmentRow]:
        """All segment rows, garbage too."""
        return await self._all(SegmentRow)

    async def jobs(self) -> list[JobRow]:
        """All jobs."""
        return await self._all(JobRow)

    async def events(self, event_type: str) -> list[dict[str, Any]]:
        """Payloads of the events of a type, oldest first."""
        return [row.payload for row in await self._all(EventRow) if row.type == event_type]

    async def states(self, camera_id: str) -> list[tuple[str, str | None]]:
        """The states that a camera went through, with the code of their reason."""
        events = await self.events("camera.state_changed")
        return [
            (event["state"], event["reason"] and event["reason"].partition(":")[0])
            for event in events
            if event["camera_id"] == camera_id
        ]

    async def state(self, camera_id: str) -> str:
        """A camera's stored state."""
        return (await self.cameras.read(camera_id)).state

    @asynccontextmanager
    async def supervision(self, ffmpeg: Ffmpeg, **options: Any) -> AsyncIterator[CameraSupervision]:
        """The recorders at work, soon back after a failure."""
        options = {
            "limits": UNHURRIED,
            "reconnect": Backoff(first_s=0.1, max_s=0.5),
        } | options
        supervision = CameraSupervision(
            ffmpeg, self.cameras, self.recordings, self.clock, **options
        )
        stop = asyncio.Event()
        running = asyncio.create_task(supervision.run(stop))
        try:
            yield supervision
        finally:
            stop.set()
            await running

    async def _all(self, table: type[Any]) -> list[Any]:
        async with self.database.read() as session:
            return list((await session.scalars(select(table).order_by(table.id))).all())


def at(text: str) -> datetime:
    """A UTC time of day, today's or with a date."""
    if len(text) <= 8:
        text = f"2026-03-01 {text}"
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
