"""The videos' files are there for as long as a job needs them, whatever is killed meanwhile."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from backend.jobs.tables import JobRow
from backend.kernel.errors import NotFound, Unavailable
from backend.speech import videos
from backend.speech.videos import UNTOUCHED_S, folder_name
from tests.speech.desk import FRESH, VIDEO, Desk


@given(st.text(min_size=1, max_size=190))
def test_a_folder_name_is_safe_whatever_the_id(job_id: str) -> None:
    name = folder_name(job_id.encode("utf-8", "replace").decode())
    assert len(name) == 32
    assert set(name) <= set("0123456789abcdef")


async def test_tidying_deletes_videos_of_jobs_that_have_ended_and_are_not_to_be_kept(
    desk: Desk,
) -> None:
    ends = ("waits", "runs", "failed", "done", "kept")
    for number, name in enumerate(ends):
        await desk.accept(name, f"{VIDEO}/{number}")
        path = desk.video(name).relative_to(desk.data_dir).as_posix()
        await desk.change(name, video_path=path, keeps_video=name == "kept")
    ids = {row.job_id: row.queue_job_id for row in await desk.rows()}
    for name, status in (("runs", "processing"), ("failed", "failed")):
        await desk.set_status(ids[name], status)
    for name in ("done", "kept"):
        await desk.set_status(ids[name], "completed")
    await desk.service.tidy()
    left = {name for name in ends if (desk.service.folder / folder_name(name)).exists()}
    assert left == {"waits", "runs", "kept"}
    paths = {row.job_id for row in await desk.rows() if row.video_path is not None}
    assert paths == left
    assert await desk.service.video("kept")
    with pytest.raises(NotFound):
        await desk.service.video("done")
    await desk.service.tidy()  # again changes nothing


async def test_tidying_goes_through_any_number_of_jobs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "BATCH", 2)
    for number in range(5):
        await desk.accept(f"{number}", f"{VIDEO}/{number}")
        await desk.change(f"{number}", video_path=str(desk.video(f"{number}")))
    ids = [row.queue_job_id for row in await desk.rows()]
    for queue_id in ids[1:]:
        await desk.set_status(queue_id, "failed")
    await desk.service.tidy()
    assert [row.video_path is None for row in await desk.rows()] == [False, *[True] * 4]


@pytest.mark.parametrize("left", ["nothing", "half a download", "a whole video"])
async def test_a_download_that_was_called_off_leaves_no_folder(desk: Desk, left: str) -> None:
    await desk.accept()
    video = desk.video()
    if left == "a whole video":  # of an attempt before
        await desk.change(video_path=video.relative_to(desk.data_dir).as_posix())
        await desk.fail()
        await desk.accept(url=FRESH)
    elif left == "half a download":  # by a worker that was killed
        video.rename(video.with_name("video.0badcafe.part"))
    else:
        video.unlink()
    await desk.service.tidy()
    assert video.parent.exists()
    await desk.queue.cancel((await desk.row()).queue_job_id)
    await desk.service.tidy()
    assert not video.parent.exists()


async def test_a_folder_that_no_job_knows_is_taken_away_once_nobody_touches_it(desk: Desk) -> None:
    """What is left where a process is killed between a file and its row."""
    await desk.accept("waits")
    await desk.accept("kept", f"{VIDEO}/2")
    await desk.change("kept", url=None, video_path="speech/x/video", keeps_video=True)
    names = ("waits", "kept", "arriving", "growing", "nobody's")
    folders = {name: desk.video(name).parent for name in names}
    for name in ("waits", "kept", "growing", "nobody's"):
        _grow_old(folders[name])
    (folders["growing"] / "video").touch()
    await desk.service.tidy()
    assert [name for name in names if folders[name].exists()] == list(names[:-1])


async def test_a_database_without_speech_jobs_is_not_believed(desk: Desk) -> None:
    """It may be another one than these videos belong to."""
    video = desk.video("of another database")
    _grow_old(video.parent)
    await desk.service.tidy()
    assert video.exists()


@pytest.mark.parametrize("before_look", [1, 2])
async def test_a_job_that_starts_again_while_it_is_tidied_keeps_its_video(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, before_look: int
) -> None:
    await desk.accept()
    video = desk.video()
    await desk.change(video_path=video.relative_to(desk.data_dir).as_posix())
    await desk.fail()
    queue_job_id = (await desk.row()).queue_job_id
    look, looks = desk.queue.unfinished, 0

    async def late(job_ids: list[int]) -> set[int]:
        nonlocal looks
        looks += 1
        if looks == before_look:
            found = await look(job_ids) if looks == 1 else None
            await desk.queue.retry(queue_job_id)
            return found if found is not None else await look(job_ids)
        return await look(job_ids)

    monkeypatch.setattr(desk.queue, "unfinished", late)
    await desk.service.tidy()
    assert video.exists()
    assert looks == before_look
    if before_look == 1:
        assert (await desk.row()).video_path is not None


async def test_a_job_that_is_enqueued_anew_while_it_is_tidied_keeps_its_folder(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.accept()
    video = desk.video()
    async with desk.database.write() as session:
        await session.execute(delete(JobRow))
    look = desk.queue.unfinished

    async def late(job_ids: list[int]) -> set[int]:
        found = await look(job_ids)
        await desk.accept(url=FRESH)
        return found

    monkeypatch.setattr(desk.queue, "unfinished", late)
    await desk.service.tidy()
    assert video.exists()


async def test_an_upload_that_cannot_be_moved_is_not_left_behind(small_desk: Desk) -> None:
    desk = small_desk
    desk.data_dir.mkdir(exist_ok=True)
    desk.service.folder.touch()  # where a folder should be
    upload = desk.data_dir / "upload"
    upload.write_bytes(b"video")
    with pytest.raises(Unavailable):
        await desk.service.accept_file(upload, "a.mp4", 5)
    assert desk.files() == [desk.service.folder]
    assert await desk.rows() == []


def _grow_old(folder: Path) -> None:
    at = time.time() - UNTOUCHED_S - 1
    for path in (*folder.iterdir(), folder):
        os.utime(path, (at, at))
