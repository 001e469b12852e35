"""Workers that are killed, drained and many: every job is done, and done once. Real programs."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import pytest

from tests.system.programs import KEEPS_JOBS, REAPS_SOON, Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.system

FAKE = ("--analyser", "fake")
HELD_AT = 75
LOSES_JOBS = {"WORKER_LEASE_SECONDS": "4", "WORKER_POLL_SECONDS": "0.5"}
JOBS = 200


def only_job(main: Main) -> Any:
    """The one job there is."""
    (job,) = main.jobs()
    return job


def in_mid_job(main: Main) -> bool:
    """Whether the analysis of the one job is where it holds."""
    job = only_job(main)
    return job["status"] == "processing" and job["progress"] >= HELD_AT


def test_a_job_whose_worker_is_killed_is_finished_by_another(installation: Installation) -> None:
    held = installation.fake_video("one.mp4", hold_at=HELD_AT)
    with installation.main(**REAPS_SOON) as main:
        installation.add_jobs([held])
        with installation.worker(*FAKE, "--name", "first", **LOSES_JOBS) as first:
            eventually(lambda: in_mid_job(main), what="the first worker is in mid-job")
            eventually(lambda: len(installation.processes()) == 3, what="the third one analyses")
            first.kill()
        eventually(
            lambda: [p.pid for p in installation.processes()] == [main.pid],
            what="the killed worker's analysis process is gone",
        )
        installation.let_go(held)
        with installation.worker(*FAKE, "--name", "second", **KEEPS_JOBS) as second:
            eventually(lambda: only_job(main)["status"] == "completed", what="the job is done")
            job = main.job(only_job(main)["id"])
            assert job["worker_id"] == "second"
            assert job["retry_count"] >= 1
            assert job["attempt"] == job["retry_count"] + 1, "what was lost is counted once"
            assert job["safety_score"] == 100
            assert second.stop() == 0
        assert main.stop() == 0


def test_two_workers_do_two_hundred_jobs_each_exactly_once(installation: Installation) -> None:
    with installation.main() as main:
        videos = [installation.fake_video(f"{n}.mp4", hold_at=HELD_AT) for n in range(JOBS)]
        installation.add_jobs(videos)
        slots = ("--slots", "4", *FAKE)
        with (
            installation.worker("--name", "left", *slots, **KEEPS_JOBS) as left,
            installation.worker("--name", "right", *slots, **KEEPS_JOBS) as right,
        ):
            eventually(
                lambda: (
                    Counter(job["worker_id"] for job in main.jobs(status="processing"))
                    == {"left": 4, "right": 4}
                ),
                within_s=90,
                what="both workers have all that they take at once",
            )
            for video in videos:
                installation.let_go(video)
            eventually(
                lambda: len(main.jobs(status="completed")) == JOBS,
                within_s=180,
                what="all jobs are done",
            )
            jobs = main.jobs()
            started = left.output.count("job.started") + right.output.count("job.started")
        assert len(jobs) == JOBS
        assert Counter((job["status"], job["attempt"]) for job in jobs) == {("completed", 1): JOBS}
        assert started == JOBS
        assert {job["worker_id"] for job in jobs} == {"left", "right"}


def test_a_worker_that_is_told_to_stop_finishes_what_it_has(
    sqlite_installation: Installation,
) -> None:
    vap = sqlite_installation
    with vap.main() as main:
        videos = [vap.fake_video(name, hold_at=HELD_AT) for name in ("one.mp4", "two.mp4")]
        vap.add_jobs(videos)
        with vap.worker(*FAKE) as worker:
            running = eventually(lambda: main.jobs(status="processing"), what="a job runs")[0]
            worker.send(signal.SIGTERM)
            eventually(lambda: "worker.draining" in worker.output, what="it drains")
            for video in videos:
                vap.let_go(video)
            assert worker.wait() == 0
        jobs = {job["id"]: job for job in main.jobs()}
        assert len(jobs) == 2
        done = jobs.pop(running["id"])
        assert (done["status"], done["attempt"], done["retry_count"]) == ("completed", 1, 0)
        (other,) = jobs.values()
        assert (other["status"], other["attempt"]) == ("pending", 0)


def test_a_worker_that_is_told_twice_hands_its_job_back_unharmed(
    sqlite_installation: Installation,
) -> None:
    vap = sqlite_installation
    with vap.main() as main:
        held = vap.fake_video("one.mp4", hold_at=HELD_AT)
        vap.add_jobs([held])
        with vap.worker(*FAKE) as worker:
            eventually(lambda: in_mid_job(main), what="the worker is in mid-job")
            worker.send(signal.SIGTERM)
            eventually(lambda: "worker.draining" in worker.output, what="it drains")
            assert in_mid_job(main)
            assert worker.stop(signal.SIGTERM) == 0
        job = only_job(main)
        assert (job["status"], job["retry_count"]) == ("pending", 0)
        assert job["worker_id"] is None
        vap.let_go(held)
        with vap.worker(*FAKE):
            eventually(lambda: only_job(main)["status"] == "completed", what="another does it")
        assert only_job(main)["retry_count"] == 0
