"""The database goes down in the middle of everything and comes back. Real programs and server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.rtsp_server import running_camera
from tests.system.programs import Installation, Main
from tests.system.servers import private_server
from tests.waiting import eventually

pytestmark = pytest.mark.system

BEFORE = 10
HELD = 50
SLOTS = 3
POLLS_SOON = {"WORKER_POLL_SECONDS": "0.5"}


@pytest.mark.parametrize("dialect", ["mysql", "postgresql"])
def test_a_database_that_crashes_under_load_costs_time_but_no_job_and_no_archive(
    dialect: str, tmp_path: Path, video: Path
) -> None:
    with private_server(dialect) as server, running_camera(video) as camera:
        vap = Installation(tmp_path, database=server.url)
        vap.migrate()
        load = ("--analyser", "fake", "--slots", str(SLOTS))
        with (
            vap.main() as main,
            vap.worker(*load, **POLLS_SOON) as left,
            vap.worker(*load, **POLLS_SOON) as right,
        ):
            new = {"id": "gate", "name": "Gate", "source": camera.url, "archive_seconds": 10}
            main.post("/api/v1/cameras", new, status=201)
            eventually(lambda: main.camera("gate")["state"] == "live", what="the camera is live")
            vap.add_jobs([vap.fake_video(f"{n}.mp4") for n in range(BEFORE)])
            eventually(lambda: len(jobs(main, "completed")) == BEFORE, what="some jobs are done")
            held = [vap.fake_video(f"held-{n}.mp4", hold_at=40, sleep_s=0.3) for n in range(HELD)]
            vap.add_jobs(held)
            eventually(
                lambda: len(jobs(main, "processing")) == 2 * SLOTS, what="the workers are busy"
            )
            server.crash()
            for video in held:
                vap.let_go(video)
            count = len(files(vap))
            eventually(
                lambda: len(files(vap)) > max(count, 1),
                within_s=60,
                what="an archive is finished while the database is away",
            )
            eventually(
                lambda: main.get("/health")["database"]["ok"] is False, what="health says so"
            )
            assert main.api.get("/api/v1/jobs").status_code == 503
            server.start()
            eventually(lambda: main.api.get("/api/v1/jobs").status_code == 200, what="it answers")
            eventually(
                lambda: registered(main) >= {file.name for file in files(vap)[:-1]},
                what="every finished archive is registered",
            )
            eventually(
                lambda: len(jobs(main, "completed")) == BEFORE + HELD,
                within_s=120,
                what="every job is done",
            )
            assert main.is_running
            assert left.is_running
            assert right.is_running
            assert "Traceback" not in main.output
            paths = [job["video_path"] for job in main.jobs()]
            assert len(paths) == len(set(paths))
            eventually(lambda: main.get("/health")["database"]["ok"], what="health is well again")
        vap.until_alone()


def jobs(main: Main, status: str) -> list[int]:
    """Ids of the inserted jobs in this state."""
    return [job["id"] for job in main.jobs(camera_id="yard", status=status)]


def files(vap: Installation) -> list[Path]:
    """The camera's archive files, the oldest first; the last one is being written."""
    return sorted((vap.data_dir / "archive" / "gate").glob("archive_*.mp4"))


def registered(main: Main) -> set[str]:
    """Names of the archives that have a row."""
    return {Path(s["video_url"]).name for s in main.finished_segments("gate")}
