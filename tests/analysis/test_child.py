"""The child process itself: its protocol, its priority, its end, and what it does not load."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backend.analysis import child as child_module
from backend.analysis.environment import quiet_environment
from backend.analysis.pool import CHILD_ARGV
from tests.analysis.detection.models import anchors, constant_model
from tests.analysis.requests import scene_request
from tests.peers.videos import make_video
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


class Child:
    """A child that the test speaks to line by line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.hello = self.read()

    def ask(self, number: str, payload: dict[str, Any], *, analyser: str = "fake") -> None:
        self.write({"id": number, "kind": "scene", "analyser": analyser, "payload": payload})

    def write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def answer(self, number: str) -> dict[str, Any]:
        """The reply that ends the request."""
        while True:
            reply = self.read()
            if reply["id"] == number and "progress" not in reply:
                return reply


@contextmanager
def a_child(*arguments: str) -> Iterator[Child]:
    with subprocess.Popen(
        [*CHILD_ARGV, "--fakes", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **quiet_environment(ROOT)},  # as a worker starts it
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


def test_it_says_that_it_is_ready_and_who_it_is() -> None:
    with a_child() as child:
        assert child.hello == {"ready": True, "pid": child.process.pid}


def test_it_runs_at_low_priority() -> None:
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    with a_child() as child:
        assert os.getpriority(os.PRIO_PROCESS, child.process.pid) == min(mine + 10, 19)


def test_several_requests_run_at_once_and_one_can_be_cancelled(tmp_path: Path) -> None:
    with a_child() as child:
        child.ask("long", scene_request(tmp_path / "sleep-600.mp4").to_json())
        child.ask("short", scene_request(tmp_path / "ok.mp4").to_json())
        assert child.answer("short")["result"]["analyser"] == "fake"
        child.write({"cancel": "nobody"})
        child.write({"cancel": "long"})
        assert child.answer("long")["error"]["code"] == "cancelled"


def test_it_ends_when_nobody_talks_to_it_any_more(tmp_path: Path) -> None:
    with a_child() as child:
        child.ask("1", scene_request(tmp_path / "hang.mp4").to_json())
        assert child.read()["progress"]["percent"] == 10
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.process.wait(timeout=30) == 0  # the hang would take an hour


PARENT = """
import asyncio, sys
from pathlib import Path
from backend.analysis.pool import CHILD_ARGV, AnalysisPool
from backend.kernel.logs import configure_logs
from tests.analysis.requests import scene_request
from tests.waiting import eventually

configure_logs("WARNING", "text", program="worker")

async def main():
    pool = AnalysisPool(children=1, argv=(*CHILD_ARGV, "--fakes"))
    request = scene_request(Path(sys.argv[1]))
    def on_progress(percent, message):
        if percent == 90:
            print(pool.pids[0], flush=True)
    await pool.run({"kind": "scene", "analyser": "fake", "payload": request.to_json()},
                   on_progress=on_progress, cancel=asyncio.Event(), timeout_s=600)

asyncio.run(main())
"""


def test_it_does_not_outlive_a_killed_worker_even_in_a_native_hang(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "gil.mp4")], stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        try:
            child = int(parent.stdout.readline())
        finally:
            parent.send_signal(signal.SIGKILL)
        parent.wait()
    command_line = Path(f"/proc/{child}/cmdline")
    eventually(
        lambda: not (command_line.exists() and command_line.read_bytes()), what="the child is gone"
    )


def test_what_a_library_prints_does_not_get_into_the_replies(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from backend.analysis import child, fakes\n"
        "play = fakes._end\n"
        "def shout(then):\n"
        "    print('from python'); os.write(1, b'from native code\\n'); play(then)\n"
        "fakes._end = shout\n"
        "sys.argv = ['child', '--fakes']\n"
        "child.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        child = Child(process)
        child.ask("1", scene_request(tmp_path / "ok.mp4").to_json())
        assert child.answer("1")["result"]["analyser"] == "fake"
        assert process.stdin is not None
        process.stdin.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert b"from native code" in said


@pytest.mark.parametrize("result", [{"pitch": math.nan}, {"pitch": [math.inf]}, {"a": object()}])
def test_a_result_that_json_cannot_carry_is_answered_with_an_error(result: dict[str, Any]) -> None:
    replies = io.BytesIO()
    child = child_module.Child(
        child_module.Replies(replies), {"speech": {"odd": lambda: lambda _, __: result}}
    )
    ask = {"id": "number 1", "kind": "speech", "analyser": "odd", "payload": {}}
    child.serve(io.BytesIO(json.dumps(ask).encode() + b"\n"))
    for thread in threading.enumerate():
        if thread.name == "number 1":
            thread.join()
    answer = json.loads(replies.getvalue().splitlines()[-1])
    assert (answer["id"], answer["error"]["code"]) == ("number 1", "analyser_failed")
    assert not answer["error"]["permanent"]


def test_analysing_on_a_cpu_loads_no_torch(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", seconds=2, size=(320, 180))
    weights = constant_model(
        tmp_path / "person.onnx", anchors((64, 64), 1), size=(64, 64), names="{0: 'person'}"
    )
    request = scene_request(video, seconds=2, weights=weights, device="cpu").to_json()
    with a_child() as child:
        child.ask("1", request, analyser="local")
        assert child.answer("1")["result"]["detector"]["name"] == "person.onnx"
        loaded = Path(f"/proc/{child.process.pid}/maps").read_text()
    assert "openvino" in loaded
    assert "libtorch" not in loaded
    assert "torchvision" not in loaded
