"""Who is told of camera analyses: nobody, or the one whom the operator named."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from backend.callbacks.service import Callbacks
from backend.callbacks.tables import CallbackRow
from backend.callbacks.targets import CallbackTargets
from backend.jobs.callbacks import JobCallbacks
from backend.jobs.claims import KindOrder
from backend.jobs.queries import Claim
from backend.jobs.schemas import JobOutcome
from backend.jobs.service import JobQueue
from backend.media.archive import FinishedSegment
from backend.monitoring.recording.service import SCENE_JOB, RecordingService
from tests.monitoring.house import House, at

URL = "http://backend.example:9000/analyses"


@pytest.mark.parametrize("callback_url", [None, URL])
async def test_an_archives_analysis_is_told_to_whom_the_operator_named(
    any_house: House, callback_url: str | None
) -> None:
    house = any_house
    targets = CallbackTargets(None, ["backend.example:9000"])
    told = JobCallbacks(Callbacks(house.database, house.nudges, targets))
    queue = JobQueue(house.database, house.outbox, house.nudges, callbacks=told)
    recordings = RecordingService(
        house.database,
        house.outbox,
        queue,
        house.incidents,
        house.storage,
        house.clock,
        callback_url=callback_url,
    )
    camera = await house.add_camera()
    started_at = at("10:00:00")
    path = house.file(camera.id, started_at)
    await recordings.register(camera, FinishedSegment(path, started_at, 600, 5))
    (job,) = await queue.claim(KindOrder(SCENE_JOB, newest_first=True), 1, "one", 30)
    claim = Claim(job.id, job.attempt, "one")
    await queue.progress(claim, job, 40, "half")
    await queue.complete(claim, job, JobOutcome({"incidents": []}, 97, 0))
    async with house.database.read() as session:
        rows = (await session.scalars(select(CallbackRow).order_by(CallbackRow.id))).all()
    bodies = [json.loads(row.body) for row in rows if row.url == URL]
    if callback_url is None:
        assert rows == []
        return
    assert bodies == [
        {"job_id": str(job.id), "status": "processing", "progress": 40, "message": "half"},
        {
            "job_id": str(job.id),
            "status": "completed",
            "progress": 100,
            "result": {"incidents": []},
        },
    ]
