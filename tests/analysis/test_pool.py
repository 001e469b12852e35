"""The pool over real child processes: progress, cancel, crashes, hangs and innocent neighbours."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.analysis import pool as pool_module
from backend.analysis.pool import CHILD_ARGV, AnalysisPool, ChildDied, TimedOut
from backend.analysis.protocol import (
    AnalysisError,
    Cancelled,
    LocalSceneSettings,
    SceneRequest,
)
from tests.waiting import until

ARGV = (*CHILD_ARGV, "--fakes", "--nice", "0", "--log-level", "WARNING")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Asked:
    """One request to the pool, running."""

    def __init__(self, pool: AnalysisPool, video: Path, *, timeout_s: float = 600) -> None:
        self.progress: list[int] = []
        self.heard = asyncio.Event()
        self.cancel = asyncio.Event()
        self.deep_in_at = 90 if video.stem in ("hang", "gil") else 75
        request = SceneRequest(video, "cam", "Cam", NOW, NOW, LocalSceneSettings(video.parent))
        self.task = asyncio.create_task(
            pool.run(
                {"kind": "scene", "analyser": "fake", "payload": request.to_json()},
                on_progress=self._on_progress,
                cancel=self.cancel,
                timeout_s=timeout_s,
            )
        )

    def _on_progress(self, percent: int, message: str) -> None:
        assert message
        self.progress.append(percent)
        if percent >= self.deep_in_at:
            self.heard.set()

    async def running(self) -> None:
        """Wait until the child is past the last point where it could turn back."""
        await until(self.heard.is_set, within_s=60, what=f"it is at {self.deep_in_at} %")


@contextlib.asynccontextmanager
async def a_pool(**options: Any) -> AsyncIterator[AnalysisPool]:
    pool = AnalysisPool(**{"children": 1, "argv": ARGV, **options})
    try:
        yield pool
    finally:
        await pool.aclose()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def test_progress_and_result_come_back(tmp_path: Path) -> None:
    async with a_pool() as pool:
        asked = Asked(pool, tmp_path / "ok.mp4")
        result = await asked.task
    assert asked.progress == [10, 25, 40, 75]
    assert result["analyser"] == "fake"
    assert result["safety_score"] == 100


async def test_children_start_when_needed_and_are_used_again(tmp_path: Path) -> None:
    async with a_pool() as pool:
        assert pool.pids == []
        first = await Asked(pool, tmp_path / "a.mp4").task
        second = await Asked(pool, tmp_path / "b.mp4").task
        assert first["timings"]["process"] == second["timings"]["process"] == pool.pids[0]


async def test_two_children_work_at_the_same_time(tmp_path: Path) -> None:
    async with a_pool(children=2) as pool:
        asked = [Asked(pool, tmp_path / "sleep-600.mp4") for _ in range(2)]
        for one in asked:
            await one.running()
        assert len(pool.pids) == 2
        for one in asked:
            one.cancel.set()
        await asyncio.gather(*(one.task for one in asked), return_exceptions=True)


async def test_a_request_waits_for_a_free_child(tmp_path: Path) -> None:
    async with a_pool() as pool:
        first = Asked(pool, tmp_path / "sleep-600.mp4")
        await first.running()
        second = Asked(pool, tmp_path / "ok.mp4")
        third = Asked(pool, tmp_path / "ok.mp4")
        third.cancel.set()
        with pytest.raises(Cancelled):
            await third.task
        assert second.progress == []
        first.cancel.set()
        assert (await second.task)["analyser"] == "fake"
        with pytest.raises(Cancelled):
            await first.task


async def test_cancel_ends_a_patient_request_and_keeps_its_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "ASK_FIRST_S", 60)
    async with a_pool() as pool:
        asked = Asked(pool, tmp_path / "sleep-600.mp4")
        await asked.running()
        pids = pool.pids
        asked.cancel.set()
        with pytest.raises(Cancelled):
            await asked.task
        assert pool.pids == pids


@pytest.mark.parametrize("how", ["hang", "gil"])
async def test_cancel_ends_a_native_hang_within_two_seconds(how: str, tmp_path: Path) -> None:
    assert pool_module.ASK_FIRST_S <= 1  # the child is killed then; the rest is this machine's
    async with a_pool() as pool:
        asked = Asked(pool, tmp_path / f"{how}.mp4")
        await asked.running()
        (pid,) = pool.pids
        began = time.monotonic()
        asked.cancel.set()
        with pytest.raises(Cancelled):
            await asked.task
        assert time.monotonic() - began < 20  # by itself it would end after an hour
        assert not is_alive(pid)
        assert (await Asked(pool, tmp_path / "ok.mp4").task)["analyser"] == "fake"


async def test_a_late_request_is_stopped_and_named_so(tmp_path: Path) -> None:
    async with a_pool() as pool:
        await Asked(pool, tmp_path / "ok.mp4").task  # the child is up
        with pytest.raises(TimedOut, match=r"longer than 0\.5 s"):
            await Asked(pool, tmp_path / "hang.mp4", timeout_s=0.5).task


async def test_a_cancelled_caller_leaves_no_child_working(tmp_path: Path) -> None:
    async with a_pool() as pool:
        asked = Asked(pool, tmp_path / "hang.mp4")
        await asked.running()
        (pid,) = pool.pids
        asked.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked.task
        assert not is_alive(pid)


@pytest.mark.parametrize(
    ("how", "words"), [("crash", "SIGSEGV"), ("oom", "SIGKILL.*memory")], ids=["crash", "oom"]
)
async def test_a_child_that_dies_by_itself_is_blamed(how: str, words: str, tmp_path: Path) -> None:
    async with a_pool() as pool:
        with pytest.raises(ChildDied, match=words) as caught:
            await Asked(pool, tmp_path / f"{how}.mp4").task
        assert not caught.value.innocent
        assert (await Asked(pool, tmp_path / "ok.mp4").task)["analyser"] == "fake"


async def test_a_child_killed_from_outside_is_replaced(tmp_path: Path) -> None:
    async with a_pool() as pool:
        asked = Asked(pool, tmp_path / "sleep-600.mp4")
        await asked.running()
        (pid,) = pool.pids
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ChildDied) as caught:
            await asked.task
        assert not caught.value.innocent
        await Asked(pool, tmp_path / "ok.mp4").task
        assert pool.pids != [pid]


async def test_a_child_that_cannot_be_started_is_a_failure_that_counts(tmp_path: Path) -> None:
    async with a_pool(argv=(str(tmp_path / "no-such-program"),)) as pool:
        with pytest.raises(ChildDied, match="could not be started") as caught:
            await Asked(pool, tmp_path / "ok.mp4").task
        assert not caught.value.innocent
        assert str(tmp_path) not in caught.value.message
        pool.argv = ARGV
        assert (await Asked(pool, tmp_path / "ok.mp4").task)["analyser"] == "fake"


async def test_an_idle_child_that_died_is_replaced(tmp_path: Path) -> None:
    async with a_pool() as pool:
        await Asked(pool, tmp_path / "ok.mp4").task
        (pid,) = pool.pids
        os.kill(pid, signal.SIGKILL)
        await until(lambda: pool.pids == [])
        assert (await Asked(pool, tmp_path / "ok.mp4").task)["analyser"] == "fake"


async def test_neighbours_of_a_killed_request_are_innocent(tmp_path: Path) -> None:
    async with a_pool(streams_per_child=3) as pool:
        hung = Asked(pool, tmp_path / "hang.mp4")
        neighbours = [Asked(pool, tmp_path / "sleep-600.mp4") for _ in range(2)]
        for asked in (hung, *neighbours):
            await asked.running()
        assert len(pool.pids) == 1
        hung.cancel.set()
        with pytest.raises(Cancelled):
            await hung.task
        for asked in neighbours:
            with pytest.raises(ChildDied) as caught:
                await asked.task
            assert caught.value.innocent


async def test_closing_ends_everything(tmp_path: Path) -> None:
    async with a_pool(children=2) as pool:
        asked = [Asked(pool, tmp_path / f"{how}.mp4") for how in ("hang", "sleep-600")]
        for one in asked:
            await one.running()
        pids = pool.pids
    for one in asked:
        with pytest.raises(ChildDied) as caught:
            await one.task
        assert caught.value.innocent
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.parametrize(
    ("how", "code", "permanent"),
    [
        ("fail", "video_unreadable", True),
        ("retry", "busy", False),
        ("bug", "analyser_failed", False),
    ],
)
async def test_an_analysers_error_comes_back_typed(
    how: str, code: str, permanent: bool, tmp_path: Path
) -> None:
    async with a_pool() as pool:
        with pytest.raises(AnalysisError) as caught:
            await Asked(pool, tmp_path / f"{how}.mp4").task
        assert (caught.value.code, caught.value.permanent) == (code, permanent)
        assert len(pool.pids) == 1


async def test_an_unknown_analyser_is_refused(tmp_path: Path) -> None:
    async with a_pool() as pool:
        for request in ({"kind": "scene", "analyser": "nobody"}, {"kind": "dance"}):
            with pytest.raises(AnalysisError) as caught:
                await pool.run(request, on_progress=print, cancel=asyncio.Event(), timeout_s=600)
            assert caught.value.permanent


async def test_fakes_are_not_offered_to_a_product(tmp_path: Path) -> None:
    async with a_pool(argv=CHILD_ARGV) as pool:
        with pytest.raises(AnalysisError, match="no analyser fake"):
            await Asked(pool, tmp_path / "ok.mp4").task
