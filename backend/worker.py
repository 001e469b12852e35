"""Composition root of `analysis_worker.py`: settings, job kinds, children, signals.

Exit codes: 0 stopped as asked, 2 a wrong setting or option, 3 a database of another schema version,
5 the database cannot be reached, 6 another process took this worker's name.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import structlog
import uvloop

from backend.analysis.environment import quiet_environment
from backend.analysis.pool import CHILD_ARGV, AnalysisPool
from backend.events.outbox import Outbox
from backend.jobs.claims import KindOrder
from backend.jobs.kinds import JobKind
from backend.jobs.runner import NameTaken, WorkerIdentity, WorkerRunner
from backend.jobs.service import JobQueue
from backend.jobs.workers import WorkerRegistry
from backend.kernel.db import Database, configured_url, is_disconnect
from backend.kernel.logs import configure_logs
from backend.kernel.nudge import JOBS, NudgeListener, Nudges
from backend.kernel.schema_version import SchemaMismatch, check_schema
from backend.monitoring.handlers import SceneHandler
from backend.settings import Settings, SettingsError, load_settings
from backend.version import __version__

log = structlog.get_logger(__name__)

# An operator who looks at the page after an outage wants the present first: newest first.
SCENE = KindOrder("scene", newest_first=True)
KINDS = (SCENE,)
OK, BAD_USAGE, WRONG_SCHEMA, NO_DATABASE, NAME_TAKEN = 0, 2, 3, 5, 6


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker until it is told to stop; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        settings = load_settings()
        kinds = _kinds(arguments.kinds)
        slots = _slots(arguments.slots, kinds)
        configured_url(settings.database, settings.storage)
    except (SettingsError, ValueError) as error:
        return _refuse(BAD_USAGE, str(error))
    configure_logs(settings.server.log_level, settings.server.log_format, program="worker")
    name = arguments.name or f"{socket.gethostname()}-{os.getpid()}"
    identity = WorkerIdentity(
        name=name[:100],
        instance=str(uuid4()),
        hostname=socket.gethostname(),
        pid=os.getpid(),
        slots=slots,
        version=__version__,
    )
    try:
        uvloop.run(_run(settings, identity, analyser=arguments.analyser))
    except SchemaMismatch as error:
        return _refuse(WRONG_SCHEMA, error.message)
    except NameTaken:
        return _refuse(NAME_TAKEN, f"another worker named {identity.name} has been started")
    except Exception as error:
        if not is_disconnect(error):
            raise
        return _refuse(NO_DATABASE, "the database cannot be reached")
    return OK


async def _run(settings: Settings, identity: WorkerIdentity, *, analyser: str) -> None:
    run_dir = settings.storage.run_dir
    database = Database(
        configured_url(settings.database, settings.storage), pool_size=settings.database.pool_size
    )
    nudges = Nudges(run_dir)
    pool = _pool(settings, slots=identity.slots.get(SCENE.name, 1), analyser=analyser)
    try:
        await check_schema(database)
        outbox = Outbox(nudges)
        queue = JobQueue(database, outbox, nudges)
        lease_s = settings.worker.lease_seconds
        registry = WorkerRegistry(database, outbox, silent_after_s=lease_s)
        scene = SceneHandler(pool, settings.scene, settings.storage, analyser=analyser)
        kinds = {SCENE.name: JobKind(SCENE, settings.scene.job_timeout_s, scene)}
        async with NudgeListener(run_dir, JOBS, f"worker-{os.getpid()}") as nudge:
            runner = WorkerRunner(
                queue,
                registry,
                kinds,
                identity,
                nudge,
                poll_s=settings.worker.poll_seconds,
                lease_s=lease_s,
                drain_s=settings.worker.drain_seconds,
            )
            await runner.run(_stop_on_signals(runner.hand_back))
    finally:
        await pool.aclose()
        nudges.close()
        await database.close()


def _stop_on_signals(hand_back: asyncio.Event) -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one hands running jobs back."""
    stop = asyncio.Event()

    def _signalled() -> None:
        if stop.is_set():
            log.info("told again: handing jobs back", action="worker.hand_back")
            hand_back.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _signalled)
    return stop


def _pool(settings: Settings, *, slots: int, analyser: str) -> AnalysisPool:
    """On a GPU one child serves all slots; on a CPU each slot has its own, its share of cores."""
    device = settings.scene.detector_device
    on_gpu = device.startswith("cuda") or (device == "auto" and Path("/dev/nvidia0").exists())
    children, streams = (1, slots) if on_gpu else (slots, 1)
    argv = (*CHILD_ARGV, "--fakes") if analyser == "fake" else CHILD_ARGV
    environment = quiet_environment(settings.storage.models_dir)
    return AnalysisPool(children, streams, argv=argv, environment=environment)


def _kinds(text: str | None) -> list[str]:
    known = [kind.name for kind in KINDS]
    wanted = [part.strip() for part in text.split(",") if part.strip()] if text else known
    for name in wanted:
        if name not in known:
            raise ValueError(f"--kinds: {name} is not one of {', '.join(known)}")
    return wanted


def _slots(text: str, kinds: list[str]) -> dict[str, int]:
    """`2` is two of each kind, `scene=2,...` names them."""
    slots = dict.fromkeys(kinds, 1)
    for part in text.split(","):
        name, named, number = part.strip().rpartition("=")
        if not number.isdigit() or not 1 <= int(number) <= 256 or (named and name not in kinds):
            raise ValueError(f"--slots: {part.strip()!r} is not N or KIND=N with N from 1 to 256")
        slots.update({name: int(number)} if named else dict.fromkeys(kinds, int(number)))
    return slots


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="analysis_worker.py",
        description="Takes analysis jobs from the database and does them. Start as many as you"
        " like, on this or other machines; SIGTERM lets running jobs finish, a second one hands"
        " them back.",
    )
    parser.add_argument("--kinds", metavar="K,K", help="kinds of job to take (default: all)")
    parser.add_argument(
        "--slots",
        metavar="N|KIND=N,...",
        default="1",
        help="jobs at the same time, for all kinds or for each (default: 1)",
    )
    parser.add_argument("--name", help="name of this worker (default: host name and process id)")
    parser.add_argument("--analyser", default="local", help=argparse.SUPPRESS)  # for tests: fake
    parser.add_argument("--version", action="version", version=f"VAP {__version__}")
    return parser


def _refuse(code: int, message: str) -> int:
    sys.stderr.write(f"analysis_worker.py: {message}\n")
    return code
