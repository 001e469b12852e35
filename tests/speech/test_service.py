"""What taking videos on promises, on every database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, text, update

from backend.callbacks.tables import CallbackRow
from backend.events.tables import EventRow
from backend.jobs.schemas import JobOutcome
from backend.jobs.tables import JobRow
from backend.kernel.db import Database
from backend.kernel.errors import Conflict, InvalidInput, NotFound
from backend.kernel.nudge import Nudges
from backend.speech.service import ASSUMED_S, object_hash
from backend.speech.videos import folder_name
from tests.speech.desk import FRESH, OTHER, RESULT, VIDEO, Desk

# --- the same id again


async def test_ten_identical_requests_at_once_make_one_job(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.accept() for _ in range(10)))
    assert {answer.job_id for answer in answers} == {"test-123"}
    (row,) = await desk.rows()
    (job,) = await desk.jobs()
    assert row.queue_job_id == job.id


async def test_many_at_once_take_no_connection_from_each_other(desk: Desk) -> None:
    """Each may hold one connection and no more: with two, all wait for each other."""
    await desk.accept()
    async with asyncio.timeout(60):
        await asyncio.gather(*(desk.accept() for _ in range(40)))
    assert len(await desk.jobs()) == 1


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_ten_requests_at_once_after_a_failure_make_one_new_attempt(
    desk: Desk, end: str
) -> None:
    await desk.accept()
    if end == "failed":
        await desk.fail()
    else:
        await desk.queue.cancel((await desk.row()).queue_job_id)
    await asyncio.gather(*(desk.accept() for _ in range(10)))
    (job,) = await desk.jobs()
    assert job.status == "pending"
    async with desk.database.read() as session:
        queued = select(func.count()).where(EventRow.type == "job.queued")
        assert await session.scalar(queued) == 2


async def test_a_fresh_signature_is_used_by_a_job_that_waits(desk: Desk) -> None:
    await desk.accept()
    await desk.accept(url=FRESH)
    assert (await desk.row()).url == FRESH
    assert len(await desk.jobs()) == 1


async def test_a_fresh_signature_is_taken_though_there_seems_to_be_a_video(desk: Desk) -> None:
    """Its file may be gone, and has to be fetched again."""
    await desk.accept()
    await desk.change(video_path="speech/gone/video")
    await desk.accept(url=FRESH)
    assert (await desk.row()).url == FRESH


async def test_a_job_that_runs_or_is_done_is_not_done_again(desk: Desk) -> None:
    await desk.accept()
    claim, job = await desk.take()
    await desk.accept(url=FRESH)
    await desk.queue.complete(claim, job, JobOutcome(RESULT))
    await desk.accept(url=FRESH)
    assert [job.status for job in await desk.jobs()] == ["completed"]
    assert (await desk.row()).url == FRESH  # it was running


async def test_another_video_under_a_known_id_is_refused_whatever_became_of_the_first(
    desk: Desk,
) -> None:
    await desk.accept()
    with pytest.raises(InvalidInput, match="another video"):
        await desk.accept(url=OTHER)
    await desk.fail()
    with pytest.raises(InvalidInput, match="another video"):
        await desk.accept(url=OTHER)
    assert (await desk.row()).url == VIDEO
    assert len(await desk.jobs()) == 1


async def test_a_new_attempt_begins_afresh_for_its_receiver(desk: Desk) -> None:
    await desk.accept()
    await desk.results.take(_failed())
    await desk.fail()
    assert (await desk.results.status("test-123")).status == "failed"
    await desk.change(video_path="speech/x/video")
    await desk.accept(url=FRESH)
    status = await desk.results.status("test-123")
    assert (status.status, status.progress, status.error_code) == ("accepted", 0, None)
    row = await desk.row()
    assert (row.url, row.video_path) == (FRESH, None)
    assert (await desk.service.read("test-123")).status == "pending"


async def test_a_job_started_again_from_the_list_begins_afresh_for_its_receiver(desk: Desk) -> None:
    await desk.accept()
    await desk.fail()
    await desk.results.take(_failed())
    row = await desk.row()
    await desk.queue.retry(row.queue_job_id)
    status = await desk.results.status("test-123")
    assert (status.status, status.progress, status.error_code) == ("accepted", 0, None)
    claim, job = await desk.take()
    await desk.queue.progress(claim, job, 10, "Video ready")
    assert [(one.kind, one.progress, one.state) for one in await desk.told()] == [
        ("result", None, "superseded"),  # the old end
        ("progress", 0, "superseded"),
        ("progress", 10, "pending"),
    ]


async def test_an_attempt_that_was_replaced_cannot_be_told_of_again(desk: Desk) -> None:
    await desk.accept()
    await desk.fail()
    (failed,) = await desk.told()
    async with desk.database.write() as session:
        await session.execute(update(CallbackRow).values(state="delivered"))
    await desk.accept()
    with pytest.raises(Conflict, match="newer message"):
        await desk.callbacks.redeliver(failed.id, by="operator")


async def test_a_job_that_the_queue_has_forgotten_is_taken_on_anew(desk: Desk) -> None:
    await desk.accept()
    await desk.fail()
    async with desk.database.write() as session:
        await session.execute(delete(JobRow))
    await desk.accept()
    (job,) = await desk.jobs()
    assert ((await desk.row()).queue_job_id, job.status) == (job.id, "pending")


async def test_ids_that_differ_by_a_letters_case_or_accent_are_different_jobs(desk: Desk) -> None:
    ids = ["test-a", "TEST-A", "tést-a", "test-\N{GRINNING FACE}", "test-\N{THUMBS UP SIGN}"]
    for number, job_id in enumerate(ids):
        await desk.accept(job_id, f"https://bucket.s3.amazonaws.com/{number}.mp4")
    assert [row.job_id for row in await desk.rows()] == ids
    for job_id in ids:
        assert (await desk.results.status(job_id)).job_id == job_id


def _failed():
    from backend.speech.schemas import MlResult

    return MlResult.model_validate(
        {"job_id": "test-123", "status": "failed", "progress": 5, "error_code": "DOWNLOAD_ERROR"}
    )


# --- which object a URL names


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("https://b.example/a.mp4", True),
        ("https://b.example/a.mp4?", True),
        ("https://b.example/a.mp4?X-Amz-Signature=2&X-Amz-Date=now", True),
        ("https://b.example/a.mp4#t=10", True),
        ("https://B.example/a.mp4", True),
        ("https://b.example/A.mp4", False),
        ("https://b.example/b.mp4", False),
        ("https://b.example/a.mp4/", False),
        ("https://c.example/a.mp4", False),
        ("https://b.example:8443/a.mp4", False),
    ],
)
def test_the_object_of_a_url_is_named_without_its_query(other: str, is_same: bool) -> None:
    same = object_hash("https://b.example/a.mp4?X-Amz-Signature=1") == object_hash(other)
    assert same is is_same


# --- the estimate


async def test_the_estimate_grows_with_the_queue_and_follows_what_was_measured(
    sqlite: Database, nudges: Nudges, tmp_path: Path
) -> None:
    desk = Desk(sqlite, nudges, tmp_path / "data", speech={"SPEECH_AT_ONCE": "2"})
    first = await desk.accept("job 1", f"{VIDEO}&1")
    assert first.estimated_time == ASSUMED_S
    estimates = [
        (await desk.accept(f"job {number}", f"{VIDEO}&{number}")).estimated_time
        for number in range(2, 8)
    ]
    assert estimates == sorted(estimates)
    assert estimates[-1] == 4 * ASSUMED_S  # 7 jobs, 2 at once
    for _ in range(7):
        await desk.complete()
    for row in await desk.rows():
        await desk.change(row.job_id, processing_s=10, url=None)
    quick = (await desk.accept("quick", f"{VIDEO}&8")).estimated_time
    assert quick == round((7 * 10 + ASSUMED_S) / 8)
    for row in await desk.rows():
        await desk.change(row.job_id, processing_s=1000, url=None)
    slow = (await desk.accept("slow", f"{VIDEO}&9")).estimated_time
    assert slow > 800 > quick


async def test_a_job_that_is_taken_on_stays_so_when_its_time_cannot_be_told(
    small_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = small_desk

    async def away(_: str) -> int:
        raise OSError("the database is away")

    monkeypatch.setattr(desk.queue, "count_unfinished", away)
    upload = desk.data_dir / "upload"
    upload.parent.mkdir(exist_ok=True)
    upload.write_bytes(b"video")
    assert (await desk.service.accept_file(upload, "a.mp4", 5)).estimated_time == ASSUMED_S
    (row,) = await desk.rows()
    assert (desk.data_dir / (row.video_path or "")).read_bytes() == b"video"


# --- lists and files


async def test_pages_show_every_job_once_newest_first(desk: Desk) -> None:
    for number in range(7):
        await desk.accept(f"job {number}", f"{VIDEO}&{number}")
    async with desk.database.write() as session:  # all at the same moment: the id decides
        await session.execute(
            text("UPDATE speech_jobs SET created_at = '2026-01-01 00:00:00.000000'")
        )
    seen: list[str] = []
    cursor = None
    while True:
        page = await desk.service.page(cursor, 3)
        seen += [item.job_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.items) == 3
    assert seen == [f"job {number}" for number in reversed(range(7))]
    with pytest.raises(InvalidInput):
        await desk.service.page("nonsense", 3)


async def test_a_job_is_shown_with_what_was_heard_and_without_its_url(desk: Desk) -> None:
    await desk.accept()
    assert (await desk.service.read("test-123")).result is None
    await desk.complete()
    shown = await desk.service.read("test-123")
    assert (shown.status, shown.progress, shown.result) == ("completed", 100, RESULT)
    assert "Signature" not in shown.model_dump_json()
    with pytest.raises(NotFound):
        await desk.service.read("nobody")


async def test_old_jobs_are_forgotten_with_their_videos_unless_they_are_worked_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.speech import service

    monkeypatch.setattr(service, "CLEANUP_BATCH", 2)
    names = ("done", "again", "failed", "waits", "gone")
    for number, name in enumerate(names):
        await desk.accept(name, f"{VIDEO}/{number}")
        desk.video(name)
    ids = {row.job_id: row.queue_job_id for row in await desk.rows()}
    for name, status in (("done", "completed"), ("again", "failed"), ("failed", "failed")):
        await desk.set_status(ids[name], status)
    await desk.set_status(ids["gone"], "completed")
    await desk.accept("again", f"{VIDEO}/1")  # an old id, a new attempt
    assert await desk.service.delete_old(older_than_s=3600) == 0
    await desk.grow_old(days=31)
    await desk.queue.delete_old(older_than_s=30 * 86400)
    assert await desk.service.delete_old(older_than_s=30 * 86400) == 3
    assert {row.job_id for row in await desk.rows()} == {"again", "waits"}
    left = {name for name in names if (desk.service.folder / folder_name(name)).exists()}
    assert left == {"again", "waits"}
    await desk.accept("done", OTHER)  # a forgotten id is free again


async def test_a_new_attempt_under_an_old_id_keeps_its_transcript(desk: Desk) -> None:
    await desk.accept()
    await desk.fail()
    await desk.grow_old(days=91)
    await desk.accept(url=FRESH)
    await desk.complete()
    for _ in range(2):
        await desk.queue.delete_old(older_than_s=90 * 86400)
        assert await desk.service.delete_old(older_than_s=90 * 86400) == 0
    assert (await desk.service.read("test-123")).result == RESULT
