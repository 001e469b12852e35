"""Cameras that hang, and a main process that is killed while it records. Real programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.peers.rtsp_server import running_camera
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.system


def until_state(main: Main, *states: str, within_s: float = 90) -> Any:
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


def until_one_ffmpeg(vap: Installation) -> psutil.Process:
    """Wait until one ffmpeg runs, and no other; that."""
    (ffmpeg,) = eventually(
        lambda: (found := vap.processes(name="ffmpeg")) and len(found) == 1 and found,
        what="one ffmpeg records",
    )
    return ffmpeg


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
            until_one_ffmpeg(vap)
            eventually(
                lambda: archives(vap) and archives(vap)[-1].stat().st_size > 20_000,
                what="some seconds of archive",
            )
            left = archives(vap)[-1]
            assert f"archive/yard/{left.name}" not in paths(main)
            main.kill()
        vap.until_alone()
        with vap.main() as main:
            segment = eventually(
                lambda: next(
                    (
                        segment
                        for segment in main.finished_segments("yard")
                        if segment["video_url"].endswith(left.name)
                    ),
                    None,
                ),
                what="it is adopted",
            )
            assert segment["job_status"] == "pending"
            assert main.job(segment["job_id"])["video_path"] == f"archive/yard/{left.name}"
            assert left.exists()
            assert paths(main).count(f"archive/yard/{left.name}") == 1
            until_state(main, "live")
            until_one_ffmpeg(vap)


def test_a_camera_that_hangs_is_noticed_and_live_again_when_it_comes_back(
    sqlite_installation: Installation, video: Path
) -> None:
    vap = sqlite_installation
    with running_camera(video) as camera, vap.main() as main:
        add_camera(main, camera.url)
        before = until_one_ffmpeg(vap)
        started = event_states(main)
        assert started[:2] == ["starting", "live"]
        camera.hang()
        seen = until_state(main, "stalled", "reconnecting")
        assert seen["state_reason"]
        eventually(lambda: not before.is_running(), what="the hung ffmpeg is gone")
        camera.resume()
        until_state(main, "live")
        until_one_ffmpeg(vap)
        states = event_states(main)[len(started) :]
        hung = states[: states.index("live")]
        assert set(hung) <= {"stalled", "reconnecting"}  # ffmpeg or its watchdog saw it
        assert hung
        eventually(
            lambda: any(
                gap["seconds"] > 3 for gap in main.get("/api/v1/cameras/yard/gaps")["items"]
            ),
            what="the gap is listed",
        )


def paths(main: Main) -> list[str]:
    """The videos that there are jobs for."""
    return [job["video_path"] for job in main.jobs()]


def event_states(main: Main) -> list[str]:
    """The states that the camera went through, from the log."""
    return [
        part.partition('"')[0]
        for line in main.output.splitlines()
        if '"camera.state"' in line
        for part in [line.partition('"state": "')[2]]
    ]
