"""The outbox table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.kernel.db import Base, BigId, JsonColumn, UtcDateTime, utc_now


class EventRow(Base):
    """One event; `published_at` is for the relay that tells other systems."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(String(36), unique=True)
    type: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(128))
    payload: Mapped[dict[str, Any]] = mapped_column(JsonColumn)
    trace_id: Mapped[str | None] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_events_published_at_id", "published_at", "id"),
        Index("ix_events_created_at", "created_at"),
        {"sqlite_autoincrement": True},  # an id is never given twice, not even after a clean-up
    )
