"""The real programs, run as an operator runs them: run.py and analysis_worker.py in a DATA_DIR.

For system tests and benchmarks. Each program has a log file of its own, is stopped with real
signals, and must leave no process behind: every process that works in the installation's folder
belongs to it, whoever its parent is now. (Programs are started there, and hand it on.)
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import TextClause, text

from backend.kernel.db import Database, database_url
from tests.migrating import apart
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
KEPT = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "FFMPEG_BINARY"}
STARTS_WITHIN_S = 120.0
STOPS_WITHIN_S = 90.0
ANSWERS_WITHIN_S = 60.0
ONE_REQUEST_EACH = httpx.Limits(max_keepalive_connections=0)
"""A connection that is kept may be closed by the server at the moment it is used again."""
LOG_TAIL_CHARS = 6000
REAPS_SOON = {"WORKER_LEASE_SECONDS": "2"}
"""For a main process: it looks every second for leases that ran out."""
KEEPS_JOBS = {"WORKER_LEASE_SECONDS": "600", "WORKER_POLL_SECONDS": "0.5"}
"""For a worker: however slow the machine is, its leases last until `end_leases`."""
ADDRESS = re.compile(r"^VAP is at (http://\S+?)/? ", re.MULTILINE)


@dataclass
class Program:
    """A started program. `log` holds what it wrote, to both streams."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, *, within_s: float = STOPS_WITHIN_S) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(within_s)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self, *signals: int, within_s: float = STOPS_WITHIN_S) -> int:
        """Send the signals (SIGTERM) and wait for the end; the exit code."""
        for number in signals or (signal.SIGTERM,):
            self.send(number)
        return self.wait(within_s=within_s)


@dataclass
class Main(Program):
    """run.py, serving. `api` is a client on this machine."""

    address: str
    api: httpx.Client

    def get(self, path: str, **query: Any) -> Any:
        """What a GET answers; it must be well."""
        answer = self.api.get(path, params=query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def jobs(self, **query: Any) -> list[Any]:
        """The newest jobs, at most 200."""
        items: list[Any] = self.get("/api/v1/jobs", limit=200, **query)["items"]
        return items

    def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        """What a POST answers; it must have this status."""
        answer = self.api.post(path, json=body)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def job(self, job_id: int) -> Any:
        """One job."""
        return self.get(f"/api/v1/jobs/{job_id}")

    def camera(self, camera_id: str) -> Any:
        """One camera."""
        return self.get(f"/api/v1/cameras/{camera_id}")

    def finished_segments(self, camera_id: str) -> list[Any]:
        """A camera's registered archives, newest first."""
        page = self.get(f"/api/v1/cameras/{camera_id}/segments", limit=500)
        return [segment for segment in page["items"] if segment["state"] == "finished"]


class Installation:
    """A DATA_DIR, a database and settings, and the programs that run on them."""

    def __init__(self, folder: Path, *, database: str | None = None, **settings: str) -> None:
        self.folder = folder.resolve()
        self.data_dir = self.folder / "data"
        self._database_url = database
        self._logs = 0
        self._settings = {
            "DATA_DIR": str(self.data_dir),
            "VAP_PORT": "0",
            "DEMO_CAMERA": "false",
            "RETENTION_DAYS": "36500",  # what a test puts there is old, and stays
            "RETENTION_DISK_PERCENT": "99",
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            **({"DATABASE_URL": database} if database else {}),
            **settings,
        }

    def migrate(self) -> None:
        """`run.py migrate`."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "run.py"), "migrate"],
            env=self._environment({}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=STARTS_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @contextmanager
    def main(self, **settings: str) -> Iterator[Main]:
        """run.py, until the block ends; then it must stop cleanly, unless it was killed."""
        with self._program("run.py", (), settings) as program:
            address = eventually(
                lambda: self._address(program), within_s=STARTS_WITHIN_S, what="run.py serves"
            )
            with httpx.Client(
                base_url=address, timeout=ANSWERS_WITHIN_S, limits=ONE_REQUEST_EACH
            ) as api:
                main = Main(program.name, program.process, program.log, address, api)
                eventually(
                    lambda: api.get("/health").status_code == 200, what="/health answers 200"
                )
                yield main

    @contextmanager
    def worker(self, *arguments: str, **settings: str) -> Iterator[Program]:
        """An analysis_worker.py that takes jobs, until the block ends."""
        with self._program("analysis_worker.py", arguments, settings) as program:
            listens = self.data_dir / "run" / "nudge" / f"jobs.worker-{program.pid}.port"
            eventually(
                lambda: listens.exists() or not program.is_running,
                within_s=STARTS_WITHIN_S,
                what="the worker starts",
            )
            assert program.is_running, program.output
            yield program

    def add_jobs(self, videos: Sequence[Path]) -> None:
        """Rows with the contract's columns and nothing else, as any program may insert them.

        The workers are not nudged: who adds rows by hand waits for a poll.
        """
        statement = text(
            "INSERT INTO analysis_jobs (camera_id, video_path, segment_start, segment_end)"
            " VALUES ('yard', :path, '2026-01-01 00:00:00', '2026-01-01 00:10:00')"
        )
        rows = [{"path": video.relative_to(self.data_dir).as_posix()} for video in videos]
        self._execute(statement, rows)

    def end_leases(self) -> None:
        """Running jobs are their workers' no longer, as if the leases had run out."""
        self._execute(
            text(
                "UPDATE analysis_jobs SET locked_until = '2026-01-01 00:00:00'"
                " WHERE status = 'processing'"
            )
        )

    def fake_video(self, name: str, **script: Any) -> Path:
        """A file that the fake analyser takes for a video, and what it is to do with it.

        With `hold_at` it stays at that progress until `let_go`.
        """
        path = self.data_dir / "archive" / "yard" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if script:
            path.with_name(f"{name}.json").write_text(json.dumps(script))
        path.write_bytes(b"not a video")
        return path

    @staticmethod
    def let_go(video: Path) -> None:
        """Let the fake analyser, which holds at this video, go on."""
        video.with_name(f"{video.name}.go").touch()

    def processes(self, *, name: str = "") -> list[psutil.Process]:
        """Every process of this installation whose name begins so, orphans too."""
        return [
            process
            for process in psutil.process_iter()
            if process.pid != os.getpid() and self._owns(process, name)
        ]

    def until_alone(self) -> None:
        """Fails when a process of this installation goes on."""
        eventually(lambda: not self.processes(), what="no process is left behind")

    def _execute(self, statement: TextClause, rows: Sequence[dict[str, Any]] = ()) -> None:
        async def execute() -> None:
            database = Database(database_url(self._database_url, data_dir=self.data_dir))
            try:
                await database.retrying(lambda session: session.execute(statement, rows or None))
            finally:
                await database.close()

        apart(lambda: asyncio.run(execute()))

    @contextmanager
    def _program(
        self, file: str, arguments: tuple[str, ...], settings: dict[str, str]
    ) -> Iterator[Program]:
        self._logs += 1
        log = self.folder / f"{self._logs}-{Path(file).stem}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / file), *arguments],
                env=self._environment(settings),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        program = Program(file, process, log)
        try:
            yield program
            if program.is_running:
                code = program.stop()
                assert code == 0, f"{file} ended with {code}"
        except BaseException as error:
            error.add_note(f"--- {file}\n{program.output[-LOG_TAIL_CHARS:]}")
            raise
        finally:
            if program.is_running:
                program.kill()

    @staticmethod
    def _address(program: Program) -> str | None:
        found = ADDRESS.search(program.output)
        assert found or program.is_running, program.output
        return found[1] if found else None

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in KEPT}
        return {**kept, **self._settings, **settings}

    def _owns(self, process: psutil.Process, name: str) -> bool:
        with suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith(name):
                return False
            return Path(process.cwd()).is_relative_to(self.folder)
        return False
