"""The worker's side of the analysis children: give them requests, hear their progress, stop them.

A worker builds one pool and calls `run` once per job; the pool starts children when they are first
needed, gives each at most `streams_per_child` requests at a time, and starts another where one
died. On a CPU a pool has one child a slot (its share of the cores), on a GPU one child a device.

Guarantees: a cancelled or late request is over within 2 s, native code included: its child is asked
first and killed after 1 s. Requests that a kill hits by accident end as `ChildDied(innocent=True)`,
to be handed back without a lost attempt. No child outlives the pool or its process.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import structlog

import backend
from backend.analysis.protocol import AnalysisError, Cancelled
from backend.kernel.clock import wait
from backend.kernel.lifecycle import Supervisor
from backend.media.process import SupervisedProcess, start_process

log = structlog.get_logger(__name__)

CHILD_ARGV = (sys.executable, "-m", "backend.analysis.child")
ASK_FIRST_S = 1.0
"""How long a child may take to end a cancelled request by itself."""
START_WITHIN_S = 120.0
_READ_SIZE_BYTES = 1 << 16
_SOURCE_ROOT = str(Path(backend.__file__).parents[1])

OnProgress = Callable[[int, str], None]


class ChildDied(Exception):
    """The process that ran the request died; `innocent` if it was killed because of another one."""

    def __init__(self, message: str, *, innocent: bool) -> None:
        super().__init__(message)
        self.message = message
        self.innocent = innocent


class TimedOut(Exception):
    """The request took longer than it was given."""


@dataclass(slots=True, eq=False)
class _Request:
    id: str
    on_progress: OnProgress
    answer: asyncio.Future[dict[str, Any]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    given_up: Cancelled | TimedOut | ChildDied | None = None
    """Why its answer is no longer wanted."""


@dataclass(slots=True, eq=False)
class _Child:
    """One process, its running requests, and the loop that reads its replies."""

    process: SupervisedProcess
    requests: dict[str, _Request] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    doomed: bool = False
    """Killed on purpose: what else ran in it is innocent."""

    async def read(self) -> None:
        """Hand out replies until the process ends, then tell whoever still waits."""
        left = b""
        while chunk := await self.process.stdout.read(_READ_SIZE_BYTES):
            *lines, left = (left + chunk).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
        how = _how_it_ended(await self.process.wait())
        self.gone.set()
        log.info(
            "analysis child ended",
            action="analysis.child_ended",
            pid=self.process.pid,
            how=how,
            requests=len(self.requests),
        )
        for request in self.requests.values():
            if not request.answer.done():
                request.answer.set_exception(ChildDied(how, innocent=self.doomed))

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one line; that the child is dead is noticed by `read`."""
        if not self.gone.is_set():
            self.process.stdin.write(json.dumps(message).encode() + b"\n")

    def _take(self, reply: Mapping[str, Any]) -> None:
        if "ready" in reply:
            self.ready.set()
            return
        request = self.requests.get(reply["id"])
        if request is None or request.answer.done():
            return
        match reply:
            case {"progress": {"percent": percent, "message": message}}:
                if request.given_up is None:
                    _report(request, percent, message)
            case {"result": result}:
                request.answer.set_result(result)
            case {"error": {"code": "cancelled"}}:
                request.answer.set_exception(Cancelled())
            case {"error": {"code": code, "message": message, "permanent": permanent}}:
                request.answer.set_exception(AnalysisError(code, message, permanent=permanent))
            case _:
                log.error("unknown reply of a child", action="analysis.unknown_reply")


@dataclass(slots=True)
class AnalysisPool:
    """Children that analyse, and their requests. Use one per worker process."""

    children: int
    streams_per_child: int = 1
    argv: Sequence[str] = CHILD_ARGV
    environment: Mapping[str, str] = field(default_factory=dict)
    _alive: list[_Child] = field(default_factory=list)
    _free: asyncio.Semaphore = field(init=False)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _readers: Supervisor = field(default_factory=Supervisor)
    _ids: count[int] = field(default_factory=partial(count, 1))
    _closed: bool = False

    def __post_init__(self) -> None:
        """Count the places."""
        self._free = asyncio.Semaphore(self.children * self.streams_per_child)

    async def run(
        self,
        request: Mapping[str, Any],
        *,
        on_progress: OnProgress,
        cancel: asyncio.Event,
        timeout_s: float,
    ) -> dict[str, Any]:
        """Run one request (`kind`, `analyser`, `payload`) in a child and give back its result.

        Waits for a place, then for the answer; `timeout_s` counts from the place on. A cancelled
        task of the caller is a cancelled request.

        Raises:
            AnalysisError: the analyser says that it could not be done.
            Cancelled: `cancel` was set.
            TimedOut: it took too long.
            ChildDied: the process died under it, or could not be started.
        """
        if not await _before(cancel, self._free):
            raise Cancelled
        try:
            child = await self._child()
            return await self._ask(
                child, request, on_progress=on_progress, cancel=cancel, timeout_s=timeout_s
            )
        finally:
            self._free.release()

    @property
    def pids(self) -> list[int]:
        """Process ids of the children that live."""
        return [child.process.pid for child in self._alive if not child.gone.is_set()]

    async def aclose(self) -> None:
        """Kill every child; whoever still waits gets `ChildDied(innocent=True)`."""
        self._closed = True
        for child in list(self._alive):
            await self._kill(child)
        await self._readers.stop_all()

    async def _child(self) -> _Child:
        async with self._starting:
            for child in self._alive:
                if not child.doomed and len(child.requests) < self.streams_per_child:
                    return child
            return await self._start()

    async def _start(self) -> _Child:
        if self._closed:
            raise ChildDied("the worker is stopping", innocent=True)
        try:
            process = await start_process(
                self.argv,
                env={"PYTHONPATH": _SOURCE_ROOT, **self.environment},
                inherit_env="plain",  # models and media come from outside: no keys near them
                stdin="pipe",
                stdout="pipe",
                on_stderr_line=_pass_on,
            )
        except OSError as error:  # a limit on processes or memory, say
            message = f"the analysis process could not be started ({error.strerror})"
            raise ChildDied(message, innocent=False) from error
        child = _Child(process)
        self._alive.append(child)
        self._readers.start(f"analysis child {process.pid}", partial(self._read, child))
        log.info("analysis child started", action="analysis.child_started", pid=process.pid)
        return child

    async def _read(self, child: _Child, stop: asyncio.Event) -> None:
        del stop  # the end of the process is the end of the reading
        try:
            await child.read()
        finally:
            self._alive.remove(child)

    async def _ask(
        self,
        child: _Child,
        message: Mapping[str, Any],
        *,
        on_progress: OnProgress,
        cancel: asyncio.Event,
        timeout_s: float,
    ) -> dict[str, Any]:
        request = _Request(str(next(self._ids)), on_progress)
        child.requests[request.id] = request
        try:
            child.send({**message, "id": request.id})
            async with asyncio.TaskGroup() as group:
                guard = group.create_task(self._guard(child, request, cancel, timeout_s=timeout_s))
                await asyncio.wait([request.answer])
                guard.cancel()
        except asyncio.CancelledError:
            await self._give_up(child, request)
            raise
        finally:
            del child.requests[request.id]
            if request.answer.done():
                request.answer.exception()  # looked at, whatever is raised below
        if request.given_up is not None:
            raise request.given_up
        return request.answer.result()

    async def _guard(
        self, child: _Child, request: _Request, cancel: asyncio.Event, *, timeout_s: float
    ) -> None:
        """End the request when it is cancelled, late, or given to a child that never came up."""
        start_s = min(START_WITHIN_S, timeout_s)
        if await wait(cancel, start_s):
            request.given_up = Cancelled()
        elif not child.ready.is_set():
            request.given_up = ChildDied("the analysis process did not start", innocent=False)
        elif await wait(cancel, timeout_s - start_s):
            request.given_up = Cancelled()
        else:
            request.given_up = TimedOut(f"the analysis took longer than {timeout_s:g} s")
        await self._give_up(child, request)

    async def _give_up(self, child: _Child, request: _Request) -> None:
        """Ask the child to end the request, and kill the child if it does not."""
        child.send({"cancel": request.id})
        await asyncio.wait([request.answer], timeout=ASK_FIRST_S)
        if not request.answer.done():
            await self._kill(child)

    async def _kill(self, child: _Child) -> None:
        child.doomed = True
        child.process.kill()
        say = log.info if self._closed else log.warning
        say("analysis child killed", action="analysis.child_killed", pid=child.process.pid)
        await child.gone.wait()


async def _before(cancel: asyncio.Event, place: asyncio.Semaphore) -> bool:
    """Take a place; says whether that came before `cancel`."""
    if not place.locked():
        return await place.acquire()
    async with asyncio.TaskGroup() as group:
        taken = group.create_task(place.acquire())
        cancelled = group.create_task(cancel.wait())
        try:
            await asyncio.wait((taken, cancelled), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if taken.done() and not taken.cancelled():
                place.release()
            raise
        taken.cancel()
        cancelled.cancel()
    return not taken.cancelled()


def _how_it_ended(code: int) -> str:
    """The exit status of a child, in words."""
    match -code:
        case (
            signal.SIGSEGV | signal.SIGBUS | signal.SIGILL | signal.SIGFPE | signal.SIGABRT as sign
        ):
            return f"the analysis process crashed ({signal.Signals(sign).name})"
        case signal.SIGKILL:
            return "the analysis process was killed (SIGKILL), which a full memory does too"
        case sign if sign > 0:
            return f"the analysis process was ended from outside ({signal.Signals(sign).name})"
        case _:
            return f"the analysis process ended by itself (exit code {code})"


def _report(request: _Request, percent: int, message: str) -> None:
    try:
        request.on_progress(percent, message)
    except Exception:  # the edge: a caller's fault must not stop the replies of other requests
        log.exception("progress could not be reported", action="analysis.progress_failed")


def _pass_on(line: str) -> None:
    """The child's log lines are formatted already."""
    sys.stderr.write(line + "\n")
