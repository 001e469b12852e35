"""The tables of speech jobs, and of results that were received."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, SmallInteger, String, Text, false
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from backend.kernel.db import Base, BigId, JsonColumn, UtcDateTime, utc_now
from backend.speech.states import SpeechStatus

# MySQL would take ids that differ by case, accent or emoji for the same
CALLERS_ID = String(190).with_variant(
    mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


class SpeechJobRow(Base):
    """A video that somebody wants transcribed, by the caller's own `job_id`.

    `url` may carry a signature: it leaves only to be fetched, and is forgotten after that.
    `object_hash` tells the same object from another, whatever its signature.
    """

    __tablename__ = "speech_jobs"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(CALLERS_ID, unique=True)
    queue_job_id: Mapped[int] = mapped_column(Integer)
    url: Mapped[str | None] = mapped_column(Text)
    object_hash: Mapped[str] = mapped_column(String(64))
    filename: Mapped[str] = mapped_column(String(255))
    video_path: Mapped[str | None] = mapped_column(String(500))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    keeps_video: Mapped[bool] = mapped_column(default=False, server_default=false())
    processing_s: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )

    __table_args__ = (
        Index("ix_speech_jobs_queue_job_id", "queue_job_id"),
        Index("ix_speech_jobs_created_at", "created_at"),
    )


class MlResultRow(Base):
    """What was called back of a job, here: the receiving side of the contract."""

    __tablename__ = "ml_results"

    job_id: Mapped[str] = mapped_column(CALLERS_ID, primary_key=True)
    status: Mapped[str] = mapped_column(String(16), default=SpeechStatus.ACCEPTED)
    progress: Mapped[int] = mapped_column(SmallInteger, default=0)
    message: Mapped[str | None] = mapped_column(String(500))
    result: Mapped[dict[str, Any] | None] = mapped_column(JsonColumn)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )
    updated_at: Mapped[datetime] = mapped_column(
        UtcDateTime, default=utc_now(), server_default=utc_now()
    )

    __table_args__ = (Index("ix_ml_results_updated_at", "updated_at"),)
