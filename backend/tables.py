"""Every table of the product in one metadata, for Alembic and for tests."""

from __future__ import annotations

from backend.events.tables import EventRow
from backend.jobs.tables import JobRow, WorkerRow
from backend.monitoring.cameras.tables import CameraRow
from backend.monitoring.recording.tables import SegmentRow

ALL_TABLES = (EventRow, JobRow, WorkerRow, CameraRow, SegmentRow)
