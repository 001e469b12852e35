"""Reports as scores, days and costs, in the site's zone, on every database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backend.kernel.db import Database
from backend.kernel.errors import InvalidInput
from backend.kernel.nudge import Nudges
from backend.monitoring.analyses.schemas import ScorePoint, Spent
from backend.settings import ModelSettings, ServerSettings
from tests.monitoring.findings import found, incident, report, store_reports
from tests.monitoring.house import House, at

Sited = Callable[..., House]


@pytest.fixture
def sited(database: Database, nudges: Nudges, tmp_path: Path) -> Sited:
    """A house that stands in a zone; its budgets may be set."""

    def build(zone: str, **models: str) -> House:
        return House(
            database,
            nudges,
            tmp_path / "data",
            server=ServerSettings.model_validate({"VAP_TIMEZONE": zone}),
            models=ModelSettings.model_validate(models),
        )

    return build


async def say(
    house: House, job_id: int, started_at: datetime, score: int, incidents: int = 0, **facts: Any
) -> None:
    """Store a report on an archive that began then."""
    camera = {"camera_id": facts.pop("camera_id", "yard")}
    seen = found(job_id, started_at, *(incident() for _ in range(incidents)), **camera)
    await store_reports(house, report(seen, safety_score=score, **facts))


def figures(points: list[ScorePoint]) -> list[tuple[str, int, int, float, int]]:
    return [
        (point.starts_at.isoformat(), point.archives, point.least, point.mean, point.incidents)
        for point in points
    ]


# --- scores


async def test_an_hour_has_the_least_and_the_mean_of_its_archives(sited: Sited) -> None:
    house = sited("UTC")
    await say(house, 1, at("10:00:00"), 100)
    await say(house, 2, at("10:10:00"), 71, incidents=2)
    await say(house, 3, at("10:59:59"), 40, incidents=1)
    await say(house, 4, at("12:00:00"), 55, incidents=1)
    await say(house, 5, at("12:00:00"), 1, camera_id="gate")
    since, until = at("10:00:00"), at("12:00:00")
    assert figures(await house.reports.scores("yard", "hour", since, until)) == [
        ("2026-03-01T10:00:00+00:00", 3, 40, 70.3, 3),
    ]
    day = await house.reports.scores("yard", "day", since, until + timedelta(seconds=1))
    assert figures(day) == [("2026-03-01T00:00:00+00:00", 4, 40, 66.5, 4)]
    assert await house.reports.scores("roof", "hour", since, until) == []
    assert await house.reports.scores("yard", "hour", until, since) == []


async def test_hours_and_days_are_those_of_the_site(sited: Sited) -> None:
    house = sited("Asia/Kolkata")  # half an hour off
    await say(house, 1, at("2026-03-01 18:25:00"), 80)
    await say(house, 2, at("2026-03-01 18:35:00"), 60)
    around = at("2026-03-01 12:00:00"), at("2026-03-02 12:00:00")
    assert figures(await house.reports.scores("yard", "hour", *around)) == [
        ("2026-03-01T23:00:00+05:30", 1, 80, 80.0, 0),
        ("2026-03-02T00:00:00+05:30", 1, 60, 60.0, 0),
    ]
    assert [p.starts_at.date().day for p in await house.reports.scores("yard", "day", *around)] == [
        1,
        2,
    ]


async def test_the_hour_that_comes_twice_in_autumn_is_two_hours(sited: Sited) -> None:
    house = sited("Europe/Berlin")
    for n in range(4):  # 01:30, 02:30 in summer time, 02:30 and 03:30 in winter time
        await say(house, n, datetime(2026, 10, 24, 23, 30, tzinfo=UTC) + timedelta(hours=n), 60 + n)
    around = datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
    assert figures(await house.reports.scores("yard", "hour", *around)) == [
        ("2026-10-25T01:00:00+02:00", 1, 60, 60.0, 0),
        ("2026-10-25T02:00:00+02:00", 1, 61, 61.0, 0),
        ("2026-10-25T02:00:00+01:00", 1, 62, 62.0, 0),
        ("2026-10-25T03:00:00+01:00", 1, 63, 63.0, 0),
    ]
    assert figures(await house.reports.scores("yard", "day", *around)) == [
        ("2026-10-25T00:00:00+02:00", 4, 60, 61.5, 0)
    ]


async def test_the_hour_that_is_left_out_in_spring_is_no_hour(sited: Sited) -> None:
    house = sited("Europe/Berlin")
    for n in range(2):
        await say(house, n, datetime(2026, 3, 29, 0, 30, tzinfo=UTC) + timedelta(hours=n), 50)
    around = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)
    hours = await house.reports.scores("yard", "hour", *around)
    assert [point.starts_at.isoformat() for point in hours] == [
        "2026-03-29T01:00:00+01:00",
        "2026-03-29T03:00:00+02:00",
    ]
    (day,) = await house.reports.scores("yard", "day", *around)
    assert (day.starts_at.isoformat(), day.archives) == ("2026-03-29T00:00:00+01:00", 2)


@pytest.mark.parametrize(("step", "days"), [("hour", 32), ("day", 400)])
async def test_too_long_a_stretch_of_scores_is_refused(house: House, step: Any, days: int) -> None:
    until = at("10:00:00")
    since = until - timedelta(days=days)
    assert await house.reports.scores("yard", step, since, until) == []
    with pytest.raises(InvalidInput, match=str(days)):
        await house.reports.scores("yard", step, since - timedelta(seconds=1), until)


# --- a report and its job


async def test_a_job_that_is_done_again_replaces_its_report_and_its_incidents(sited: Sited) -> None:
    house = sited("UTC")
    await say(house, 1, at("10:00:00"), 50, incidents=2, summary="two men fell")
    await say(house, 2, at("10:10:00"), 80, incidents=1)
    seen = found(1, at("10:00:00"), incident("running"), backend="local", model=None)
    await store_reports(
        house, report(seen, safety_score=95, fallback_from="gemini", summary="a man ran")
    )
    view = await house.reports.day(date(2026, 3, 1), None, None)
    first, second = view.entries
    assert (first.job_id, first.safety_score, first.incident_count) == (1, 95, 1)
    assert (first.summary, first.backend, first.fallback_from) == ("a man ran", "local", "gemini")
    assert (second.job_id, second.safety_score, second.fallback_from) == (2, 80, None)
    by_job = await house.incidents.by_jobs([1, 2])
    assert [one.category for one in by_job[1]] == ["running"]
    assert len(by_job[2]) == 1


async def test_a_report_is_rolled_back_with_what_it_belongs_to(sited: Sited) -> None:
    house = sited("UTC")
    with pytest.raises(RuntimeError):
        async with house.database.write() as session:
            await house.reports.store(session, report(found(1, at("10:00:00"), incident())))
            raise RuntimeError
    assert (await house.reports.day(date(2026, 3, 1), None, None)).entries == []
    assert await house.incidents.by_jobs([1]) == {}
    assert await house.events("incident.found") == []


async def test_old_reports_are_forgotten_in_small_steps(
    sited: Sited, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = sited("UTC")
    monkeypatch.setattr("backend.monitoring.analyses.service.CLEANUP_BATCH", 2)
    now = house.clock.now()
    for n in range(5):
        await say(house, n, now - timedelta(days=30, minutes=n), 90)
    await say(house, 9, now - timedelta(days=2), 90)
    assert await house.reports.delete_old(older_than_s=31 * 86_400) == 0
    assert await house.reports.delete_old(older_than_s=10 * 86_400) == 5
    kept = await house.reports.scores("yard", "day", now - timedelta(days=40), now)
    assert sum(point.archives for point in kept) == 1


# --- a day


async def test_a_day_is_told_in_order_of_time_across_cameras(sited: Sited) -> None:
    house = sited("Asia/Seoul")
    for job_id, (started_at, camera_id) in enumerate(
        [
            (at("2026-02-28 14:59:59"), "yard"),  # a second before midnight
            (at("2026-03-01 14:50:00"), "yard"),
            (at("2026-02-28 15:00:00"), "gate"),
            (at("2026-03-01 03:00:00"), "yard"),
            (at("2026-03-01 15:00:00"), "yard"),  # the next day
        ]
    ):
        await say(house, job_id, started_at, 90, camera_id=camera_id)
    view = await house.reports.day(date(2026, 3, 1), None, None)
    assert [entry.job_id for entry in view.entries] == [2, 3, 1]
    assert [entry.camera_id for entry in view.entries] == ["gate", "yard", "yard"]
    assert (view.day, view.timezone, view.truncated) == (date(2026, 3, 1), "Asia/Seoul", False)
    assert view.starts_at.isoformat() == "2026-03-01T00:00:00+09:00"
    assert view.ends_at.isoformat() == "2026-03-02T00:00:00+09:00"
    assert view.entries[0].at == at("2026-02-28 15:00:00")
    assert view.entries[0].until == at("2026-02-28 15:10:00")
    of_gate = await house.reports.day(date(2026, 3, 1), "gate", None)
    assert [entry.job_id for entry in of_gate.entries] == [2]


async def test_the_day_is_todays_at_the_site_where_none_is_named(sited: Sited) -> None:
    house = sited("Asia/Seoul")
    now = house.clock.now()
    await say(house, 1, now, 90)
    await say(house, 2, now - timedelta(days=1), 90)
    view = await house.reports.day(None, None, None)
    assert [entry.job_id for entry in view.entries] == [1]
    assert view.day == house.spending.today()


async def test_a_day_with_a_change_of_clocks_is_whole(sited: Sited) -> None:
    house = sited("Europe/Berlin")
    view = await house.reports.day(date(2026, 10, 25), None, None)
    assert view.starts_at.isoformat() == "2026-10-25T00:00:00+02:00"
    assert view.ends_at.isoformat() == "2026-10-26T00:00:00+01:00"
    await say(house, 1, datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC), 90)
    assert len((await house.reports.day(date(2026, 10, 25), None, None)).entries) == 1


async def test_a_day_that_says_too_much_is_cut_and_says_so(
    sited: Sited, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = sited("UTC")
    monkeypatch.setattr("backend.monitoring.analyses.service.MOST_ENTRIES", 3)
    for n in range(3):
        await say(house, n, at(f"10:0{n}:00"), 90, summary="a man ran")
    for text in (None, "ran"):
        view = await house.reports.day(date(2026, 3, 1), None, text)
        assert ([entry.job_id for entry in view.entries], view.truncated) == ([0, 1, 2], False)
    await say(house, 3, at("09:00:00"), 90, summary="a man ran")
    for text in (None, "ran"):
        view = await house.reports.day(date(2026, 3, 1), None, text)
        assert ([entry.job_id for entry in view.entries], view.truncated) == ([3, 0, 1], True)


async def test_an_archive_that_is_gone_has_no_address(house: House) -> None:
    there = house.file("yard", at("10:00:00"))
    await say(house, 1, at("10:00:00"), 90)
    await say(house, 2, at("10:10:00"), 90)

    async def addresses() -> list[str | None]:
        return [
            entry.video_url
            for entry in (await house.reports.day(date(2026, 3, 1), None, None)).entries
        ]

    assert await addresses() == ["/archive/yard/archive_20260301_100000.mp4", None]
    there.unlink()
    assert await addresses() == [None, None]


@pytest.mark.parametrize(
    ("text", "job_ids"),
    [
        ("LADDER", [1]),  # in a summary
        ("forklift", [2]),  # in an incident's evidence
        ("man", [1, 2]),  # in both
        ("50%", [3]),
        ("%", [3]),
        ("_", [4]),
        ("/", [4]),
        ("넘어", [5]),
        ("사다리", [5]),
        ("nobody said this", []),
    ],
)
async def test_a_text_is_found_in_summaries_and_evidence(
    sited: Sited, text: str, job_ids: list[int]
) -> None:
    house = sited("UTC")
    for job_id, summary, note in (
        (1, "A man climbs a ladder.", None),
        (2, "Work in the yard.", "a Forklift nearly hits a MAN"),
        (3, "The gate is 50% open.", "it stays so"),
        (4, "Nothing.", "and/or some_thing"),
        (5, "작업자가 사다리에서 일한다.", "사람이 넘어졌다"),
        (6, "Quiet.", None),
    ):
        started_at = at("10:00:00") + timedelta(minutes=10 * job_id)
        seen = found(job_id, started_at, *([incident(note=note)] if note else []))
        await store_reports(house, report(seen, summary=summary))
    view = await house.reports.day(date(2026, 3, 1), None, text)
    assert [entry.job_id for entry in view.entries] == job_ids
    assert (await house.reports.day(date(2026, 3, 1), "gate", text)).entries == []
    assert (await house.reports.day(date(2026, 3, 2), None, text)).entries == []


async def test_a_text_that_too_many_incidents_hold_is_said_to_be_cut_off(
    sited: Sited, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = sited("UTC")
    monkeypatch.setattr("backend.monitoring.analyses.service.MOST_ENTRIES", 3)
    for n in range(2):
        seen = found(n, at(f"10:{n}0:00"), *(incident(t=t, note="a forklift") for t in range(3)))
        await store_reports(house, report(seen))
    view = await house.reports.day(date(2026, 3, 1), None, "forklift")
    assert ([entry.job_id for entry in view.entries], view.truncated) == ([1], True)
    only = await house.reports.day(date(2026, 3, 1), "gate", "forklift")
    assert (only.entries, only.truncated) == ([], False)


async def test_a_text_in_a_summary_is_found_in_any_case_beyond_ascii_too(sited: Sited) -> None:
    house = sited("UTC")
    await store_reports(house, report(found(1, at("10:00:00")), summary="Ein Mann ÜBERQUERT ihn."))
    assert len((await house.reports.day(date(2026, 3, 1), None, "überquert")).entries) == 1


async def test_a_text_in_an_incident_late_in_the_last_archive_of_a_day_is_found(
    sited: Sited,
) -> None:
    house = sited("UTC")
    seen = found(1, at("23:55:00"), incident(t=599, note="a forklift"))  # after midnight
    await store_reports(house, report(seen))
    assert len((await house.reports.day(date(2026, 3, 1), None, "forklift")).entries) == 1
    assert (await house.reports.day(date(2026, 3, 2), None, "forklift")).entries == []


# --- costs


async def test_costs_are_listed_by_day_and_camera_with_their_caps(sited: Sited) -> None:
    house = sited(
        "Asia/Seoul",
        SCENE_BUDGET_USD="2.50",
        SCENE_CAMERA_BUDGET_USD="0.75",
    )
    for camera_id, cost in (("yard", 1_500_001), ("gate", 20)):
        held = await house.spending.reserve(camera_id, cost, camera_usd=Decimal(2))
        await house.spending.settle(held, Spent(cost, 3, 1_000, 50))
    today = house.spending.today()
    view = await house.reports.costs(None, None, None)
    assert (view.timezone, view.total_budget_usd, view.camera_budget_usd) == (
        "Asia/Seoul",
        2.5,
        0.75,
    )
    assert [tuple(entry.model_dump().values()) for entry in view.entries] == [
        (today, None, 1.500021, 6, 2_000, 100),
        (today, "gate", 0.00002, 3, 1_000, 50),
        (today, "yard", 1.500001, 3, 1_000, 50),
    ]
    of_gate = await house.reports.costs(today, today, "gate")
    assert [entry.camera_id for entry in of_gate.entries] == ["gate"]
    week_ago = today - timedelta(days=6)
    assert (await house.reports.costs(week_ago, today - timedelta(days=1), None)).entries == []


async def test_the_costs_of_a_week_are_shown_where_no_day_is_named(sited: Sited) -> None:
    house = sited("UTC")
    for days in (6, 7):
        house.clock.ahead = timedelta(days=-days)
        await house.spending.reserve("yard", 1, camera_usd=None)
    house.clock.ahead = timedelta()
    view = await house.reports.costs(None, None, "yard")
    assert [entry.day for entry in view.entries] == [house.spending.today() - timedelta(days=6)]
    assert (view.total_budget_usd, view.camera_budget_usd) == (None, None)


async def test_days_of_costs_in_the_wrong_order_or_too_many_are_refused(house: House) -> None:
    day = date(2026, 3, 1)
    await house.reports.costs(day - timedelta(days=400), day, None)
    for since in (day + timedelta(days=1), day - timedelta(days=401)):
        with pytest.raises(InvalidInput):
            await house.reports.costs(since, day, None)
