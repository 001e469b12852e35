"""A worker's loop: claim up to the free slots, work, keep the leases, stop what is called off.

Built by `backend.worker`, run once. It owns the database side of the work; what a job does is its
`JobKind`'s function. Guarantees: a job's result is written only under its own claim; a cancelled
job is over within 2 s; a database that is away costs time, not jobs; stopping drains, and
`hand_back` (a second signal) gives running jobs back unharmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from backend.jobs.kinds import HandBack, JobContext, JobError, JobKind
from backend.jobs.progress import ProgressReport
from backend.jobs.queries import Claim
from backend.jobs.schemas import JobDetail, JobOutcome
from backend.jobs.service import JobQueue
from backend.jobs.states import JobStatus, WorkerState
from backend.jobs.workers import WorkerRegistry
from backend.kernel.clock import wait
from backend.kernel.db import is_disconnect
from backend.kernel.nudge import NudgeListener
from backend.kernel.retry import Backoff

log = structlog.get_logger(__name__)

PULSE_S = 0.5
STOP_WITHIN_S = 3.0
RECONNECT = Backoff(first_s=0.2, max_s=5)


class WhyStopped(StrEnum):
    """Why running work is stopped before it is done."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    HANDED_BACK = "handed back"
    LOST = "lost"


class NameTaken(Exception):
    """Another process has taken this worker's name."""


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """What a worker process says of itself; `slots` is how many jobs of a kind it runs at once."""

    name: str
    instance: str
    hostname: str
    pid: int
    slots: dict[str, int]
    version: str


@dataclass(slots=True)
class _Running:
    claim: Claim
    job: JobDetail
    place: str
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    why: WhyStopped | None = None

    def stop(self, why: WhyStopped) -> None:
        """End the work; the first reason counts."""
        if self.why is None:
            self.why = why
            self.cancel.set()


@dataclass(frozen=True, slots=True)
class _Parts:
    """A job's finished parts, written under its claim."""

    queue: JobQueue
    claim: Claim

    async def load(self) -> dict[str, Any]:
        return await self.queue.load_parts(self.claim.job_id)

    async def save(self, name: str, value: Any) -> None:
        if not await self.queue.save_part(self.claim, name, value):
            raise HandBack("another worker has the job")


class WorkerRunner:
    """One worker process's work. `run` returns when it has drained or handed back."""

    def __init__(
        self,
        queue: JobQueue,
        registry: WorkerRegistry,
        kinds: dict[str, JobKind],
        identity: WorkerIdentity,
        nudge: NudgeListener,
        *,
        poll_s: float,
        lease_s: float,
        drain_s: float,
    ) -> None:
        self._queue = queue
        self._registry = registry
        self._kinds = kinds
        self._me = identity
        self._nudge = nudge
        self._poll_s = poll_s
        self._lease_s = lease_s
        self._drain_s = drain_s
        self._running: dict[Claim, _Running] = {}  # a lost job may be claimed again beside itself
        self._ended = asyncio.Event()
        self._name_taken = False
        self._done = 0
        self._failed = 0
        self.hand_back = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish what runs.

        Raises:
            NameTaken: another process goes on under this name.
        """
        me = self._me
        await self._registry.register(
            me.name,
            me.instance,
            hostname=me.hostname,
            pid=me.pid,
            slots=me.slots,
            info={"version": me.version},
        )
        log.info("worker started", action="worker.started", worker_id=me.name, slots=me.slots)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pulse(stop))
            group.create_task(self._wake_on(stop))
            group.create_task(self._wake_on(self.hand_back))
            await self._claim_until(stop, group)
            await self._drain()
            self._ended.set()
            self.hand_back.set()
        if self._name_taken:
            raise NameTaken(me.name)
        await self._say(WorkerState.STOPPED)
        log.info("worker stopped", action="worker.stopped", worker_id=me.name)

    async def _claim_until(self, stop: asyncio.Event, group: asyncio.TaskGroup) -> None:
        failures = 0
        while not stop.is_set():
            self._nudge.woken.clear()
            try:
                await self._claim(group)
            except Exception as error:  # noqa: BLE001  the edge: no fault of the database may end the worker
                failures += 1
                self._complain("jobs could not be claimed", error, failures)
                await wait(stop, RECONNECT.delay_s(failures))
                continue
            failures = 0
            await wait(self._nudge.woken, self._poll_s)

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        for name, slots in self._me.slots.items():
            kind = self._kinds[name]
            busy = sum(running.place == name for running in self._running.values())
            if busy >= slots:
                continue
            jobs = await self._queue.claim(kind.order, slots - busy, self._me.name, self._lease_s)
            for job in jobs:
                running = _Running(Claim(job.id, job.attempt, self._me.name), job, name)
                self._running[running.claim] = running
                group.create_task(self._work(running, kind))

    async def _work(self, running: _Running, kind: JobKind) -> None:
        job = running.job
        with bound_contextvars(job_id=job.id, camera_id=job.camera_id, trace_id=job.trace_id):
            log.info(
                "job found",
                action="job.started",
                kind=job.kind,
                video_path=job.video_path,
                segment_start=job.segment_start and job.segment_start.isoformat(),
                attempt=job.attempt,
            )
            report = ProgressReport(self._queue, running.claim, job)
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(report.write())
                finish = await self._do(running, kind, report)
                await report.flush()
                writer.cancel()
            if running.why is not WhyStopped.LOST:
                await self._settle(finish)
            del self._running[running.claim]
            self._nudge.woken.set()

    async def _do(
        self, running: _Running, kind: JobKind, report: ProgressReport
    ) -> Callable[[], Awaitable[bool]]:
        """Do the work; returns the write that ends the attempt."""
        queue, claim, job = self._queue, running.claim, running.job
        try:
            outcome = await self._within_deadline(running, kind, report)
        except Exception as error:  # noqa: BLE001  the edge: it ends this attempt only
            return self._end_of_failure(running, kind, error)

        async def complete() -> bool:
            end = await queue.complete(claim, job, outcome)
            if end is JobStatus.COMPLETED:
                self._done += 1
                log.info(
                    "job done",
                    action="job.completed",
                    safety_score=outcome.safety_score,
                    incident_count=outcome.incident_count,
                )
            elif end is JobStatus.FAILED:
                self._failed += 1
            return end is not None

        return complete

    def _end_of_failure(
        self, running: _Running, kind: JobKind, error: Exception
    ) -> Callable[[], Awaitable[bool]]:
        queue, claim, job = self._queue, running.claim, running.job
        if running.why is WhyStopped.CANCELLED:
            log.info("job cancelled", action="job.cancelled")
            return lambda: queue.finish_cancelled(claim, job)
        if running.why is None and is_disconnect(error):
            error = HandBack("the database was away")
        if running.why in {WhyStopped.HANDED_BACK, WhyStopped.LOST} or (
            running.why is None and isinstance(error, HandBack)
        ):
            back = error if isinstance(error, HandBack) else HandBack("its worker stopped")
            log.info(
                "job handed back", action="job.handed_back", reason=str(back), after_s=back.after_s
            )
            return lambda: queue.hand_back(
                claim,
                job,
                str(back),
                after_s=back.after_s,
                priority=back.priority,
                store=back.store,
            )
        said = _as_job_error(error)
        if running.why is WhyStopped.TIMED_OUT:
            said = JobError("timeout", f"not done within {kind.timeout_s:g} s", permanent=False)
        self._failed += 1
        log.warning(
            "job failed",
            action="job.failed",
            code=said.code,
            error=said.message,
            permanent=said.permanent,
            retry_count=job.retry_count,
        )
        return lambda: queue.fail(claim, job, said.code, said.message, permanent=said.permanent)

    async def _within_deadline(
        self, running: _Running, kind: JobKind, report: ProgressReport
    ) -> JobOutcome:
        """Run the handler; one that ignores `cancel` is itself cancelled a little later."""
        context = JobContext(
            running.job,
            running.cancel,
            report.put,
            kind.timeout_s,
            parts=_Parts(self._queue, running.claim),
        )

        async def handle() -> JobOutcome:
            return await kind.run(context)

        async with asyncio.TaskGroup() as group:
            late = group.create_task(self._stop_at(running, kind.timeout_s))
            work = asyncio.ensure_future(handle())
            try:
                await asyncio.wait([work, late], return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    await asyncio.wait([work], timeout=STOP_WITHIN_S)
            finally:
                late.cancel()
                if not work.done():
                    work.cancel()
                    await asyncio.wait([work], timeout=STOP_WITHIN_S)
        if work.cancelled() or not work.done():
            raise HandBack("the work was stopped")
        return work.result()

    @staticmethod
    async def _stop_at(running: _Running, timeout_s: float) -> None:
        """Return once the work is to be stopped: called off, or out of time."""
        if not await wait(running.cancel, timeout_s):
            running.stop(WhyStopped.TIMED_OUT)

    async def _settle(self, finish: Callable[[], Awaitable[bool]]) -> None:
        """Write the end of an attempt, however long the database is away."""
        failures = 0
        while True:
            try:
                if not await finish():
                    log.warning("claim lost, result thrown away", action="job.claim_lost")
                return
            except Exception as error:
                if not is_disconnect(error):
                    log.exception("the end of a job could not be stored", action="job.unsettled")
                    return  # its lease runs out, and another attempt follows
                failures += 1
                self._complain("the end of a job could not be stored yet", error, failures)
                if await wait(self.hand_back, RECONNECT.delay_s(failures)) and failures > 3:
                    return

    async def _pulse(self, stop: asyncio.Event) -> None:
        """Keep leases and the worker's own heartbeat; hear what was called off."""
        loop = asyncio.get_running_loop()
        next_beat = loop.time()
        failures = 0
        while not await wait(self._ended, PULSE_S):
            try:
                if loop.time() >= next_beat:
                    next_beat = loop.time() + self._lease_s / 3
                    await self._beat(stop)
                if self._running:
                    for claim in await self._queue.cancel_requests(self._me.name):
                        self._stop_claim(claim, WhyStopped.CANCELLED)
                failures = 0
            except Exception as error:  # noqa: BLE001  the edge: the heart goes on
                failures += 1
                next_beat = loop.time()
                self._complain("no heartbeat", error, failures)

    async def _beat(self, stop: asyncio.Event) -> None:
        for claim in await self._queue.extend(list(self._running), self._lease_s):
            self._stop_claim(claim, WhyStopped.LOST)
        me = self._me
        alive = await self._registry.heartbeat(
            me.name, me.instance, done=self._done, failed=self._failed
        )
        if not alive and not self._name_taken:
            log.error("another worker has this name", action="worker.name_taken")
            self._name_taken = True
            for running in self._running.values():
                running.stop(WhyStopped.LOST)
            stop.set()

    def _stop_claim(self, claim: Claim, why: WhyStopped) -> None:
        running = self._running.get(claim)
        if running is not None:
            if why is WhyStopped.LOST and running.why is None:
                log.warning("claim lost", action="job.claim_lost", job_id=claim.job_id)
            running.stop(why)

    async def _drain(self) -> None:
        """Let jobs finish; hand back those that do not in time, or when told to."""
        if not self._running or self._name_taken:
            return
        log.info(
            "draining", action="worker.draining", jobs=len(self._running), at_most_s=self._drain_s
        )
        await self._say(WorkerState.DRAINING)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._drain_s
        while self._running:
            if loop.time() >= deadline:
                self.hand_back.set()  # nor is an end waited for that the database does not take
            if self.hand_back.is_set():
                for running in self._running.values():
                    running.stop(WhyStopped.HANDED_BACK)
            self._nudge.woken.clear()
            await wait(self._nudge.woken, min(1.0, max(deadline - loop.time(), 0.05)))

    async def _wake_on(self, event: asyncio.Event) -> None:
        await event.wait()
        self._nudge.woken.set()

    async def _say(self, state: WorkerState) -> None:
        try:
            await self._registry.change_state(self._me.name, self._me.instance, state)
        except Exception as error:  # noqa: BLE001  the edge: it must not hold up the end
            self._complain("the worker's state could not be stored", error, 1)

    @staticmethod
    def _complain(message: str, error: Exception, failures: int) -> None:
        """One line an outage, a trace only for what is not one."""
        if not is_disconnect(error):
            log.error(message, action="worker.db_error", exc_info=error)
        elif failures == 1:
            log.warning(message, action="worker.db_unreachable", error=type(error).__name__)


def _as_job_error(error: Exception) -> JobError:
    if isinstance(error, JobError):
        return error
    log.error("the work failed unforeseen", action="job.bug", exc_info=error)
    return JobError(
        "internal_error", "an unforeseen error; the worker's log has it", permanent=False
    )
