"""From a camera to a safety score with the real programs: live, archive, job, worker, score."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg
import pytest

from backend.monitoring.demo import DEMO_DETECTOR
from tests.conftest import ROOT
from tests.peers.rtsp_server import running_camera
from tests.system.programs import Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.system

SECRET = "s3cret-pa55"
SEGMENT = re.compile(r"^\d+\.ts$", re.MULTILINE)
PLAYLIST = "/live/yard/index.m3u8"
HAND_BACK = (signal.SIGTERM, signal.SIGINT)
"""What ends a worker without waiting for its job; two of one kind may arrive as one."""


@dataclass(frozen=True)
class Footage:
    """What the camera shows, and the detector for it."""

    video: Path
    weights: Path
    has_people: bool


@pytest.fixture(scope="session")
def footage(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """A real street with a real detector where there is test data, else a pattern."""
    testdata = Path(os.environ.get("TESTDATA_DIR", ROOT.parent / "shared" / "testdata"))
    street = testdata / "video" / "vtest_480x360.mp4"
    weights = testdata / "weights" / "yolov8n_int8.onnx"
    if street.is_file() and weights.is_file():
        encoded = tmp_path_factory.mktemp("footage") / "street.mp4"
        encode_like_a_camera(street, encoded)
        return Footage(encoded, weights, has_people=True)
    return Footage(video, DEMO_DETECTOR, has_people=False)


@pytest.fixture
def camera_url(footage: Footage) -> Iterator[str]:
    """An RTSP camera that asks for a password."""
    with running_camera(footage.video, user="admin", password=SECRET) as camera:
        yield camera.url


def encode_like_a_camera(video: Path, encoded: Path) -> None:
    """The first twenty seconds with a keyframe a second and no B-frames."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-i", str(video)]
    coded = ["-t", "20", "-an", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "10"]
    subprocess.run([*ffmpeg, *coded, str(encoded)], check=True, timeout=180)


def test_a_camera_is_seen_archived_analysed_and_scored(
    installation: Installation, footage: Footage, camera_url: str
) -> None:
    with (
        installation.main() as main,
        installation.worker(DETECTOR_WEIGHTS=str(footage.weights)) as worker,
    ):
        new = {"id": "yard", "name": "Yard", "source": camera_url, "archive_seconds": 10}
        created = main.post("/api/v1/cameras", new, status=201)
        assert SECRET not in str(created)
        if created["probe_answer"]["reason"] == "timeout":  # a slow machine: it is looked at again
            eventually(lambda: main.camera("yard")["probe"], within_s=90, what="it is looked at")
        else:
            assert created["probe_answer"]["ok"]

        eventually(lambda: main.camera("yard")["state"] == "live", what="the camera is live")
        check_live(main)
        check_growing_archive(main)

        segment = eventually(
            lambda: next((s for s in main.finished_segments("yard") if has_ended(s)), None),
            within_s=240,
            what="an archive whose job has ended",
        )
        check_score(main, segment["job_id"], footage)
        (scored,) = [s for s in main.finished_segments("yard") if s["id"] == segment["id"]]
        assert (scored["job_status"], scored["safety_score"]) == (
            "completed",
            main.job(segment["job_id"])["safety_score"],
        )
        check_archive_plays(main, scored["video_url"])
        main.post("/api/v1/cameras/yard/disable")
        eventually(lambda: main.camera("yard")["state"] == "stopped", what="the camera stops")
        eventually(lambda: not installation.processes(name="ffmpeg"), what="no ffmpeg goes on")
        assert worker.stop(*HAND_BACK) == 0
        assert main.stop() == 0
        for output in (main.output, worker.output):
            assert SECRET not in output
            assert "Traceback" not in output


def has_ended(segment: Any) -> bool:
    """Whether the job of an archive has; the newest archive's is taken first."""
    return segment["job_status"] not in {None, "pending", "processing"}


def check_live(main: Main) -> None:
    """The live playlist is fresh and leads to video."""
    playlist = eventually(
        lambda: (found := main.api.get(PLAYLIST)).text.count(".ts") and found,
        what="a playlist with segments",
    )
    assert playlist.status_code == 200
    assert playlist.headers["content-type"].startswith("application/vnd.apple.mpegurl")
    assert "no-cache" in playlist.headers["cache-control"]
    newest = SEGMENT.findall(playlist.text)[-1]
    segment = eventually(lambda: newest_segment(main), what="a segment that is still there")
    assert segment.headers["content-type"].startswith("video/mp2t")
    assert segment.content[0] == 0x47  # the sync byte of MPEG-TS
    eventually(
        lambda: SEGMENT.findall(main.api.get(PLAYLIST).text)[-1:] not in ([], [newest]),
        what="the playlist goes on",
    )


def newest_segment(main: Main) -> httpx.Response | None:
    """The newest segment of the live view; None if it went before it was asked for."""
    (newest,) = SEGMENT.findall(main.api.get(PLAYLIST).text)[-1:] or (None,)
    answer = main.api.get(f"/live/yard/{newest}")
    return answer if answer.status_code == 200 else None


def check_growing_archive(main: Main) -> None:
    """The archive that is being written is listed first and can be played by ranges."""

    def growing() -> str | None:
        items = main.get("/api/v1/cameras/yard/segments")["items"]
        return items[0]["video_url"] if items and items[0]["state"] == "recording" else None

    url = eventually(growing, what="the archive that is being written is listed")
    answer = eventually(
        lambda: (
            (found := main.api.get(url, headers={"Range": "bytes=0-11"})).status_code == 206
            and found
        ),
        what="it has a beginning",
    )
    assert answer.content[4:8] == b"ftyp"


def check_archive_plays(main: Main, url: str) -> None:
    """A finished archive is an MP4 that answers ranges."""
    answer = main.api.get(url, headers={"Range": "bytes=4-7"})
    assert (answer.status_code, answer.content) == (206, b"ftyp")


def check_score(main: Main, job_id: int, footage: Footage) -> None:
    """The job has a score, and its result says what made it and what it looked at."""
    job = main.job(job_id)
    assert job["status"] == "completed", job
    assert (job["attempt"], job["progress"]) == (1, 100)
    assert 0 <= job["safety_score"] <= 100
    result = job["analysis_result"]
    assert (result["backend"], result["analyser"]) == ("local", "local")
    assert (result["model"], result["fallback"]) == (footage.weights.name, [])
    assert result["motion"]
    assert result["summary"]
    assert job["incident_count"] == len(result["incidents"])
    assert result["detector_missing"] is None, result
    if footage.has_people:
        assert result["objects"]["person"]["tracks"] > 0, result["objects"]
