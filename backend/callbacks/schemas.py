"""What clients get of callbacks, and what the sender is handed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, Field

from backend.callbacks.states import CallbackKind, CallbackState


@dataclass(frozen=True, slots=True)
class CallbackFilter:
    """Which callbacks a list shows; None means any."""

    state: tuple[CallbackState, ...] | None = None
    subject: str | None = None
    job_id: int | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class DueCallback:
    """What the sender must know of a callback, but for its body; the fields of `queries.due`."""

    id: int
    message_id: str
    url: str
    host: str
    subject: str
    attempts: int
    size_bytes: int
    job_id: int | None
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class CallbackCounts:
    """How many callbacks are in each state, and how long the oldest unsent one has waited."""

    by_state: dict[CallbackState, int]
    oldest_pending_age_s: float | None


class CallbackView(BaseModel):
    """A callback and where it stands."""

    id: int
    message_id: str = Field(description="Its header webhook-id, the same at every attempt.")
    url: str = Field(description="Where it goes; what looks like a secret is masked.")
    host: str
    subject: str
    kind: CallbackKind
    progress: int | None
    size_bytes: int
    state: CallbackState
    attempts: int
    next_at: datetime | None = Field(description="When it is tried next; null unless pending.")
    expires_at: datetime | None = Field(description="When it is given up; null unless pending.")
    last_status: int | None = Field(description="The last answer's HTTP status, where one came.")
    last_error: str | None
    job_id: int | None
    trace_id: str | None
    created_at: datetime
    delivered_at: datetime | None


class CallbackDetail(CallbackView):
    """A callback with its body, cut where it is long."""

    body: str
    is_body_cut: bool
