"""What a kind of job is to a worker, and how the code that does its work talks to the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from backend.jobs.claims import KindOrder
from backend.jobs.schemas import JobDetail, JobOutcome
from backend.kernel.errors import VapError


class JobError(VapError):
    """The work failed; `permanent` means that trying again will not help."""

    def __init__(self, code: str, message: str, *, permanent: bool) -> None:
        super().__init__(message, code=code)
        self.permanent = permanent


class HandBack(Exception):
    """The work was interrupted through no fault of the job: it costs no retry."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """A claimed job and its worker's ear.

    `cancel` is set when the work is not wanted any more, for whatever reason: the handler then
    ends within 2 s, in any way. `progress` never waits.
    """

    job: JobDetail
    cancel: asyncio.Event
    progress: Callable[[int, str], None]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job: its order in the queue, its deadline, and the code that does it.

    `run` raises JobError or HandBack; any other exception is a bug and is retried like a JobError.
    """

    order: KindOrder
    timeout_s: float
    run: Callable[[JobContext], Awaitable[JobOutcome]]

    @property
    def name(self) -> str:
        """The stored value of `kind`."""
        return self.order.name
