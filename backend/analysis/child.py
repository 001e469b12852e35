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

from backend.analysis.environment import LOW_PRIORITY_NICE
from backend.analysis.protocol import (
    AnalysisError,
    Cancelled,
    SceneAnalyser,
    SceneRequest,
)
from backend.analysis.registry import FAKE_SCENE_ANALYSERS, SCENE_ANALYSERS
from backend.kernel.logs import configure_logs

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Replies:
    """The way back to the parent; whole lines, from any thread."""

    stream: BinaryIO
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, reply: Mapping[str, Any]) -> None:
        """Write one reply; without a parent to read it, there is nothing left to do."""
        line = json.dumps(reply, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            with self._lock:
                self.stream.write(line)
                self.stream.flush()
        except BrokenPipeError:
            os._exit(0)


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
    factories: Mapping[str, Callable[[], SceneAnalyser]]
    _analysers: dict[str, SceneAnalyser] = field(default_factory=dict)
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
            reply = {"result": self._answer(message, context)}
        except Cancelled:
            reply = _error("cancelled", "the analysis was cancelled", permanent=False)
        except AnalysisError as error:
            reply = _error(error.code, error.message, permanent=error.permanent)
        except MemoryError:
            reply = _error("out_of_memory", "the analysis ran out of memory", permanent=False)
        except Exception as error:  # the edge: whatever an analyser raises ends this request only
            log.exception("analyser failed", action="analysis.bug", request_id=request_id)
            name = type(error).__name__
            reply = _error("analyser_failed", f"the analyser failed ({name})", permanent=False)
        self._running.pop(request_id, None)
        self.replies.send({"id": request_id, **reply})

    def _answer(self, message: Mapping[str, Any], context: RequestContext) -> dict[str, Any]:
        if message.get("kind") != "scene":
            raise AnalysisError("unknown_kind", "no analyser does this kind", permanent=True)
        analyser = self._analyser(str(message.get("analyser")))
        return analyser.analyse(SceneRequest.from_json(message["payload"]), context).to_json()

    def _analyser(self, name: str) -> SceneAnalyser:
        with self._lock:
            if name not in self._analysers:
                if name not in self.factories:
                    raise AnalysisError(
                        "unknown_analyser", f"there is no analyser {name}", permanent=True
                    )
                self._analysers[name] = self.factories[name]()
            return self._analysers[name]


def _error(code: str, message: str, *, permanent: bool) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "permanent": permanent}}


def _put_standard_output_aside() -> BinaryIO:
    aside = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(aside, "wb")


def main() -> None:
    """Serve one parent."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--fakes", action="store_true", help="offer the fake analysers too")
    parser.add_argument("--nice", type=int, default=LOW_PRIORITY_NICE, help="added to the niceness")
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--log-format", default="auto", choices=("auto", "text", "json"))
    arguments = parser.parse_args()
    replies = Replies(_put_standard_output_aside())
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "1"  # noqa: TID251  whoever starts it: no code from .pt
    faulthandler.enable()
    os.nice(arguments.nice)
    configure_logs(arguments.log_level, arguments.log_format, program="analysis child")
    factories = SCENE_ANALYSERS | (FAKE_SCENE_ANALYSERS if arguments.fakes else {})
    Child(replies, factories).serve(sys.stdin.buffer)
    os._exit(0)  # without waiting for threads: nobody is left to answer


if __name__ == "__main__":
    main()
