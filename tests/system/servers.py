"""Database servers of a test's own, from what is installed; they can be crashed and restarted."""

from __future__ import annotations

import asyncio
import os
import pwd
import random
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
from sqlalchemy import text

from backend.kernel.db import Database, database_url, is_disconnect
from tests.migrating import apart
from tests.waiting import eventually

STARTS_WITHIN_S = 120.0
STOPS_WITHIN_S = 90.0
PORTS = range(20_000, 32_000)
"""The kernel gives none of these to a client while the server is down."""


@dataclass
class DatabaseServer:
    """A server on a port of its own. `crash` is how it goes down without a clean end."""

    url: str
    command: Sequence[str]
    crash_signal: signal.Signals
    user: str | None
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, stdout=output, stderr=output, **_as_user(self.user)
            )
        eventually(
            self._answers, within_s=STARTS_WITHIN_S, what=f"the server starts, see {self.log}"
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

    def _answers(self) -> bool:
        """Whether it does: PostgreSQL takes connections before, and refuses them."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        try:
            apart(lambda: asyncio.run(_ask(self.url)))
        except Exception as error:
            if not is_disconnect(error):
                raise
            return False
        return True


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
    return DatabaseServer(url, start, signal.SIGKILL, None, folder / "server.log")


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
    return DatabaseServer(url, start, signal.SIGQUIT, user, folder / "server.log")


def _which(name: str, folder: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=folder)


def _written(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def _run(command: Sequence[str], *, user: str | None = None) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **_as_user(user)
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout} {done.stderr}"


def _as_user(user: str | None) -> dict[str, object]:
    if user is None:
        return {"cwd": "/"}
    return {"cwd": "/", "user": user, "group": user, "extra_groups": []}


async def _ask(url: str) -> None:
    database = Database(database_url(url, data_dir=Path()))
    try:
        async with database.read() as session:
            await session.execute(text("SELECT 1"))
    finally:
        await database.close()


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
