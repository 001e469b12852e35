"""How the main process takes its place on the machine and serves HTTP until told to stop.

- One main process a DATA_DIR: a lock that the kernel drops however the process ends.
- The port is bound before anything else starts, so that a taken port stops nothing half-way.
- SIGTERM and Ctrl-C end event streams at once, give other answers a few seconds, and then let the
  app stop its services; the process ends by returning, with no trace.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from backend.settings import SettingsError

Address = tuple[str, int]

ANSWERS_END_WITHIN_S = 3.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class AnotherMainProcess(Exception):
    """Another main process holds the DATA_DIR; the message is one line."""


class PortTaken(Exception):
    """Another program listens on the port; the message is one line."""


@contextmanager
def hold_lock(run_dir: Path) -> Iterator[None]:
    """Be the only main process of this DATA_DIR.

    Raises:
        AnotherMainProcess: there is one already.
        SettingsError: the folder cannot be written.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = (run_dir / "main.lock").open("a+")
    except OSError as error:
        raise SettingsError(f"DATA_DIR: cannot write {run_dir}: {error.strerror}") from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise AnotherMainProcess(
                f"another main process (pid {holder}) works in DATA_DIR {run_dir.parent}"
            ) from None
        with suppress(OSError):  # a full disk, which this process is to free; the lock holds
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket on this address, not listening yet.

    Raises:
        PortTaken: another program listens there.
        SettingsError: the address is not this machine's, or the port is not ours to use.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise SettingsError(f"VAP_HOST: {host}: {error.strerror}") from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"port {port} of {host} is taken; set VAP_PORT to another") from error
        raise SettingsError(f"VAP_HOST={host} VAP_PORT={port}: {error.strerror}") from error
    return bound


def page_address(bound: socket.socket) -> str:
    """Where a browser on this machine finds the page."""
    host, port = bound.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104  compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class Server(uvicorn.Server):
    """uvicorn that ends streams first, ends by returning, and says when it serves."""

    def __init__(self, app: Starlette, *, on_serving: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # kernel.auth decides whom to believe
                timeout_graceful_shutdown=round(ANSWERS_END_WITHIN_S) + 2,
            )
        )
        self._app = app
        self._on_serving = on_serving
        app.state.hang_up = self.hang_up

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: `stop_on_signals` has done it, and a signal is not raised again at the end."""
        yield

    def stop_on_signals(self) -> None:
        """End at SIGTERM and Ctrl-C, from now on. Signals while it ends change nothing."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._told_to_stop)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so."""
        try:
            await super().startup(sockets)
        except SystemExit:  # after the log has said why; its code means something else here
            raise SystemExit(1) from None
        if self.started and not self.should_exit:
            self._on_serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End event streams, then answers, then services."""
        self._app.state.stopping.set()
        loop = asyncio.get_running_loop()
        breaking_off = loop.call_later(ANSWERS_END_WITHIN_S, self.hang_up)
        await super().shutdown(sockets)
        breaking_off.cancel()

    def hang_up(self, client: Address | None = None) -> None:
        """Break off this client's connection, or all: to the app they are clients that left.

        What they have not read is thrown away; a close would wait until they have read it.
        """
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol) and client in {None, connection.client}:
                connection.transport.abort()

    def _told_to_stop(self) -> None:
        self.should_exit = True
