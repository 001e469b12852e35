"""The speech API with the real programs and a strict ECG backend: whatever fails, it is told once.

The backend holds every message against the schema of the document and notes what is wrong; its
fixture fails at the end of each test where anything was.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.callbacks.posting import TIMEOUT_S
from backend.media.archive import archive_name
from backend.speech.videos import folder_name
from tests.peers.ecg_backend import Answer, EcgBackend, running_ecg_backend
from tests.system.programs import KEEPS_JOBS, REAPS_SOON, Installation, Main
from tests.waiting import eventually

pytestmark = pytest.mark.system

FAKE = ("--analyser", "fake")
MARKS = {10, 25, 40, 75}


@pytest.fixture
def ecg() -> Iterator[EcgBackend]:
    """The backend, with its videos."""
    with running_ecg_backend() as backend:
        yield backend


def test_real_videos_are_transcribed_and_told_as_the_document_says(
    installation: Installation, ecg: EcgBackend, testdata: Path
) -> None:
    speech = testdata / "speech"
    files = {"nasa": speech / "nasa_13013.mp4", "jfk": speech / "jfk.flac"}
    with (
        installation.main(**ecg.settings) as main,
        installation.worker("--slots", "2", **ecg.settings) as worker,
    ):
        for job_id, file in files.items():
            url = ecg.store.add(file.name, file.read_bytes())
            assert ecg.process(main.address, job_id, url)["status"] == "accepted"
        page = ecg.store.add("page.mp4", b"<!doctype html><title>Log in</title>")
        ecg.process(main.address, "page", page)
        until_ended(ecg, *files, "page")
        for job_id, file in files.items():
            end = ecg.terminal(job_id)
            assert end is not None
            assert end["status"] == "completed", end
            assert end["result"]["metadata"]["filename"] == file.name
            assert set(told(main, job_id)) >= MARKS, "delivered, or replaced by newer progress"
            assert set(told(main, job_id, state="delivered")) <= set(ecg.progress(job_id))
        assert ecg.terminal("page") == {
            "job_id": "page",
            "status": "failed",
            "progress": ecg.progress("page")[-1],
            "error_message": "the video file cannot be read",
            "error_code": "AUDIO_EXTRACTION_ERROR",
        }
        assert 11.0 <= result(ecg, "jfk")["metadata"]["duration"] < 11.1
        assert result(ecg, "jfk")["metadata"]["unique_speakers"] == 1
        heard = words(ecg, "jfk")
        assert {"country", "ask", "fellow"} & heard, heard
        assert len(words(ecg, "nasa")) > 5
        assert "Signature" not in worker.output
        assert "Traceback" not in worker.output


def test_korean_is_heard_as_what_it_is_not_and_the_result_says_by_whom(
    sqlite_installation: Installation, ecg: EcgBackend, testdata: Path
) -> None:
    vap = sqlite_installation
    url = ecg.store.add("ko.wav", (testdata / "speech" / "langs" / "ko.wav").read_bytes())
    with vap.main(**ecg.settings) as main, vap.worker(**ecg.settings):
        ecg.process(main.address, "ko", url)
        until_ended(ecg, "ko")
    metadata = result(ecg, "ko")["metadata"]
    assert metadata["language"] == "en", "the embedded engine knows no other"
    assert "pocketsphinx" in json.dumps(metadata["backends"])
    assert not re.search("[가-힣]", json.dumps(result(ecg, "ko"), ensure_ascii=False))


def test_a_backend_that_refuses_hangs_breaks_off_or_dawdles_gets_everything_in_the_end(
    sqlite_installation: Installation, ecg: EcgBackend
) -> None:
    vap = sqlite_installation
    faults = {
        "fine": [Answer()],
        "refusing": [Answer(500), Answer(500), Answer(503)],
        "hanging": [Answer(fault="hang", at_end=True)],
        "breaking": [Answer(fault="cut", at_end=True), Answer(fault="cut")],
        "dawdling": [Answer(delay_s=1), Answer(delay_s=1), Answer(delay_s=2)],
        "busy": [Answer(429, retry_after="2")],
    }
    url = ecg.store.add("talk.mp4", b"talk")
    with vap.main(**ecg.settings) as main, vap.worker(*FAKE, **ecg.settings):
        for job_id, answers in faults.items():
            ecg.answer_with(*answers, Answer(), job_id=job_id)
            ecg.process(main.address, job_id, url)
        until_ended(ecg, *faults)
        for job_id in faults:
            assert completed(ecg, job_id), ecg.terminal(job_id)
        hung, again, *_ = [one for one in ecg.arrivals("hanging") if one.is_end]
        assert not hung.is_taken
        assert again.message_id == hung.message_id
        hangs_until_s = hung.at_s + TIMEOUT_S - 5
        others = [one for one in ecg.arrived if one.job_id != "hanging"]
        assert any(hung.at_s < one.at_s < hangs_until_s for one in others), "they are not held up"
        late = [one.message_id for one in ecg.arrivals("breaking")]
        assert len(late) > len(set(late)), "what may have been lost is sent again, the same"


def test_a_backend_that_is_down_for_a_while_gets_everything_in_order(
    installation: Installation, ecg: EcgBackend
) -> None:
    url = ecg.store.add("talk.mp4", b"talk")
    with (
        installation.main(**ecg.settings) as main,
        installation.worker(*FAKE, "--slots", "2", **ecg.settings),
    ):
        with ecg.is_down():
            for job_id in ("one", "two"):
                ecg.process(main.address, job_id, url)
            eventually(lambda: ends(main) == {"pending": 2}, what="both have ended")
            eventually(
                lambda: main.jobs() and max(one["attempts"] for one in callbacks(main)) >= 3,
                what="three attempts were made",
            )
            assert not ecg.arrived
        until_ended(ecg, "one", "two")
        for job_id in ("one", "two"):
            assert completed(ecg, job_id)
        eventually(lambda: ends(main) == {"delivered": 2}, what="both ends are noted")


def test_jobs_whose_worker_is_killed_in_any_stage_are_finished_by_another(
    installation: Installation, ecg: EcgBackend
) -> None:
    stages = {"extraction": 12, "speakers": 45, "transcription": 65}
    settings = {**KEEPS_JOBS, **ecg.settings}
    slots = ("--slots", f"speech={len(stages)}")
    with installation.main(**{**settings, **REAPS_SOON}) as main:
        with installation.worker(*FAKE, "--name", "first", *slots, **settings) as first:
            for job_id, percent in stages.items():
                script(installation, job_id, hold_at=percent)
                ecg.process(main.address, job_id, ecg.store.add(f"{job_id}.mp4", b"talk"))
            held = ecg.store.add("download.mp4", b"talk" * 100_000, hold_after=200_000)
            ecg.process(main.address, "download", held)
            eventually(
                lambda: all(stages[job_id] in ecg.progress(job_id) for job_id in stages),
                what="each analysis is in its stage",
            )
            eventually(lambda: part_files(installation), what="the download has begun")
            first.kill()
        installation.end_leases()
        for job_id in stages:
            let_go(installation, job_id)
        ecg.store.release()
        with installation.worker(*FAKE, "--name", "second", *slots, **settings):
            until_ended(ecg, *stages, "download")
            for job_id in (*stages, "download"):
                assert completed(ecg, job_id), ecg.terminal(job_id)
            jobs = main.jobs()
            assert {(job["worker_id"], job["retry_count"]) for job in jobs} == {("second", 1)}


def test_a_main_process_that_is_killed_before_it_could_tell_tells_when_it_is_back(
    installation: Installation, ecg: EcgBackend
) -> None:
    script(installation, "held", hold_at=45)
    with installation.worker(*FAKE, **ecg.settings) as worker:
        with installation.main(**ecg.settings) as main:
            ecg.process(main.address, "held", ecg.store.add("talk.mp4", b"talk"))
            eventually(lambda: 45 in ecg.progress("held"), what="the analysis is under way")
            ecg.answer_with(Answer(fault="hang"))
            let_go(installation, "held")
            eventually(lambda: main.jobs()[0]["status"] == "completed", what="the job is done")
            main.kill()
        assert ecg.terminal("held") is None
        ecg.answer_with(Answer())
        with installation.main(**ecg.settings):
            until_ended(ecg, "held")
            assert completed(ecg, "held")
        assert worker.is_running


def test_without_a_backend_the_product_calls_itself_and_shows_what_it_was_told(
    sqlite_installation: Installation, ecg: EcgBackend
) -> None:
    vap = sqlite_installation
    settings = {name: value for name, value in ecg.settings.items() if name != "BACKEND_URL"}
    with vap.main(**settings) as main, vap.worker(*FAKE, **settings):
        status = "/api/v1/ml/job-status/test-123"
        assert main.api.get(status).status_code == 404
        ecg.process(main.address, "test-123", ecg.store.add("talk.mp4", b"talk"))
        ecg.process(main.address, "gone", ecg.store.url("gone.mp4"))
        eventually(lambda: main.get(status)["status"] == "completed", what="it was told")
        shown = main.get(status)
        assert (shown["progress"], shown["error_code"]) == (100, None)
        assert shown["result"]["segments"][0]["text"] == "hello"
        gone = "/api/v1/ml/job-status/gone"
        eventually(lambda: main.get(gone)["status"] == "failed", what="that is told too")
        assert main.get(gone)["error_code"] == "DOWNLOAD_ERROR"
        assert ecg.arrived == []


def test_whoever_asks_for_it_is_told_of_camera_analyses_in_the_same_messages(
    sqlite_installation: Installation, ecg: EcgBackend, video: Path
) -> None:
    vap = sqlite_installation
    path = vap.data_dir / "archive" / "yard" / archive_name(datetime(2026, 1, 1, tzinfo=UTC))
    path.parent.mkdir(parents=True)
    shutil.copyfile(video, path)
    path.with_name(f"{path.name}.json").write_text(json.dumps({"hold_at": 40}))
    ecg.expect("1")
    with vap.main(**ecg.settings) as main, vap.worker(*FAKE, **ecg.settings):
        eventually(lambda: 40 in ecg.progress("1"), what="it is told of the progress")
        vap.let_go(path)
        until_ended(ecg, "1")
        end = ecg.terminal("1")
        assert end is not None
        assert (end["status"], end["progress"]) == ("completed", 100)
        assert end["result"] == main.job(1)["analysis_result"]
        assert all(one.path == "/api/v1/scene-results" for one in ecg.history("1"))


def test_an_address_that_has_expired_fails_and_works_again_with_a_fresh_signature(
    sqlite_installation: Installation, ecg: EcgBackend
) -> None:
    vap, store = sqlite_installation, ecg.store
    store.add("talk.mp4", b"talk")
    store.expired.add("old")
    with vap.main(**ecg.settings) as main, vap.worker(*FAKE, **ecg.settings) as worker:
        ecg.process(main.address, "test-123", store.url("talk.mp4", signature="old"))
        until_ended(ecg, "test-123")
        end = ecg.terminal("test-123")
        assert end is not None
        assert (end["status"], end["error_code"]) == ("failed", "DOWNLOAD_ERROR")
        for _ in range(2):  # the second is the same request again
            again = ecg.process(main.address, "test-123", store.url("talk.mp4", signature="new"))
            assert again["status"] == "accepted"
        until_ended(ecg, "test-123")
        assert completed(ecg, "test-123")
        assert [job["status"] for job in main.jobs()] == ["completed"]
        assert "X-Amz-Signature" not in main.output + worker.output


def test_addresses_that_lead_elsewhere_end_as_failed_and_leave_nothing(
    sqlite_installation: Installation, ecg: EcgBackend
) -> None:
    vap, store = sqlite_installation, ecg.store
    store.expired.add("old")
    elsewhere = {
        "loopback": f"http://127.0.0.2:{store.port}/videos/talk.mp4?X-Amz-Signature=s1",
        "loopback-ipv6": f"http://[::1]:{store.port}/videos/talk.mp4",
        "metadata": "http://169.254.169.254/latest/meta-data/",
        "private": "http://10.0.0.1/talk.mp4",
        "decimal": "http://2130706433/talk.mp4",
        "file": "file:///etc/passwd",
        "nowhere": "",
    }
    urls = {
        name: store.add(f"{name}.mp4", status=302, headers={"Location": to})
        for name, to in elsewhere.items()
    }
    urls["loop"] = store.add(
        "loop.mp4", status=307, headers={"Location": store.url("loop.mp4", signature="s2")}
    )
    urls["expired"] = store.url("talk.mp4", signature="old")
    urls["missing"] = store.url("missing.mp4")
    urls["too-large"] = store.add("too-large.mp4", b"x" * 5000, claims_bytes=5_000_000_000)
    urls["compressed"] = store.add(
        "compressed.mp4", b"x" * 5000, headers={"Content-Encoding": "gzip"}
    )
    settings = {**ecg.settings, "SPEECH_MOST_BYTES": "2000000"}
    with vap.main(**settings) as main, vap.worker(*FAKE, **settings):
        for name, to in elsewhere.items():
            refusal = ecg.process(main.address, f"direct-{name}", to)
            assert refusal["error"]["code"] == "INVALID_REQUEST", refusal
        for name, url in urls.items():
            assert ecg.process(main.address, name, url)["status"] == "accepted"
        until_ended(ecg, *urls)
        for name in urls:
            end = ecg.terminal(name)
            assert end is not None
            assert end.get("error_code") == "DOWNLOAD_ERROR", end
        assert list((vap.data_dir / "speech").glob("*/*")) == []
        assert {job["retry_count"] for job in main.jobs()} == {0}


def until_ended(ecg: EcgBackend, *job_ids: str, within_s: float = 240) -> None:
    """Wait until the backend knows how each of the jobs ended."""
    eventually(
        lambda: ecg.violations or all(ecg.terminal(job_id) for job_id in job_ids),
        within_s=within_s,
        what=f"{', '.join(job_ids)} have ended",
    )
    assert ecg.violations == []


def completed(ecg: EcgBackend, job_id: str) -> bool:
    """Whether the job was done, with one end, and its progress only grew."""
    ends_of_it = [one for one in ecg.history(job_id) if one.is_end]
    progress = ecg.progress(job_id)
    return [one.status for one in ends_of_it] == ["completed"] and progress == sorted(progress)


def result(ecg: EcgBackend, job_id: str) -> Any:
    """What was heard."""
    end = ecg.terminal(job_id)
    assert end is not None
    assert end["status"] == "completed", end
    return end["result"]


def words(ecg: EcgBackend, job_id: str) -> set[str]:
    """Different words that were heard."""
    segments = result(ecg, job_id)["segments"]
    return {word["word"].lower() for segment in segments for word in segment["words"]}


def callbacks(main: Main) -> list[Any]:
    """What was or will be told, newest first."""
    items: list[Any] = main.get("/api/v1/callbacks", limit=500)["items"]
    return items


def told(main: Main, job_id: str, *, state: str | None = None) -> list[int]:
    """The progress of a job that was told, or replaced by newer progress before it could be."""
    (queued,) = [job for job in main.jobs() if main.job(job["id"])["payload"]["job_id"] == job_id]
    mine = [one for one in callbacks(main) if one["job_id"] == queued["id"]]
    assert "dead" not in {one["state"] for one in mine}
    return [
        one["progress"]
        for one in mine
        if one["kind"] == "progress" and state in {None, one["state"]}
    ]


def ends(main: Main) -> dict[str, int]:
    """How many messages that a job has ended are in which state."""
    states = [one["state"] for one in callbacks(main) if one["kind"] == "result"]
    return {state: states.count(state) for state in states}


def script(vap: Installation, job_id: str, **what: Any) -> None:
    """Tell the fake analyser what to do with a job's video."""
    folder = speech_folder(vap, job_id)
    folder.mkdir(parents=True)
    (folder / "video.json").write_text(json.dumps(what))


def let_go(vap: Installation, job_id: str) -> None:
    """Let the fake analyser, which holds at a job's video, go on."""
    vap.let_go(speech_folder(vap, job_id) / "video")


def speech_folder(vap: Installation, job_id: str) -> Path:
    """Where the video of a job lies."""
    return vap.data_dir / "speech" / folder_name(job_id)


def part_files(vap: Installation) -> list[Path]:
    """Videos that are arriving."""
    return [path for path in left_in(vap) if path.suffix == ".part"]


def left_in(vap: Installation) -> list[Path]:
    """Every file of a speech job on disk."""
    return [path for path in (vap.data_dir / "speech").rglob("*") if path.is_file()]
