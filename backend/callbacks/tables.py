"""The tables of callbacks: a message and where it stands, and the rest of a long body."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.callbacks.states import CallbackState
from backend.kernel.db import Base, BigId, LongText, UtcDateTime, utc_now


class CallbackRow(Base):
    """One message to one URL. What has the same `subject` is sent in order of `id`.

    `body` is the JSON as it is sent; of a long one its beginning, the rest lies in
    `callback_pieces`: MariaDB takes no statement over 16 MB unless it is told to.
    """

    __tablename__ = "callbacks"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    message_id: Mapped[str] = mapped_column(String(36))
    """The header `webhook-id`: the same at every attempt, never that of another message."""
    url: Mapped[str] = mapped_column(String(2000))
    host: Mapped[str] = mapped_column(String(255))
    """scheme://host:port of the URL: the sender shares its places between these."""
    subject: Mapped[str] = mapped_column(String(190))
    kind: Mapped[str] = mapped_column(String(16))
    progress: Mapped[int | None] = mapped_column(SmallInteger)
    body: Mapped[str] = mapped_column(LongText)
    size_bytes: Mapped[int] = mapped_column(Integer)
    """Of the whole body, in UTF-8."""
    state: Mapped[str] = mapped_column(
        String(16), default=CallbackState.PENDING, server_default="pending"
    )
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    next_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(String(500))
    job_id: Mapped[int | None] = mapped_column(Integer)
    trace_id: Mapped[str | None] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("state IN ('pending', 'delivered', 'superseded', 'dead')", name="state"),
        CheckConstraint("kind IN ('progress', 'result')", name="kind"),
        # what is due at one host, in order: neither history nor another host is looked at
        Index("ix_callbacks_due", "state", "host", "next_at", "id"),
        # what is unsent of a subject; and whether something newer was said of it
        Index("ix_callbacks_subject_state_id", "subject", "state", "id"),
        Index("ix_callbacks_state_id", "state", "id"),
        Index("ix_callbacks_job_id", "job_id", "id"),
        Index("ix_callbacks_created_at", "created_at"),
        {"sqlite_autoincrement": True},  # an id is never given twice, not even after a clean-up
    )


class CallbackPieceRow(Base):
    """A further piece of a long body; `position` counts from 1."""

    __tablename__ = "callback_pieces"

    callback_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(LongText)
