"""Tries of a backend and of a prompt: jobs of high priority; the main process calls nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from backend.jobs.schemas import NewJob
from backend.jobs.service import JobQueue
from backend.jobs.states import Priority
from backend.kernel.db import Database
from backend.kernel.errors import Conflict
from backend.monitoring.analyses.schemas import DryRunRequest
from backend.settings import SceneBackend

TEST_JOB = "backend_test"
DRY_RUN_JOB = "dry_run"


class LastArchive(Protocol):
    """The newest finished archive of a camera."""

    video_path: str
    started_at: datetime
    ended_at: datetime


class Trials:
    """Puts tries in line."""

    def __init__(self, database: Database, queue: JobQueue) -> None:
        self._database = database
        self._queue = queue

    async def test_backend(self, backend: SceneBackend) -> int:
        """Try whether a backend can be asked; the job's id.

        Raises:
            Conflict: it is no model: there is nothing to try.
        """
        if not backend.is_model:
            raise Conflict(f"{backend} asks nobody: there is nothing to test", code="not_a_model")
        return await self._add(NewJob(kind=TEST_JOB, payload={"backend": backend}))

    async def dry_run(
        self, camera_id: str, archive: LastArchive | None, request: DryRunRequest
    ) -> int:
        """Ask about a window of the camera's last archive, and keep nothing; the job's id.

        Raises:
            Conflict: there is no archive yet.
        """
        if archive is None:
            raise Conflict("the camera has no finished archive yet", code="no_archive")
        overrides: dict[str, Any] = request.model_dump(mode="json", exclude_none=True)
        job = NewJob(
            kind=DRY_RUN_JOB,
            camera_id=camera_id,
            video_path=archive.video_path,
            segment_start=archive.started_at,
            segment_end=archive.ended_at,
            payload=overrides,
        )
        return await self._add(job)

    async def _add(self, job: NewJob) -> int:
        urgent = replace(job, priority=Priority.HIGH, max_retries=0)
        async with self._database.write() as session:
            return await self._queue.enqueue(session, urgent)
