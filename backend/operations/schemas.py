"""What the operations routes take and tell."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from backend.jobs.schemas import QueueState


class DatabaseHealth(BaseModel):
    """Whether the database answers, and how long one round trip takes."""

    ok: bool
    dialect: str
    latency_ms: float | None


class DiskHealth(BaseModel):
    """The disk that archives are written to."""

    free_bytes: int
    total_bytes: int
    used_percent: float


class Health(BaseModel):
    """How VAP is doing. What only the database knows is null while it does not answer."""

    status: Literal["ok", "degraded"]
    version: str
    problems: list[str] = Field(description="Why the status is not ok; stable words.")
    database: DatabaseHealth
    disk: DiskHealth | None
    cameras: dict[str, int] | None = Field(description="Number of cameras by state.")
    queue: QueueState | None
    workers_alive: int | None
    event_loop_delay_ms: float = Field(description="The worst of the last minute.")


class Login(BaseModel):
    """The administrator's password."""

    model_config = ConfigDict(extra="forbid")
    password: SecretStr = Field(max_length=1024)


class SessionView(BaseModel):
    """Who the caller is, and whether a password can be used to log in."""

    authenticated: bool
    name: str
    role: Literal["public", "service", "viewer", "operator", "admin"]
    password_login: bool
    version: str
