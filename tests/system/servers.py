"""Database servers of a test's own, from what is installed; they can be crashed and restarted."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.waiting import eventually

STARTS_WITHIN_S = 40.0
STOPS_WITHIN_S = 30.0


@dataclass
class DatabaseServer:
    """A server on a port of its own. `crash` is how it goes down without a clean end."""

    url: str
    port: int
    command: Sequence[str]
    crash_signal: signal.Signals
    user: str | None
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, stdout=output, stderr=output, **_as_user(self.user)
            )
        eventually(
            self._listens, within_s=STARTS_WITHIN_S, what=f"the server starts, see {self.log}"
        )

    def crash(self) -> None:
        """Go down at once, with whatever was under way."""
        self._end(self.crash_signal)

    def stop(self) -> None:
        """Shut down."""
        if self.process is not None:
            self._end(signal.SIGTERM if self.user is None else signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(number)
        try:
            process.wait(STOPS_WITHIN_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


@contextmanager
def private_server(dialect: str) -> Iterator[DatabaseServer]:
    """A running, empty server; skips where its programs are not installed."""
    folder = Path(tempfile.mkdtemp(prefix="vap-db-", dir="/tmp"))
    try:
        server = _mariadb(folder) if dialect == "mysql" else _postgresql(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _mariadb(folder: Path) -> DatabaseServer:
    install, server = shutil.which("mariadb-install-db"), _which("mariadbd", "/usr/sbin")
    if install is None or server is None:
        pytest.skip("no MariaDB server installed: mariadb-install-db and mariadbd are not found")
    data, me, port = folder / "data", pwd.getpwuid(os.getuid()).pw_name, _free_port()
    options = ["--no-defaults", f"--datadir={data}", f"--user={me}"]
    _run([install, *options, "--auth-root-authentication-method=normal", "--skip-test-db"])
    start = [
        *(server, *options, f"--port={port}", "--bind-address=127.0.0.1"),
        *(f"--socket={folder}/s", f"--pid-file={folder}/pid", "--skip-name-resolve"),
        "--init-file=" + str(_written(folder / "init.sql", "CREATE DATABASE IF NOT EXISTS vap;\n")),
    ]
    url = f"mysql://root@127.0.0.1:{port}/vap"
    return DatabaseServer(url, port, start, signal.SIGKILL, None, folder / "server.log")


def _postgresql(folder: Path) -> DatabaseServer:
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: p.parent.name)
    binaries = str(homes[-1]) if homes else "/usr/bin"
    initdb, server = _which("initdb", binaries), _which("postgres", binaries)
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL server installed: initdb and postgres are not found")
    user = "postgres" if os.getuid() == 0 else None
    if user is not None:  # it refuses to run as root
        try:
            shutil.chown(folder, user)
        except LookupError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    data, port = folder / "data", _free_port()
    _run([initdb, "-D", str(data), "-U", "vap", "-A", "trust", "-E", "UTF8"], user=user)
    listen = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    start = [server, "-D", str(data), "-p", str(port), *listen]
    url = f"postgresql://vap@127.0.0.1:{port}/postgres"
    return DatabaseServer(url, port, start, signal.SIGQUIT, user, folder / "server.log")


def _which(name: str, folder: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=folder)


def _written(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def _run(command: Sequence[str], *, user: str | None = None) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **_as_user(user)
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout} {done.stderr}"


def _as_user(user: str | None) -> dict[str, object]:
    if user is None:
        return {"cwd": "/"}
    return {"cwd": "/", "user": user, "group": user, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
