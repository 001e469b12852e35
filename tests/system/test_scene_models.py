"""Archives understood by a model, with the real programs: through a crash, and on real footage.

The model is a server that answers from a script; what it is asked, and what becomes of its answers,
is real: analysis, excerpts, pictures, score.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.media.archive import archive_name
from tests.monitoring.analyses.handlers.answers import (
    asked_about,
    by_window,
    incident,
    merged,
    questions,
    said,
)
from tests.peers.model_server import Received, Reply, RunningModelServer, running_model_server
from tests.peers.videos import make_video
from tests.system.programs import KEEPS_JOBS, REAPS_SOON, Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.system

KEY = "sk-very-secret-0123456789"
FAKE = ("--analyser", "fake")
FALLS = "incident/falls_gmdcsa24"
CLIPS = {  # seconds, and from when on somebody falls (the data's own labels)
    "Subject_1/Fall/13.mp4": (4.3, 0.4),
    "Subject_4/Fall/03.mp4": (6.7, 1.7),
    "Subject_2/ADL/23.mp4": (7.3, None),
    "Subject_3/ADL/19.mp4": (6.5, None),
}
EMPTY = ((101.4, 117.4), (29.4, 36.0))
"""Stretches of the video of one person at a time in which nobody is there."""


@pytest.fixture
def server() -> Iterator[RunningModelServer]:
    """A server that knows one key."""
    with running_model_server(key=KEY) as server:
        server.answer_with(by_window())
        yield server


def asking(server: RunningModelServer, backend: str, **settings: str) -> dict[str, str]:
    """Settings of a worker that asks this server."""
    return {
        **KEEPS_JOBS,
        "SCENE_BACKEND": backend,
        "GEMINI_BASE_URL": server.gemini_url,
        "GEMINI_API_KEY": KEY,
        "OPENAI_BASE_URL": server.openai_url,
        "OPENAI_API_KEY": KEY,
        "OPENAI_MODEL": "eyes-2",
        "DETECTOR_WEIGHTS": "none",
        "VAP_TIMEZONE": "Asia/Seoul",
        **settings,
    }


def test_a_worker_that_is_killed_between_windows_loses_none_of_them(
    installation: Installation, server: RunningModelServer
) -> None:
    everywhere = {"duration_s": 15, "motion": [[0, 15]]}
    archive = make_video(
        installation.fake_video("one.mp4", **everywhere), seconds=15, size=(320, 240), fps=10
    )
    settings = asking(server, "gemini", SCENE_WINDOW_SECONDS="5", SCENE_WINDOWS_AT_ONCE="1")
    server.answer_with(by_window(w0=said(incident(t=2)), w2=Reply(held=True)))
    work = installation.data_dir / "work"
    with watching(installation, **{**settings, **REAPS_SOON}) as main:
        installation.add_jobs([archive])
        with installation.worker(*FAKE, "--name", "first", **settings) as first:
            eventually(lambda: len(server.requests) == 3, what="the third window is asked about")
            (of_first,) = work.iterdir()
            (of_first / "excerpt.mp4").write_bytes(b"half of a clip")
            first.kill()
        eventually(lambda: server.requests[2].was_abandoned, what="its call is closed")
        assert of_first.is_dir()
        server.answer_with(by_window(w0=said(), merge=merged(summary="A fall.")))
        with installation.worker(*FAKE, "--name", "second", **settings) as second:
            assert not of_first.exists()
            assert [path.name for folder in work.iterdir() for path in folder.iterdir()] == ["lock"]
            installation.end_leases()
            job = until_done(main)[0]
            assert second.stop() == 0
        assert list(work.iterdir()) == []
        assert questions(server.requests) == [0, 1, 2, 2, "merge"]
        assert (job["worker_id"], job["attempt"], job["retry_count"]) == ("second", 2, 1)
        result = job["analysis_result"]
        assert [one["category"] for one in result["incidents"]] == ["fall"]
        assert result["summary"] == "A fall."
        assert result["usage"]["calls"] == 4
        assert result["cost_usd"] == pytest.approx(4 * (100 * 0.30 + 20 * 2.50) / 1e6)
        (found,) = main.get("/api/v1/incidents")["items"]
        assert (found["t_start"], found["starts_at"]) == (2, "2026-01-01T00:00:02Z")
        assert main.api.get(found["snapshot_url"]).content.startswith(b"\xff\xd8")


def test_falls_are_found_and_ordinary_days_are_not(
    sqlite_installation: Installation, server: RunningModelServer, testdata: Path
) -> None:
    vap = sqlite_installation
    weights = testdata / "weights" / "yolov8n_int8.onnx"
    settings = asking(server, "gemini", DETECTOR_WEIGHTS=str(weights), SCENE_WINDOW_SECONDS="5")
    archives = {
        in_archive(vap, testdata / FALLS / clip, minute): about
        for minute, (clip, about) in enumerate(CLIPS.items())
    }
    server.answer_with(who_falls)
    with watching(vap, **settings) as main, vap.worker("--slots", "2", **settings) as worker:
        jobs = until_done(main, count=len(archives))
        assert len(server.requests) == len(archives), "one window each, and nothing to merge"
        by_path = {job["video_path"]: job for job in jobs}
        for archive, (seconds, falls_at) in archives.items():
            job = by_path[archive.relative_to(vap.data_dir).as_posix()]
            check_clip(main, job, seconds, falls_at)
        suspected = {length_of(one) for one in server.requests if '"suspicions"' in one.text}
        assert suspected & {4.3, 6.7}, "what boxes alone say goes to the model"
        assert all('"object": "person ' in one.text for one in server.requests)
        assert KEY not in worker.output
        assert "Traceback" not in worker.output


def test_an_archive_of_a_street_is_cut_into_windows_and_put_together(
    sqlite_installation: Installation, server: RunningModelServer, testdata: Path
) -> None:
    vap = sqlite_installation
    settings = asking(server, "openai", SCENE_WINDOW_SECONDS="20", SCENE_WINDOWS_AT_ONCE="3")
    runs = {"t_start": 15.0, "t_end": 19.8}
    runs_on = {"t_start": 0.0, "t_end": 3.0}
    joined = {
        "members": [1, 2],
        "evidence": "the same man",
        "category": "running",
        "severity": 2,
        "confidence": 0.9,
    }
    server.answer_with(
        by_window(
            w0=said({**incident("running", severity=1, confidence=0.6), **runs}),
            w1=said({**incident("running", severity=2, confidence=0.5), **runs_on}),
            w3=said(incident("loitering", t=4, severity=1, confidence=0.5)),
            merge=merged(joined, summary="A man runs, another waits."),
        )
    )
    in_archive(vap, testdata / "video" / "vtest_480x360.mp4")
    with watching(vap, **settings) as main, vap.worker(**settings):
        (job,) = until_done(main)
        assert job["status"] == "completed", job
        assert sorted(questions(server.requests)[:-1]) == [0, 1, 2, 3]
        assert questions(server.requests)[-1] == "merge"
        for number, one in enumerate(sorted(server.requests[:-1], key=asked_about)):
            seconds = 79.5 / 4
            assert f"Window {number + 1} of 4, 19.9 s long." in one.text
            minute, second = divmod(int(number * seconds), 60)
            assert f"2026-01-01 09:{minute:02d}:{second:02d} (UTC+0900)" in one.text
            assert len(one.pictures) == 10
            assert all(0 <= t <= seconds for t, _ in one.pictures)
        result = job["analysis_result"]
        run, wait = result["incidents"]
        window_s = 79.5 / 4
        assert (run["category"], run["t_start"]) == ("running", 15)
        assert run["t_end"] == pytest.approx(window_s + 3, abs=0.01)
        assert (run["severity"], run["confidence"]) == (2, 0.9)
        notes = [one["note"] for one in run["evidence"]]
        assert notes[0] == "the same man"
        assert sorted(notes[1:]) == ["it is lying", "it is lying", "seen at 0.0", "seen at 15.0"]
        assert wait["t_start"] == pytest.approx(3 * window_s + 4, abs=0.01)
        # what is left after 0.15 at 0.9, and of that after 0.05 at 0.5
        assert job["safety_score"] == round(100 * (1 - 0.15 * 0.9) * (1 - 0.05 * 0.5))
        assert (result["model_score"], result["merge"]["by"]) == (80, "model")
        assert result["summary"] == "A man runs, another waits."
        assert result["cost_usd"] == 0, "a model without a price costs nothing"
        found = main.get("/api/v1/incidents")["items"]
        assert [one["starts_at"][:19] for one in found] == [
            "2026-01-01T00:01:03",
            "2026-01-01T00:00:15",
        ]
        (entry,) = main.get("/api/v1/scene/day", day="2026-01-01")["entries"]
        assert (entry["backend"], entry["incident_count"]) == ("openai", 2)


def test_windows_in_which_nobody_is_there_are_not_shown_and_that_is_said(
    sqlite_installation: Installation, server: RunningModelServer, testdata: Path
) -> None:
    vap = sqlite_installation
    settings = asking(server, "gemini", SCENE_WINDOW_SECONDS="5", SCENE_WINDOWS_AT_ONCE="3")
    in_archive(vap, testdata / "video" / "one-by-one-person-detection.mp4")
    with watching(vap, **settings) as main, vap.worker(**settings):
        (job,) = until_done(main)
    assert (job["status"], job["safety_score"]) == ("completed", 100), job
    windows = job["analysis_result"]["windows"]
    assert len(windows) == round(139.4 / 5)
    asked = sorted(questions(server.requests)[:-1])
    states = {one["index"]: one["state"] for one in windows}
    assert [index for index, state in states.items() if state == "analysed"] == asked
    assert len(set(asked)) == len(asked)
    unseen = [one for one in windows if one["state"] == "no_motion"]
    for start, end in EMPTY:
        within = [one for one in windows if one["t_start"] >= start and one["t_end"] <= end]
        assert within
        assert all(one in unseen for one in within), f"{start} to {end}"
    skipped = f"{len(unseen)} of {len(windows)} windows were not shown to the model: nothing moved"
    assert skipped in job["analysis_result"]["coverage"]["skipped"]
    told = server.requests[-1].text
    assert told.count('"no_motion"') == len(unseen)
    assert job["analysis_result"]["usage"]["calls"] == len(asked) + 1


def test_a_backend_and_a_prompt_are_tried_by_a_worker(
    sqlite_installation: Installation, server: RunningModelServer, video: Path
) -> None:
    vap = sqlite_installation
    settings = asking(server, "local", SCENE_WINDOW_SECONDS="5")
    in_archive(vap, video)
    with vap.main(**settings) as main, vap.worker(**settings):
        new = {"id": "yard", "name": "Yard", "source": "rtsp://127.0.0.1:9/", "enabled": False}
        main.post("/api/v1/cameras", new, status=201)
        until_done(main)
        assert server.requests == [], "footage stays here unless somebody chose a model"
        test = main.post("/api/v1/scene/backends/gemini/test", status=202)
        dry_run = main.post("/api/v1/cameras/yard/dry-run", {"backend": "openai"}, status=202)
        by_id = {job["id"]: job for job in until_done(main, count=3)}
        tested, tried = by_id[test["job_id"]], by_id[dry_run["job_id"]]
        assert (tested["kind"], tested["status"]) == ("backend_test", "completed"), tested
        assert tested["analysis_result"]["usage"]["calls"] == 1
        assert (tried["kind"], tried["status"]) == ("dry_run", "completed"), tried
        assert tried["analysis_result"]["answer"]["summary"] == "A person walks."
        assert {one.protocol for one in server.requests} == {"gemini", "openai"}
        assert len(main.get("/api/v1/scene/day", day="2026-01-01")["entries"]) == 1
        assert main.get("/api/v1/incidents")["items"] == []


@contextmanager
def watching(vap: Installation, **settings: str) -> Iterator[Main]:
    """run.py, with the camera that the archives are of: of one that is gone nothing is sent."""
    new = {"id": "yard", "name": "Yard", "source": "rtsp://127.0.0.1:9/", "enabled": False}
    with vap.main(**settings) as main:
        main.post("/api/v1/cameras", new, status=201)
        yield main


def in_archive(vap: Installation, video: Path, minute: int = 0) -> Path:
    """A copy of a video where an archive of that minute lies; run.py finds it when it starts."""
    began_at = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
    path = vap.data_dir / "archive" / "yard" / archive_name(began_at)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(video, path)
    return path


def until_done(main: Main, *, count: int = 1) -> list[Any]:
    """So many jobs with their results, once all have ended."""
    ended = {"completed", "failed"}
    eventually(
        lambda: sum(job["status"] in ended for job in main.jobs()) == count,
        within_s=300,
        what="all jobs have ended",
    )
    return [main.job(job["id"]) for job in main.jobs()]


def who_falls(asked: Received) -> dict[str, Any]:
    """What a model that knows these clips says of one."""
    seconds = length_of(asked)
    falls_at = next(fall for length, fall in CLIPS.values() if length == seconds)
    if falls_at is None:
        return said(summary="An ordinary day.", score=100)
    fall = incident("fall", t=falls_at, severity=4, confidence=0.9)
    return said({**fall, "t_end": seconds - 0.2}, summary="Somebody falls.", score=20)


def length_of(asked: Received) -> float:
    """How many seconds the window of a question lasts."""
    return float(asked.text.partition(", ")[2].partition(" s long.")[0])


def check_clip(main: Main, job: Any, seconds: float, falls_at: float | None) -> None:
    """The answer about a clip is what the model said, where it said so."""
    assert job["status"] == "completed", job
    result = job["analysis_result"]
    (window,) = result["windows"]
    assert (window["state"], window["asked"], window["t_start"]) == ("analysed", 1, 0)
    assert window["t_end"] == pytest.approx(seconds, abs=0.06)
    assert result["merge"] == {"by": "none", "reason": "one window was analysed"}
    assert result["detector"]["name"] == "yolov8n_int8.onnx"
    assert result["objects"]["person"]["tracks"] >= 1
    found = [one for one in main.get("/api/v1/incidents")["items"] if one["job_id"] == job["id"]]
    assert job["incident_count"] == len(found) == len(result["incidents"])
    if falls_at is None:
        assert (job["safety_score"], found) == (100, [])
        return
    # severity 4 takes 0.75 away, at a confidence of 0.9
    assert job["safety_score"] == round(100 * (1 - 0.75 * 0.9))
    (fall,) = found
    assert (fall["category"], fall["severity"], fall["t_start"]) == ("fall", 4, falls_at)
    starts_at, began_at = (
        datetime.fromisoformat(at) for at in (fall["starts_at"], job["segment_start"])
    )
    assert (starts_at - began_at).total_seconds() == falls_at
    assert [(one["t"], one["note"]) for one in fall["evidence"]] == [
        (falls_at, "it is lying"),
        (falls_at, f"seen at {falls_at}"),
    ]
    assert main.api.get(fall["snapshot_url"]).content.startswith(b"\xff\xd8")
    assert main.api.get(fall["video_url"], headers={"Range": "bytes=4-7"}).content == b"ftyp"
