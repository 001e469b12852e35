"""Lists of incidents use an index on every database, however many there are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from backend.kernel.db import Database
from backend.monitoring.incidents import queries
from backend.monitoring.incidents.schemas import IncidentFilter
from backend.monitoring.incidents.tables import IncidentRow
from tests.monitoring.house import at
from tests.plans import SORTS, analyze, plan

START = at("10:00:00")


@pytest.fixture
async def history(database: Database) -> Database:
    """6,000 incidents of twenty cameras, a minute apart."""
    rows = [
        {
            "job_id": n,
            "camera_id": f"camera-{n % 20}",
            "video_path": f"archive/camera-{n % 20}/{n}.mp4",
            "starts_at": START + timedelta(minutes=n),
            "ends_at": START + timedelta(minutes=n, seconds=3),
            "t_start": 0.0,
            "t_end": 3.0,
            "category": "fall",
            "severity": n % 5,
            "confidence": 0.5,
            "evidence": [],
            "notes": "lies",
            "backend": "local",
            "has_snapshot": False,
            "position": 0,
            "state": "open",
        }
        for n in range(6000)
    ]
    async with database.write() as session:
        await session.execute(insert(IncidentRow), rows)
    await analyze(database, "incidents")
    return database


@pytest.mark.parametrize("before", [None, (START + timedelta(minutes=3000), 2500)])
async def test_the_newest_come_from_the_index_of_times_in_order(
    history: Database, before: tuple | None
) -> None:
    found = await plan(history, queries.page(IncidentFilter(), before, 51))
    assert "ix_incidents_starts_at" in found, found
    assert not any(word in found for word in SORTS), found


@pytest.mark.parametrize("before", [None, (START + timedelta(minutes=3000), 2500)])
async def test_the_newest_of_a_camera_come_from_its_index_in_order(
    history: Database, before: tuple | None
) -> None:
    wanted = IncidentFilter(camera_id="camera-7")
    found = await plan(history, queries.page(wanted, before, 51))
    assert "ix_incidents_camera_id_starts_at" in found, found
    assert not any(word in found for word in SORTS), found


async def test_a_stretch_of_time_is_looked_up_and_not_searched_for(history: Database) -> None:
    wanted = IncidentFilter(
        since=START + timedelta(minutes=2000), until=START + timedelta(minutes=2060)
    )
    found = await plan(history, queries.page(wanted, None, 51))
    assert "ix_incidents_starts_at" in found, found
    assert not any(word in found for word in SORTS), found
