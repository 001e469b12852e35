"""What a scene job leaves: incidents, a report, pictures beside the archive; and no other file."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.jobs import runner
from backend.jobs.states import JobStatus
from backend.kernel.work_folder import LOCK
from backend.media.ffmpeg import Ffmpeg
from backend.monitoring.incidents.service import snapshot_path
from tests.monitoring.analyses.handlers.answers import by_window, incident, merged, said
from tests.monitoring.analyses.handlers.bench import GEMINI, GEMINI_CALL, START, Bench
from tests.peers.model_server import Reply
from tests.waiting import until

FALL = said(incident("fall", t=2), summary="Somebody falls.")
RUN = said(incident("running", t=3, severity=1, confidence=0.5), summary="Somebody runs.")


async def test_incidents_report_and_pictures_are_there_when_the_job_is_done(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(by_window(w0=FALL, w2=RUN, merge=merged(summary="Fall, then run.")))
    video_path = bench.video()
    job = await bench.do(video_path)
    # what is left after severity 3 (0.40) at 0.8, and of that after severity 1 (0.05) at 0.5
    assert (job.status, job.incident_count, job.safety_score) == ("completed", 2, 66)
    fall, run = await bench.incidents()
    assert (fall.category, fall.t_start, fall.t_end) == ("fall", 2, 3)
    assert (run.category, run.t_start, run.t_end) == ("running", 13, 14)
    assert run.starts_at == START + timedelta(seconds=13)
    assert (fall.job_id, fall.camera_id, fall.video_path) == (job.id, "yard", video_path)
    assert (fall.backend, fall.model, fall.position, run.position) == ("gemini", GEMINI, 0, 1)
    assert (fall.severity, fall.confidence, fall.state) == (3, 0.8, "open")
    assert "it is lying" in fall.notes
    (report,) = await bench.reports()
    assert (report.job_id, report.camera_id, report.video_path) == (job.id, "yard", video_path)
    assert (report.segment_start, report.segment_end) == (START, START + timedelta(minutes=10))
    assert (report.backend, report.model, report.fallback_from) == ("gemini", GEMINI, None)
    assert (report.safety_score, report.incident_count) == (66, 2)
    assert (report.summary, report.cost_microusd) == ("Fall, then run.", 4 * GEMINI_CALL)
    assert fall.has_snapshot
    assert run.has_snapshot
    for position in (0, 1):
        assert picture(snapshot_path(bench.data_dir / video_path, position)).shape == (240, 320, 3)
    assert bench.work_files() == []


async def test_a_picture_shows_the_second_of_its_incident(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    video_path = bench.video()
    dark_but_for_a_flash(bench.data_dir / video_path, flash=(11, 13))
    there = {**incident("other", t=0.5, severity=4), "t_start": 0.0, "t_end": 4.5}
    seen = said(there)
    seen["observations"][0]["t"] = 2.0  # second 12 of the archive
    bench.server.answer_with(by_window(w1=said(incident("other", t=2)), w2=seen))
    job = await bench.do(video_path)
    assert (job.status, job.incident_count) == ("completed", 2)
    dark, light = (picture(snapshot_path(bench.data_dir / video_path, n)) for n in (0, 1))
    assert dark.mean() < 40
    assert light.mean() > 200


async def test_a_picture_that_cannot_be_taken_does_not_fail_the_job(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    bench.server.answer_with(by_window(w0=FALL, w2=RUN))
    video_path = bench.video()
    in_the_way = snapshot_path(bench.data_dir / video_path, 0)
    in_the_way.mkdir()
    (in_the_way / "something").touch()
    job = await bench.do(video_path)
    assert (job.status, job.incident_count) == ("completed", 2)
    assert [one.has_snapshot for one in await bench.incidents()] == [False, True]
    left = sorted(path.name for path in in_the_way.parent.iterdir() if path.is_file())
    assert left == ["one.mp4", "one.mp4.json", "one_1.jpg"]


async def test_the_local_analysers_incidents_have_pictures_too(bench: Bench) -> None:
    lies = {**incident(), "evidence": [{"t": 1.5, "note": "lies"}]}
    video_path = bench.video(incidents=[lies])
    job = await bench.do(video_path)
    assert job.incident_count == 1
    assert picture(snapshot_path(bench.data_dir / video_path, 0)).shape == (240, 320, 3)


async def test_most_of_very_many_incidents_have_no_picture_but_the_worst_have(
    bench: Bench,
) -> None:
    many = [{**incident(t=n / 10, severity=4 if n == 29 else 1), "evidence": []} for n in range(30)]
    job = await bench.do(bench.video(incidents=many))
    assert job.incident_count == 30
    pictured = [one.position for one in await bench.incidents() if one.has_snapshot]
    assert len(pictured) == 20
    assert 29 in pictured


@pytest.mark.parametrize("backend", ["gemini", "openai"])
async def test_a_job_that_is_called_off_closes_its_calls_and_leaves_no_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr(runner, "STOP_WITHIN_S", 100.0)  # what ends it is the handler
    bench.models = {"windows_at_once": 2}
    await bench.add_camera(scene_backend=backend)
    bench.server.answer_with(Reply(held=True))
    job_id = await bench.add_job(bench.video())
    async with bench.worker():
        await until(lambda: bench.server.in_progress_count == 2)
        began = time.monotonic()
        await bench.queue.cancel(job_id)
        await until(lambda: bench.server.in_progress_count == 0)
        await bench.until(job_id, lambda job: job.status == JobStatus.CANCELLED)
        assert time.monotonic() - began < 20  # a question is given up after 100 s
        assert [one.was_abandoned for one in bench.server.requests] == [True, True]
        assert bench.work_files() == []
    assert await bench.reports() == []


async def test_a_job_that_is_called_off_while_excerpts_are_made_leaves_no_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "STOP_WITHIN_S", 100.0)  # what ends it is the handler
    await bench.add_camera(scene_backend="gemini")
    bench.ffmpeg = endless(bench.ffmpeg, tmp_path)
    job_id = await bench.add_job(bench.video())
    async with bench.worker():
        await until(lambda: any(name.endswith(".mp4") for name in bench.work_files()))
        began = time.monotonic()
        await bench.queue.cancel(job_id)
        await bench.until(job_id, lambda job: job.status == JobStatus.CANCELLED)
        assert time.monotonic() - began < 20  # an excerpt is given up after minutes
        assert bench.work_files() == []
    assert bench.server.requests == []


async def test_a_workers_folder_is_gone_when_it_stops(bench: Bench) -> None:
    async with bench.worker():
        (folder,) = bench.storage.work_dir.iterdir()
        assert (folder / LOCK).exists()
    assert list(bench.storage.work_dir.iterdir()) == []


def endless(ffmpeg: Ffmpeg, folder: Path) -> Ffmpeg:
    """An ffmpeg that begins to write an excerpt, and is never done with it."""
    path = folder / "ffmpeg.sh"
    path.write_text(
        f"""#!/bin/sh
for last; do true; done
case $last in file:*) printf begun > "${{last#file:}}"; exec sleep 300; esac
exec "{ffmpeg.path}" "$@"
"""
    )
    path.chmod(0o755)
    return replace(ffmpeg, path=path)


def picture(path: Path) -> np.ndarray:
    """A JPEG's pixels."""
    data = path.read_bytes()
    assert data.startswith(b"\xff\xd8")
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def dark_but_for_a_flash(path: Path, *, flash: tuple[float, float]) -> None:
    """Fifteen black seconds, some of them white."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 240))
    for number in range(150):
        shade = 255 if flash[0] <= number / 10 < flash[1] else 0
        writer.write(np.full((240, 320, 3), shade, np.uint8))
    writer.release()
