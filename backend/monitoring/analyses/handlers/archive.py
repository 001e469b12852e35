"""Makes sure that a job's archive is there and has stopped growing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from backend.jobs.kinds import HandBack, JobError
from backend.jobs.schemas import JobDetail
from backend.kernel.clock import wait

log = structlog.get_logger(__name__)

STABLE_FOR_S = 0.2
STABLE_WITHIN_S = 30.0


async def finished_archive(job: JobDetail, data_dir: Path, cancel: asyncio.Event) -> Path:
    """The job's video, once it is finished.

    Raises:
        JobError: it names none under DATA_DIR, or the file is not there, empty or still growing.
        HandBack: `cancel` was set.
    """
    video = (data_dir / (job.video_path or "")).resolve()
    if job.video_path is None or not video.is_relative_to(data_dir):
        raise JobError("invalid_job", "the job names no video under DATA_DIR", permanent=True)
    if job.segment_start is None or job.segment_end is None:
        raise JobError("invalid_job", "the job has no segment times", permanent=True)
    await _until_stable(video, cancel)
    return video


async def _until_stable(video: Path, cancel: asyncio.Event) -> None:
    log.info("waiting for the file", action="scene.waiting_for_file")
    waited_s, size = 0.0, -1
    while waited_s < STABLE_WITHIN_S:
        try:
            now = (await asyncio.to_thread(video.stat)).st_size
        except FileNotFoundError:
            raise JobError(
                "video_missing", "the archive file is not there any more", permanent=True
            ) from None
        if now == size and now > 0:
            log.info("file stable", action="scene.file_stable", megabytes=round(now / 1e6, 2))
            return
        size = now
        if await wait(cancel, STABLE_FOR_S):
            raise HandBack("the analysis was stopped")
        waited_s += STABLE_FOR_S
    if size == 0:
        raise JobError("video_empty", "the archive file is empty", permanent=True)
    raise JobError("video_growing", "the archive file is still being written", permanent=False)
