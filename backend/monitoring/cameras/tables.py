"""The table of cameras."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, Integer, String, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from backend.kernel.db import Base, JsonColumn, UtcDateTime, utc_now
from backend.monitoring.cameras.states import CameraState


class CameraRow(Base):
    """One camera. `source` and `substream` may hold credentials: they leave only redacted."""

    __tablename__ = "cameras"

    id: Mapped[str] = mapped_column(String(50), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[str] = mapped_column(String(2000))
    substream: Mapped[str | None] = mapped_column(String(2000))
    enabled: Mapped[bool] = mapped_column(default=True, server_default=true())
    archive_seconds: Mapped[int] = mapped_column(Integer, default=600, server_default="600")
    retention_days: Mapped[float | None] = mapped_column(Float)
    retention_bytes: Mapped[int | None] = mapped_column(BigInteger)
    house_rules: Mapped[str] = mapped_column(Text, default="")
    categories: Mapped[list[str] | None] = mapped_column(JsonColumn)
    scene_backend: Mapped[str | None] = mapped_column(String(16))
    daily_budget_usd: Mapped[float | None] = mapped_column(Float)
    probe: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    state: Mapped[str] = mapped_column(String(16), default=CameraState.STOPPED)
    state_reason: Mapped[str | None] = mapped_column(String(500))
    state_since: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
