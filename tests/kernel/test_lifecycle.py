"""Services are started, restarted and stopped; each end is seen."""

from __future__ import annotations

import asyncio

import pytest

from backend.kernel import lifecycle
from backend.kernel.lifecycle import Supervisor
from backend.kernel.retry import Backoff
from tests.waiting import WITHIN_S, until


@pytest.fixture(autouse=True)
def _restart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "RESTART", Backoff(first_s=0.01, max_s=0.01))


async def test_a_service_that_fails_is_run_again() -> None:
    runs = 0

    async def service(stop: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise RuntimeError("not yet")
        await stop.wait()

    async with Supervisor() as supervisor:
        supervisor.start("one", service)
        await until(lambda: runs == 3)
        assert supervisor.names() == ["one"]


async def test_a_service_that_returns_is_finished_and_its_name_free() -> None:
    async def service(_: asyncio.Event) -> None:
        return

    async with Supervisor() as supervisor:
        supervisor.start("one", service)
        await until(lambda: not supervisor.names())
        supervisor.start("one", service)


async def test_a_name_that_runs_is_refused() -> None:
    async def service(stop: asyncio.Event) -> None:
        await stop.wait()

    async with Supervisor() as supervisor:
        supervisor.start("one", service)
        with pytest.raises(ValueError, match="one runs already"):
            supervisor.start("one", service)


async def test_services_stop_in_reverse_order_of_their_start() -> None:
    began: list[str] = []
    ended: list[str] = []

    def named(name: str):
        async def service(stop: asyncio.Event) -> None:
            began.append(name)
            await stop.wait()
            ended.append(name)

        return service

    async with Supervisor() as supervisor:
        for name in ("first", "second", "third"):
            supervisor.start(name, named(name))
        await until(lambda: len(began) == 3)
    assert ended == ["third", "second", "first"]


async def test_a_failure_that_passes_is_one_line_and_a_bug_has_its_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[tuple[str, bool]] = []
    for level in ("warning", "error"):
        monkeypatch.setattr(
            lifecycle.log,
            level,
            lambda _, **facts: logged.append((facts["action"], "exc_info" in facts)),
        )
    faults = [ConnectionRefusedError("down"), RuntimeError("bug")]

    async def service(stop: asyncio.Event) -> None:
        if faults:
            raise faults.pop(0)
        await stop.wait()

    passes = lambda error: isinstance(error, OSError)  # noqa: E731
    async with Supervisor(passes=passes) as supervisor:
        supervisor.start("one", service)
        await until(lambda: len(logged) == 2)
    assert logged == [("service.interrupted", False), ("service.failed", True)]


async def test_one_service_stops_and_the_others_run_on() -> None:
    async def service(stop: asyncio.Event) -> None:
        await stop.wait()

    async with Supervisor() as supervisor:
        supervisor.start("one", service)
        supervisor.start("two", service)
        await supervisor.stop("one")
        assert supervisor.names() == ["two"]
        await supervisor.stop("never started")


async def test_a_service_that_does_not_listen_is_cancelled_after_the_deadline() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def deaf(_: asyncio.Event) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    supervisor = Supervisor(stop_within_s=0.05)
    supervisor.start("deaf", deaf)
    await began.wait()
    async with asyncio.timeout(WITHIN_S):
        await supervisor.stop_all()
    assert cancelled.is_set()


async def test_a_service_that_waits_for_its_restart_stops_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifecycle, "RESTART", Backoff(first_s=600, max_s=600))
    failed = asyncio.Event()

    async def service(_: asyncio.Event) -> None:
        failed.set()
        raise RuntimeError

    async with asyncio.timeout(WITHIN_S):
        async with Supervisor(stop_within_s=10 * WITHIN_S) as supervisor:
            supervisor.start("one", service)
            await failed.wait()


async def test_delays_grow_with_failures_and_begin_anew_after_a_healthy_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Clock:
        time_s = 0.0

        def monotonic(self) -> float:
            return self.time_s

    class Noted(Backoff):
        def delay_s(self, failures: int) -> float:
            noted.append(failures)
            return 0.0

    noted: list[int] = []
    clock = Clock()
    monkeypatch.setattr(lifecycle, "RESTART", Noted(first_s=0, max_s=0))

    async def service(_: asyncio.Event) -> None:
        if len(noted) == 3:
            clock.time_s += lifecycle.HEALTHY_AFTER_S + 1
        raise RuntimeError

    async with Supervisor(clock=clock) as supervisor:
        supervisor.start("one", service)
        await until(lambda: len(noted) >= 5)
    assert noted[:5] == [1, 2, 3, 1, 2]
