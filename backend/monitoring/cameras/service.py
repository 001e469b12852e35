"""The cameras' doings: each change is one transaction with its event, and wakes the recorders.

Used by the API, and by the recorders, which store what state a stream is in. Sources leave
redacted; only `CameraRecord`, for the recorders, holds them as they are.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from backend.events.catalog import CameraChanged, CameraDeleted, CameraStateChanged
from backend.events.outbox import Outbox
from backend.findings.incident import IncidentCategory
from backend.kernel.clock import Clock
from backend.kernel.db import Database, utc_now
from backend.kernel.errors import Conflict, InvalidInput, NotFound
from backend.kernel.redact import redact
from backend.media.probe import ProbeError, ProbeResult, probe_file, probe_source
from backend.monitoring.cameras import queries
from backend.monitoring.cameras.schemas import (
    CameraCreate,
    CameraCreated,
    CameraUpdate,
    CameraView,
    ProbeAnswer,
    ProbeView,
)
from backend.monitoring.cameras.sources import check_source, open_source, restore_credentials
from backend.monitoring.cameras.states import CameraState
from backend.monitoring.cameras.tables import CameraRow
from backend.monitoring.demo import DEMO_ARCHIVE_S, DEMO_SCHEME
from backend.settings import SceneBackend, StorageSettings

log = structlog.get_logger(__name__)

VERIFY_TLS = False  # cameras sign their own certificates; the recorder must say the same
NOT_NULL = ("name", "source", "description", "archive_seconds", "house_rules")


@dataclass(frozen=True, slots=True)
class CameraRecord:
    """A camera as its recorder needs it: the source with its credentials."""

    id: str
    name: str
    source: str = field(repr=False)
    enabled: bool
    archive_seconds: int
    retention_days: float | None
    retention_bytes: int | None
    substream: str | None = field(default=None, repr=False)

    @property
    def is_demo(self) -> bool:
        """Whether it shows the built-in scene."""
        return self.source == DEMO_SCHEME


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What an analysis must know of a camera."""

    id: str
    name: str
    description: str = ""
    house_rules: str = ""
    categories: tuple[IncidentCategory, ...] = tuple(IncidentCategory)
    scene_backend: SceneBackend | None = None
    daily_budget_usd: Decimal | None = None
    is_demo: bool = False


class CameraService:
    """The cameras. `changed` is set whenever a recorder may have to start or stop."""

    def __init__(
        self, database: Database, outbox: Outbox, storage: StorageSettings, clock: Clock
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._media_dirs = storage.allowed_media_dirs
        self._clock = clock
        self._fresh: dict[str, tuple[str, ProbeResult]] = {}
        self.changed = asyncio.Event()

    async def views(self) -> list[CameraView]:
        """All cameras by name."""
        async with self._database.read() as session:
            return [_view(row) for row in await queries.select_cameras(session)]

    async def records(self) -> list[CameraRecord]:
        """All cameras, for the recorders and retention."""
        async with self._database.read() as session:
            return [_record(row) for row in await queries.select_cameras(session)]

    async def read(self, camera_id: str) -> CameraView:
        """One camera."""
        async with self._database.read() as session:
            return _view(await _row(session, camera_id))

    async def facts(self, camera_id: str) -> CameraFacts | None:
        """What an analysis must know of a camera; None when it is gone."""
        async with self._database.read() as session:
            row = await queries.select_camera(session, camera_id)
            return _facts(row) if row is not None else None

    async def scene_backends(self) -> dict[str, SceneBackend | None]:
        """Which analyser each camera has chosen, by its id."""
        async with self._database.read() as session:
            rows = await queries.select_cameras(session)
            return {row.id: _facts(row).scene_backend for row in rows}

    async def states(self) -> dict[str, int]:
        """Number of cameras by state."""
        async with self._database.read() as session:
            return await queries.count_by_state(session)

    async def create(self, new: CameraCreate) -> CameraCreated:
        """Add a camera and look at its source; one that cannot be read now is added all the same.

        Raises:
            InvalidInput, Conflict: the source is refused, or the id is taken.
        """
        for source in (new.source, new.substream):
            if source is not None:
                check_source(restore_credentials(source, None), media_dirs=self._media_dirs)
        if new.id is not None:
            await self._refuse_taken(new.id)
        answer, found = await self._look_at(new.source)
        for _ in range(5):
            row = CameraRow(
                **new.model_dump(exclude={"id"}),
                id=new.id or await self._free_id(new.name),
                probe=answer.probe.model_dump() if answer.probe else None,
            )
            try:
                async with self._database.write() as session:
                    session.add(row)
                    await session.flush()
                    self._outbox.publish(session, CameraChanged(camera_id=row.id))
            except IntegrityError as error:
                if new.id is not None:
                    raise _taken(new.id) from error
                continue  # the id that was free has just been taken
            if found is not None:
                self._fresh[row.id] = (new.source, found)
            self.changed.set()
            view = await self.read(row.id)
            return CameraCreated(**view.model_dump(), probe_answer=answer)
        raise Conflict("no free id could be made from the name")

    async def create_demo(self) -> None:
        """Add the built-in demo camera where there is no camera at all."""
        if not await self.views():
            await self.create(
                CameraCreate(
                    id="demo",
                    name="Demo yard",
                    source=DEMO_SCHEME,
                    archive_seconds=DEMO_ARCHIVE_S,
                    description="A rendered scene that comes with VAP and loops for ever.",
                )
            )

    async def update(self, camera_id: str, change: CameraUpdate) -> CameraView:
        """Change what is given; masked credentials in a source stay what they were."""
        values = change.model_dump(exclude_unset=True)
        async with self._database.write() as session:
            row = await _row(session, camera_id)
            for name in ("source", "substream"):
                if values.get(name) is not None:
                    values[name] = restore_credentials(values[name], getattr(row, name))
                    check_source(values[name], media_dirs=self._media_dirs)
            for name in NOT_NULL:
                if values.get(name, 0) is None:
                    raise InvalidInput(f"{name} cannot be empty")
            if values.get("source", row.source) != row.source:
                values["probe"] = None
            await queries.update_camera(session, camera_id, {**values, "updated_at": utc_now()})
            self._outbox.publish(session, CameraChanged(camera_id=camera_id))
        self.changed.set()
        return await self.read(camera_id)

    async def enable(self, camera_id: str, *, enabled: bool) -> CameraView:
        """Let a camera run, or stop it."""
        async with self._database.write() as session:
            await _row(session, camera_id)
            values = {"enabled": enabled, "updated_at": utc_now()}
            await queries.update_camera(session, camera_id, values)
            self._outbox.publish(session, CameraChanged(camera_id=camera_id))
        self.changed.set()
        return await self.read(camera_id)

    async def delete(self, camera_id: str) -> None:
        """Remove a camera; its archives stay until retention takes them."""
        async with self._database.write() as session:
            await _row(session, camera_id)
            await queries.delete_camera(session, camera_id)
            self._outbox.publish(session, CameraDeleted(camera_id=camera_id))
        self.changed.set()

    async def probe(self, source: str, *, lender: str | None = None) -> ProbeAnswer:
        """What a source is, or why it cannot be read.

        `lender` is a camera whose credentials a masked source may use.

        Raises:
            InvalidInput: the source is refused.
        """
        if lender is not None:
            async with self._database.read() as session:
                row = await _row(session, lender)
            source = _restore_from(source, row)
        else:
            source = restore_credentials(source, None)
        answer, _ = await self._look_at(source)
        return answer

    def take_fresh_probe(self, camera: CameraRecord) -> ProbeResult | None:
        """What the source was a moment ago, when the camera was created; given away once."""
        source, found = self._fresh.pop(camera.id, (None, None))
        return found if source == camera.source else None

    async def look_at(self, source: str, *, is_brief: bool = False) -> ProbeResult:
        """Probe a source in a subprocess; see `probe_source` for what a brief look leaves out.

        Raises:
            ProbeError: it gives no video.
            InvalidInput: it is refused.
        """
        opened = await open_source(source, media_dirs=self._media_dirs)
        if "://" in opened:
            return await probe_source(opened, verify_tls=VERIFY_TLS, is_brief=is_brief)
        return await probe_file(Path(opened))

    async def open(self, source: str) -> str:
        """What ffmpeg is given for a source."""
        return await open_source(source, media_dirs=self._media_dirs)

    async def note_probe(self, camera_id: str, result: ProbeResult) -> None:
        """Store what a source turned out to be."""
        async with self._database.write() as session:
            values = {"probe": probe_view(result).model_dump()}
            if await queries.update_camera(session, camera_id, values):
                self._outbox.publish(session, CameraChanged(camera_id=camera_id))

    async def note_state(
        self, camera_id: str, state: CameraState, reason: str | None, since: datetime
    ) -> None:
        """Store what a stream does now; its recorder, the only one who knows, checks the move."""
        async with self._database.write() as session:
            values = {"state": state, "state_reason": reason, "state_since": since}
            if await queries.update_camera(session, camera_id, values):
                event = CameraStateChanged(
                    camera_id=camera_id, state=state, reason=reason, since=since
                )
                self._outbox.publish(session, event)

    async def stop_all(self) -> None:
        """Note that no stream runs: at the start, whatever a crash left behind."""
        async with self._database.write() as session:
            await queries.stop_all(session)

    async def _look_at(self, source: str) -> tuple[ProbeAnswer, ProbeResult | None]:
        try:
            found = await self.look_at(source)
        except ProbeError as error:
            return ProbeAnswer(ok=False, reason=error.fault, message=error.message), None
        return ProbeAnswer(ok=True, probe=probe_view(found)), found

    async def _refuse_taken(self, camera_id: str) -> None:
        async with self._database.read() as session:
            if await queries.select_camera(session, camera_id) is not None:
                raise _taken(camera_id)

    async def _free_id(self, name: str) -> str:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:44].strip("-") or "camera"
        async with self._database.read() as session:
            taken = {row.id for row in await queries.select_cameras(session)}
        return next(
            candidate
            for candidate in (slug, *(f"{slug}-{n}" for n in range(2, len(taken) + 3)))
            if candidate not in taken
        )


def substream_name(camera_id: str) -> str:
    """What a camera's substream is called: its folder under DATA_DIR/live, its path under /live.

    The main stream goes by the id of its camera.
    """
    return f"{camera_id}/sub"


def probe_view(result: ProbeResult) -> ProbeView:
    """A probe's result as clients see it."""
    facts: dict[str, Any] = asdict(result)
    known = {name: facts[name] for name in ProbeView.model_fields if name in facts}
    return ProbeView(**known, transcoded=not result.browser_can_copy)


def _restore_from(source: str, lender: CameraRow) -> str:
    """A masked source with the credentials of the lender's source, else of its substream."""
    try:
        return restore_credentials(source, lender.source)
    except InvalidInput:
        if lender.substream is None:
            raise
        return restore_credentials(source, lender.substream)


def _taken(camera_id: str) -> Conflict:
    return Conflict(f"there is a camera {camera_id} already", code="id_taken")


async def _row(session: AsyncSession, camera_id: str) -> CameraRow:
    row = await queries.select_camera(session, camera_id)
    if row is None:
        raise NotFound(f"there is no camera {camera_id}")
    return row


def _record(row: CameraRow) -> CameraRecord:
    return CameraRecord(
        id=row.id,
        name=row.name,
        source=row.source,
        enabled=row.enabled,
        archive_seconds=row.archive_seconds,
        retention_days=row.retention_days,
        retention_bytes=row.retention_bytes,
        substream=row.substream,
    )


def _facts(row: CameraRow) -> CameraFacts:
    budget = row.daily_budget_usd
    return CameraFacts(
        id=row.id,
        name=row.name,
        description=row.description,
        house_rules=row.house_rules,
        categories=tuple(IncidentCategory(name) for name in row.categories or IncidentCategory),
        scene_backend=SceneBackend(row.scene_backend) if row.scene_backend else None,
        daily_budget_usd=None if budget is None else Decimal(str(budget)),
        is_demo=row.source == DEMO_SCHEME,
    )


def _view(row: CameraRow) -> CameraView:
    return CameraView(
        id=row.id,
        name=row.name,
        description=row.description,
        source=redact(row.source),
        substream=redact(row.substream) if row.substream else None,
        enabled=row.enabled,
        archive_seconds=row.archive_seconds,
        retention_days=row.retention_days,
        retention_bytes=row.retention_bytes,
        house_rules=row.house_rules,
        categories=[IncidentCategory(name) for name in row.categories] if row.categories else None,
        scene_backend=SceneBackend(row.scene_backend) if row.scene_backend else None,
        daily_budget_usd=row.daily_budget_usd,
        probe=ProbeView.model_validate(row.probe) if row.probe else None,
        state=CameraState(row.state),
        state_reason=row.state_reason,
        state_since=row.state_since,
        live_url=f"/live/{row.id}/index.m3u8",
        live_sub_url=f"/live/{substream_name(row.id)}/index.m3u8" if row.substream else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
