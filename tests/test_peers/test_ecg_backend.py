"""The strict ECG backend: it takes what the document says, and notices whatever is not that."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from tests.peers.ecg_backend import RESULTS, Answer, EcgBackend, running_ecg_backend
from tests.peers.ecg_messages import wrong

HEADERS = {"Content-Type": "application/json", "User-Agent": "ML-Server/1.0"}
WORD = {"word": "You", "start": 4.908, "end": 4.988, "volume_db": -19.87, "pitch_hz": 851.09}
SEGMENT = {
    "start_time": 4.908,
    "end_time": 8.754,
    "speaker": {"speaker_id": "SPEAKER_01"},
    "text": "You",
    "words": [WORD],
}
METADATA = {"filename": "video.mp4", "duration": 143.39, "total_segments": 1, "unique_speakers": 1}
COMPLETED = {
    "job_id": "test-123",
    "status": "completed",
    "progress": 100,
    "result": {"metadata": METADATA, "segments": [SEGMENT]},
}
FAILED = {
    "job_id": "test-123",
    "status": "failed",
    "progress": 45,
    "error_message": "Audio extraction failed: unsupported codec",
    "error_code": "AUDIO_EXTRACTION_ERROR",
}


def at(progress: Any, **values: Any) -> dict[str, Any]:
    """A progress message."""
    said = {"job_id": "test-123", "status": "processing", "progress": progress, "message": "On it"}
    return said | values


class Caller:
    """An ML server that sends what it is told to."""

    def __init__(self, ecg: EcgBackend) -> None:
        self.ecg = ecg
        self._number = 0

    def send(self, body: Any, *, message_id: str | None = None, **headers: str) -> int:
        """Send a callback; the status of its answer."""
        self._number += 1
        headers = {**HEADERS, "webhook-id": message_id or f"m{self._number}", **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = self.ecg.url + RESULTS
        answer = httpx.post(url, content=content, headers=headers, timeout=60, trust_env=False)
        return answer.status_code

    def blamed(self) -> list[str]:
        """What was wrong since the last look."""
        found = list(self.ecg.violations)
        self.ecg.violations.clear()
        return found


@pytest.fixture
def ecg() -> Iterator[EcgBackend]:
    with running_ecg_backend() as ecg:
        ecg.expect("test-123")
        yield ecg


@pytest.fixture
def caller(ecg: EcgBackend) -> Caller:
    return Caller(ecg)


@pytest.mark.parametrize(
    ("kind", "body"), [("processing", at(65)), ("completed", COMPLETED), ("failed", FAILED)]
)
def test_the_examples_of_the_document_are_right(kind: str, body: dict[str, Any]) -> None:
    assert wrong(kind, body) == []


def changed(path: str, value: Any) -> dict[str, Any]:
    """The example of a result, but for one value; `...` takes it away."""
    body: Any = copy.deepcopy(COMPLETED)
    at_: Any = body
    *names, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    for name in names:
        at_ = at_[name]
    if value is ...:
        del at_[last]
    else:
        at_[last] = value
    return dict(body)


IN_WORD = "result.segments.0.words.0"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("progress", 99),
        ("progress", "100"),
        ("job_id", 5),
        ("job_id", ""),
        ("extra", 1),
        ("result.extra", 1),
        ("result", None),
        ("result.metadata", ...),
        ("result.metadata.filename", "/data/video.mp4"),
        ("result.metadata.duration", None),
        ("result.metadata.duration", -1),
        ("result.metadata.total_segments", 2),
        ("result.metadata.total_segments", True),
        ("result.metadata.unique_speakers", 2),
        ("result.segments", {}),
        ("result.segments.0.speaker", "SPEAKER_01"),
        ("result.segments.0.speaker.speaker_id", "Anna"),
        ("result.segments.0.end_time", 1.0),
        ("result.segments.0.end_time", 200.0),
        ("result.segments.0.words", []),
        (f"{IN_WORD}.word", ...),
        (f"{IN_WORD}.start", 3.0),
        (f"{IN_WORD}.end", 4.0),
        (f"{IN_WORD}.volume_db", -60.01),
        (f"{IN_WORD}.volume_db", 0.01),
        (f"{IN_WORD}.volume_db", None),
        (f"{IN_WORD}.pitch_hz", 99.99),
        (f"{IN_WORD}.pitch_hz", 1000.01),
        (f"{IN_WORD}.pitch_hz", ...),
    ],
)
def test_a_result_that_is_not_what_the_document_says_is_noticed(path: str, value: Any) -> None:
    assert wrong("completed", changed(path, value)) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{IN_WORD}.volume_db", -60),
        (f"{IN_WORD}.volume_db", 0),
        (f"{IN_WORD}.pitch_hz", 100),
        (f"{IN_WORD}.pitch_hz", 1000),
        (f"{IN_WORD}.confidence", 0.5),
        ("result.metadata.language", "en"),
    ],
)
def test_the_ends_of_a_range_and_further_fields_are_right(path: str, value: Any) -> None:
    assert wrong("completed", changed(path, value)) == []


@pytest.mark.parametrize(
    "body",
    [
        at(100),
        at(-1),
        at(12.5),
        at(None),
        at(True),
        at(5, message=""),
        at(5, extra=1),
        at(5, message="reading /data/speech/video"),
        {**FAILED, "error_code": "worker_lost"},
        {**FAILED, "error_code": None},
        {**FAILED, "progress": 100},
        {**FAILED, "error_message": 'Traceback (most recent call last): File "x"'},
        {**FAILED, "error_message": "no https://bucket.s3.amazonaws.com/video.mp4?X=1"},
        {**FAILED, "result": {}},
        {"job_id": "test-123", "status": "accepted"},
        ["processing"],
    ],
)
def test_other_messages_that_are_wrong_are_noticed(caller: Caller, body: Any) -> None:
    caller.send(body)
    assert caller.blamed() != []
    assert caller.ecg.history("test-123") == []


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "python-httpx/1"},
        {"Content-Type": "text/plain"},
        {"Authorization": "Bearer secret"},
    ],
)
def test_wrong_headers_are_noticed(caller: Caller, headers: dict[str, str]) -> None:
    caller.send(at(10), **headers)
    assert len(caller.blamed()) == 1


def test_what_is_no_json_or_too_large_or_elsewhere_is_noticed(caller: Caller) -> None:
    caller.send(b"{nope")
    assert "no JSON" in caller.blamed()[0]
    caller.send(b" " * 50_000_001)
    assert "a body of 50000001 bytes" in caller.blamed()
    httpx.get(caller.ecg.url + "/", timeout=60, trust_env=False)
    assert caller.blamed() == ["asked for GET /"]


@pytest.mark.parametrize(
    ("bodies", "count"),
    [
        ([at(10), at(25), at(25), COMPLETED], 0),
        ([at(10), at(9)], 1),
        ([at(50), FAILED], 1),
        ([at(45), FAILED, at(45)], 1),
        ([COMPLETED, COMPLETED], 1),
        ([FAILED, COMPLETED], 1),
        ([at(10, job_id="other")], 1),
    ],
)
def test_messages_out_of_order_are_noticed(caller: Caller, bodies: list[Any], count: int) -> None:
    for body in bodies:
        caller.send(body)
    assert len(caller.blamed()) == count


def test_the_same_message_may_come_again_but_not_as_another(caller: Caller) -> None:
    caller.ecg.answer_with(Answer(fault="cut"), Answer())
    with pytest.raises(httpx.TransportError):
        caller.send(COMPLETED, message_id="end")
    assert caller.send(COMPLETED, message_id="end") == 200
    assert caller.blamed() == []
    assert len(caller.ecg.history("test-123")) == 1
    assert len(caller.ecg.arrivals("test-123")) == 2
    caller.send(FAILED, message_id="end")
    assert caller.blamed() == ["test-123: two messages with the id end"]


def test_it_refuses_dawdles_and_hangs_as_told(caller: Caller) -> None:
    ecg = caller.ecg
    ecg.answer_with(Answer(500), Answer(429, retry_after="3"), Answer(delay_s=0.05), Answer())
    ecg.answer_with(Answer(503), job_id="other")
    ecg.expect("other")
    assert [caller.send(at(10, job_id=job)) for job in ("test-123", "other")] == [500, 503]
    assert [caller.send(at(10)) for _ in range(3)] == [429, 200, 200]
    assert ecg.progress("test-123") == [10, 10], "what was refused was not taken"
    ecg.answer_with(Answer(fault="hang"))
    threading.Timer(0.1, ecg.release).start()
    with pytest.raises(httpx.TransportError):
        caller.send(at(20))
    assert ecg.progress("test-123") == [10, 10]


def test_while_it_is_down_nobody_is_there_and_then_it_is_back_on_its_port(caller: Caller) -> None:
    assert caller.send(at(10)) == 200
    with caller.ecg.is_down(), pytest.raises(httpx.ConnectError):
        caller.send(at(20))
    assert caller.send(at(30)) == 200
    assert caller.ecg.progress("test-123") == [10, 30]
    assert caller.ecg.terminal("test-123") is None
    address = caller.ecg.url + "/api/v1/ml/job-status/test-123"
    shown = httpx.get(address, timeout=60, trust_env=False)
    assert shown.json() == at(30)


def test_its_store_gives_files_and_ranges_to_who_has_a_signature_that_holds(
    ecg: EcgBackend,
) -> None:
    store = ecg.store
    url = store.add("talk.mp4", b"0123456789")
    # a connection each: the store closes them
    get: Callable[..., httpx.Response] = partial(httpx.get, timeout=60, trust_env=False)
    whole, rest = get(url), get(url, headers={"Range": "bytes=4-"})
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert (rest.status_code, rest.content) == (206, b"456789")
    assert rest.headers["Content-Range"] == "bytes 4-9/10"
    store.expired.add("s1")
    assert get(url).status_code == 403
    assert get(url.partition("?")[0]).status_code == 403
    assert get(store.url("talk.mp4", signature="s2")).status_code == 200
    assert get(store.url("gone.mp4", signature="s2")).status_code == 404
    moved = store.add("moved.mp4", status=302, headers={"Location": "http://there/"})
    assert get(moved.replace("s1", "s2")).headers["Location"] == "http://there/"


class AnyAnswer(BaseHTTPRequestHandler):
    """An ML server's answer to process-video."""

    status, body = 200, b""
    seen: dict[str, Any] = {}

    def do_POST(self) -> None:
        """Answer what the class says."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen = {"path": self.path, "body": json.loads(content), **self.headers}
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


ACCEPTED = {"status": "accepted", "message": "Processing started", "estimated_time": 300}
REFUSED = {"error": {"code": "INVALID_REQUEST", "message": "no", "job_id": "test-123"}}


@pytest.mark.parametrize(
    ("status", "answer", "is_right"),
    [
        (200, ACCEPTED, True),
        (200, {**ACCEPTED, "estimated_time": None}, False),
        (200, {**ACCEPTED, "status": "queued"}, False),
        (202, ACCEPTED, False),
        (400, REFUSED, True),
        (400, {"error": "no"}, False),
        (422, REFUSED, False),
    ],
)
def test_it_asks_as_the_document_says_and_checks_the_answer(
    caller: Caller, status: int, answer: dict[str, Any], is_right: bool
) -> None:
    if "error" not in answer:
        answer = {"job_id": "test-123", **answer}
    AnyAnswer.status, AnyAnswer.body = status, json.dumps(answer).encode()
    with HTTPServer(("127.0.0.1", 0), AnyAnswer) as server:
        asking = threading.Thread(target=server.handle_request)
        asking.start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert caller.ecg.process(address, "test-123", "https://there/video.mp4") == answer
        asking.join()
    seen = AnyAnswer.seen
    assert seen["path"] == "/api/upload-video/process-video"
    assert seen["body"] == {"job_id": "test-123", "video_url": "https://there/video.mp4"}
    assert seen["Content-Type"] == "application/json"
    assert seen["User-Agent"] == "ECS-FastAPI-Backend/1.0"
    assert "Authorization" not in seen
    assert (caller.blamed() == []) is is_right
