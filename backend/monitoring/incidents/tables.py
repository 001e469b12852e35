"""The table of incidents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Float, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.kernel.db import Base, BigId, JsonColumn, LongText, UtcDateTime, utc_now
from backend.monitoring.incidents.states import IncidentState


class IncidentRow(Base):
    """One incident. `t_start` and `t_end` are seconds from the start of its archive.

    It outlives its archive: what happened stays known when the pictures are gone.
    """

    __tablename__ = "incidents"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[int] = mapped_column(Integer)
    camera_id: Mapped[str] = mapped_column(String(50))
    video_path: Mapped[str] = mapped_column(String(500))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    t_start: Mapped[float] = mapped_column(Float)
    t_end: Mapped[float] = mapped_column(Float)
    category: Mapped[str] = mapped_column(String(32))
    severity: Mapped[int] = mapped_column(SmallInteger)
    confidence: Mapped[float] = mapped_column(Float)
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(JsonColumn)
    notes: Mapped[str] = mapped_column(LongText)
    """The words of the evidence, to search in."""
    backend: Mapped[str] = mapped_column(String(16))
    model: Mapped[str | None] = mapped_column(String(255))
    has_snapshot: Mapped[bool] = mapped_column()
    position: Mapped[int] = mapped_column(SmallInteger)
    """Its number among those of its archive, which names its snapshot."""
    state: Mapped[str] = mapped_column(
        String(16), default=IncidentState.OPEN, server_default="open"
    )
    reviewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reviewed_by: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )

    __table_args__ = (
        CheckConstraint("state IN ('open', 'confirmed', 'rejected')", name="state"),
        CheckConstraint("severity BETWEEN 0 AND 4", name="severity"),
        Index("ix_incidents_starts_at", "starts_at", "id"),
        Index("ix_incidents_camera_id_starts_at", "camera_id", "starts_at", "id"),
        Index("ix_incidents_job_id", "job_id"),
    )
