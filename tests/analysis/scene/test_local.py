"""The local analyser on whole videos: what it says, skips, finds and survives."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from structlog.testing import capture_logs

from backend.analysis.detection import loading
from backend.analysis.detection.detector import Detector
from backend.analysis.detection.weights import WeightsFile
from backend.analysis.protocol import AnalysisError
from backend.analysis.scene.local import LocalSceneAnalyser
from tests.analysis.detection.models import anchors, constant_model
from tests.analysis.requests import Heard, scene_request
from tests.peers.videos import make_video

DEMO = Path(__file__).resolve().parents[3] / "demo" / "assets"


def ffmpeg(*arguments: str) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments],
        check=True,
        timeout=120,
    )


def still_video(path: Path, *, color: str, seconds: int) -> Path:
    """One colour with a pattern of lines in it, nothing moves."""
    source = f"color={color}:size=320x180:rate=10,drawgrid=w=20:h=20:color=white"
    ffmpeg("-f", "lavfi", "-i", source, "-t", str(seconds), "-pix_fmt", "yuv420p", str(path))
    return path


@pytest.fixture
def sees_a_person(tmp_path: Path) -> Path:
    """A model that sees the same person in every picture."""
    answer = anchors((64, 64), 1)
    answer[0, :, 0] = [32, 32, 6, 15, 0.9]
    return constant_model(
        tmp_path / "person.onnx", answer, size=(64, 64), names="{0: 'person'}", stride=32
    )


def test_without_a_detector_motion_is_told_and_the_reason(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=12, size=(320, 180))
    heard = Heard()
    with capture_logs() as logged:
        result = LocalSceneAnalyser().analyse(scene_request(video, seconds=12), heard)
    (said,) = [line for line in logged if line.get("action") == "scene.no_detector"]
    assert (said["log_level"], said["camera_id"]) == ("warning", "cam")
    assert said["reason"] == "detection is switched off"
    assert result.detector is None
    assert result.to_json()["detector"] is None
    assert result.detector_missing == "detection is switched off"
    assert result.coverage.frames_detected == 0
    assert "nothing was searched for objects: detection is switched off" in result.coverage.skipped
    assert heard.said[-1][1].startswith("motion in 3 of 3 parts")
    ((start, end),) = result.motion
    assert (start, end) == (0.0, pytest.approx(12, abs=0.3))
    assert (result.tracks, result.summary) == ((), "Nothing was recognised.")
    assert (result.to_json()["backend"], result.to_json()["model"]) == ("local", None)


def test_a_still_scene_is_mostly_skipped_and_said_so(sees_a_person: Path, tmp_path: Path) -> None:
    video = still_video(tmp_path / "a.mp4", color="gray", seconds=30)
    nobody = constant_model(
        tmp_path / "nobody.onnx", anchors((64, 64), 1), size=(64, 64), names="{0: 'person'}"
    )
    result = LocalSceneAnalyser().analyse(scene_request(video, seconds=30, weights=nobody), Heard())
    assert result.coverage.frames_sampled == 150
    assert result.coverage.frames_detected < 15
    assert result.coverage.seconds_without_motion > 29
    skipped = 150 - result.coverage.frames_detected
    assert result.coverage.skipped == (
        f"{skipped} of 150 pictures were not searched for objects: nothing moved",
    )
    again = LocalSceneAnalyser().analyse(
        scene_request(video, seconds=30, weights=sees_a_person), Heard()
    )
    assert again.coverage.frames_detected >= 28, "somebody who stands still is not forgotten"
    assert again.objects["person"].tracks == 1


def test_a_result_names_model_settings_and_rules(sees_a_person: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=3, size=(320, 180))
    request = scene_request(video, seconds=3, weights=sees_a_person, confidence=0.5)
    result = LocalSceneAnalyser().analyse(request, Heard()).to_json()
    assert (result["backend"], result["model"]) == ("local", "person.onnx")
    assert result["detector"]["name"] == "person.onnx"
    assert result["summary"].startswith("Seen: person (1).")
    (track,) = result["tracks"]
    assert (track["label"], track["t_start"]) == ("person", pytest.approx(0, abs=0.5))
    assert len(result["detector"]["sha256"]) == 64
    assert result["detector"]["device"] == "cpu"
    assert result["settings"]["confidence"] == 0.5
    assert result["settings"]["rules"]["fall"]["stay_low_s"] == 2.0
    assert "models_dir" not in result["settings"]
    assert {"decode_cpu_s", "motion_cpu_s", "detect_cpu_s", "wall_s"} <= set(result["timings"])
    assert result["libraries"]["av"]


def test_a_covered_camera_is_found_without_a_detector(tmp_path: Path) -> None:
    day = make_video(tmp_path / "day.ts", seconds=8, size=(320, 180))
    night = tmp_path / "night.ts"
    black = "color=black:size=320x180:rate=25"
    ffmpeg("-f", "lavfi", "-i", black, "-t", "10", "-c:v", "libx264", str(night))
    both = tmp_path / "both.ts"
    both.write_bytes(day.read_bytes() + night.read_bytes())
    result = LocalSceneAnalyser().analyse(scene_request(both, seconds=18), Heard())
    (incident,) = result.incidents
    assert incident.category == "camera_obstructed"
    assert incident.t_start == pytest.approx(8, abs=0.5)
    assert result.safety_score < 100


def test_a_file_shorter_than_its_segment_is_said(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=4, size=(320, 180))
    result = LocalSceneAnalyser().analyse(scene_request(video, seconds=60), Heard())
    assert "the file holds 4.0 s of a segment of 60.0 s" in result.coverage.skipped


def test_boxes_are_pixels_of_the_source(sees_a_person: Path, tmp_path: Path) -> None:
    """The model sees a 6x15 person in the middle of 64x64, the source is 20 times larger."""
    video = make_video(tmp_path / "a.mp4", seconds=60, size=(1280, 720), fps=5)
    result = LocalSceneAnalyser().analyse(
        scene_request(video, seconds=60, weights=sees_a_person), Heard()
    )
    assert result.objects["person"].peak == 1
    assert result.incidents == (), "what never moves is no loiterer"


def test_every_odd_file_ends_in_a_result_or_a_typed_error(testdata: Path, tmp_path: Path) -> None:
    analyser = LocalSceneAnalyser()
    endings = {}
    for path in sorted((testdata / "odd").iterdir()):
        try:
            result = analyser.analyse(scene_request(path, models_dir=tmp_path), Heard())
            endings[path.name] = result.analyser
        except AnalysisError as error:
            endings[path.name] = f"{error.code}, permanent: {error.permanent}"
    good = [name for name, ending in endings.items() if ending == "local"]
    assert len(good) == len(endings) - 4, endings
    assert set(endings.values()) - {"local"} == {
        "video_unreadable, permanent: True",
        "video_without_pictures, permanent: True",
    }


def test_real_people_are_counted(testdata: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    video = testdata / "video" / "vtest_480x360.mp4"
    ffmpeg("-i", str(video), "-t", "6", "-an", "-c", "copy", str(clip))
    weights = testdata / "weights" / "yolox_nano.onnx"
    result = LocalSceneAnalyser().analyse(scene_request(clip, seconds=6, weights=weights), Heard())
    assert 3 <= result.objects["person"].peak <= 8
    assert result.coverage.frames_detected == result.coverage.frames_sampled >= 30
    assert not [i for i in result.incidents if i.severity >= 3]


@pytest.mark.parametrize("phase_s", [None, 0, 30, 60, 100, 140])
def test_the_demo_scene_gives_what_its_script_says_and_nothing_else(
    phase_s: int | None, tmp_path: Path
) -> None:
    detector, scene = DEMO / "detector.onnx", DEMO / "scene.mp4"
    if not detector.exists() or not scene.exists():
        pytest.skip("demo/assets is not rendered and trained")
    script = json.loads(gzip.decompress((DEMO / "scene_truth.json.gz").read_bytes()))
    start, length, clip = (0, 180, scene) if phase_s is None else (phase_s, 60, tmp_path / "c.mp4")
    if phase_s is not None:
        twice = tmp_path / "twice.txt"
        twice.write_text(f"file '{scene}'\n" * 2)
        where = ["-ss", str(start), "-t", str(length), "-c", "copy", str(clip)]
        ffmpeg("-f", "concat", "-safe", "0", "-i", str(twice), *where)
    result = LocalSceneAnalyser().analyse(
        scene_request(clip, seconds=length, weights=detector, models_dir=tmp_path), Heard()
    )
    check_incidents(result.to_json()["incidents"], seconds=length)
    for incident in result.incidents:
        assert any(
            incident.category == scripted["category"]
            and scripted["t_start"] + loop - 3 <= start + incident.t_start
            and start + incident.t_end <= scripted["t_end"] + loop + 3
            for scripted in script["incidents"]
            for loop in (0, 180)
        ), incident
    whole = [
        scripted["category"]
        for scripted in script["incidents"]
        for loop in (0, 180)
        if start <= scripted["t_start"] + loop and scripted["t_end"] + loop <= start + length
    ]
    assert {incident.category for incident in result.incidents} >= set(whole)


def check_incidents(told: list[dict[str, Any]], *, seconds: float) -> None:
    """Each has what an incident has, and evidence that can be shown in the picture."""
    assert told
    for incident in told:
        assert set(incident) == {
            "category", "t_start", "t_end", "severity", "confidence", "evidence"
        }  # fmt: skip
        assert 0 <= incident["t_start"] <= incident["t_end"] <= seconds + 0.5
        assert incident["severity"] in range(1, 5)
        assert 0 < incident["confidence"] <= 1
        assert incident["evidence"]
        for evidence in incident["evidence"]:
            assert incident["t_start"] - 1 <= evidence["t"] <= incident["t_end"] + 1, incident
            assert evidence["note"]
            assert evidence["track_id"] > 0
            x1, y1, x2, y2 = evidence["box"]
            assert 0 <= x1 < x2 <= 960
            assert 0 <= y1 < y2 <= 540


def test_the_detector_is_loaded_once_for_all_requests(
    sees_a_person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loaded = loading._load, []

    def noted(weights: WeightsFile, *others: Any, **more: Any) -> Detector:
        loaded.append(weights.path)
        return load(weights, *others, **more)

    monkeypatch.setattr(loading, "_load", noted)
    video = make_video(tmp_path / "a.mp4", seconds=2, size=(320, 180))
    analyser = LocalSceneAnalyser()
    request = scene_request(video, seconds=2, weights=sees_a_person)
    for _ in range(2):
        assert "load_cpu_s" in analyser.analyse(request, Heard()).timings
    assert loaded == [sees_a_person]
