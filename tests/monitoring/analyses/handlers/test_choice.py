"""Who looks at a camera's archives, and what a model is told and shown of them."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.monitoring.analyses.handlers.answers import questions
from tests.monitoring.analyses.handlers.bench import FAKE_WEIGHTS, GEMINI, OPENAI, WINDOW_S, Bench
from tests.peers.model_server import Received


@pytest.mark.parametrize(("backend", "model"), [("gemini", GEMINI), ("openai", OPENAI)])
async def test_a_camera_is_looked_at_by_the_model_it_has_chosen(
    bench: Bench, backend: str, model: str
) -> None:
    await bench.add_camera(scene_backend=backend)
    job = await bench.do(bench.video())
    assert (job.status, job.error_message) == ("completed", None)
    assert (job.analysis_result["backend"], job.analysis_result["model"]) == (backend, model)
    assert {received.protocol for received in bench.server.requests} == {backend}
    assert questions(bench.server.requests) == [0, 1, 2, "merge"]


@pytest.mark.parametrize(
    ("camera", "by"),
    [
        ({"id": "yard"}, "openai"),
        ({"id": "yard", "scene_backend": "gemini"}, "gemini"),
        ({"id": "yard", "scene_backend": "local"}, "local"),
        ({"id": "demo", "source": "demo:"}, "openai"),
        (None, "local"),  # a camera that is gone: nobody knows what it had chosen
    ],
)
async def test_a_camera_that_has_chosen_nobody_is_looked_at_by_the_default(
    bench: Bench, camera: dict[str, Any] | None, by: str
) -> None:
    bench.scene = {"backend": "openai"}
    if camera is not None:
        await bench.add_camera(camera.pop("id"), **camera)
    camera_id = "demo" if camera and camera.get("source") == "demo:" else "yard"
    job = await bench.do(bench.video(), camera_id=camera_id)
    assert job.status == "completed"
    asked = {received.protocol for received in bench.server.requests}
    assert asked == ({by} if by != "local" else set())
    assert job.analysis_result["backend"] == ("fake" if by == "local" else by)


async def test_a_choice_holds_for_the_next_archive(bench: Bench) -> None:
    await bench.add_camera(scene_backend="local")
    first = await bench.do(bench.video())
    await bench.change_camera(scene_backend="gemini")
    second = await bench.do(bench.video("two.mp4"))
    results = [job.analysis_result for job in (first, second)]
    assert [result["analyser"] for result in results] == ["fake", "vlm"]


async def test_nobody_is_asked_about_an_archive_in_which_nothing_moved(bench: Bench) -> None:
    await bench.add_camera(scene_backend="gemini")
    job = await bench.do(bench.video(motion=[]))
    assert (job.status, job.safety_score) == ("completed", 100)
    assert bench.server.requests == []
    result = job.analysis_result
    assert [window["state"] for window in result["windows"]] == ["no_motion"] * 3
    assert (
        "3 of 3 windows were not shown to the model: nothing moved"
        in (result["coverage"]["skipped"])
    )


@pytest.mark.parametrize("backend", ["gemini", "openai"])
async def test_a_question_carries_what_pictures_do_not_tell(bench: Bench, backend: str) -> None:
    await bench.add_camera(
        name="South gate",
        description="Lorries load here until six.",
        house_rules="Nobody walks behind a lorry.",
        categories=["near_miss", "fall"],
        scene_backend=backend,
    )
    video_path = bench.video(
        motion=[[6, 9]],
        detector=FAKE_WEIGHTS,
        objects={"person": {"tracks": 2, "peak": 1}, "truck": {"tracks": 1, "peak": 1}},
        tracks=[
            {"id": 4, "label": "person", "t_start": 6.5, "t_end": 12},
            {"id": 7, "label": "truck", "t_start": 0, "t_end": 4},
        ],
    )
    job = await bench.do(video_path)
    assert job.status == "completed"
    (asked,) = bench.server.requests
    # 10:00:05 UTC, in Seoul
    assert "Window 2 of 3, 5.0 s long." in asked.text
    assert "Sunday 2026-03-01 19:00:05 (UTC+0900)" in asked.text
    site = json.loads(inside("site", asked))
    assert site == {
        "camera": "South gate",
        "description": "Lorries load here until six.",
        "house_rules": "Nobody walks behind a lorry.",
    }
    seen = json.loads(inside("detector", asked))
    assert seen["moving_s"] == [[1.0, 4.0]]
    assert seen["in_this_window"] == [{"object": "person 4", "seen_s": [1.5, 5.0]}]
    assert seen["in_the_whole_archive"]["truck"] == {"different": 1, "most_at_once": 1}
    (category,) = named(asked.schema, "category")
    assert category["enum"] == ["near_miss", "fall"]
    assert job.analysis_result["detector"]["name"] == FAKE_WEIGHTS
    assert job.analysis_result["objects"]["person"] == {"tracks": 2, "peak": 1}


async def test_a_model_that_takes_video_is_shown_a_clip_of_each_window(bench: Bench) -> None:
    bench.models = {"frames_per_second": 2, "longest_side": 160}
    await bench.add_camera(scene_backend="gemini")
    await bench.do(bench.video())
    clips = [asked for asked in bench.server.requests if asked.mp4]
    assert len({asked.mp4 for asked in clips}) == 3
    for asked in clips:
        assert asked.pictures == []
        assert asked.fps == 2
        with av.open(io.BytesIO(asked.mp4)) as clip:
            (stream,) = clip.streams
            frames = list(clip.decode(stream))
            assert (stream.codec_context.name, frames[0].width) == ("h264", 160)
            assert len(frames) == 2 * WINDOW_S
            assert float(stream.duration * stream.time_base) == pytest.approx(WINDOW_S, abs=0.01)


async def test_a_model_that_takes_no_video_is_shown_pictures_of_each_window(bench: Bench) -> None:
    bench.models = {"frames_per_second": 2, "longest_side": 160}
    await bench.add_camera(scene_backend="openai")
    await bench.do(bench.video())
    windows = [asked for asked in bench.server.requests if asked.pictures]
    assert len(windows) == 3
    for asked in windows:
        assert asked.mp4 is None
        times = [t for t, _ in asked.pictures]
        assert len(times) == 5
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] <= WINDOW_S
        for _, jpeg in asked.pictures:
            picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape[:2] == (120, 160)


async def test_a_stretch_that_cannot_be_shown_is_said_and_the_rest_is_looked_at(
    bench: Bench,
) -> None:
    await bench.add_camera(scene_backend="gemini")
    job = await bench.do(bench.video(seconds=9, duration_s=15, motion=[[0, 15]]))
    assert job.status == "completed"
    result = job.analysis_result
    assert [one["state"] for one in result["windows"]] == ["analysed", "analysed", "unanalysed"]
    assert (
        "1 of 3 windows was not shown to the model: no picture could be taken"
        in (result["coverage"]["skipped"])
    )


async def test_footage_of_a_camera_that_is_deleted_does_not_leave_the_machine(
    bench: Bench,
) -> None:
    bench.scene = {"backend": "gemini", "fallback": "openai"}
    await bench.add_camera(scene_backend="local", daily_budget_usd=0)
    job_id = await bench.add_job(bench.video())
    await bench.cameras.delete("yard")
    job = await bench.attempt(job_id)
    assert (job.status, job.analysis_result["backend"]) == ("completed", "fake")
    assert bench.server.requests == []


def inside(tag: str, asked: Received) -> str:
    """What stands between a question's tags."""
    found = re.search(rf"<{tag}>\n(.*?)\n</{tag}>", asked.text, re.DOTALL)
    assert found, asked.text
    return found[1]


def named(schema: Any, name: str) -> list[Any]:
    """All properties of this name in a schema."""
    if isinstance(schema, list):
        return [found for one in schema for found in named(one, name)]
    if not isinstance(schema, dict):
        return []
    here = [schema[name]] if isinstance(schema.get(name), dict) else []
    return here + [found for one in schema.values() for found in named(one, name)]
