"""The worker's side of speech jobs: the download first, since signed URLs expire, then listening.

Both are jobs of kind `speech`, told apart by priority: a job that still has to be downloaded is of
high priority and has places of its own in a worker; the file there, it is handed back and waits in
line for an analysis child. Time in line counts for nothing.

Failures have codes of our own here: `states.error_code` alone makes the contract's of them.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from backend.analysis.pool import AnalysisPool, ChildDied, TimedOut
from backend.analysis.protocol import AnalysisError, Cancelled
from backend.analysis.speech.contract import to_contract
from backend.analysis.speech.protocol import SpeechRequest, SpeechResult, SpeechSettings
from backend.jobs.kinds import HandBack, JobContext, JobError
from backend.jobs.schemas import JobOutcome
from backend.jobs.states import Priority
from backend.jobs.stopping import unless_cancelled
from backend.kernel.db import Database
from backend.kernel.net import UrlPolicy
from backend.media.download import Downloaded, DownloadError, DownloadLimits, download
from backend.settings import SpeechApiSettings, StorageSettings
from backend.speech import queries
from backend.speech.tables import SpeechJobRow
from backend.speech.videos import folder_name

log = structlog.get_logger(__name__)

DOWNLOADED = 10
"""Percent: the download is the stage before the contract's first mark."""

Fetch = Callable[..., Awaitable[Downloaded]]
"""`media.download.download`, or that with a resolver or limits of its own."""


class SpeechDownloadHandler:
    """Fetches the videos. One a worker; safe for several jobs at once."""

    def __init__(
        self,
        database: Database,
        policy: UrlPolicy,
        speech: SpeechApiSettings,
        storage: StorageSettings,
        *,
        fetch: Fetch = download,
    ) -> None:
        self._database = database
        self._policy = policy
        self._speech = speech
        self._download = fetch
        self._data_dir = storage.data_dir

    async def __call__(self, context: JobContext) -> JobOutcome:
        """Download; the job goes on in line.

        A failure leaves the folder alone: another worker may have the job by now, and its video
        there. `Videos.tidy` takes it away when the job has ended.

        Raises:
            HandBack: the video is there now, or the work was stopped.
            JobError: it cannot be had.
        """
        row = await _row(self._database, context.job.id)
        if row.url is None:
            raise JobError("video_missing", "the video is not there", permanent=True)
        folder = self._data_dir / "speech" / folder_name(row.job_id)
        await asyncio.to_thread(_prepare, folder)
        to = folder / "video"
        context.progress(1, "Downloading the video")
        began = time.monotonic()
        try:
            got = await unless_cancelled(self._fetch(row.url, to, context), context.cancel)
        except DownloadError as error:
            if time.monotonic() - began >= self._speech.timeout_s:
                raise _too_slow(self._speech.timeout_s) from error
            raise JobError(error.code, error.message, permanent=not error.retryable) from error
        values = {
            "video_path": to.relative_to(self._data_dir).as_posix(),
            "size_bytes": got,
            "processing_s": round(time.monotonic() - began),
        }
        raise HandBack(
            "downloaded, waits in line",
            priority=Priority.NORMAL,
            store=lambda session: queries.update_speech_job(session, row.id, values),
        )

    async def _fetch(self, url: str, to: Path, context: JobContext) -> int:
        def say(done: int, total: int | None) -> None:
            share = min(done / total, 1.0) if total else 0.5
            context.progress(1 + int(share * (DOWNLOADED - 2)), "Downloading the video")

        limits = DownloadLimits(most_bytes=self._speech.most_bytes, total_s=self._speech.timeout_s)
        got = await self._download(url, to, policy=self._policy, limits=limits, on_progress=say)
        return got.size_bytes


class SpeechHandler:
    """Has the videos listened to. One a worker; safe for several jobs at once."""

    def __init__(
        self,
        pool: AnalysisPool,
        database: Database,
        speech: SpeechApiSettings,
        storage: StorageSettings,
        folder: Path,
        *,
        analyser: str,
    ) -> None:
        self._pool = pool
        self._database = database
        self._speech = speech
        self._data_dir = storage.data_dir
        self._models_dir = storage.models_dir
        self._folder = folder
        self._analyser = analyser

    async def __call__(self, context: JobContext) -> JobOutcome:
        """Listen; the result is the contract's.

        Raises:
            JobError: the reason.
            HandBack: the work was stopped, or the video has to be fetched first.
        """
        row = await _row(self._database, context.job.id)
        if row.video_path is None:
            raise HandBack("the video has to be fetched", priority=Priority.HIGH)
        video = self._data_dir / row.video_path
        if not await asyncio.to_thread(video.is_file):
            async with self._database.write() as session:  # the next attempt fetches it again
                await queries.update_speech_job(session, row.id, {"video_path": None})
            message = "the fetched video is not there; all workers need the same folder of data"
            raise JobError("video_missing", message, permanent=False)
        began = time.monotonic()
        context.progress(DOWNLOADED, "Video ready")
        downloading_s = row.processing_s or 0  # what is left for the rest is so much less
        left_s = max(self._speech.timeout_s - downloading_s, 1.0)
        async with _folder(self._folder / f"speech-{context.job.id}-{context.job.attempt}") as work:
            heard = await self._listen(context, video, work, left_s)
        result = to_contract(heard, row.filename)
        took_s = downloading_s + round(time.monotonic() - began)
        return JobOutcome(result=result, store=partial(self._store, row=row, took_s=took_s))

    async def _listen(
        self, context: JobContext, video: Path, work: Path, left_s: float
    ) -> SpeechResult:
        request = SpeechRequest(
            video_path=video,
            work_dir=work,
            longest_s=self._speech.longest_s,
            settings=SpeechSettings(
                transcriber=self._speech.transcriber,
                whisper_model=self._speech.whisper_model,
                diarizer=self._speech.diarizer,
                language=self._speech.language,
                device=self._speech.device,
                threads=self._speech.threads,
                models_dir=self._models_dir,
            ),
        )
        message = {"kind": "speech", "analyser": self._analyser, "payload": request.to_json()}
        log.info("listening started", action="speech.started", analyser=self._analyser)
        try:
            plain = await self._pool.run(
                message,
                on_progress=context.progress,
                cancel=context.cancel,
                timeout_s=left_s,
            )
        except AnalysisError as error:
            raise JobError(error.code, error.message, permanent=error.permanent) from error
        except ChildDied as died:
            if died.innocent:
                raise HandBack("the analysis process was needed elsewhere") from died
            raise JobError("analysis_crashed", died.message, permanent=False) from died
        except TimedOut as late:
            raise _too_slow(self._speech.timeout_s) from late
        except Cancelled as stopped:
            raise HandBack("the analysis was stopped") from stopped
        return SpeechResult.from_json(plain)

    async def _store(self, session: AsyncSession, *, row: SpeechJobRow, took_s: int) -> None:
        """Note how long it took; the signed URL is of no more use to anybody."""
        values: dict[str, Any] = {"processing_s": took_s, "url": None}
        await queries.update_speech_job(session, row.id, values)


def _too_slow(timeout_s: float) -> JobError:
    return JobError("timeout", f"not done within {timeout_s:g} s", permanent=True)


@asynccontextmanager
async def _folder(path: Path) -> AsyncIterator[Path]:
    """A folder for one analysis: removed here, since an analysis child may be killed any time.

    What a killed worker leaves goes with the worker's own folder.
    """
    try:
        await asyncio.to_thread(_make, path)
        yield path
    finally:
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


def _prepare(folder: Path) -> None:
    """Make the folder; a worker that was killed may have left half a video in it."""
    _make(folder)
    for part in folder.glob("video.*.part"):
        part.unlink(missing_ok=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = "the disk is full, or cannot be written"
        raise JobError("storage_failed", message, permanent=False) from error


async def _row(database: Database, queue_job_id: int) -> SpeechJobRow:
    async with database.read() as session:
        row = await queries.select_by_queue_job(session, queue_job_id)
    if row is None:
        raise JobError("invalid_job", "the job names no video", permanent=True)
    return row
