"""A worker of the product in this process, for speech jobs: the main process's parts beside it.

Of what is retried every attempt is made at once: `retry_count` tells how often.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.analysis.pool import AnalysisPool
from backend.events.outbox import Outbox
from backend.jobs.kinds import JobKind
from backend.jobs.runner import WorkerIdentity, WorkerRunner
from backend.jobs.schemas import JobDetail
from backend.jobs.states import JobStatus, Priority
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database
from backend.kernel.names import Resolver
from backend.kernel.net import UrlPolicy
from backend.kernel.nudge import JOBS, NudgeListener, Nudges
from backend.kernel.retry import Backoff
from backend.media.download import Downloaded, DownloadLimits, download
from backend.speech.handlers import SpeechDownloadHandler, SpeechHandler
from backend.speech.schemas import ProcessVideo
from backend.speech.service import SpeechService
from backend.speech.videos import folder_name
from backend.worker import SPEECH, SPEECH_DOWNLOAD
from tests.speech.desk import Desk
from tests.waiting import until

JOB = "test-123"
MOST_BYTES = 200_000
BOTH = (SPEECH.place, SPEECH_DOWNLOAD.place)
ENDED = {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


class Bench(Desk):
    """The speech API and one worker; videos may come from 127.0.0.1 and by plain http."""

    def __init__(
        self, database: Database, nudges: Nudges, data_dir: Path, pool: AnalysisPool, **speech: str
    ) -> None:
        super().__init__(database, nudges, data_dir, speech={"SPEECH_MOST_BYTES": str(MOST_BYTES)})
        self.nudges, self.pool = nudges, pool
        self.analyser = "fake"
        self.resolver: Resolver | None = None
        self.keep_free_bytes = 0
        self.configure(**speech)

    def configure(self, **speech: Any) -> None:
        """Change settings of speech."""
        self.settings = self.settings.model_copy(update=speech)
        self.policy = UrlPolicy.of(["127.0.0.1/32", "video.test"], allow_http=True)
        self.service = SpeechService(
            self.database,
            self.queue,
            self.policy,
            self.settings,
            self.storage,
            callback_url="http://127.0.0.1:8080/api/v1/ml/ml-results",
        )

    def script(self, job_id: str = JOB, **what: Any) -> Path:
        """Tell the fake analyser what to do with a job's video; the file that lets it go on."""
        folder = self.service.folder / folder_name(job_id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "video.json").write_text(json.dumps(what))
        return folder / "video.go"

    async def ask(self, url: str, job_id: str = JOB, *, keeps_video: bool = False) -> int:
        """Have a video taken on; its job in the queue."""
        request = ProcessVideo(job_id=job_id, video_url=url)
        await self.service.accept(request, keeps_video=keeps_video)
        return (await self.row(job_id)).queue_job_id

    async def ask_and_fetch(self, url: str, job_id: str = JOB) -> int:
        """Have a video taken on and fetched; its job waits for an analysis."""
        queue_job_id = await self.ask(url, job_id)
        async with self.worker([SPEECH_DOWNLOAD.place]):
            await self.until_waiting(queue_job_id, Priority.NORMAL)
        return queue_job_id

    async def do(self, url: str) -> JobDetail:
        """Have a video taken on, and its job when it has ended."""
        job_id = await self.ask(url)
        async with self.worker():
            return await self.until_ended(job_id)

    async def until_ended(self, job_id: int) -> JobDetail:
        """A job when it has ended."""
        await until(lambda: self._has_ended(job_id), within_s=240, what="the job has ended")
        return await self.queue.read(job_id)

    async def until_at(self, job_id: int, percent: int) -> None:
        """Wait until a job is so far."""

        async def is_there() -> bool:
            return (await self.queue.read(job_id)).progress >= percent

        await until(is_there, within_s=60, what=f"{percent} %")

    async def until_waiting(self, job_id: int, priority: Priority) -> JobDetail:
        """A job when it was handed back with this priority."""

        async def is_back() -> bool:
            job = await self.queue.read(job_id)
            return job.status == JobStatus.PENDING and job.priority == priority

        await until(is_back, what=f"it waits with priority {priority}")
        return await self.queue.read(job_id)

    async def last_told(self) -> dict[str, Any]:
        """The body of the last callback."""
        body: dict[str, Any] = json.loads((await self.told())[-1].body)
        return body

    async def seconds_to_cancel(self, job_id: int) -> float:
        """Call a job off; how long it went on."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        await self.queue.cancel(job_id)
        job = await self.until_ended(job_id)
        assert job.status == JobStatus.CANCELLED
        return loop.time() - before

    @asynccontextmanager
    async def worker(self, places: Iterable[str] = BOTH, *, slots: int = 2) -> AsyncIterator[None]:
        """A worker that does these kinds of work."""
        work = self.data_dir / "work" / "worker"
        work.mkdir(parents=True, exist_ok=True)
        listen = SpeechHandler(
            self.pool, self.database, self.settings, self.storage, work, analyser=self.analyser
        )
        fetch = SpeechDownloadHandler(
            self.database, self.policy, self.settings, self.storage, fetch=self._fetch
        )
        kinds = {
            SPEECH.place: JobKind(SPEECH, 600, listen),
            SPEECH_DOWNLOAD.place: JobKind(SPEECH_DOWNLOAD, 600, fetch),
        }
        identity = WorkerIdentity("one", "first", "here", 1, dict.fromkeys(places, slots), "0")
        async with NudgeListener(self.data_dir.parent / "run", JOBS, "one") as nudge:
            runner = WorkerRunner(
                self.queue,
                WorkerRegistry(self.database, Outbox(self.nudges), silent_after_s=30),
                kinds,
                identity,
                nudge,
                poll_s=0.2,
                lease_s=30,
                drain_s=0,
            )
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(runner.run(stop))
                yield
                stop.set()

    async def _fetch(
        self, url: str, to: Path, *, limits: DownloadLimits, **others: Any
    ) -> Downloaded:
        limits = replace(
            limits,
            tries=2,
            keep_free_bytes=self.keep_free_bytes,
            backoff=Backoff(first_s=0.01, max_s=0.01),
        )
        return await download(url, to, limits=limits, resolver=self.resolver, **others)

    async def _has_ended(self, job_id: int) -> bool:
        return (await self.queue.read(job_id)).status in ENDED
