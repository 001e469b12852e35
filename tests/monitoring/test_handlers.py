"""A scene job in the worker: from its row to an analysis child and back to an outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.analysis.pool import CHILD_ARGV, AnalysisPool
from backend.jobs.kinds import HandBack, JobContext, JobError
from backend.jobs.schemas import JobOutcome, NewJob
from backend.kernel.clock import wait
from backend.monitoring import handlers
from backend.monitoring.demo import DEMO_DETECTOR
from backend.monitoring.handlers import SceneHandler
from backend.settings import SceneSettings
from tests.monitoring.house import House, at
from tests.waiting import until


class Work:
    """One job after another, done by a handler with a real analysis child and a fake analyser."""

    def __init__(self, house: House, pool: AnalysisPool, **scene: Any) -> None:
        self._house = house
        self.handler = SceneHandler(pool, SceneSettings(**scene), house.storage, analyser="fake")
        self.cancel = asyncio.Event()
        self.said: list[tuple[int, str]] = []

    def video(self, name: str = "one.mp4", *, content: bytes = b"video", **script: Any) -> str:
        """A file, and what the fake does with it; the path as a job names it."""
        path = self._house.data_dir / "archive" / "yard" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if script:
            path.with_name(f"{name}.json").write_text(json.dumps(script))
        return path.relative_to(self._house.data_dir).as_posix()

    async def context(self, video_path: str | None, **values: Any) -> JobContext:
        """A job about this video."""
        times = {"segment_start": at("10:00:00"), "segment_end": at("10:10:00")}
        new = NewJob(
            **{"kind": "scene", "camera_id": "yard", "video_path": video_path, **times, **values}
        )
        async with self._house.database.write() as session:
            job_id = await self._house.queue.enqueue(session, new)
        job = await self._house.queue.read(job_id)
        return JobContext(job, self.cancel, lambda *said: self.said.append(said), timeout_s=30)

    async def do(self, video_path: str | None, **values: Any) -> JobOutcome:
        """Do such a job."""
        return await self.handler(await self.context(video_path, **values))


@pytest.fixture
async def pool() -> AsyncIterator[AnalysisPool]:
    """One child that knows the fake analyser."""
    pool = AnalysisPool(children=1, argv=(*CHILD_ARGV, "--fakes"))
    yield pool
    await pool.aclose()


@pytest.fixture
def work(house: House, pool: AnalysisPool) -> Work:
    """The handler and what it works on."""
    return Work(house, pool)


async def test_an_analysed_archive_has_a_score_and_its_incidents(work: Work) -> None:
    incident = {
        "category": "fall",
        "t_start": 1,
        "t_end": 2,
        "severity": 3,
        "confidence": 0.9,
        "evidence": [{"t": 1, "note": "lies"}],
    }
    outcome = await work.do(work.video(incidents=[incident]))
    assert outcome.incident_count == 1
    assert outcome.safety_score is not None
    assert outcome.safety_score < 100
    assert outcome.result["analyser"] == "fake"
    assert outcome.result["incidents"][0]["category"] == "fall"
    assert [percent for percent, _ in work.said] == sorted(percent for percent, _ in work.said)
    assert {25, 40, 75} <= {percent for percent, _ in work.said}


@pytest.mark.parametrize(
    ("video_path", "code"),
    [
        ("archive/yard/gone.mp4", "video_missing"),
        ("../outside.mp4", "invalid_job"),
        ("/etc/passwd", "invalid_job"),
        (None, "invalid_job"),
    ],
)
async def test_a_job_without_a_video_of_its_own_is_never_tried_again(
    work: Work, house: House, video_path: str | None, code: str
) -> None:
    house.data_dir.mkdir(parents=True, exist_ok=True)
    (house.data_dir.parent / "outside.mp4").write_bytes(b"video")
    with pytest.raises(JobError) as failed:
        await work.do(video_path)
    assert (failed.value.code, failed.value.permanent) == (code, True)


async def test_a_job_without_times_is_never_tried_again(work: Work) -> None:
    with pytest.raises(JobError) as failed:
        await work.do(work.video(), segment_end=None)
    assert (failed.value.code, failed.value.permanent) == ("invalid_job", True)


@pytest.mark.parametrize(
    ("then", "code", "is_permanent"),
    [
        ("fail", "video_unreadable", True),
        ("retry", "busy", False),
        ("crash", "analysis_crashed", False),
        ("oom", "analysis_crashed", False),
    ],
)
async def test_a_failed_analysis_is_tried_again_where_that_may_help(
    work: Work, then: str, code: str, is_permanent: bool
) -> None:
    with pytest.raises(JobError) as failed:
        await work.do(work.video(then=then))
    assert (failed.value.code, failed.value.permanent) == (code, is_permanent)


async def test_an_analysis_that_is_called_off_is_handed_back_within_two_seconds(
    work: Work,
) -> None:
    running = asyncio.create_task(work.do(work.video(then="hang")))
    await until(lambda: any(percent == 90 for percent, _ in work.said), within_s=30)
    work.cancel.set()
    async with asyncio.timeout(2):
        with pytest.raises(HandBack):
            await running


async def test_an_archive_that_is_still_written_is_waited_for(
    work: Work, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "STABLE_FOR_S", 0.1)
    video_path = work.video()
    file = house.data_dir / video_path
    finished = asyncio.Event()

    async def write() -> None:
        with file.open("ab", buffering=0) as growing:
            while not await wait(finished, 0.02):
                growing.write(b"more")

    writing = asyncio.create_task(write())
    running = asyncio.create_task(work.do(video_path))
    assert not await wait(asyncio.Event(), 1.0)
    assert not running.done()
    assert work.said == []
    finished.set()
    await writing
    assert (await running).safety_score == 100


@pytest.mark.parametrize(("content", "code"), [(b"", "video_empty"), (b"x", "video_growing")])
async def test_an_archive_that_is_never_finished_is_not_waited_for_for_ever(
    work: Work, house: House, monkeypatch: pytest.MonkeyPatch, content: bytes, code: str
) -> None:
    monkeypatch.setattr(handlers, "STABLE_WITHIN_S", 0.3)
    monkeypatch.setattr(handlers, "STABLE_FOR_S", 0.1)
    video_path = work.video(content=content)
    file: Path = house.data_dir / video_path

    async def grow(*_: Any) -> bool:
        file.write_bytes(file.read_bytes() * 2)
        return False

    monkeypatch.setattr(handlers, "wait", grow)
    with pytest.raises(JobError) as failed:
        await work.do(video_path)
    assert (failed.value.code, failed.value.permanent) == (code, code == "video_empty")


async def test_the_demo_camera_has_a_detector_of_its_own(
    house: House, pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(house, pool, detector_weights="configured.onnx", detector_confidence=0.5)
    asked: list[dict[str, Any]] = []

    async def run(_: AnalysisPool, request: dict[str, Any], **__: Any) -> dict[str, Any]:
        asked.append(request["payload"])
        return {"safety_score": 100, "incidents": []}

    monkeypatch.setattr(AnalysisPool, "run", run)
    await work.do(work.video(), payload={"demo": True, "camera_name": "Demo yard"})
    await work.do(work.video("two.mp4"), payload={"demo": False, "camera_name": "Gate"})
    await work.do(work.video("three.mp4"))  # a row that another program has inserted
    assert [request["weights"] for request in asked] == [
        str(DEMO_DETECTOR),
        "configured.onnx",
        "configured.onnx",
    ]
    assert [request["camera_name"] for request in asked] == ["Demo yard", "Gate", "yard"]
    assert asked[1]["settings"]["confidence"] == 0.5
