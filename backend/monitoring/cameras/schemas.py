"""What a client sends and gets of cameras. Sources are shown without their credentials."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.findings.incident import IncidentCategory
from backend.monitoring.cameras.states import CameraState
from backend.settings import SceneBackend

CameraId = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$", max_length=50)
]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Source = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
ArchiveSeconds = Annotated[int, Field(ge=10, le=3600, description="Length of an archive, s.")]
RetentionDays = Annotated[float, Field(gt=0, le=3650, description="Days archives are kept.")]
HouseRules = Annotated[str, StringConstraints(strip_whitespace=True, max_length=5000)]
Categories = Annotated[
    list[IncidentCategory],
    Field(min_length=1, max_length=len(IncidentCategory), description="What a model looks for."),
]
DailyBudget = Annotated[
    float, Field(ge=0, le=10_000, description="US dollars a day that a model may cost.")
]
RetentionBytes = Annotated[int, Field(ge=10_000_000, description="Most bytes of archives kept.")]


class ProbeView(BaseModel):
    """What a source turned out to be. Sizes in pixels, times in seconds."""

    codec: str
    profile: str | None = None
    pix_fmt: str | None = None
    width: int
    height: int
    fps: float | None = None
    has_audio: bool
    audio_codec: str | None = None
    has_b_frames: bool
    keyframe_interval_s: float | None = None
    duration_s: float | None = None
    transcoded: bool = Field(description="Live and archive are transcoded: costs CPU.")


class CameraCreate(BaseModel):
    """A new camera; the id is made from the name where none is given."""

    model_config = ConfigDict(extra="forbid")
    id: CameraId | None = None
    name: Name
    source: Source
    substream: Source | None = Field(None, description="A smaller picture: live only, for tiles.")
    description: str = Field("", max_length=5000)
    archive_seconds: ArchiveSeconds = 600
    retention_days: RetentionDays | None = None
    retention_bytes: RetentionBytes | None = None
    house_rules: HouseRules = Field("", description="What is right and wrong here, for a model.")
    categories: Categories | None = Field(None, description="Null: all of them.")
    scene_backend: SceneBackend | None = Field(None, description="Null: SCENE_BACKEND.")
    daily_budget_usd: DailyBudget | None = Field(None, description="Null: the general one.")
    enabled: bool = True


class CameraUpdate(BaseModel):
    """What to change; fields left out stay. `***` in a source keeps its credentials."""

    model_config = ConfigDict(extra="forbid")
    name: Name | None = None
    source: Source | None = None
    substream: Source | None = None
    description: str | None = Field(None, max_length=5000)
    archive_seconds: ArchiveSeconds | None = None
    retention_days: RetentionDays | None = None
    retention_bytes: RetentionBytes | None = None
    house_rules: HouseRules | None = None
    categories: Categories | None = None
    scene_backend: SceneBackend | None = None
    daily_budget_usd: DailyBudget | None = None


class CameraView(BaseModel):
    """A camera as clients see it."""

    id: str
    name: str
    description: str
    source: str = Field(description="Credentials are masked.")
    substream: str | None
    enabled: bool
    archive_seconds: int
    retention_days: float | None
    retention_bytes: int | None
    house_rules: str
    categories: list[IncidentCategory] | None
    scene_backend: SceneBackend | None
    daily_budget_usd: float | None
    probe: ProbeView | None
    state: CameraState
    state_reason: str | None
    state_since: datetime
    live_url: str
    live_sub_url: str | None = Field(
        description="A smaller picture, where there is a substream; none while that is off."
    )
    created_at: datetime
    updated_at: datetime


class ProbeRequest(BaseModel):
    """A source to look at; `camera_id` lends its credentials to a masked source."""

    model_config = ConfigDict(extra="forbid")
    source: Source
    camera_id: str | None = None


class ProbeAnswer(BaseModel):
    """What the source is, or why it could not be read (a stable reason and a sentence)."""

    ok: bool
    probe: ProbeView | None = None
    reason: str | None = None
    message: str | None = None


class CameraCreated(CameraView):
    """The new camera and what its source answered; one that is off now is saved too."""

    probe_answer: ProbeAnswer
