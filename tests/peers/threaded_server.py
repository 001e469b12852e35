"""A plain HTTP server on threads for tests: it can go away with its connections, and come back.

`Server` is what a peer is derived from; its `serve` answers one request. What may not be is noted
with `blame`, a failure of the peer itself too.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any

from tests.peers.ports import held_port

NONE: Mapping[str, str] = {}


class Server:
    """See the module; `violations` is what was wrong so far."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.port = 0
        self.lock = threading.RLock()
        self.released = threading.Event()
        self._http: Http | None = None
        self._port_holder: socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, on the same port as before."""
        if self._port_holder is None:
            self._port_holder = held_port("127.0.0.1", self.port)
            self.port = self._port_holder.getsockname()[1]
        self._http = Http(("127.0.0.1", self.port), self)
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name=type(self).__name__, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._go_down()
        if self._port_holder is not None:
            self._port_holder.close()
            self._port_holder = None

    def _go_down(self) -> None:
        http, self._http = self._http, None
        if http is not None and self._thread is not None:
            http.shutdown()
            http.server_close()
            http.cut_all()
            self._thread.join()

    def release(self) -> None:
        """Let go what hangs, and hold nothing any more."""
        self.released.set()

    @contextmanager
    def is_down(self) -> Iterator[None]:
        """The port is closed until the block ends, and nobody else's meanwhile."""
        self._go_down()
        yield
        self.start()

    def blame(self, what: str) -> None:
        """Note a violation."""
        with self.lock:
            self.violations.append(what)

    def serve(self, request: Request) -> None:
        """Answer one request."""
        raise NotImplementedError


class Http(ThreadingHTTPServer):
    """The sockets of a `Server`."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: Server) -> None:
        super().__init__(address, Request)
        self.owner = owner
        self._open: set[socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that it can be cut."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is none; anything else is a fault of this tool."""

    def cut_all(self) -> None:
        """Close every connection."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(SHUT_RDWR)


class Request(BaseHTTPRequestHandler):
    """One connection, request by request."""

    protocol_version = "HTTP/1.1"
    server: Http

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def body(self) -> bytes:
        """What came with it."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send_head(self, status: int, headers: dict[str, str]) -> None:
        """The status and the headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send_bytes(self, status: int, content: bytes, headers: Mapping[str, str] = NONE) -> None:
        """A whole answer."""
        self.send_head(status, {**headers, "Content-Length": str(len(content))})
        self.wfile.write(content)

    def send_json(self, status: int, body: Any, headers: Mapping[str, str] = NONE) -> None:
        """A whole answer, as JSON."""
        content = json.dumps(body).encode()
        self.send_bytes(status, content, {**headers, "Content-Type": "application/json"})

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        try:
            self.server.owner.serve(self)
        except OSError:
            self.close_connection = True  # the other end left
        except Exception as error:  # noqa: BLE001  the edge: whatever goes wrong here is to be seen
            self.server.owner.blame(f"the tool itself failed: {error!r}")
            self.close_connection = True
