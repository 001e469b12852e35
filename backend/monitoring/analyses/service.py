"""Reports: stored with the result that they come from; scores, days and costs made of them.

Used by the API, and by workers, which store in the transaction that ends their job.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from statistics import fmean
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from backend.kernel.clock import Clock
from backend.kernel.db import Database
from backend.kernel.errors import InvalidInput
from backend.monitoring.analyses import queries
from backend.monitoring.analyses.schemas import (
    CostEntry,
    CostsView,
    DayEntry,
    DayView,
    NewReport,
    ScorePoint,
    Step,
)
from backend.monitoring.analyses.spending import ALL, MICRO, Spending
from backend.monitoring.analyses.tables import SceneReportRow
from backend.monitoring.archives import archive_url, still_there
from backend.monitoring.incidents.schemas import IncidentFilter
from backend.monitoring.incidents.service import IncidentService
from backend.settings import ModelSettings, StorageSettings

MOST_ENTRIES = 2000
"""Of a day: fourteen cameras with archives of ten minutes."""
LONGEST_SCORES = {"hour": timedelta(days=32), "day": timedelta(days=400)}
LONGEST_COSTS = timedelta(days=400)
CLEANUP_BATCH = 500


class SceneReports:
    """The reports. One a process."""

    def __init__(
        self,
        database: Database,
        incidents: IncidentService,
        spending: Spending,
        storage: StorageSettings,
        models: ModelSettings,
        clock: Clock,
        zone: ZoneInfo,
    ) -> None:
        self._database = database
        self._incidents = incidents
        self._spending = spending
        self._data_dir = storage.data_dir
        self._models = models
        self._clock = clock
        self._zone = zone

    async def store(self, session: AsyncSession, new: NewReport) -> None:
        """Store a report and its incidents, in the caller's transaction; an older answer goes."""
        found = new.found
        await queries.delete_report(session, found.job_id)
        row = SceneReportRow(
            job_id=found.job_id,
            camera_id=found.camera_id,
            segment_start=found.segment_start,
            segment_end=new.segment_end,
            video_path=found.video_path,
            backend=found.backend,
            model=found.model,
            fallback_from=new.fallback_from,
            safety_score=new.safety_score,
            incident_count=len(found.incidents),
            summary=new.summary,
            cost_microusd=new.cost_microusd,
        )
        session.add(row)
        await self._incidents.store(session, found)

    async def scores(
        self, camera_id: str, step: Step, since: datetime, until: datetime
    ) -> list[ScorePoint]:
        """A camera's scores by hour or day of the site's zone; hours without archives are left out.

        Raises:
            InvalidInput: the stretch of time is longer than can be shown.
        """
        if until - since > LONGEST_SCORES[step]:
            raise InvalidInput(f"at most {LONGEST_SCORES[step].days} days by {step}")
        async with self._database.read() as session:
            rows = await queries.select_scores(session, camera_id, since, until)
        points = []
        for starts_at, group in groupby(rows, key=lambda row: self._begin(row.segment_start, step)):
            of_step = list(group)
            points.append(
                ScorePoint(
                    starts_at=starts_at.astimezone(self._zone),
                    archives=len(of_step),
                    least=min(row.safety_score for row in of_step),
                    mean=round(fmean(row.safety_score for row in of_step), 1),
                    incidents=sum(row.incident_count for row in of_step),
                )
            )
        return points

    async def day(self, day: date | None, camera_id: str | None, text: str | None) -> DayView:
        """What happened on a day (default: today), in order of time.

        `text` keeps archives whose summary or incidents hold it, in whatever case.
        """
        day = day or self._spending.today()
        since, until = self._midnight(day), self._midnight(day + timedelta(days=1))
        if text:
            rows, more = await self._with_text(text, since, until, camera_id)
        else:
            more = False
            async with self._database.read() as session:
                rows = await queries.select_reports(
                    session, since, until, camera_id=camera_id, limit=MOST_ENTRIES + 1
                )
        shown = rows[:MOST_ENTRIES]
        return DayView(
            day=day,
            timezone=str(self._zone),
            starts_at=since,
            ends_at=until,
            entries=await self._entries(shown),
            truncated=more or len(rows) > len(shown),
        )

    async def costs(
        self, since: date | None, until: date | None, camera_id: str | None
    ) -> CostsView:
        """What models cost, by day and camera (default: the last week).

        Raises:
            InvalidInput: the days are in the wrong order, or too many.
        """
        until = until or self._spending.today()
        since = since or until - timedelta(days=6)
        if not timedelta(0) <= until - since <= LONGEST_COSTS:
            raise InvalidInput(f"a first day and, at most {LONGEST_COSTS.days} days on, a last one")
        rows = await self._spending.of_days(since, until, camera_id)
        total, camera = self._models.total_budget_usd, self._models.camera_budget_usd
        return CostsView(
            timezone=str(self._zone),
            total_budget_usd=None if total is None else float(total),
            camera_budget_usd=None if camera is None else float(camera),
            entries=[
                CostEntry(
                    day=row.day,
                    camera_id=None if row.camera_id == ALL else row.camera_id,
                    cost_usd=row.spent_microusd / MICRO,
                    calls=row.calls,
                    input_tokens=row.input_tokens,
                    output_tokens=row.output_tokens,
                )
                for row in rows
            ],
        )

    async def delete_old(self, *, older_than_s: float) -> int:
        """Forget reports of long ago, in small transactions; says how many."""
        return await self._database.delete_old(
            queries.delete_old_reports, older_than_s, batch=CLEANUP_BATCH
        )

    async def _with_text(
        self, text: str, since: datetime, until: datetime, camera_id: str | None
    ) -> tuple[Sequence[SceneReportRow], bool]:
        """Reports that hold it, or whose incidents do; and whether there are more such incidents.

        The incidents that are looked through are the day's last ones.
        """
        wanted = IncidentFilter(
            camera_id=camera_id, since=since, until=until + timedelta(hours=1), text=text
        )
        found = await self._incidents.page(wanted, None, MOST_ENTRIES)
        async with self._database.read() as session:
            rows = await queries.select_text(
                session,
                text,
                since,
                until,
                camera_id=camera_id,
                job_ids=sorted({incident.job_id for incident in found.items}),
                limit=MOST_ENTRIES + 1,
            )
        return rows, found.next_cursor is not None

    async def _entries(self, rows: Sequence[SceneReportRow]) -> list[DayEntry]:
        archives = await still_there(self._data_dir, {row.video_path for row in rows})
        return [
            DayEntry(
                at=row.segment_start,
                until=row.segment_end,
                camera_id=row.camera_id,
                job_id=row.job_id,
                summary=row.summary,
                safety_score=row.safety_score,
                incident_count=row.incident_count,
                backend=row.backend,
                fallback_from=row.fallback_from,
                video_url=archive_url(row.camera_id, row.video_path)
                if row.video_path in archives
                else None,
            )
            for row in rows
        ]

    def _begin(self, at: datetime, step: Step) -> datetime:
        """The beginning of an hour or day at the site, in UTC.

        The hour that comes twice when clocks go back is two only there.
        """
        local = at.astimezone(self._zone)
        begin = local.replace(minute=0, second=0, microsecond=0)
        return (begin if step == "hour" else begin.replace(hour=0, fold=0)).astimezone(UTC)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, datetime.min.time(), self._zone)
