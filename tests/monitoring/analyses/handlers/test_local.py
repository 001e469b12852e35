"""Scene jobs without a model: the file, the child that looks at it, what becomes of failures."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from backend.jobs import runner
from backend.jobs.states import JobStatus
from backend.kernel.clock import wait
from backend.monitoring.analyses.handlers import archive
from backend.monitoring.demo import DEMO_DETECTOR
from tests.monitoring.analyses.handlers.answers import incident
from tests.monitoring.analyses.handlers.bench import Bench

NO_VIDEO = b"no video"


async def test_an_analysed_archive_has_a_score_and_its_incidents(bench: Bench) -> None:
    fall = {**incident(), "evidence": [{"t": 1, "note": "lies"}]}
    job = await bench.do(bench.video(incidents=[fall], summary="Somebody lies."))
    assert (job.status, job.incident_count, job.safety_score) == ("completed", 1, 68)
    result = job.analysis_result
    assert (result["backend"], result["analyser"], result["model"]) == ("fake", "fake", None)
    assert (result["fallback"], result["cost_usd"]) == ([], 0)
    assert result["incidents"][0]["category"] == "fall"
    (report,) = await bench.reports()
    assert (report.summary, report.safety_score) == ("Somebody lies.", 68)
    percents = [percent for percent, _ in await bench.progress()]
    assert percents == sorted(percents)
    assert {25, 40, 75} <= set(percents)
    assert bench.server.requests == []


@pytest.mark.parametrize(
    ("video_path", "code"),
    [
        ("archive/yard/gone.mp4", "video_missing"),
        ("../outside.mp4", "invalid_job"),
        ("/etc/passwd", "invalid_job"),
    ],
)
async def test_a_job_without_a_video_of_its_own_is_never_tried_again(
    bench: Bench, video_path: str, code: str
) -> None:
    (bench.data_dir.parent / "outside.mp4").write_bytes(b"video")
    job = await bench.do(video_path)
    assert (job.status, job.error_code, job.retry_count) == ("failed", code, 0)


async def test_a_job_that_names_no_video_is_never_tried_again(bench: Bench) -> None:
    job = await bench.attempt(await bench.add_job())
    assert (job.status, job.error_code, job.retry_count) == ("failed", "invalid_job", 0)


async def test_a_job_without_times_is_never_tried_again(bench: Bench) -> None:
    job = await bench.do(bench.video(content=NO_VIDEO), segment_end=None)
    assert (job.status, job.error_code, job.retry_count) == ("failed", "invalid_job", 0)


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
    bench: Bench, then: str, code: str, is_permanent: bool
) -> None:
    job = await bench.do(bench.video(content=NO_VIDEO, then=then))
    assert job.error_code == code
    assert (job.status, job.retry_count) == (("failed", 0) if is_permanent else ("pending", 1))


async def test_an_analysis_that_is_called_off_ends_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "STOP_WITHIN_S", 100.0)  # what ends it is the handler
    job_id = await bench.add_job(bench.video(content=NO_VIDEO, then="hang"))
    async with bench.worker():
        await bench.until(job_id, lambda job: job.progress == 90)
        began = time.monotonic()
        await bench.queue.cancel(job_id)
        await bench.until(job_id, lambda job: job.status == JobStatus.CANCELLED)
        assert time.monotonic() - began < 20  # it would hang for ever


async def test_an_archive_that_is_still_written_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "STABLE_FOR_S", 0.1)
    video_path = bench.video(content=NO_VIDEO)
    file = bench.data_dir / video_path
    finished = asyncio.Event()

    async def write() -> None:
        with file.open("ab", buffering=0) as growing:
            while not await wait(finished, 0.02):
                growing.write(b"more")

    writing = asyncio.create_task(write())
    job_id = await bench.add_job(video_path)
    async with bench.worker():
        await bench.until(job_id, lambda job: job.status == JobStatus.PROCESSING)
        assert not await wait(asyncio.Event(), 1.0)
        job = await bench.queue.read(job_id)
        assert (job.status, job.progress) == ("processing", 0)
        finished.set()
        await writing
        job = await bench.until(job_id, lambda job: job.status == JobStatus.COMPLETED)
    assert job.safety_score == 100


@pytest.mark.parametrize(("content", "code"), [(b"", "video_empty"), (b"x", "video_growing")])
async def test_an_archive_that_is_never_finished_is_not_waited_for_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, content: bytes, code: str
) -> None:
    monkeypatch.setattr(archive, "STABLE_WITHIN_S", 0.3)
    monkeypatch.setattr(archive, "STABLE_FOR_S", 0.1)
    video_path = bench.video(content=content)
    file = bench.data_dir / video_path

    async def grow(*_: Any) -> bool:
        file.write_bytes(file.read_bytes() * 2)
        return False

    monkeypatch.setattr(archive, "wait", grow)
    job = await bench.do(video_path)
    assert job.error_code == code
    assert (job.status == "failed") == (code == "video_empty")


async def test_the_demo_camera_has_a_detector_of_its_own(bench: Bench) -> None:
    bench.scene = {"detector_weights": "configured.onnx", "detector_confidence": 0.5}
    await bench.add_camera("demo", name="Demo yard", source="demo:")
    await bench.add_camera("gate", name="Gate")
    asked = []
    for camera_id, payload in [
        ("demo", None),
        ("gate", {"demo": True, "camera_name": "Another name"}),
        ("gone", {"demo": True, "camera_name": "Gone yard"}),
        ("gone", {"demo": False, "camera_name": "Gone gate"}),
        ("unknown", None),  # a row that another program has inserted
    ]:
        job = await bench.do(bench.video(content=NO_VIDEO), camera_id=camera_id, payload=payload)
        settings = job.analysis_result["settings"]
        assert settings["confidence"] == 0.5
        asked.append((settings["camera_name"], settings["weights"]))
    assert asked == [
        ("Demo yard", DEMO_DETECTOR.name),
        ("Gate", "configured.onnx"),
        ("Gone yard", DEMO_DETECTOR.name),
        ("Gone gate", "configured.onnx"),
        ("unknown", "configured.onnx"),
    ]
