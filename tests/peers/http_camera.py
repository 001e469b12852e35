"""A camera that speaks HTTP: endless MJPEG at ``/mjpeg``, a progressive MP4 at ``/video.mp4``.

For tests, on threads of its own while its block runs. Both are sent in real time: MJPEG loops
for ever, the MP4 ends. Range requests are honoured. Faults are switched while it runs.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

import av

from tests.peers.rtsp_auth import AuthScheme, Gate

CHUNK_S = 0.1
_BOUNDARY = "frame"


class HttpCamera:
    """The camera; a path whose file was not given answers 404.

    ``answer_delay_s`` holds back every answer and may be set at any time.
    """

    def __init__(
        self,
        *,
        mjpeg: Path | None = None,
        mp4: Path | None = None,
        user: str | None = None,
        password: str = "",
        auth: AuthScheme = "basic",
        answer_delay_s: float = 0,
    ) -> None:
        self.gate = Gate(user, password, auth) if user is not None else None
        self.answer_delay_s = answer_delay_s
        self.not_hung, self.stopped = threading.Event(), threading.Event()
        self.not_hung.set()
        self.connections: set[socket.socket] = set()
        self.mp4 = mp4
        self.mp4_bytes_per_s = _bytes_per_s(mp4) if mp4 else 0.0
        self.jpegs, self.fps = _jpegs(mjpeg) if mjpeg else ([], 0.0)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"camera": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stopped.set()
        self.not_hung.set()
        self._server.shutdown()
        self.drop()
        self._server.server_close()
        self._thread.join()

    @property
    def mjpeg_url(self) -> str:
        """Where the MJPEG stream is, with the camera's own credentials."""
        return self._own_url("mjpeg")

    @property
    def mp4_url(self) -> str:
        """Where the MP4 is, with the camera's own credentials."""
        return self._own_url("video.mp4")

    def url_as(self, user: str | None = None, password: str = "", *, path: str) -> str:
        """The URL of a path with other credentials, or none."""
        login = "" if user is None else f"{quote(user, safe='')}:{quote(password, safe='')}@"
        return f"http://{login}127.0.0.1:{self._server.server_port}/{path}"

    def hang(self) -> None:
        """Freeze: connections stay open and new ones are taken, but nothing is sent any more."""
        self.not_hung.clear()

    def resume(self) -> None:
        """End `hang`."""
        self.not_hung.set()

    def drop(self) -> None:
        """Close every connection; new ones are welcome."""
        for connection in list(self.connections):
            with suppress(OSError):  # it had just ended
                connection.shutdown(socket.SHUT_RDWR)

    def _own_url(self, path: str) -> str:
        if self.gate is None:
            return self.url_as(path=path)
        return self.url_as(self.gate.user, self.gate.password, path=path)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    camera: HttpCamera

    def setup(self) -> None:
        super().setup()
        self.camera.connections.add(self.connection)

    def finish(self) -> None:
        self.camera.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # the client left
            self._serve()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_args: Any) -> None:
        """Requests are not worth a line."""

    def _serve(self) -> None:
        camera = self.camera
        camera.not_hung.wait()
        camera.stopped.wait(camera.answer_delay_s)
        if camera.gate and not camera.gate.admits(self.headers["Authorization"], self.command):
            self._begin(401, {"WWW-Authenticate": camera.gate.challenge})
        elif camera.jpegs and urlsplit(self.path).path == "/mjpeg":
            self._begin(200, {"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"})
            self._send(self._parts(), every_s=1 / camera.fps)
        elif camera.mp4 and urlsplit(self.path).path == "/video.mp4":
            self._send_file(camera.mp4.read_bytes())
        else:
            self._begin(404, {})

    def _parts(self) -> Iterator[bytes]:
        for jpeg in cycle(self.camera.jpegs):
            head = (
                f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            yield head.encode() + jpeg + b"\r\n"

    def _send_file(self, data: bytes) -> None:
        headers = {"Content-Type": "video/mp4", "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        end = min(len(data), int(asked[2]) + 1) if asked and asked[2] else len(data)
        if first >= len(data):
            self._begin(416, {"Content-Range": f"bytes */{len(data)}"})
            return
        if asked:
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
        self._begin(206 if asked else 200, {**headers, "Content-Length": str(end - first)})
        step = max(1, round(self.camera.mp4_bytes_per_s * CHUNK_S))
        self._send(
            (data[at : min(at + step, end)] for at in range(first, end, step)), every_s=CHUNK_S
        )

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, chunks: Iterator[bytes], *, every_s: float) -> None:
        if self.command == "HEAD":
            return
        due_s = time.monotonic()
        for chunk in chunks:
            self.camera.not_hung.wait()
            if self.camera.stopped.wait(max(0.0, due_s - time.monotonic())):
                return
            self.wfile.write(chunk)
            due_s += every_s


def _jpegs(path: Path) -> tuple[list[bytes], float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "mjpeg":
            raise ValueError(f"{path.name} is {stream.codec_context.name}, not mjpeg")
        return [bytes(packet) for packet in container.demux(stream) if packet.size], float(
            stream.average_rate or 25
        )


def _bytes_per_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return path.stat().st_size / ((container.duration or av.time_base) / av.time_base)
