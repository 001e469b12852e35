"""Statements on cameras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.db import changed_rows, utc_now
from backend.monitoring.cameras.states import CameraState
from backend.monitoring.cameras.tables import CameraRow


async def select_cameras(session: AsyncSession) -> Sequence[CameraRow]:
    """All cameras by name."""
    return (await session.scalars(select(CameraRow).order_by(CameraRow.name, CameraRow.id))).all()


async def select_camera(session: AsyncSession, camera_id: str) -> CameraRow | None:
    """One camera as it is in the database now."""
    return await session.get(CameraRow, camera_id, populate_existing=True)


async def count_by_state(session: AsyncSession) -> dict[str, int]:
    """Number of cameras by state."""
    statement = select(CameraRow.state, func.count().label("number")).group_by(CameraRow.state)
    rows = (await session.execute(statement)).all()
    return {row.state: row.number for row in rows}


async def update_camera(session: AsyncSession, camera_id: str, values: dict[str, Any]) -> bool:
    """Change a camera; False when it is gone."""
    statement = update(CameraRow).where(CameraRow.id == camera_id).values(**values)
    return bool(await changed_rows(session, statement))


async def stop_all(session: AsyncSession) -> None:
    """Note that no camera runs: after a crash their last states are still there."""
    await session.execute(
        update(CameraRow)
        .where(CameraRow.state != CameraState.STOPPED)
        .values(state=CameraState.STOPPED, state_reason=None, state_since=utc_now())
    )


async def delete_camera(session: AsyncSession, camera_id: str) -> None:
    """Remove a camera."""
    await session.execute(delete(CameraRow).where(CameraRow.id == camera_id))
