"""The process that holds the models: `python -m backend.analysis.child`, started by `pool`.

Requests come as one JSON object a line on standard input, replies go out the same way on standard
output, which is put aside first, so that what a library prints lands on standard error:

    {"id": "1", "kind": "scene", "analyser": "local", "payload": {...}}     {"cancel": "1"}
    {"ready": true, "pid": 123}   {"id": "1", "progress": {"percent": 25, "message": "..."}}
    {"id": "1", "result": {...}}  {"id": "1", "error": {"code", "message", "permanent"}}

Each request runs in a thread of its own; analysers, and with them the loaded models, are shared.
An answer ends each request (a cancelled one answers with code `cancelled`). The process runs
at low priority and ends when its standard input closes; `media.process` ends it with its parent.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import structlog

from backend.analysis.protocol import (
    AnalysisError,
    Cancelled,
)
from backend.analysis.registry import ANALYSERS, FAKE_ANALYSERS, Answer
from backend.kernel.logs import configure_logs
from backend.media.process import LOW_PRIORITY

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Replies:
    """The way back to the parent; whole lines, from any thread."""

    stream: BinaryIO
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, reply: Mapping[str, Any]) -> None:
        """Write one reply."""
        self.write(as_line(reply))

    def write(self, line: bytes) -> None:
        """Write a line; without a parent to read it, there is nothing left to do."""
        try:
            with self._lock:
                self.stream.write(line)
                self.stream.flush()
        except BrokenPipeError:
            os._exit(0)


def as_line(reply: Mapping[str, Any]) -> bytes:
    """A reply as it goes over the pipe.

    Raises:
        TypeError, ValueError: something in it has no place in JSON, such as NaN.
    """
    return json.dumps(reply, allow_nan=False, separators=(",", ":")).encode() + b"\n"


@dataclass(slots=True)
class RequestContext:
    """The context of one request, over the pipe."""

    request_id: str
    replies: Replies
    wanted: threading.Event

    def progress(self, percent: int, message: str) -> None:
        """Tell the parent."""
        progress = {"percent": max(0, min(100, percent)), "message": message}
        self.replies.send({"id": self.request_id, "progress": progress})

    def cancelled(self) -> bool:
        """Whether the parent took the request back."""
        return not self.wanted.is_set()

    def check(self) -> None:
        """Raise `Cancelled` if the parent took the request back."""
        if self.cancelled():
            raise Cancelled


@dataclass(slots=True)
class Child:
    """Reads requests and runs each in a thread."""

    replies: Replies
    factories: Mapping[str, Mapping[str, Callable[[], Answer]]]
    _analysers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    _running: dict[str, threading.Event] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, requests: BinaryIO) -> None:
        """Run until the parent closes its end."""
        self.replies.send({"ready": True, "pid": os.getpid()})
        for line in requests:
            message = json.loads(line)
            if "cancel" in message:
                wanted = self._running.get(message["cancel"])
                if wanted is not None:
                    wanted.clear()
                continue
            wanted = threading.Event()
            wanted.set()
            self._running[message["id"]] = wanted
            threading.Thread(
                target=self._run, args=(message, wanted), name=message["id"], daemon=True
            ).start()

    def _run(self, message: Mapping[str, Any], wanted: threading.Event) -> None:
        request_id = message["id"]
        context = RequestContext(request_id, self.replies, wanted)
        try:
            line = as_line({"id": request_id, "result": self._answer(message, context)})
        except Cancelled:
            line = _error(request_id, "cancelled", "the analysis was cancelled", permanent=False)
        except AnalysisError as error:
            line = _error(request_id, error.code, error.message, permanent=error.permanent)
        except MemoryError:
            message_ = "the analysis ran out of memory"
            line = _error(request_id, "out_of_memory", message_, permanent=False)
        # the edge: whatever an analyser raises ends this request only; a panic of a library in Rust
        # is no Exception
        except BaseException as error:
            log.exception("analyser failed", action="analysis.bug", request_id=request_id)
            message_ = f"the analyser failed ({type(error).__name__})"
            line = _error(request_id, "analyser_failed", message_, permanent=False)
        self._running.pop(request_id, None)
        self.replies.write(line)

    def _answer(self, message: Mapping[str, Any], context: RequestContext) -> dict[str, Any]:
        kind = str(message.get("kind"))
        if kind not in self.factories:
            raise AnalysisError("unknown_kind", "no analyser does this kind", permanent=True)
        answer = self._analyser(kind, str(message.get("analyser")))
        return answer(message["payload"], context)

    def _analyser(self, kind: str, name: str) -> Answer:
        with self._lock:
            if (kind, name) not in self._analysers:
                if name not in self.factories[kind]:
                    raise AnalysisError(
                        "unknown_analyser", f"there is no analyser {name}", permanent=True
                    )
                self._analysers[kind, name] = self.factories[kind][name]()
            return self._analysers[kind, name]


def _error(request_id: str, code: str, message: str, *, permanent: bool) -> bytes:
    error = {"code": code, "message": message, "permanent": permanent}
    return as_line({"id": request_id, "error": error})


def _put_standard_output_aside() -> BinaryIO:
    aside = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(aside, "wb")


def main() -> None:
    """Serve one parent."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--fakes", action="store_true", help="offer the fake analysers too")
    parser.add_argument("--nice", type=int, default=LOW_PRIORITY, help="added to the niceness")
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--log-format", default="auto", choices=("auto", "text", "json"))
    arguments = parser.parse_args()
    replies = Replies(_put_standard_output_aside())
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "1"  # noqa: TID251  whoever starts it: no code from .pt
    faulthandler.enable()
    os.nice(arguments.nice)
    configure_logs(arguments.log_level, arguments.log_format, program="analysis child")
    fakes = FAKE_ANALYSERS if arguments.fakes else {}
    factories = {kind: {**known, **fakes.get(kind, {})} for kind, known in ANALYSERS.items()}
    Child(replies, factories).serve(sys.stdin.buffer)
    os._exit(0)  # without waiting for threads: nobody is left to answer


if __name__ == "__main__":
    main()
