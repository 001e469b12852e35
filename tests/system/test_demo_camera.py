"""A fresh machine with nothing set: the demo camera has a score within two minutes."""

from __future__ import annotations

import time

import pytest

from backend.monitoring.demo import DEMO_DETECTOR
from tests.system.programs import Installation
from tests.waiting import eventually

pytestmark = pytest.mark.system

FIRST_SCORE_WITHIN_S = 120.0


def test_the_demo_camera_has_a_first_score_within_two_minutes(
    sqlite_installation: Installation,
) -> None:
    with (
        sqlite_installation.main(DEMO_CAMERA="true") as main,
        sqlite_installation.worker() as worker,
    ):
        serving = time.monotonic()
        assert main.camera("demo")["source"] == "demo:"
        job = eventually(
            lambda: next((j for j in main.jobs(status="completed") if j["kind"] == "scene"), None),
            within_s=FIRST_SCORE_WITHIN_S,
            what="the demo camera's first archive is scored",
        )
        took_s = time.monotonic() - serving
        result = main.job(job["id"])["analysis_result"]
        assert (result["backend"], result["model"]) == ("local", DEMO_DETECTOR.name)
        assert result["detector"]["name"] == DEMO_DETECTOR.name
        assert result["summary"].startswith("Seen: ")
        assert result["coverage"]["frames_detected"] > 0
        assert 0 <= job["safety_score"] <= 100
        assert took_s < FIRST_SCORE_WITHIN_S
        assert main.post("/api/v1/cameras/demo/disable")
        assert worker.stop() == 0
        assert main.stop() == 0
