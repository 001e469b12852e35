"""Cameras that hang, and a main process that is killed while it records. Real programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.peers.rtsp_server import running_camera
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.system


def until_state(main: Main, *states: str, within_s: float = 30) -> Any:
    """Wait until the camera is in one of these states; the camera."""
    return eventually(
        lambda: (camera := main.camera("yard"))["state"] in states and camera,
        within_s=within_s,
        what=f"the camera is {' or '.join(states)}",
    )


def add_camera(main: Main, url: str) -> None:
    """One camera with archives of ten minutes: none is finished in a test."""
    new = {"id": "yard", "name": "Yard", "source": url, "archive_seconds": 600}
    main.post("/api/v1/cameras", new, status=201)
    until_state(main, "live")


def archives(vap: Installation) -> list[Path]:
    """Archive files of the camera, the oldest first."""
    return sorted((vap.data_dir / "archive" / "yard").glob("archive_*.mp4"))


def test_what_a_killed_main_process_was_recording_is_adopted_with_its_job(
    installation: Installation, video: Path
) -> None:
    vap = installation
    with running_camera(video) as camera:
        with vap.main() as main:
            add_camera(main, camera.url)
            assert len(vap.processes(name="ffmpeg")) == 1
            eventually(
                lambda: archives(vap) and archives(vap)[0].stat().st_size > 20_000,
                what="some seconds of archive",
            )
            assert main.jobs() == []
            main.kill()
        vap.until_alone()
        (left,) = archives(vap)
        with vap.main() as main:
            segment = eventually(lambda: main.finished_segments("yard"), what="it is adopted")[0]
            assert segment["video_url"].endswith(left.name)
            assert segment["job_status"] == "pending"
            assert main.job(segment["job_id"])["video_path"] == f"archive/yard/{left.name}"
            assert left.exists()
            paths = [job["video_path"] for job in main.jobs()]
            assert paths.count(f"archive/yard/{left.name}") == 1
            until_state(main, "live")
            assert len(vap.processes(name="ffmpeg")) == 1


def test_a_camera_that_hangs_is_noticed_and_live_again_when_it_comes_back(
    sqlite_installation: Installation, video: Path
) -> None:
    vap = sqlite_installation
    with running_camera(video) as camera, vap.main() as main:
        add_camera(main, camera.url)
        (before,) = vap.processes(name="ffmpeg")
        camera.hang()
        seen = until_state(main, "stalled", "reconnecting")
        assert seen["state_reason"]
        eventually(lambda: not before.is_running(), what="the hung ffmpeg is gone")
        camera.resume()
        until_state(main, "live", within_s=45)
        assert len(vap.processes(name="ffmpeg")) == 1
        states = event_states(main)
        assert states[:2] == ["starting", "live"]
        assert states[-1] == "live"
        assert set(states[2:-1]) <= {"stalled", "reconnecting"}  # ffmpeg or its watchdog saw it
        (gap, *_) = eventually(
            lambda: main.get("/api/v1/cameras/yard/gaps")["items"], what="the gap is listed"
        )
        assert gap["seconds"] > 3


def event_states(main: Main) -> list[str]:
    """The states that the camera went through, from the log."""
    return [
        part.partition('"')[0]
        for line in main.output.splitlines()
        if '"camera.state"' in line
        for part in [line.partition('"state": "')[2]]
    ]
