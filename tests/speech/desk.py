"""The speech API's part of the main process, over one database and one folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import select, update

from backend.callbacks.service import Callbacks
from backend.callbacks.tables import CallbackRow
from backend.callbacks.targets import CallbackTargets
from backend.events.outbox import Outbox
from backend.jobs.callbacks import JobCallbacks
from backend.jobs.claims import KindOrder
from backend.jobs.queries import Claim
from backend.jobs.schemas import JobDetail, JobOutcome
from backend.jobs.service import JobQueue
from backend.jobs.tables import JobRow
from backend.kernel.auth import Gate
from backend.kernel.clock import SystemClock
from backend.kernel.db import Database, utc_after
from backend.kernel.http import install_errors
from backend.kernel.net import UrlPolicy
from backend.kernel.nudge import Nudges
from backend.kernel.retry import Backoff
from backend.settings import ServerSettings, SpeechApiSettings, StorageSettings
from backend.speech.limits import RequestLimit
from backend.speech.results import MlResults
from backend.speech.routes import (
    ML_RESULTS,
    MOST_CONTRACT_BYTES,
    PROCESS_VIDEO,
    UPLOADS,
    contract,
    router,
)
from backend.speech.schemas import Accepted, ProcessVideo
from backend.speech.service import SpeechService
from backend.speech.states import SPEECH_JOB, error_code
from backend.speech.tables import SpeechJobRow
from backend.speech.uploads import BLOCK_BYTES, Uploads
from backend.speech.videos import folder_name

VIDEO = "https://bucket.s3.amazonaws.com/videos/talk.mp4?X-Amz-Signature=one"
FRESH = VIDEO.replace("one", "two")
OTHER = "https://bucket.s3.amazonaws.com/videos/other.mp4?X-Amz-Signature=one"
ECG_HEADERS = {"Content-Type": "application/json", "User-Agent": "ECS-FastAPI-Backend/1.0"}
ANY_PRIORITY = KindOrder(SPEECH_JOB, newest_first=False)
RESULT = {"metadata": {"filename": "talk.mp4"}, "segments": []}


class Desk:
    """The parts, wired as the main process wires them."""

    def __init__(
        self,
        database: Database,
        nudges: Nudges,
        data_dir: Path,
        *,
        server: Mapping[str, str] | None = None,
        speech: Mapping[str, str] | None = None,
        keep_free_bytes: int = 0,
    ) -> None:
        self.database = database
        self.data_dir = data_dir
        self.server = ServerSettings.model_validate(server or {})
        self.settings = SpeechApiSettings.model_validate(speech or {})
        self.storage = StorageSettings(data_dir=data_dir)
        own = "http://127.0.0.1:8080"
        self.callbacks = Callbacks(database, nudges, CallbackTargets(own))
        self.results = MlResults(database)
        self.queue = JobQueue(
            database,
            Outbox(nudges),
            nudges,
            callbacks=JobCallbacks(self.callbacks, codes=error_code, forget=self.results.begin),
            retry=Backoff(first_s=0, max_s=0),
        )
        self.service = SpeechService(
            database,
            self.queue,
            UrlPolicy(),
            self.settings,
            self.storage,
            callback_url=f"{own}{ML_RESULTS}",
        )
        self.uploads = Uploads(
            data_dir / "work" / "uploads",
            most_bytes=self.settings.most_bytes,
            keep_free_bytes=keep_free_bytes,
        )

    def app(self) -> FastAPI:
        """The routes of speech."""
        app = FastAPI()
        gate = Gate(self.server, session_key="test")
        app.state.gate = gate
        app.state.speech, app.state.ml_results = self.service, self.results
        app.state.speech_limit = RequestLimit(
            gate, SystemClock(), per_minute=self.settings.requests_per_minute
        )
        app.state.uploads = self.uploads
        app.include_router(contract)
        app.include_router(router)
        limits = dict.fromkeys((PROCESS_VIDEO, ML_RESULTS), MOST_CONTRACT_BYTES)
        limits[UPLOADS] = self.settings.most_bytes + BLOCK_BYTES
        install_errors(app, body_limits=limits)
        return app

    @asynccontextmanager
    async def client(self, *, peer: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
        """A caller at this address."""
        transport = httpx.ASGITransport(app=self.app(), client=(peer, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client

    async def accept(self, job_id: str = "test-123", url: str = VIDEO) -> Accepted:
        """Take a video on."""
        return await self.service.accept(ProcessVideo(job_id=job_id, video_url=url))

    async def take(self, worker: str = "one") -> tuple[Claim, JobDetail]:
        """Claim the next job."""
        (job,) = await self.queue.claim(ANY_PRIORITY, 1, worker, 30)
        return Claim(job.id, job.attempt, worker), job

    async def complete(self, result: dict[str, Any] | None = None) -> int:
        """Have the next job done; its id in the queue."""
        claim, job = await self.take()
        assert await self.queue.complete(claim, job, JobOutcome(result or RESULT))
        return job.id

    async def fail(self) -> None:
        """Have the next job fail for good."""
        claim, job = await self.take()
        assert await self.queue.fail(claim, job, "DOWNLOAD_ERROR", "gone", permanent=True)

    async def row(self, job_id: str = "test-123") -> SpeechJobRow:
        """The speech job of an id."""
        async with self.database.read() as session:
            found = await session.scalar(select(SpeechJobRow).where(SpeechJobRow.job_id == job_id))
        assert found is not None
        return found

    async def change(self, job_id: str = "test-123", **values: Any) -> None:
        """Write values of a speech job by hand."""
        async with self.database.write() as session:
            await session.execute(
                update(SpeechJobRow).where(SpeechJobRow.job_id == job_id).values(**values)
            )

    async def set_status(self, queue_job_id: int, status: str) -> None:
        """Have a job of the queue be so."""
        async with self.database.write() as session:
            job = JobRow.id == queue_job_id
            await session.execute(update(JobRow).where(job).values(status=status))

    async def grow_old(self, days: int) -> None:
        """Let all speech jobs have been accepted, and those that ended have ended, so long ago."""
        then = utc_after(-days * 86400)
        ended = JobRow.status.in_(["completed", "failed", "cancelled"])
        async with self.database.write() as session:
            await session.execute(update(SpeechJobRow).values(created_at=then))
            await session.execute(update(JobRow).where(ended).values(completed_at=then))

    async def rows(self) -> Sequence[SpeechJobRow]:
        """All speech jobs."""
        return await self._all(SpeechJobRow)

    async def jobs(self) -> Sequence[JobRow]:
        """All jobs of the queue."""
        return await self._all(JobRow)

    async def told(self) -> Sequence[CallbackRow]:
        """All callbacks."""
        return await self._all(CallbackRow)

    def video(self, job_id: str = "test-123") -> Path:
        """A file where the video of a job would lie."""
        path = self.service.folder / folder_name(job_id) / "video"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")
        return path

    def files(self) -> list[Path]:
        """Every file below the data folder but the database."""
        return [
            path
            for path in self.data_dir.rglob("*")
            if path.is_file() and "sqlite3" not in path.name
        ]

    async def _all(self, table: type[Any]) -> Sequence[Any]:
        async with self.database.read() as session:
            return (await session.scalars(select(table).order_by(table.id))).all()
