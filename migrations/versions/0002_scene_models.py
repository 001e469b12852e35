"""Scene analysis by models: parts of jobs, reports, incidents, costs, breakers.

Besides a better index of jobs, and how long archives of removed cameras are kept.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WHEN = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NOW = {
    "mysql": "(UTC_TIMESTAMP(6))",
    "mariadb": "(UTC_TIMESTAMP(6))",
    "postgresql": "(statement_timestamp() AT TIME ZONE 'utc')",
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
    op.create_index("ix_analysis_jobs_status_id", "analysis_jobs", ["status", "id"])
    op.drop_index("ix_analysis_jobs_lease", "analysis_jobs")
    with op.batch_alter_table("cameras") as cameras:
        cameras.add_column(sa.Column("house_rules", sa.Text(), nullable=True))
        cameras.add_column(sa.Column("categories", sa.JSON()))
        cameras.add_column(sa.Column("scene_backend", sa.String(16)))
        cameras.add_column(sa.Column("daily_budget_usd", sa.Float()))
    op.add_column("segments", sa.Column("keep_days", sa.Float()))
    op.execute("UPDATE cameras SET house_rules = ''")  # a default for TEXT is beyond MySQL
    with op.batch_alter_table("cameras") as cameras:
        cameras.alter_column("house_rules", existing_type=sa.Text(), nullable=False)

    op.create_table(
        "job_parts",
        sa.Column("job_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("pk_job_parts")),
        **OPTIONS,
    )
    op.create_table(
        "incidents",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("camera_id", sa.String(50), nullable=False),
        sa.Column("video_path", sa.String(500), nullable=False),
        sa.Column("starts_at", WHEN, nullable=False),
        sa.Column("ends_at", WHEN, nullable=False),
        sa.Column("t_start", sa.Float(), nullable=False),
        sa.Column("t_end", sa.Float(), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("notes", LONG_TEXT, nullable=False),
        sa.Column("backend", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255)),
        sa.Column("has_snapshot", sa.Boolean(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(16), server_default="open", nullable=False),
        sa.Column("reviewed_at", WHEN),
        sa.Column("reviewed_by", sa.String(100)),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.CheckConstraint(
            "state IN ('open', 'confirmed', 'rejected')", name=op.f("ck_incidents_state")
        ),
        sa.CheckConstraint("severity BETWEEN 0 AND 4", name=op.f("ck_incidents_severity")),
        **OPTIONS,
    )
    op.create_index("ix_incidents_starts_at", "incidents", ["starts_at", "id"])
    op.create_index(
        "ix_incidents_camera_id_starts_at", "incidents", ["camera_id", "starts_at", "id"]
    )
    op.create_index("ix_incidents_job_id", "incidents", ["job_id"])
    op.create_table(
        "scene_reports",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("camera_id", sa.String(50), nullable=False),
        sa.Column("segment_start", WHEN, nullable=False),
        sa.Column("segment_end", WHEN, nullable=False),
        sa.Column("video_path", sa.String(500), nullable=False),
        sa.Column("backend", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255)),
        sa.Column("fallback_from", sa.String(16)),
        sa.Column("safety_score", sa.SmallInteger(), nullable=False),
        sa.Column("incident_count", sa.Integer(), nullable=False),
        sa.Column("summary", LONG_TEXT, nullable=False),
        sa.Column("cost_microusd", sa.BigInteger(), nullable=False),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scene_reports")),
        sa.UniqueConstraint("job_id", name=op.f("uq_scene_reports_job_id")),
        **OPTIONS,
    )
    op.create_index("ix_scene_reports_segment_start", "scene_reports", ["segment_start"])
    op.create_index(
        "ix_scene_reports_camera_id_segment_start", "scene_reports", ["camera_id", "segment_start"]
    )
    op.create_table(
        "scene_spending",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("camera_id", sa.String(50), nullable=False),
        sa.Column("spent_microusd", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "camera_id", name=op.f("pk_scene_spending")),
        **OPTIONS,
    )
    op.create_table(
        "model_breakers",
        sa.Column("backend", sa.String(16), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", WHEN),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("changed_at", WHEN, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("backend", name=op.f("pk_model_breakers")),
        **OPTIONS,
    )


def downgrade() -> None:
    for table in ("model_breakers", "scene_spending", "scene_reports", "incidents", "job_parts"):
        op.drop_table(table)
    with op.batch_alter_table("cameras") as cameras:
        for column in ("daily_budget_usd", "scene_backend", "categories", "house_rules"):
            cameras.drop_column(column)
    with op.batch_alter_table("segments") as segments:
        segments.drop_column("keep_days")
    op.create_index("ix_analysis_jobs_lease", "analysis_jobs", ["status", "locked_until"])
    op.drop_index("ix_analysis_jobs_status_id", "analysis_jobs")
