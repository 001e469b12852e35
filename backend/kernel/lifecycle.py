"""Long-lived parts of a program, and the one supervisor that starts, restarts and stops them.

A service is `async run(stop)`: it returns when it is finished (at the latest soon after `stop` is
set), raises when it failed, and never restarts itself. The supervisor runs each in a task of its
own, restarts a failed one after a growing delay, and stops them in reverse order of their start.
All other tasks end with the block that started them, most in a TaskGroup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from backend.kernel.clock import Clock, SystemClock, wait
from backend.kernel.retry import Backoff

log = structlog.get_logger(__name__)

RESTART = Backoff(first_s=0.5, max_s=30)
HEALTHY_AFTER_S = 60.0


@dataclass(slots=True)
class _Running:
    stop: asyncio.Event
    task: asyncio.Task[None]


@dataclass(slots=True)
class Supervisor:
    """Starts, names, restarts and stops services. Use as an async context manager.

    A failure that `passes` by itself, such as a lost connection, is logged without its trace.
    """

    clock: Clock = field(default_factory=SystemClock)
    stop_within_s: float = 15.0
    passes: Callable[[Exception], bool] = lambda _: False
    _running: dict[str, _Running] = field(default_factory=dict)

    def start(self, name: str, run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        """Run a service under this name; a name that already runs is refused."""
        if name in self._running:
            raise ValueError(f"{name} runs already")
        stop = asyncio.Event()
        task = asyncio.create_task(  # noqa: TID251  the one place
            self._keep(name, run, stop), name=name
        )
        self._running[name] = _Running(stop, task)
        task.add_done_callback(lambda _: self._running.pop(name, None))

    def names(self) -> list[str]:
        """Names of what runs now, in order of start."""
        return list(self._running)

    async def stop(self, name: str) -> None:
        """Ask one service to stop and wait for it; past the deadline it is cancelled."""
        running = self._running.get(name)
        if running is None:
            return
        running.stop.set()
        done, _ = await asyncio.wait({running.task}, timeout=self.stop_within_s)
        if not done:
            log.error("service did not stop in time", action="service.kill", service=name)
            running.task.cancel()
            await asyncio.wait({running.task}, timeout=self.stop_within_s)

    async def stop_all(self) -> None:
        """Stop every service, the last one started first."""
        for name in list(reversed(self._running)):
            await self.stop(name)

    async def __aenter__(self) -> Supervisor:
        """Ready to start services."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop what is left."""
        await self.stop_all()

    async def _keep(
        self, name: str, run: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event
    ) -> None:
        failures = 0
        while not stop.is_set():
            started = self.clock.monotonic()
            try:
                await run(stop)
            except Exception as error:  # noqa: BLE001  logged, and the service run again
                if self.clock.monotonic() - started > HEALTHY_AFTER_S:
                    failures = 0
                failures += 1
                delay_s = RESTART.delay_s(failures)
                self._log(error, service=name, failures=failures, delay_s=round(delay_s, 2))
                await wait(stop, delay_s)
            else:
                return

    def _log(self, error: Exception, **facts: object) -> None:
        if self.passes(error):
            log.warning(
                "service interrupted, will be restarted",
                action="service.interrupted",
                error=str(error),
                **facts,
            )
        else:
            log.error(
                "service failed, will be restarted",
                action="service.failed",
                exc_info=error,
                **facts,
            )
