"""Statements past MySQL's and MariaDB's limit are refused before they are sent."""

from __future__ import annotations

import pytest
import structlog
from sqlalchemy import func, insert, literal_column, select, text

from backend.jobs.tables import JobPartRow
from backend.kernel import db
from backend.kernel.db import Database
from backend.kernel.http import status_of
from backend.kernel.packets import MEASURED_CHARS, StatementTooLarge

pytestmark = pytest.mark.parametrize("database", ["mysql"], indirect=True)
ON_EACH = pytest.mark.parametrize(
    "letter", ["x", '"', "'", "\\", "\n", "\x00", "%", "가", "\N{GRINNING FACE}"]
)
LENGTH = "SELECT LENGTH(:long)"


async def _limit(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(text("SELECT @@max_allowed_packet"))


def _filling(size_bytes: int, letter: str) -> str:
    """A text that the driver writes in so many bytes."""
    each_bytes = 2 if letter in "\"'\\\n\x00" else len(letter.encode())
    number, left = divmod(size_bytes, each_bytes)
    return letter * number + "x" * left


@ON_EACH
async def test_what_fits_is_taken_and_what_would_end_the_connection_is_refused(
    database: Database, letter: str
) -> None:
    limit_bytes = await _limit(database)
    fits = _filling(limit_bytes - 100, letter)
    too_long = _filling(limit_bytes - len(LENGTH) - 1, letter)
    async with database.read() as session:
        assert await session.scalar(text(LENGTH), {"long": fits}) == len(fits.encode())
        with pytest.raises(StatementTooLarge, match="max_allowed_packet") as refused:
            await session.execute(text(LENGTH), {"long": too_long})
        assert status_of(refused.value) == 413
        assert await session.scalar(text("SELECT 1")) == 1  # nothing was sent


async def test_several_values_are_measured_together(database: Database) -> None:
    half = "x" * (await _limit(database) // 2)
    async with database.read() as session:
        with pytest.raises(StatementTooLarge):
            await session.execute(text("SELECT :one, :other"), {"one": half, "other": half})


async def test_rows_that_are_written_at_once_are_measured_one_by_one(database: Database) -> None:
    long = ['"' * MEASURED_CHARS]
    rows = [{"job_id": 1, "name": name, "value": long} for name in "abcd"]
    async with database.write() as session:
        await session.execute(insert(JobPartRow), rows)
    async with database.read() as session:
        assert (await session.scalars(select(JobPartRow.value))).all() == [long] * 4
    rows = [{"job_id": 2, "name": name, "value": "x"} for name in "ab"]
    rows[1]["value"] = "x" * await _limit(database)
    with pytest.raises(StatementTooLarge):
        await _write(database, rows)
    async with database.read() as session:
        count = select(func.count()).select_from(JobPartRow).where(JobPartRow.job_id == 2)
        assert await session.scalar(count) == 0


async def _write(database: Database, rows: list[dict[str, object]]) -> None:
    async with database.write() as session:
        await session.execute(insert(JobPartRow), rows)


async def test_a_low_limit_is_kept_too(database: Database) -> None:
    async with database.read() as session:
        known = (await session.connection()).sync_connection.info
        real = known["most_bytes"]
        known["most_bytes"] = 1000
        try:
            with pytest.raises(StatementTooLarge):
                await session.execute(text(LENGTH), {"long": "x" * 990})
        finally:
            known["most_bytes"] = real


async def test_a_short_statement_is_sent_as_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.kernel import packets

    def measured(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(packets, "_written_bytes", measured)
    async with database.read() as session:
        nearly = "x" * (MEASURED_CHARS - 100)
        assert await session.scalar(text(LENGTH), {"long": nearly}) == len(nearly)
        assert await session.scalar(select(literal_column("1"))) == 1


@pytest.mark.parametrize(("wanted_bytes", "warnings"), [(0, 0), (2**40, 1)])
async def test_a_small_limit_is_said_at_the_start(
    database: Database, monkeypatch: pytest.MonkeyPatch, wanted_bytes: int, warnings: int
) -> None:
    monkeypatch.setattr(db, "WANTED_BYTES", wanted_bytes)
    with structlog.testing.capture_logs() as logs:
        await database.warn_of_short_statements()
    said = [log["action"] for log in logs]
    assert said == ["db.short_statements"] * warnings
