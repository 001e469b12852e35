"""From a camera to a safety score with the real programs: live, archive, job, worker, score."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
    subprocess.run([*ffmpeg, *coded, str(encoded)], check=True, timeout=60)


def test_a_camera_is_seen_archived_analysed_and_scored(
    installation: Installation, footage: Footage, camera_url: str
) -> None:
    with (
        installation.main() as main,
        installation.worker(DETECTOR_WEIGHTS=str(footage.weights)) as worker,
    ):
        new = {"id": "yard", "name": "Yard", "source": camera_url, "archive_seconds": 10}
        created = main.post("/api/v1/cameras", new, status=201)
        assert created["probe_answer"]["ok"]
        assert SECRET not in str(created)

        eventually(lambda: main.camera("yard")["state"] == "live", what="the camera is live")
        check_live(main)
        check_growing_archive(main)

        segment = eventually(lambda: main.finished_segments("yard"), what="an archive")[-1]
        eventually(
            lambda: main.job(segment["job_id"])["status"] not in {"pending", "processing"},
            within_s=60,
            what="its job ends",
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
        assert installation.processes(name="ffmpeg") == []
        assert worker.stop() == 0
        assert main.stop() == 0
        for output in (main.output, worker.output):
            assert SECRET not in output
            assert "Traceback" not in output


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
    segment = main.api.get(f"/live/yard/{newest}")
    assert segment.headers["content-type"].startswith("video/mp2t")
    assert segment.content[0] == 0x47  # the sync byte of MPEG-TS
    eventually(
        lambda: SEGMENT.findall(main.api.get(PLAYLIST).text)[-1] != newest,
        within_s=10,
        what="the playlist goes on",
    )


def check_growing_archive(main: Main) -> None:
    """The archive that is being written is listed first and can be played by ranges."""

    def growing() -> str | None:
        items = main.get("/api/v1/cameras/yard/segments")["items"]
        return items[0]["video_url"] if items and items[0]["state"] == "recording" else None

    url = eventually(growing, what="the archive that is being written is listed")
    answer = eventually(
        lambda: main.api.get(url, headers={"Range": "bytes=0-11"}).content or None,
        what="it has a beginning",
    )
    assert answer[4:8] == b"ftyp"


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
