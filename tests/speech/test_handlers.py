"""The worker's side of a speech job: downloads and analyses that fail, stop and succeed.

With real children, a real queue and a real file server.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.analysis import pool as pool_module
from backend.analysis.pool import CHILD_ARGV, AnalysisPool
from backend.analysis.speech.contract import to_contract
from backend.analysis.speech.protocol import SpeechResult, Utterance, Word
from backend.jobs import progress, runner
from backend.jobs.schemas import JobDetail
from backend.jobs.states import JobStatus, Priority
from backend.kernel.clock import wait
from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.media.download import Downloaded, DownloadError
from backend.worker import SPEECH, SPEECH_DOWNLOAD
from tests.analysis.requests import scene_request
from tests.peers.ecg_messages import wrong
from tests.peers.file_server import Answer, FileServer, make_certificates, redirect
from tests.speech.bench import Bench
from tests.speech.desk import ANY_PRIORITY
from tests.speech.unusable import (
    cut_off,
    encrypted,
    no_video,
    playlist,
    tone,
    too_long,
    without_sound,
)
from tests.waiting import until

CONTENT = bytes(range(256)) * 400
HANGING_AT = 90
"""Percent: what the fake analyser says last before it hangs."""
PATIENT_S = 60.0
OVER_WITHIN_S = 20.0
"""Of what is to be over within 2 s: a job that did not heed would go on for `PATIENT_S`."""


@pytest.fixture
async def pool() -> AsyncIterator[AnalysisPool]:
    """One child, once it is needed, that knows the fake analyser too."""
    pool = AnalysisPool(children=1, argv=(*CHILD_ARGV, "--fakes"))
    yield pool
    await pool.aclose()


@pytest.fixture
def bench(
    sqlite: Database,
    nudges: Nudges,
    tmp_path: Path,
    pool: AnalysisPool,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """The worker, on SQLite; what does not heed by itself that it is to stop is not forced to."""
    monkeypatch.setattr(runner, "STOP_WITHIN_S", PATIENT_S)
    return Bench(sqlite, nudges, tmp_path / "data", pool)


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    """A server of something that the fake analyser takes for a video."""
    async with FileServer(CONTENT) as server:
        yield server


FOR_GOOD = {
    "not there": Answer(404),
    "expired": Answer(403, body=b"<Error><Code>AccessDenied</Code></Error>"),
    "not a file": Answer(204, body=b""),
    "compressed": Answer(headers={"Content-Encoding": "gzip"}),
    "said to be too large": Answer(claims_bytes=10**10),
    "too large and endless": Answer(framing="chunked", endless=True),
    "too large and does not say it": Answer(framing="close", body=CONTENT * 3),
    "to loopback": redirect("http://127.0.0.2:9/video.mp4"),
    "to metadata": redirect("http://169.254.169.254/latest/meta-data/"),
    "to a file": redirect("file:///etc/passwd"),
    "to nowhere": redirect(""),
    "to itself": redirect("/again"),
}
FOR_NOW = {
    "failing": Answer(500),
    "busy": Answer(503),
    "silent": Answer(no_answer=True),
    "broken off": Answer(drop_after=1000),
    "shorter than it says": Answer(claims_bytes=len(CONTENT) + 5000),
}


@pytest.mark.parametrize("fault", FOR_GOOD)
async def test_a_video_that_cannot_be_had_fails_at_once(
    bench: Bench, server: FileServer, fault: str
) -> None:
    server.answer_with(FOR_GOOD[fault])
    await check_download_failed(bench, await bench.do(server.url()), retries=0)


@pytest.mark.parametrize("fault", FOR_NOW)
async def test_a_server_that_fails_is_asked_again_in_a_while(
    bench: Bench, server: FileServer, fault: str
) -> None:
    server.answer_with(FOR_NOW[fault])
    await check_download_failed(bench, await bench.do(server.url()), retries=3)


async def test_a_server_that_is_down_is_asked_again_in_a_while(bench: Bench) -> None:
    with socket.socket() as down:  # nobody else gets the port meanwhile
        down.bind(("127.0.0.1", 0))
        job = await bench.do(f"http://127.0.0.1:{down.getsockname()[1]}/video.mp4")
    await check_download_failed(bench, job, retries=3)


async def test_a_video_that_comes_too_slowly_is_not_waited_for(
    bench: Bench, server: FileServer
) -> None:
    bench.configure(timeout_s=0.3)
    server.answer_with(Answer(hang_after=5000))
    job = await bench.do(server.url())
    await check_failed(bench, job, "timeout", "PROCESSING_TIMEOUT", retries=0)


@pytest.mark.parametrize("address", ["127.0.0.2", "10.0.0.1", "169.254.169.254", "::1"])
async def test_a_name_that_leads_inside_is_refused(
    bench: Bench, server: FileServer, address: str
) -> None:
    async def resolver(_: str, __: int) -> list[str]:
        return ["127.0.0.1", address]

    bench.resolver = resolver
    job = await bench.do(server.url(host="elsewhere.test"))
    await check_download_failed(bench, job, retries=0)
    assert server.requests == []


async def test_a_name_that_changes_its_address_between_two_requests_is_refused(
    bench: Bench, server: FileServer
) -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    async def resolver(_: str, __: int) -> list[str]:
        return next(answers)

    bench.resolver = resolver
    server.answer_with(redirect(server.url("/again", host="video.test")))
    job = await bench.do(server.url(host="video.test"))
    await check_download_failed(bench, job, retries=0)
    assert len(server.requests) == 1


async def test_a_certificate_that_nobody_trusts_is_refused(bench: Bench, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path, "127.0.0.1")
    async with FileServer(CONTENT, tls=certificates.server) as server:
        await check_download_failed(bench, await bench.do(server.url()), retries=0)


async def test_a_full_disk_is_a_lack_of_resources_and_may_end(
    bench: Bench, server: FileServer
) -> None:
    bench.keep_free_bytes = 2**60
    job = await bench.do(server.url())
    resources = "INSUFFICIENT_RESOURCES"
    await check_failed(bench, job, "insufficient_resources", resources, retries=3)
    assert bench.files() == []


@pytest.mark.parametrize("place", ["speech", "work/worker"])
async def test_a_disk_without_room_for_a_folder_is_a_lack_of_resources(
    bench: Bench, server: FileServer, place: str
) -> None:
    job_id = await bench.ask(server.url())
    async with bench.worker():
        shutil.rmtree(bench.data_dir / place, ignore_errors=True)
        (bench.data_dir / place).write_text("a file is in its place")
        job = await bench.until_ended(job_id)
    await check_failed(bench, job, "storage_failed", "INSUFFICIENT_RESOURCES", retries=3)


async def test_a_download_that_fails_leaves_alone_what_another_worker_fetched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_late(_: str, to: Path, **__: object) -> Downloaded:
        to.write_bytes(b"another's")  # who has the job by now
        raise DownloadError("There is no such file.", retryable=False)

    monkeypatch.setattr(bench, "_fetch", too_late)
    await bench.do("http://127.0.0.1/video.mp4")
    assert [path.read_bytes() for path in bench.files()] == [b"another's"]


async def test_a_video_that_is_never_where_it_was_fetched_to_fails_in_the_end(
    bench: Bench, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = bench._fetch

    async def elsewhere(url: str, to: Path, **others: Any) -> Downloaded:
        got = await fetch(url, to, **others)
        to.unlink()  # as a worker sees it that has another folder of data
        return got

    monkeypatch.setattr(bench, "_fetch", elsewhere)
    job = await bench.do(server.url())
    await check_failed(bench, job, "video_missing", "DOWNLOAD_ERROR", retries=3)
    assert len(server.requests) == 4


async def test_a_downloaded_video_waits_in_line_and_one_that_is_gone_is_fetched_again(
    bench: Bench, server: FileServer
) -> None:
    job_id = await bench.ask(server.url())
    assert (await bench.queue.read(job_id)).priority == Priority.HIGH
    async with bench.worker([SPEECH_DOWNLOAD.place]):
        job = await bench.until_waiting(job_id, Priority.NORMAL)
    assert job.retry_count == 0
    row = await bench.row()
    assert row.size_bytes == len(CONTENT)
    assert row.video_path is not None
    video = bench.data_dir / row.video_path
    assert video.read_bytes() == CONTENT
    video.unlink()
    async with bench.worker([SPEECH.place]):
        job = await bench.until_waiting(job_id, Priority.HIGH)
    assert (job.retry_count, job.error_code) == (1, "video_missing")
    async with bench.worker():
        job = await bench.until_ended(job_id)
    assert (job.status, job.retry_count, len(server.requests)) == (JobStatus.COMPLETED, 1, 2)


async def test_a_result_is_the_contracts_and_the_signed_address_is_forgotten(
    bench: Bench, server: FileServer
) -> None:
    bench.script(duration_s=3)
    began = time.monotonic()
    job = await bench.do(server.url("/a%20talk.mp4?X-Amz-Signature=s3cret"))
    took_s = time.monotonic() - began
    word = Word("hello", 0.5, 1.0, 0.9, -20.0, 200.0)
    heard = SpeechResult(
        3.0, (Utterance(0.5, 1.0, 1, "hello", (word,), 0.9),), "en", {"transcription": "fake"}
    )
    assert job.analysis_result == to_contract(heard, "a talk.mp4")
    told = await bench.last_told()
    assert wrong("completed", told) == []
    assert told["result"] == job.analysis_result
    row = await bench.row()
    assert row.url is None
    assert row.processing_s is not None
    assert 0 <= row.processing_s <= took_s + 1  # two parts, each rounded
    marks = {10, 25, 40, 75}
    assert marks <= {one.progress for one in await bench.told()}
    assert all("s3cret" not in one.body for one in await bench.told())


@pytest.mark.parametrize("keeps", [False, True])
async def test_a_video_is_kept_only_where_a_person_wants_to_see_it(
    bench: Bench, server: FileServer, keeps: bool
) -> None:
    job_id = await bench.ask(server.url(), keeps_video=keeps)
    async with bench.worker():
        await bench.until_ended(job_id)
    await bench.service.tidy()
    kept = [path.name for path in bench.files() if "speech" in path.parts]
    assert kept == (["video"] if keeps else [])
    assert ((await bench.row()).video_path is None) is not keeps


async def test_what_a_killed_worker_left_of_a_video_goes_when_it_is_fetched_again(
    bench: Bench, server: FileServer
) -> None:
    left = bench.script().with_name("video.0badcafe.part")
    left.write_bytes(b"half")
    job_id = await bench.ask(server.url(), keeps_video=True)
    async with bench.worker():
        assert (await bench.until_ended(job_id)).status == JobStatus.COMPLETED
    assert not left.exists()


async def test_a_receiver_hears_of_a_long_stage_again_and_again(
    bench: Bench, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert progress.REPEAT_S <= 25
    monkeypatch.setattr(progress, "REPEAT_S", 0.1)
    go_on = bench.script(hold_at=45)
    job_id = await bench.ask(server.url())
    async with bench.worker():

        async def is_told_again() -> bool:
            return [one.progress for one in await bench.told()].count(45) >= 3

        await until(is_told_again, what="the same progress is told three times")
        go_on.touch()
        assert (await bench.until_ended(job_id)).status == JobStatus.COMPLETED
    told = [one.progress for one in await bench.told() if one.progress is not None]
    assert told == sorted(told)


async def test_whose_workers_are_lost_time_and_again_is_told_so_without_their_names(
    bench: Bench, server: FileServer
) -> None:
    job_id = await bench.ask(server.url())
    for _ in range(4):
        assert await bench.queue.claim(ANY_PRIORITY, 1, "inner-host-4711", 0)
        assert await bench.queue.reap() == 1
    assert (await bench.queue.read(job_id)).error_code == "worker_lost"
    told = await bench.last_told()
    assert wrong("failed", told) == []
    assert told["error_code"] == "INSUFFICIENT_RESOURCES"
    assert "inner-host" not in told["error_message"]


@pytest.mark.parametrize(
    ("made", "code", "words"),
    [
        (without_sound, "no_audio", "no sound"),
        (too_long, "too_long", "longer than"),
        (cut_off, "unreadable", "cannot be read"),
        (no_video, "unreadable", "cannot be read"),
        (playlist, "unreadable", "cannot be read"),
        (encrypted, "encrypted", "encrypted"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_has_no_usable_sound_fails_for_good(
    bench: Bench, server: FileServer, tmp_path: Path, made: Any, code: str, words: str
) -> None:
    bench.analyser = "speech"
    bench.configure(longest_s=5.0)
    server.content = made(tmp_path).read_bytes()
    job = await bench.do(server.url())
    await check_failed(bench, job, code, "AUDIO_EXTRACTION_ERROR", retries=0)
    assert words in str(job.error_message)


@pytest.mark.parametrize(
    ("then", "code", "retries"),
    [
        ("crash", "analysis_crashed", 3),
        ("oom", "analysis_crashed", 3),
        ("retry", "busy", 3),
        ("bug", "analyser_failed", 3),
        ("fail", "video_unreadable", 0),
    ],
)
async def test_an_analysis_that_fails_late_is_a_failed_transcription(
    bench: Bench, server: FileServer, then: str, code: str, retries: int
) -> None:
    bench.script(then=then)
    job = await bench.do(server.url())
    await check_failed(bench, job, code, "TRANSCRIPTION_ERROR", retries=retries)
    assert (await bench.last_told())["progress"] == 90
    assert len(server.requests) == 1, "the video is fetched once, however often it is tried"


async def test_an_analysis_whose_process_cannot_be_started_fails_in_the_end(
    bench: Bench, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # a limit on processes

    monkeypatch.setattr(pool_module, "start_process", refused)
    job = await bench.do(server.url())
    await check_failed(bench, job, "analysis_crashed", "AUDIO_EXTRACTION_ERROR", retries=3)


@pytest.mark.parametrize("script", [{"hold_at": 45}, {"then": "hang"}], ids=["heeds", "hangs"])
async def test_an_analysis_that_takes_too_long_fails_for_good_and_leaves_nothing(
    bench: Bench, server: FileServer, script: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.script(**script)
    job_id = await bench.ask_and_fetch(server.url())
    bench.configure(timeout_s=1.0)
    heeds = script.get("hold_at")

    async def wait_once_it_stays(cancel: asyncio.Event, timeout_s: float) -> bool:
        await bench.until_at(job_id, heeds or HANGING_AT)
        return await wait(cancel, timeout_s)

    monkeypatch.setattr(pool_module, "wait", wait_once_it_stays)
    if heeds:
        monkeypatch.setattr(pool_module, "ASK_FIRST_S", PATIENT_S)
    async with bench.worker():
        job = await bench.until_ended(job_id)
    await check_failed(bench, job, "timeout", "PROCESSING_TIMEOUT", retries=0)
    assert job.error_message == "not done within 1 s"
    assert len(bench.pool.pids) == ("hold_at" in script), "a child that does not heed is gone"
    assert not list((bench.data_dir / "work" / "worker").iterdir())


STAYS_WITH_ITS_SOUND = """
import threading
from backend.analysis import child
from backend.analysis.speech import analyser
analyser._speech = lambda *_: threading.Event().wait()
child.main()
"""


async def test_an_analysis_whose_process_is_killed_leaves_no_sound_behind(
    bench: Bench, server: FileServer, tmp_path: Path
) -> None:
    bench.analyser = "speech"
    bench.pool.argv = (sys.executable, "-c", STAYS_WITH_ITS_SOUND)
    server.content = tone(tmp_path / "tone.mp4").read_bytes()
    work = bench.data_dir / "work" / "worker"
    job_id = await bench.ask(server.url())
    async with bench.worker():
        await until(lambda: list(work.rglob("audio.pcm")), within_s=60, what="there is sound")
        (pid,) = bench.pool.pids
        bench.pool.argv = CHILD_ARGV
        os.kill(pid, signal.SIGKILL)
        job = await bench.until_ended(job_id)
        assert not list(work.iterdir())
    assert (job.status, job.retry_count) == (JobStatus.COMPLETED, 1)


async def test_waiting_for_a_child_does_not_count_as_processing(
    bench: Bench, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await bench.ask_and_fetch(server.url())
    bench.configure(timeout_s=1.0)
    async with asyncio.TaskGroup() as group:
        let_go = await hold_the_only_place(bench.pool, tmp_path, group)
        async with bench.worker([SPEECH.place]):
            work = bench.data_dir / "work" / "worker"
            await until(lambda: list(work.iterdir()), what="the job waits for a child")
            since = time.monotonic()
            await until(lambda: time.monotonic() - since > 1.5, what="it waited past its time")
            monkeypatch.setattr(pool_module, "wait", _wait_much_longer)
            let_go.touch()
            job = await bench.until_ended(job_id)
    assert (job.status, job.retry_count) == (JobStatus.COMPLETED, 0)


async def _wait_much_longer(cancel: asyncio.Event, timeout_s: float) -> bool:
    """What is left of a job's time is plenty, if there is any."""
    return await wait(cancel, 100 * timeout_s)


async def hold_the_only_place(pool: AnalysisPool, folder: Path, group: asyncio.TaskGroup) -> Path:
    """Have something analysed that is no job, until there is this file."""
    (folder / "other.mp4.json").write_text('{"hold_at": 45}')
    analysing = asyncio.Event()
    message = {
        "kind": "scene",
        "analyser": "fake",
        "payload": scene_request(folder / "other.mp4").to_json(),
    }
    running = pool.run(
        message,
        on_progress=lambda *_: analysing.set(),
        cancel=asyncio.Event(),
        timeout_s=600,
    )
    group.create_task(running)
    await until(analysing.is_set, what="the place is taken")
    return folder / "other.mp4.go"


async def test_a_download_that_is_called_off_is_over_at_once_and_leaves_nothing(
    bench: Bench, server: FileServer
) -> None:
    server.answer_with(Answer(hang_after=60_000))
    job_id = await bench.ask(server.url())
    async with bench.worker():
        await until(lambda: server.requests and bench.files(), what="the video is arriving")
        assert await bench.seconds_to_cancel(job_id) < OVER_WITHIN_S
        await until(lambda: server.open_count == 0, what="nobody waits for the video any more")
    assert bench.files() == []
    assert wrong("failed", await bench.last_told()) == []


@pytest.mark.parametrize("script", [{"hold_at": 45}, {"then": "hang"}], ids=["heeds", "hangs"])
async def test_an_analysis_that_is_called_off_is_over_at_once_and_its_video_goes(
    bench: Bench, server: FileServer, script: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runner.PULSE_S + pool_module.ASK_FIRST_S <= 2
    if "hold_at" in script:
        monkeypatch.setattr(pool_module, "ASK_FIRST_S", PATIENT_S)
    bench.script(**script)
    job_id = await bench.ask(server.url())
    async with bench.worker():
        await bench.until_at(job_id, script.get("hold_at", HANGING_AT))
        assert await bench.seconds_to_cancel(job_id) < OVER_WITHIN_S
        assert len(bench.pool.pids) == ("hold_at" in script), "a child that does not heed is gone"
        assert not list((bench.data_dir / "work" / "worker").iterdir())
    told = await bench.last_told()
    assert wrong("failed", told) == []
    assert told["error_code"] == "TRANSCRIPTION_ERROR"
    await bench.service.tidy()
    assert [path for path in bench.files() if "speech" in path.parts] == []


async def test_a_job_that_waits_for_a_child_is_called_off_at_once_and_the_other_goes_on(
    bench: Bench, server: FileServer
) -> None:
    go_on = bench.script("first", hold_at=45)
    first = await bench.ask(server.url(), "first")
    async with bench.worker(slots=2):
        await bench.until_at(first, 45)
        second = await bench.ask(server.url(), "second")
        await bench.until_at(second, 10)
        assert await bench.seconds_to_cancel(second) < OVER_WITHIN_S
        go_on.touch()
        assert (await bench.until_ended(first)).status == JobStatus.COMPLETED


async def test_a_worker_that_stops_gives_its_jobs_back_unharmed(
    bench: Bench, server: FileServer
) -> None:
    bench.script("heard", hold_at=45)
    server.answer_with(Answer(), Answer(hang_after=60_000))
    heard = await bench.ask(server.url(), "heard")
    async with bench.worker():
        await bench.until_at(heard, 45)
        fetched = await bench.ask(server.url(), "fetched")
        await until(lambda: len(server.requests) == 2, what="the second video is arriving")
        await bench.until_at(fetched, 1)
    for job_id, priority in ((heard, Priority.NORMAL), (fetched, Priority.HIGH)):
        job = await bench.queue.read(job_id)
        assert (job.status, job.retry_count) == (JobStatus.PENDING, 0)
        assert job.priority == priority
    assert not [path for path in bench.files() if path.suffix == ".part"]


async def check_download_failed(bench: Bench, job: JobDetail, *, retries: int) -> None:
    """The job failed as a download, was tried so often, was told, and left nothing."""
    await check_failed(bench, job, "download_error", "DOWNLOAD_ERROR", retries=retries)
    assert bench.files() == []


async def check_failed(
    bench: Bench, job: JobDetail, code: str, told_as: str, *, retries: int
) -> None:
    """The job failed with a code of ours, was tried so often, and was told in the contract's."""
    assert (job.status, job.error_code, job.retry_count) == (JobStatus.FAILED, code, retries)
    told = await bench.last_told()
    assert wrong("failed", told) == []
    assert (told["error_code"], told["error_message"]) == (told_as, job.error_message)
