"""Every table of the product in one metadata, for Alembic and for tests."""

from __future__ import annotations

from backend.callbacks.tables import CallbackPieceRow, CallbackRow
from backend.events.tables import EventRow
from backend.jobs.tables import JobPartRow, JobRow, WorkerRow
from backend.monitoring.analyses.tables import ModelBreakerRow, SceneReportRow, SceneSpendingRow
from backend.monitoring.cameras.tables import CameraRow
from backend.monitoring.incidents.tables import IncidentRow
from backend.monitoring.recording.tables import SegmentRow
from backend.speech.tables import MlResultRow, SpeechJobRow

ALL_TABLES = (
    EventRow,
    JobRow,
    JobPartRow,
    WorkerRow,
    CameraRow,
    SegmentRow,
    IncidentRow,
    SceneReportRow,
    SceneSpendingRow,
    ModelBreakerRow,
    CallbackRow,
    CallbackPieceRow,
    SpeechJobRow,
    MlResultRow,
)
