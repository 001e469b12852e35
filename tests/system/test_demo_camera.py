"""A fresh machine with nothing set: the demo camera has a score within minutes."""

from __future__ import annotations

import signal
from datetime import datetime

import pytest

from backend.monitoring.demo import DEMO_ARCHIVE_S, DEMO_DETECTOR
from tests.system.programs import Installation
from tests.waiting import eventually

pytestmark = pytest.mark.system

# two minutes, and as many again where much else runs; an archive as long as others takes ten
FIRST_SCORE_WITHIN_S = 240.0


def test_the_demo_camera_has_a_first_score_within_minutes(
    sqlite_installation: Installation,
) -> None:
    with (
        sqlite_installation.main(DEMO_CAMERA="true") as main,
        sqlite_installation.worker() as worker,
    ):
        eventually(lambda: main.get("/api/v1/cameras")["items"], what="the camera is there")
        assert main.camera("demo")["source"] == "demo:"
        job = eventually(
            lambda: next((j for j in main.jobs(status="completed") if j["kind"] == "scene"), None),
            within_s=FIRST_SCORE_WITHIN_S,
            what="the demo camera's first archive is scored",
        )
        began, ended = (datetime.fromisoformat(job[f"segment_{at}"]) for at in ("start", "end"))
        assert (ended - began).total_seconds() < DEMO_ARCHIVE_S + 10
        result = main.job(job["id"])["analysis_result"]
        assert (result["backend"], result["model"]) == ("local", DEMO_DETECTOR.name)
        assert result["detector"]["name"] == DEMO_DETECTOR.name
        assert result["summary"].startswith("Seen: ")
        assert result["coverage"]["frames_detected"] > 0
        assert 0 <= job["safety_score"] <= 100
        assert main.post("/api/v1/cameras/demo/disable")
        assert worker.stop(signal.SIGTERM, signal.SIGINT) == 0
        assert main.stop() == 0
