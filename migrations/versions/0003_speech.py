"""Speech jobs, received results, callbacks; what a job tells its receiver."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WHEN = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
# told apart by every letter: the default would take ids that differ by case for the same
CALLERS_ID = sa.String(190).with_variant(
    mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
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
    op.add_column("analysis_jobs", sa.Column("callback_url", sa.String(2000)))
    op.add_column("analysis_jobs", sa.Column("callback_id", sa.String(190)))
    op.add_column(
        "analysis_jobs",
        sa.Column("callback_progress", sa.SmallInteger(), server_default="0", nullable=False),
    )
    op.create_table(
        "callbacks",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(190), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("progress", sa.SmallInteger()),
        sa.Column("body", LONG_TEXT, nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", WHEN, server_default=now, nullable=False),
        sa.Column("expires_at", WHEN, nullable=False),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_error", sa.String(500)),
        sa.Column("job_id", sa.Integer()),
        sa.Column("trace_id", sa.String(36)),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.Column("delivered_at", WHEN),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callbacks")),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'superseded', 'dead')",
            name=op.f("ck_callbacks_state"),
        ),
        sa.CheckConstraint("kind IN ('progress', 'result')", name=op.f("ck_callbacks_kind")),
        sqlite_autoincrement=True,
        **OPTIONS,
    )
    op.create_index("ix_callbacks_due", "callbacks", ["state", "host", "next_at", "id"])
    op.create_index("ix_callbacks_subject_state_id", "callbacks", ["subject", "state", "id"])
    op.create_index("ix_callbacks_state_id", "callbacks", ["state", "id"])
    op.create_index("ix_callbacks_job_id", "callbacks", ["job_id", "id"])
    op.create_index("ix_callbacks_created_at", "callbacks", ["created_at"])
    op.create_table(
        "callback_pieces",
        sa.Column("callback_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("callback_id", "position", name=op.f("pk_callback_pieces")),
        **OPTIONS,
    )
    op.create_table(
        "speech_jobs",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", CALLERS_ID, nullable=False),
        sa.Column("queue_job_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text()),
        sa.Column("object_hash", sa.String(64), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("video_path", sa.String(500)),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("keeps_video", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("processing_s", sa.Integer()),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_speech_jobs")),
        sa.UniqueConstraint("job_id", name=op.f("uq_speech_jobs_job_id")),
        **OPTIONS,
    )
    op.create_index("ix_speech_jobs_queue_job_id", "speech_jobs", ["queue_job_id"])
    op.create_index("ix_speech_jobs_created_at", "speech_jobs", ["created_at"])
    op.create_table(
        "ml_results",
        sa.Column("job_id", CALLERS_ID, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("progress", sa.SmallInteger(), nullable=False),
        sa.Column("message", sa.String(500)),
        sa.Column("result", sa.JSON()),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.String(500)),
        sa.Column("created_at", WHEN, server_default=now, nullable=False),
        sa.Column("updated_at", WHEN, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_ml_results")),
        **OPTIONS,
    )
    op.create_index("ix_ml_results_updated_at", "ml_results", ["updated_at"])


def downgrade() -> None:
    for table in ("ml_results", "speech_jobs", "callback_pieces", "callbacks"):
        op.drop_table(table)
    with op.batch_alter_table("analysis_jobs") as jobs:
        for column in ("callback_progress", "callback_id", "callback_url"):
            jobs.drop_column(column)
