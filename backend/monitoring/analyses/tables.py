"""The tables of reports, of what models cost, and of models that are left alone for a while."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.kernel.db import Base, BigId, LongText, UtcDateTime, utc_now


class SceneReportRow(Base):
    """What one analysis says of one archive, in columns to search and to add up."""

    __tablename__ = "scene_reports"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[int] = mapped_column(Integer, unique=True)
    camera_id: Mapped[str] = mapped_column(String(50))
    segment_start: Mapped[datetime] = mapped_column(UtcDateTime)
    segment_end: Mapped[datetime] = mapped_column(UtcDateTime)
    video_path: Mapped[str] = mapped_column(String(500))
    backend: Mapped[str] = mapped_column(String(16))
    model: Mapped[str | None] = mapped_column(String(255))
    fallback_from: Mapped[str | None] = mapped_column(String(16))
    safety_score: Mapped[int] = mapped_column(SmallInteger)
    incident_count: Mapped[int] = mapped_column(Integer)
    summary: Mapped[str] = mapped_column(LongText)
    cost_microusd: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )

    __table_args__ = (
        Index("ix_scene_reports_segment_start", "segment_start"),
        Index("ix_scene_reports_camera_id_segment_start", "camera_id", "segment_start"),
    )


class SceneSpendingRow(Base):
    """What models cost in one day of the site's zone: a row a camera, and one of all ('').

    `spent_microusd` holds what is spent and what running calls may yet cost, so that a cap holds
    whatever runs at the same time. A call that died with its worker stays counted.
    """

    __tablename__ = "scene_spending"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    camera_id: Mapped[str] = mapped_column(String(50), primary_key=True)
    spent_microusd: Mapped[int] = mapped_column(BigInteger, default=0)
    calls: Mapped[int] = mapped_column(Integer, default=0)
    input_tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    output_tokens: Mapped[int] = mapped_column(BigInteger, default=0)


class ModelBreakerRow(Base):
    """A model that failed of late; until `open_until` nobody asks it."""

    __tablename__ = "model_breakers"

    backend: Mapped[str] = mapped_column(String(16), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    open_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    code: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(500))
    changed_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
