"""What every scene analyser must do, over the real one and its fake."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from backend.analysis.fakes import FakeSceneAnalyser
from backend.analysis.protocol import AnalysisError, Cancelled, SceneAnalyser, SceneRequest
from backend.analysis.registry import ANALYSERS, FAKE_ANALYSERS
from backend.analysis.scene.local import LocalSceneAnalyser
from backend.findings.score import safety_score
from tests.analysis.requests import Heard, scene_request
from tests.peers.videos import make_video

ALL: dict[str, Callable[[], SceneAnalyser]] = {
    "local": LocalSceneAnalyser,
    "fake": FakeSceneAnalyser,
}


def test_every_scene_analyser_that_may_be_asked_for_is_tried_here() -> None:
    assert set(ALL) == {*ANALYSERS["scene"], *FAKE_ANALYSERS["scene"]}


@pytest.fixture(params=sorted(ALL))
def analyser(request: pytest.FixtureRequest) -> SceneAnalyser:
    make: Callable[[], SceneAnalyser] = ALL[request.param]
    return make()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Something that both can look at."""
    return make_video(tmp_path / "ok.mp4", seconds=6, size=(320, 180))


def test_it_reports_10_25_40_and_75_in_order(analyser: SceneAnalyser, video: Path) -> None:
    heard = Heard()
    analyser.analyse(scene_request(video, seconds=6), heard)
    percents = [percent for percent, _ in heard.said]
    assert {10, 25, 40, 75} <= set(percents)
    assert percents == sorted(percents)
    assert all(message for _, message in heard.said)
    assert max(percents) < 100, "the caller says when all is stored"


def test_its_result_is_plain_json_and_names_what_made_it(
    analyser: SceneAnalyser, video: Path
) -> None:
    result = analyser.analyse(scene_request(video, seconds=6), Heard()).to_json()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {"analyser", "version", "settings", "incidents", "safety_score", "objects"} <= set(
        result
    )
    assert result["analyser"] in ALL
    assert (result["backend"], result["model"]) == (result["analyser"], None)
    assert result["summary"]
    assert isinstance(result["motion"], list)
    assert isinstance(result["tracks"], list)
    assert 0 <= result["safety_score"] <= 100
    assert result["coverage"]["skipped"] == [str(said) for said in result["coverage"]["skipped"]]
    assert result["detector"] is None
    assert result["detector_missing"]
    assert str(video.parent) not in json.dumps(result), "folders of the machine stay out"


def test_its_score_is_made_of_its_incidents_by_the_one_formula(
    analyser: SceneAnalyser, tmp_path: Path
) -> None:
    """Real analysers see a camera that goes dark, the fake what it is told."""
    day, night = make_video(tmp_path / "day.ts", seconds=6, size=(320, 180)), tmp_path / "night.ts"
    black = ["-f", "lavfi", "-i", "color=black:size=320x180:rate=25", "-t", "8"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"]
    subprocess.run([*ffmpeg, *black, "-c:v", "libx264", str(night)], check=True, timeout=120)
    video = tmp_path / "ok.ts"
    video.write_bytes(day.read_bytes() + night.read_bytes())
    script = {"category": "fall", "t_start": 1, "t_end": 2, "severity": 3, "confidence": 0.9}
    (tmp_path / "ok.ts.json").write_text(json.dumps({"incidents": [script | {"evidence": []}]}))
    result = analyser.analyse(scene_request(video, seconds=14), Heard())
    assert result.incidents
    assert result.safety_score == safety_score(result.incidents) < 100


def test_it_stops_when_it_is_cancelled(analyser: SceneAnalyser, video: Path) -> None:
    with pytest.raises(Cancelled):
        analyser.analyse(scene_request(video, seconds=6), Heard(cancel_after=0))


def test_a_video_that_cannot_be_read_is_a_permanent_error(
    analyser: SceneAnalyser, tmp_path: Path
) -> None:
    path = tmp_path / "fail.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(AnalysisError) as caught:
        analyser.analyse(scene_request(path), Heard())
    assert caught.value.permanent
    assert caught.value.code
    assert str(tmp_path) not in caught.value.message


def test_the_same_request_twice_gives_the_same_findings(
    analyser: SceneAnalyser, video: Path
) -> None:
    one, other = (
        analyser.analyse(scene_request(video, seconds=6), Heard()).to_json() for _ in range(2)
    )
    for key in ("incidents", "safety_score", "coverage", "objects", "settings"):
        assert one[key] == other[key]


def test_a_request_survives_the_pipe(tmp_path: Path) -> None:
    request = scene_request(tmp_path / "a.mp4", sample_fps=3, confidence=0.5)
    assert SceneRequest.from_json(json.loads(json.dumps(request.to_json()))) == request


@pytest.mark.parametrize("payload", [None, {}, {"video_path": 3}, "text"])
def test_a_wrong_request_is_a_permanent_error(payload: object) -> None:
    with pytest.raises(AnalysisError) as caught:
        SceneRequest.from_json(payload)
    assert (caught.value.code, caught.value.permanent) == ("invalid_request", True)
