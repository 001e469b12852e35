"""Workers that are killed, drained and many: every job is done, and done once. Real programs."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import pytest

from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.system

FAKE = ("--analyser", "fake")
IMPATIENT = {"WORKER_LEASE_SECONDS": "2", "WORKER_POLL_SECONDS": "0.5"}
JOBS = 200


def only_job(main: Main) -> Any:
    """The one job there is."""
    (job,) = main.jobs()
    return job


def in_mid_job(main: Main) -> bool:
    """Whether the analysis of the one job is under way."""
    job = only_job(main)
    return job["status"] == "processing" and job["progress"] >= 75


def test_a_job_whose_worker_is_killed_is_finished_by_another(installation: Installation) -> None:
    long = installation.fake_video("one.mp4", sleep_s=60)
    with installation.main(**IMPATIENT) as main:
        installation.add_jobs([long])
        with installation.worker(*FAKE, "--name", "first", **IMPATIENT) as first:
            eventually(lambda: in_mid_job(main), what="the first worker is in mid-job")
            assert len(installation.processes()) == 3  # the third one analyses
            installation.fake_video("one.mp4", sleep_s=0)
            first.kill()
        eventually(
            lambda: [p.pid for p in installation.processes()] == [main.pid],
            within_s=5,
            what="the killed worker's analysis process is gone",
        )
        with installation.worker(*FAKE, "--name", "second", **IMPATIENT) as second:
            eventually(lambda: only_job(main)["status"] == "completed", what="the job is done")
            job = main.job(only_job(main)["id"])
            assert (job["attempt"], job["retry_count"]) == (2, 1)
            assert job["worker_id"] == "second"
            assert job["safety_score"] == 100
            assert second.stop() == 0
        assert main.stop() == 0


def test_two_workers_do_two_hundred_jobs_each_exactly_once(installation: Installation) -> None:
    with installation.main() as main:
        installation.add_jobs([installation.fake_video(f"{n}.mp4") for n in range(JOBS)])
        slots = ("--slots", "4", *FAKE)
        with (
            installation.worker("--name", "left", *slots) as left,
            installation.worker("--name", "right", *slots) as right,
        ):
            eventually(
                lambda: (
                    main.get("/health")["queue"]["pending"] == 0
                    and not main.jobs(status="processing")
                ),
                within_s=90,
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
        vap.add_jobs([vap.fake_video("one.mp4", sleep_s=2), vap.fake_video("two.mp4")])
        with vap.worker(*FAKE) as worker:
            running = eventually(lambda: main.jobs(status="processing"), what="a job runs")[0]
            assert worker.stop(signal.SIGTERM) == 0
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
        vap.add_jobs([vap.fake_video("one.mp4", sleep_s=120)])
        with vap.worker(*FAKE) as worker:
            eventually(lambda: in_mid_job(main), what="the worker is in mid-job")
            worker.send(signal.SIGTERM)
            eventually(lambda: "worker.draining" in worker.output, what="it drains")
            assert in_mid_job(main)
            assert worker.stop(signal.SIGTERM, within_s=10) == 0
        job = only_job(main)
        assert (job["status"], job["retry_count"]) == ("pending", 0)
        assert job["worker_id"] is None
        vap.fake_video("one.mp4", sleep_s=0)
        with vap.worker(*FAKE):
            eventually(lambda: only_job(main)["status"] == "completed", what="another does it")
        assert only_job(main)["retry_count"] == 0
