"""What clients send and get of analyses, and what workers store of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.monitoring.cameras.schemas import Categories, HouseRules
from backend.monitoring.cameras.service import CameraFacts
from backend.monitoring.incidents.schemas import FoundIncidents
from backend.settings import SceneBackend


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls took."""

    cost_microusd: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class NewReport:
    """What an analysis says of an archive, to be stored with its incidents."""

    found: FoundIncidents
    segment_end: datetime
    fallback_from: str | None
    safety_score: int
    summary: str
    cost_microusd: int


class BreakerView(BaseModel):
    """A model that failed of late; while it is open nobody asks it."""

    is_open: bool
    open_until: datetime | None
    failures: int
    code: str
    reason: str


class BackendView(BaseModel):
    """One of the analysers that a camera can have."""

    name: SceneBackend
    configured: bool = Field(description="Whether it has the settings it needs.")
    missing: str | None = Field(description="What it lacks, when it is not configured.")
    model: str | None
    endpoint: str | None = Field(description="The host that footage is sent to; null: none.")
    leaves_machine: bool = Field(description="Whether footage leaves this machine for it.")
    is_default: bool = Field(description="For cameras that name none.")
    fallback: list[SceneBackend] = Field(description="Who takes over, in this order.")
    input_usd_per_million: float | None
    output_usd_per_million: float | None
    cameras: list[str] = Field(description="Ids of the cameras that it looks at.")
    breaker: BreakerView | None


class JobRef(BaseModel):
    """A job that was put in line; follow it at /api/v1/jobs/{job_id}."""

    job_id: int


class DryRunRequest(BaseModel):
    """What to try on the camera's last archive instead of what it has; null: as it is."""

    model_config = ConfigDict(extra="forbid")
    backend: SceneBackend | None = None
    description: str | None = Field(None, max_length=5000)
    house_rules: HouseRules | None = None
    categories: Categories | None = None

    def applied_to(self, camera: CameraFacts) -> CameraFacts:
        """The camera as it is to be tried."""
        return replace(
            camera,
            scene_backend=self.backend or camera.scene_backend,
            description=camera.description if self.description is None else self.description,
            house_rules=camera.house_rules if self.house_rules is None else self.house_rules,
            categories=tuple(self.categories) if self.categories else camera.categories,
        )


class ScorePoint(BaseModel):
    """A camera's archives of one hour or day of the site's zone."""

    starts_at: datetime
    archives: int
    least: int
    mean: float
    incidents: int


class DayEntry(BaseModel):
    """What happened in one archive; `at` is when it begins."""

    at: datetime
    until: datetime
    camera_id: str
    job_id: int
    summary: str
    safety_score: int
    incident_count: int
    backend: str
    fallback_from: str | None
    video_url: str | None


class DayView(BaseModel):
    """What happened in one day of the site's zone, in order of time."""

    day: date
    timezone: str
    starts_at: datetime
    ends_at: datetime
    entries: list[DayEntry]
    truncated: bool = Field(description="Whether there was more than is listed.")


class CostEntry(BaseModel):
    """What models cost on one day; `camera_id` null: all cameras together."""

    day: date
    camera_id: str | None
    cost_usd: float
    calls: int
    input_tokens: int
    output_tokens: int


class CostsView(BaseModel):
    """Costs by day, and the caps of a day in US dollars (null: none)."""

    timezone: str
    total_budget_usd: float | None
    camera_budget_usd: float | None = Field(description="Of cameras that set none.")
    entries: list[CostEntry]


Step = Literal["hour", "day"]
