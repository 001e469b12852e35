"""What a kind of job is to a worker, and how the code that does its work talks to the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from backend.jobs.claims import KindOrder
from backend.jobs.schemas import JobDetail, JobOutcome, Store
from backend.jobs.states import Priority
from backend.kernel.errors import VapError

WAITING = "waiting/"
"""What parts are called that say since when a job has been waiting: asked for again, it forgets."""


class JobError(VapError):
    """The work failed; `permanent` means that trying again will not help."""

    def __init__(self, code: str, message: str, *, permanent: bool) -> None:
        super().__init__(message, code=code)
        self.permanent = permanent


class HandBack(Exception):
    """The work cannot go on now through no fault of the job: it costs no retry.

    The job may be taken again at once, or after `after_s` seconds, with another priority if one
    is given; `store` writes what the attempt achieved.
    """

    def __init__(
        self,
        reason: str,
        *,
        after_s: float = 0.0,
        priority: Priority | None = None,
        store: Store | None = None,
    ) -> None:
        super().__init__(reason)
        self.after_s = after_s
        self.priority = priority
        self.store = store


class JobParts(Protocol):
    """What earlier attempts of a job have finished, by name; JSON values."""

    async def load(self) -> dict[str, Any]:
        """All of them."""

    async def save(self, name: str, value: Any) -> None:
        """Keep a part for the next attempt.

        Raises:
            HandBack: the job is another worker's by now.
        """


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
    parts: JobParts


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job: its order in the queue, its deadline, and the code that does it.

    `run` raises JobError or HandBack; any other exception is a bug and is retried like a JobError.
    """

    order: KindOrder
    timeout_s: float
    run: Callable[[JobContext], Awaitable[JobOutcome]]

    @property
    def place(self) -> str:
        """What a worker's places for it are called."""
        return self.order.place
