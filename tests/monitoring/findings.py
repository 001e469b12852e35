"""What an analysis is said to have found: incidents and reports to be stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from backend.findings.incident import Evidence, Incident, IncidentCategory
from backend.monitoring.analyses.schemas import NewReport
from backend.monitoring.incidents.schemas import FoundIncidents
from tests.monitoring.house import House


def incident(category: str = "fall", t: float = 12.0, note: str = "lies", **facts: Any) -> Incident:
    """An incident of three seconds with one piece of evidence."""
    values: dict[str, Any] = {"severity": 3, "confidence": 0.8}
    evidence = Evidence(t=t + 1, note=note, track_id=4, box=(0.1, 0.2, 0.3, 0.4))
    return Incident(IncidentCategory(category), t, t + 3, **(values | facts), evidence=(evidence,))


def found(job_id: int, started_at: datetime, *incidents: Incident, **facts: Any) -> FoundIncidents:
    """What a job found in the yard's archive that began then."""
    values: dict[str, Any] = {
        "camera_id": "yard",
        "video_path": f"archive/yard/archive_{started_at:%Y%m%d_%H%M%S}.mp4",
        "backend": "gemini",
        "model": "gemini-3.5-flash-lite",
    }
    return FoundIncidents(
        job_id=job_id, segment_start=started_at, incidents=incidents, **(values | facts)
    )


async def store(house: House, *of_jobs: FoundIncidents) -> None:
    """Store incidents as the end of their jobs does."""
    async with house.database.write() as session:
        for one in of_jobs:
            await house.incidents.store(session, one)


def report(found: FoundIncidents, **facts: Any) -> NewReport:
    """A report on an archive of ten minutes."""
    values: dict[str, Any] = {
        "segment_end": found.segment_start + timedelta(minutes=10),
        "fallback_from": None,
        "safety_score": 90,
        "summary": "nothing of note",
        "cost_microusd": 0,
    }
    return NewReport(found=found, **(values | facts))


async def store_reports(house: House, *reports: NewReport) -> None:
    """Store reports with their incidents as the end of their jobs does."""
    async with house.database.write() as session:
        for one in reports:
            await house.reports.store(session, one)
