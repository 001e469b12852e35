"""First tables: jobs, workers, events, cameras, segments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHEN = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NOW = {
    "mysql": "(UTC_TIMESTAMP(6))",
    "mariadb": "(UTC_TIMESTAMP(6))",
    "postgresql": "(clock_timestamp() AT TIME ZONE 'utc')",
    "sqlite": "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')",
}
OPTIONS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}


def upgrade() -> None:
    now = sa.text(NOW[op.get_bind().dialect.name])
    op.create_table(
        "analysis_jobs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(32), server_default="scene", nullable=False),
        sa.Column("camera_id", sa.String(50)),
        sa.Column("video_path", sa.String(500)),
        sa.Column("segment_start", WHEN),
        sa.Column("segment_end", WHEN),
        sa.Column("payload", sa.JSON()),
        sa.Column("status", sa.String(16), server_default="pending", nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default="50", nullable=False),
        sa.Column("run_at", WHEN, server_default=now, nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_retries", sa.Integer(), server_default="3", nullable=False),
        sa.Column("worker_id", sa.String(100)),
        sa.Column("locked_until", WHEN),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("dedup_key", sa.String(190)),
        sa.Column("trace_id", sa.String(36)),
        sa.Column("progress", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("stage", sa.String(500)),
        sa.Column("analysis_result", sa.JSON()),
        sa.Column("safety_score", sa.Integer()),
        sa.Column("incident_count", sa.Integer()),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text()),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.Column("started_at", WHEN),
        sa.Column("completed_at", WHEN),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_analysis_jobs_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analysis_jobs")),
        sa.UniqueConstraint("dedup_key", name=op.f("uq_analysis_jobs_dedup_key")),
        sqlite_autoincrement=True,
        **OPTIONS,
    )
    op.create_index(
        "ix_analysis_jobs_claim", "analysis_jobs", ["status", "kind", "priority", "run_at", "id"]
    )
    op.create_index("ix_analysis_jobs_lease", "analysis_jobs", ["status", "locked_until"])
    op.create_index("ix_analysis_jobs_camera_id_status", "analysis_jobs", ["camera_id", "status"])
    op.create_index("ix_analysis_jobs_segment_start", "analysis_jobs", ["segment_start"])
    op.create_index("ix_analysis_jobs_completed_at", "analysis_jobs", ["completed_at"])

    op.create_table(
        "worker_processes",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("instance", sa.String(36), nullable=False),
        sa.Column("hostname", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("slots", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("jobs_done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("jobs_failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("info", sa.JSON()),
        sa.Column("started_at", WHEN, server_default=now, nullable=False),
        sa.Column("heartbeat_at", WHEN, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_processes")),
        sa.UniqueConstraint("name", name=op.f("uq_worker_processes_name")),
        **OPTIONS,
    )

    op.create_table(
        "events",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("trace_id", sa.String(36)),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.Column("published_at", WHEN),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("event_id", name=op.f("uq_events_event_id")),
        sqlite_autoincrement=True,
        **OPTIONS,
    )
    op.create_index("ix_events_published_at_id", "events", ["published_at", "id"])
    op.create_index("ix_events_created_at", "events", ["created_at"])

    op.create_table(
        "cameras",
        sa.Column("id", sa.String(50), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("source", sa.String(2000), nullable=False),
        sa.Column("substream", sa.String(2000)),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("archive_seconds", sa.Integer(), server_default="600", nullable=False),
        sa.Column("retention_days", sa.Float()),
        sa.Column("retention_bytes", sa.BigInteger()),
        sa.Column("probe", sa.JSON()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_reason", sa.String(500)),
        sa.Column("state_since", WHEN, server_default=now, nullable=False),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.Column("updated_at", WHEN, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cameras")),
        **OPTIONS,
    )

    op.create_table(
        "segments",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("camera_id", sa.String(50), nullable=False),
        sa.Column("video_path", sa.String(500), nullable=False),
        sa.Column("started_at", WHEN, nullable=False),
        sa.Column("ended_at", WHEN, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Integer()),
        sa.Column("deleted_at", WHEN),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("video_path", name=op.f("uq_segments_video_path")),
        **OPTIONS,
    )
    op.create_index("ix_segments_camera_id_started_at", "segments", ["camera_id", "started_at"])
    op.create_index("ix_segments_started_at", "segments", ["started_at"])
    op.create_index("ix_segments_deleted_at", "segments", ["deleted_at"])


def downgrade() -> None:
    for table in ("segments", "cameras", "events", "worker_processes", "analysis_jobs"):
        op.drop_table(table)
