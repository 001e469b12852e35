"""A strict ECG backend for tests and by hand: it asks, serves the videos, and is called back.

    with running_ecg_backend() as ecg:                 # ecg.settings are those of an ML server
        ecg.store.add("talk.mp4", content)
        ecg.process(address, "test-123", ecg.store.url("talk.mp4"))
        ... ecg.terminal("test-123"), ecg.history("test-123"), ecg.violations ...

Requests go out exactly as the document says, and every message that comes in is held against the
schema (`ecg_messages`), its headers and its size; of a job, progress may never go back and there
is one end. The same message (by `webhook-id`) may come again where the answer may have been lost.
Whatever is wrong is a line in `violations`, which has to be empty at the end of a test. It goes
down (`is_down`), comes back on the same port, and misbehaves as told (`answer_with`); the videos
have a server of their own, as S3 is one. Everything runs on threads, so that plain tests can wait.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.peers.ecg_messages import kind_of, wrong
from tests.peers.threaded_server import Request, Server

RESULTS = "/api/v1/ml/ml-results"
SCENE_RESULTS = "/api/v1/scene-results"
PROCESS_VIDEO = "/api/upload-video/process-video"
ENDS = frozenset({"completed", "failed"})
MOST_BYTES = 50 * 1000 * 1000
ANSWERS_WITHIN_S = 20.0
"""5 in the document; a machine that stalls takes longer, a server that fetches first for ever."""
HEADERS = {"Content-Type": "application/json", "User-Agent": "ECS-FastAPI-Backend/1.0"}
CALLBACK_HEADERS = {"Content-Type": "application/json", "User-Agent": "ML-Server/1.0"}
EXPIRES = "X-Amz-Expires=3600"


@dataclass(frozen=True)
class Answer:
    """What a callback is answered, after `delay_s`.

    Faults: `hang` takes the request and never answers; `cut` closes within the answer, though the
    message was taken, as a backend does that dies at the wrong moment. `at_end` keeps the answer
    for the job's end: progress that is refused may be replaced, and not come again.
    """

    status: int = 200
    delay_s: float = 0.0
    retry_after: str | None = None
    fault: Literal["hang", "cut"] | None = None
    at_end: bool = False


@dataclass(frozen=True)
class Message:
    """A callback as it came; `is_taken` if it was answered with 200, as far as this end knows."""

    job_id: str
    body: dict[str, Any]
    message_id: str
    path: str
    at_s: float
    is_taken: bool

    @property
    def status(self) -> str:
        """processing, completed or failed."""
        return str(self.body.get("status"))

    @property
    def is_end(self) -> bool:
        """Whether nothing may follow."""
        return self.status in ENDS


class EcgBackend(Server):
    """The backend. Answers are used up one by one; the last one answers for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.store = VideoStore()
        self.arrived: list[Message] = []
        self._answers: dict[str | None, deque[Answer]] = {None: deque([Answer()])}
        self._asked: set[str] = set()
        self._ids: dict[str, dict[str, Any]] = {}
        self._taken: dict[str, list[Message]] = defaultdict(list)

    @property
    def url(self) -> str:
        """The BACKEND_URL of an ML server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """What an ML server has to be told for this backend on loopback."""
        return {
            "BACKEND_URL": self.url,
            "ANALYSIS_CALLBACK_URL": self.url + SCENE_RESULTS,
            "URL_ALLOW_HTTP": "true",
            "URL_ALLOWED_HOSTS": "127.0.0.1/32",
        }

    def process(self, address: str, job_id: str, video_url: str) -> dict[str, Any]:
        """Ask an ML server to process a video; its answer, which must be that of the document."""
        with self.lock:
            self._asked.add(job_id)
            if any(one.status == "failed" for one in self._taken[job_id]):
                self._taken[job_id].clear()  # a new attempt begins
        began = time.monotonic()
        answer = httpx.post(
            address + PROCESS_VIDEO,
            content=json.dumps({"job_id": job_id, "video_url": video_url}),
            headers=HEADERS,
            timeout=60,
            trust_env=False,
        )
        took_s = time.monotonic() - began
        if took_s > ANSWERS_WITHIN_S:
            self.blame(f"process-video answered only after {took_s:.1f} s")
        body: dict[str, Any] = answer.json()
        kind = "accepted" if answer.status_code == 200 else "refused"
        faults = wrong(kind, body)
        if answer.status_code not in {200, 400, 500}:
            faults.append(f"process-video answered {answer.status_code}")
        if not faults and (body | body.get("error", {}))["job_id"] != job_id:
            faults.append(f"process-video was asked of {job_id}, and answered {body}")
        for line in faults:
            self.blame(line)
        return body

    def expect(self, *job_ids: str) -> None:
        """Be ready for callbacks of jobs that somebody else asked for."""
        with self.lock:
            self._asked.update(job_ids)

    def answer_with(self, *answers: Answer, job_id: str | None = None) -> None:
        """Answer callbacks with these from now on, in turn; or those of one job."""
        with self.lock:
            self._answers[job_id] = deque(answers)

    def history(self, job_id: str) -> list[Message]:
        """What was taken of a job, in turn, each message once."""
        with self.lock:
            return list(self._taken[job_id])

    def progress(self, job_id: str) -> list[int]:
        """The percentages that were taken of a job, in turn."""
        return [one.body["progress"] for one in self.history(job_id)]

    def terminal(self, job_id: str) -> dict[str, Any] | None:
        """How a job ended."""
        ends = [one.body for one in self.history(job_id) if one.is_end]
        return ends[0] if ends else None

    def arrivals(self, job_id: str) -> list[Message]:
        """Every message of a job that reached this end, refused and repeated ones too."""
        with self.lock:
            return [one for one in self.arrived if one.job_id == job_id]

    def serve(self, request: Request) -> None:
        """Take a callback, or answer where a job stands."""
        path = urlsplit(request.path).path
        prefix = "/api/v1/ml/job-status/"
        if request.command == "GET" and path.startswith(prefix):
            history = self.history(path.removeprefix(prefix))
            request.send_json(200 if history else 404, history[-1].body if history else {})
        elif request.command != "POST" or request.path not in {RESULTS, SCENE_RESULTS}:
            self.blame(f"asked for {request.command} {request.path}")
            request.send_json(404, {})
        else:
            self._receive(request)

    def _receive(self, request: Request) -> None:
        content = request.body()
        body = self._checked(request, content)
        with self.lock:
            job_id = None if body is None else str(body["job_id"])
            answers = self._answers.get(job_id) or self._answers[None]
            is_end = body is not None and body.get("status") in ENDS
            if answers[0].at_end and not is_end:
                answer = Answer()
            else:
                answer = answers.popleft() if len(answers) > 1 else answers[0]
            if body is not None:
                self._note(_message(request, body, answer))
        if answer.fault == "hang":
            self.released.wait()
            request.close_connection = True
            return
        threading.Event().wait(answer.delay_s)
        if answer.fault == "cut":
            request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
            request.close_connection = True
            return
        headers = {"Retry-After": answer.retry_after} if answer.retry_after else {}
        request.send_json(answer.status, {"received": answer.status == 200}, headers)

    def _checked(self, request: Request, content: bytes) -> dict[str, Any] | None:
        """The body of a callback; what is wrong with it is noted, and None where it is useless."""
        for name, value in CALLBACK_HEADERS.items():
            if request.headers.get(name) != value:
                self.blame(f"{name} is {request.headers.get(name)!r}")
        for name in ("Authorization", "Cookie", "X-API-Key"):
            if name in request.headers:
                self.blame(f"a credential came along: {name}")
        if len(content) > MOST_BYTES:
            self.blame(f"a body of {len(content)} bytes")
        try:
            body = json.loads(content)
        except ValueError:
            self.blame(f"no JSON: {content[:200]!r}")
            return None
        faults = wrong(kind_of(body, is_scene=request.path == SCENE_RESULTS), body)
        for line in faults:
            self.blame(line)
        return None if faults else dict(body)

    def _note(self, message: Message) -> None:
        """Put a message into its job's history, where it has to fit."""
        job_id, body = message.job_id, message.body
        self.arrived.append(message)
        if self._ids.setdefault(message.message_id, body) != body:
            self.blame(f"{job_id}: two messages with the id {message.message_id}")
        if message.path == RESULTS and job_id not in self._asked:
            self.blame(f"{job_id}: nobody asked for this job")
        history = self._taken[job_id]
        if any(one.message_id == message.message_id for one in history):
            return  # once more: our answer was lost, or they could not note it
        if history and history[-1].is_end:
            self.blame(f"{job_id}: {message.status} came after its end")
        elif history and body["progress"] < history[-1].body["progress"]:
            self.blame(f"{job_id}: from {history[-1].body['progress']} to {body['progress']}")
        if message.is_taken:
            history.append(message)


def _message(request: Request, body: dict[str, Any], answer: Answer) -> Message:
    return Message(
        job_id=body["job_id"],
        body=body,
        message_id=request.headers.get("webhook-id", ""),
        path=request.path,
        at_s=time.monotonic(),
        is_taken=answer.status == 200 and answer.fault != "hang",
    )


@dataclass
class Video:
    """A file of the store, and how it is given.

    Args:
        hold_after: after so many bytes wait for `release`.
        claims_bytes: the Content-Length, true or not.
    """

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold_after: int | None = None
    claims_bytes: int | None = None


class VideoStore(Server):
    """Where the videos lie: presigned URLs that can expire, and ranges."""

    def __init__(self) -> None:
        super().__init__()
        self.expired: set[str] = set()
        self.asked: list[str] = []
        """Names that were asked for, in turn."""
        self._videos: dict[str, Video] = {}

    def add(self, name: str, content: bytes = b"", **how: Any) -> str:
        """Put a file there, or change how it is given; its URL."""
        self._videos[name] = Video(content, **how)
        return self.url(name)

    def url(self, name: str, *, signature: str = "s1") -> str:
        """A presigned URL; `expired` holds signatures that are not taken any more."""
        return f"http://127.0.0.1:{self.port}/videos/{name}?{EXPIRES}&X-Amz-Signature={signature}"

    def serve(self, request: Request) -> None:
        """Give a file, or what of it is asked for."""
        parts = urlsplit(request.path)
        name = parts.path.removeprefix("/videos/")
        signature = parse_qs(parts.query).get("X-Amz-Signature", [""])[0]
        with self.lock:
            self.asked.append(name)
        video = self._videos.get(name)
        if request.command != "GET":
            self.blame(f"the store was asked {request.command}")
        if not signature or signature in self.expired:
            request.send_bytes(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif video is None:
            request.send_bytes(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._give(request, video)

    def _give(self, request: Request, video: Video) -> None:
        content, status = video.content, video.status
        headers = {"Accept-Ranges": "bytes", "ETag": '"v1"', "Content-Type": "video/mp4"}
        asked = request.headers.get("Range", "")
        if status == 200 and asked.startswith("bytes=") and asked.endswith("-"):
            start = int(asked[6:-1])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        size = len(content) if video.claims_bytes is None else video.claims_bytes
        request.send_head(status, {**headers, **video.headers, "Content-Length": str(size)})
        if video.hold_after is not None:
            request.wfile.write(content[: video.hold_after])
            self.released.wait()
            content = content[video.hold_after :]
        request.wfile.write(content)
        request.close_connection = True


@contextmanager
def running_ecg_backend() -> Iterator[EcgBackend]:
    """A backend and its store until the block ends; then nothing may have been wrong."""
    ecg = EcgBackend()
    ecg.store.start()
    ecg.start()
    try:
        yield ecg
        assert ecg.violations + ecg.store.violations == []
    finally:
        for server in (ecg, ecg.store):
            server.release()
            server.stop()
