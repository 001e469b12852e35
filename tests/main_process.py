"""run.py as a process of its own, and a wire between it and its database that can be cut."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.peers.connections import Connections
from tests.peers.ports import held_port

ROOT = Path(__file__).resolve().parent.parent
ENDS_WITHIN_S = 120.0
"""On a slow machine, too. What does not end by itself would run for hours."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def _environment(tmp_path: Path, **settings: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return {
        **plain,
        "DATA_DIR": str(tmp_path / "data"),
        "VAP_PORT": "0",
        "DEMO_CAMERA": "false",
        "PYTHONWARNINGS": "error",
        **settings,
    }


def run(tmp_path: Path, *arguments: str, **settings: str) -> Ended:
    """run.py to its end."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        env=_environment(tmp_path, **settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@dataclass
class Running:
    process: subprocess.Popen[str]
    address: str
    log: Path

    async def stop(self, number: int = signal.SIGTERM) -> Ended:
        """Send the signal and wait for the end, which nobody else has to bring about."""
        self.process.send_signal(number)
        code = await asyncio.to_thread(self.process.wait, ENDS_WITHIN_S)
        return Ended(code, "", self.log.read_text())


@asynccontextmanager
async def started(tmp_path: Path, **settings: str) -> AsyncIterator[Running]:
    """run.py, serving."""
    log = tmp_path / "stderr.log"
    with log.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py")],
            env=_environment(tmp_path, **settings),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = await asyncio.to_thread(process.stdout.readline)
        assert line.startswith("VAP is at http://127.0.0.1:"), f"{line!r} {log.read_text()}"
        yield Running(process, line.split()[3], log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Relay:
    """Stands between a program and its database, and can be cut; its port stays its own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._connections = Connections(self._serve)
        self._held = held_port()
        self.port: int = self._held.getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.cut()
        self._held.close()

    async def join(self) -> None:
        await self._connections.listen(port=self.port)

    async def cut(self) -> None:
        await self._connections.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, other_writer))
                both.create_task(_pass(other_reader, writer))
        finally:
            other_writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
