"""A worker in this process: real handlers, database, ffmpeg, analysis child, and sockets to models.

Everything is wired as `backend.worker` wires it, but for a clock that a test can set. The local
analyser is the fake one: it says of a video what a script beside it says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from backend.analysis.pool import AnalysisPool
from backend.events.outbox import Outbox
from backend.events.tables import EventRow
from backend.jobs.kinds import JobKind
from backend.jobs.runner import WorkerIdentity, WorkerRunner
from backend.jobs.schemas import JobDetail, NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus
from backend.jobs.tables import JobRow
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database, utc_now
from backend.kernel.nudge import JOBS, NudgeListener, Nudges
from backend.kernel.work_folder import work_folder
from backend.media.ffmpeg import Ffmpeg
from backend.monitoring.analyses.breakers import Breakers
from backend.monitoring.analyses.handlers.local_pass import LocalPass
from backend.monitoring.analyses.handlers.model_pass import ModelPass
from backend.monitoring.analyses.handlers.scene import SceneHandler
from backend.monitoring.analyses.handlers.shelf import ModelShelf
from backend.monitoring.analyses.handlers.trials import BackendTestHandler, DryRunHandler
from backend.monitoring.analyses.schemas import BreakerView
from backend.monitoring.analyses.service import SceneReports
from backend.monitoring.analyses.spending import Spending
from backend.monitoring.analyses.tables import ModelBreakerRow, SceneReportRow, SceneSpendingRow
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.cameras.tables import CameraRow
from backend.monitoring.incidents.service import IncidentService
from backend.monitoring.incidents.tables import IncidentRow
from backend.settings import ModelSettings, SceneSettings, StorageSettings
from backend.worker import BACKEND_TEST, DRY_RUN, SCENE
from tests.monitoring.house import SetClock, at
from tests.peers.model_server import ModelServer
from tests.peers.videos import make_video
from tests.waiting import until

KEY = "sk-very-secret-0123456789"
GEMINI, OPENAI = "watcher-1", "eyes-2"
PRICES = {GEMINI: {"input": "0.30", "output": "2.50"}, OPENAI: {"input": "1", "output": "10"}}
GEMINI_CALL, OPENAI_CALL = 80, 300
"""Millionths of a dollar for 100 tokens in and 20 out: 30 + 50, and 100 + 200."""
FAKE_WEIGHTS = "eyes.onnx"
WINDOW_S = 5.0
WITHIN_S = 90.0
ZONE = "Asia/Seoul"
START = at("10:00:00")
KINDS = (SCENE.name, DRY_RUN.name, BACKEND_TEST.name)


@dataclass
class Bench:
    """One worker, its database, and a server with a model of each protocol."""

    database: Database
    nudges: Nudges
    data_dir: Path
    ffmpeg: Ffmpeg
    pool: AnalysisPool
    server: ModelServer
    clock: SetClock = field(default_factory=SetClock)
    scene: dict[str, Any] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.storage = StorageSettings(data_dir=self.data_dir)
        self.outbox = Outbox(self.nudges)
        self.queue = JobQueue(self.database, self.outbox, self.nudges)
        self.cameras = CameraService(self.database, self.outbox, self.storage, self.clock)
        self.breakers = Breakers(self.database)

    @property
    def model_settings(self) -> ModelSettings:
        """Both protocols on the server, unless told otherwise."""
        values = {
            "gemini_api_key": KEY,
            "gemini_base_url": self.server.gemini_url,
            "gemini_model": GEMINI,
            "openai_api_key": KEY,
            "openai_base_url": self.server.openai_url,
            "openai_model": OPENAI,
            "window_s": WINDOW_S,
            "windows_at_once": 1,
            "call_timeout_s": 100,
            "prices": PRICES,
        }
        return ModelSettings(**{**values, **self.models})

    @asynccontextmanager
    async def worker(self, *, slots: int = 1) -> AsyncIterator[WorkerRunner]:
        """A worker that takes jobs of all kinds."""
        scene, models, storage = SceneSettings(**self.scene), self.model_settings, self.storage
        zone = ZoneInfo(ZONE)
        spending = Spending(self.database, self.clock, zone, total_usd=models.total_budget_usd)
        incidents = IncidentService(self.database, self.outbox, self.data_dir, self.clock)
        reports = SceneReports(
            self.database, incidents, spending, storage, models, self.clock, zone
        )
        local = LocalPass(self.pool, scene, storage, analyser="fake")
        shelf = ModelShelf(models, self.breakers, spending)
        registry = WorkerRegistry(self.database, self.outbox, silent_after_s=30)
        identity = WorkerIdentity("one", "first", "here", 1, dict.fromkeys(KINDS, slots), "0")
        with work_folder(storage.work_dir, identity.instance) as folder:
            model = ModelPass(self.ffmpeg, models, folder, zone)
            handlers = {
                SCENE: SceneHandler(
                    *(local, model, shelf, self.cameras, reports, spending, self.ffmpeg),
                    *(scene, storage, self.clock),
                ),
                DRY_RUN: DryRunHandler(local, model, shelf, self.cameras, scene, models, storage),
                BACKEND_TEST: BackendTestHandler(model, shelf, self.clock),
            }
            kinds = {order.name: JobKind(order, 150, handlers[order]) for order in handlers}
            async with NudgeListener(self.data_dir.parent / "run", JOBS, "one") as nudge:
                runner = WorkerRunner(
                    *(self.queue, registry, kinds, identity, nudge),
                    poll_s=60.0,
                    lease_s=30.0,
                    drain_s=0.0,
                )
                stop = asyncio.Event()
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(runner.run(stop))
                        yield runner
                        stop.set()
                finally:
                    await shelf.aclose()

    async def add_camera(self, camera_id: str = "yard", **values: Any) -> None:
        """A camera in the table."""
        row = CameraRow(**{"id": camera_id, "name": camera_id, "source": "rtsp://here/"} | values)
        async with self.database.write() as session:
            session.add(row)

    async def change_camera(self, camera_id: str = "yard", **values: Any) -> None:
        """Change what a camera is set to."""
        async with self.database.write() as session:
            await session.execute(
                update(CameraRow).where(CameraRow.id == camera_id).values(**values)
            )

    def video(
        self,
        name: str = "one.mp4",
        *,
        seconds: float = 15,
        content: bytes | None = None,
        **script: Any,
    ) -> str:
        """An archive in all of which something moves, unless its script says otherwise."""
        path = self.data_dir / "archive" / "yard" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            make_video(path, seconds=seconds, size=(320, 240), fps=10)
        else:
            path.write_bytes(content)
        script = {"duration_s": seconds, "motion": [[0, seconds]]} | script
        path.with_name(f"{name}.json").write_text(json.dumps(script))
        return path.relative_to(self.data_dir).as_posix()

    async def add_job(self, video_path: str | None = None, **values: Any) -> int:
        """A job about an archive of the yard that began at ten (UTC), or of another kind."""
        times = {"segment_start": START, "segment_end": START + timedelta(minutes=10)}
        about = {"camera_id": "yard", "video_path": video_path, **times} if video_path else {}
        async with self.database.write() as session:
            return await self.queue.enqueue(session, NewJob(**{"kind": "scene", **about, **values}))

    async def attempt(self, job_id: int) -> JobDetail:
        """The job after the next attempt at it, which is due now."""
        before = await self.queue.read(job_id)
        await self.make_due(job_id)
        async with self.worker():
            return await self.until(
                job_id,
                lambda job: job.attempt > before.attempt and job.status != JobStatus.PROCESSING,
            )

    async def make_due(self, job_id: int) -> None:
        """Have a job wait no longer."""
        async with self.database.write() as session:
            await session.execute(
                update(JobRow).where(JobRow.id == job_id).values(run_at=utc_now())
            )

    async def until_asked(self, count: int) -> None:
        """Wait until the server has so many questions."""
        await until(lambda: len(self.server.requests) >= count, within_s=WITHIN_S)

    async def again(self, job_id: int) -> None:
        """Have a finished job done anew."""
        async with self.database.write() as session:
            await session.execute(
                update(JobRow).where(JobRow.id == job_id).values(status=JobStatus.PENDING)
            )

    async def do(self, video_path: str, **values: Any) -> JobDetail:
        """A job about an archive, after the first attempt at it."""
        return await self.attempt(await self.add_job(video_path, **values))

    async def until(self, job_id: int, condition: Callable[[JobDetail], Any]) -> JobDetail:
        """The job, once it is so."""
        async with asyncio.timeout(WITHIN_S):
            while not condition(job := await self.queue.read(job_id)):
                await asyncio.sleep(0.01)
        return job

    async def wait_s(self, job: JobDetail) -> float:
        """In how many seconds, by the database's clock, the job is due again."""
        async with self.database.read() as session:
            return (
                job.run_at - (await session.execute(select(utc_now()))).scalar_one()
            ).total_seconds()

    async def later(self, seconds: float) -> None:
        """Let time pass: for the worker, and for breakers."""
        self.clock.ahead += timedelta(seconds=seconds)
        async with self.database.write() as session:
            for row in await session.scalars(select(ModelBreakerRow)):
                if row.open_until is not None:
                    row.open_until -= timedelta(seconds=seconds)

    async def breaker(self, backend: str) -> BreakerView | None:
        """What is known of a backend's failures."""
        return (await self.breakers.views()).get(backend)

    async def progress(self) -> list[tuple[int, str]]:
        """What was told of all jobs' progress, in turn."""
        events = [row for row in await self._all(EventRow) if row.type == "job.progress"]
        return [(event.payload["progress"], event.payload["message"]) for event in events]

    async def incidents(self) -> list[IncidentRow]:
        """All of them."""
        return await self._all(IncidentRow)

    async def reports(self) -> list[SceneReportRow]:
        """All of them."""
        return await self._all(SceneReportRow)

    async def accounts(self) -> dict[str, SceneSpendingRow]:
        """Today's, by camera; '' is everybody's."""
        return {row.camera_id: row for row in await self._all(SceneSpendingRow)}

    def work_files(self) -> list[str]:
        """What lies in the workers' folders, but for their locks."""
        files = (path for path in self.storage.work_dir.rglob("*") if path.is_file())
        return [path.name for path in files if path.name != "lock"]

    async def _all(self, table: type[Any]) -> list[Any]:
        async with self.database.read() as session:
            return list((await session.scalars(select(table))).all())
