"""The table of archive segments."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Float, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.kernel.db import Base, BigId, UtcDateTime, utc_now


class SegmentRow(Base):
    """A finished archive file. With `deleted_at` set it is garbage: the file goes, then the row.

    `job_id` is the analysis job made in the same transaction; no foreign key, since finished jobs
    and old segments are forgotten at different ages.
    """

    __tablename__ = "segments"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    camera_id: Mapped[str] = mapped_column(String(50))
    video_path: Mapped[str] = mapped_column(String(500), unique=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    job_id: Mapped[int | None]
    keep_days: Mapped[float | None] = mapped_column(Float)
    """What its camera's own age limit was when the camera was removed."""
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )

    __table_args__ = (
        Index("ix_segments_camera_id_started_at", "camera_id", "started_at"),
        Index("ix_segments_started_at", "started_at"),
        Index("ix_segments_deleted_at", "deleted_at"),
    )
