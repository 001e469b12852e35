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
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import structlog
import uvloop

from backend.analysis.environment import quiet_environment
from backend.analysis.pool import CHILD_ARGV, AnalysisPool
from backend.callbacks.configured import signer_of, targets_of
from backend.callbacks.service import Callbacks
from backend.callbacks.targets import CallbackTargets
from backend.events.outbox import Outbox
from backend.jobs.callbacks import JobCallbacks
from backend.jobs.claims import KindOrder
from backend.jobs.kinds import JobKind
from backend.jobs.runner import NameTaken, WorkerIdentity, WorkerRunner
from backend.jobs.service import JobQueue
from backend.jobs.states import Priority
from backend.jobs.workers import WorkerRegistry
from backend.kernel.clock import SystemClock
from backend.kernel.db import Database, configured_url, is_disconnect, reason_of
from backend.kernel.errors import Unavailable
from backend.kernel.logs import configure_logs
from backend.kernel.net import fetch_policy
from backend.kernel.nudge import JOBS, NudgeListener, Nudges
from backend.kernel.schema_version import SchemaMismatch, check_schema
from backend.kernel.work_folder import work_folder
from backend.media.ffmpeg import Ffmpeg, find_ffmpeg
from backend.monitoring.analyses.breakers import Breakers
from backend.monitoring.analyses.handlers.local_pass import LocalPass
from backend.monitoring.analyses.handlers.model_pass import ModelPass
from backend.monitoring.analyses.handlers.scene import SceneHandler
from backend.monitoring.analyses.handlers.shelf import ModelShelf
from backend.monitoring.analyses.handlers.trials import BackendTestHandler, DryRunHandler
from backend.monitoring.analyses.service import SceneReports
from backend.monitoring.analyses.spending import Spending
from backend.monitoring.analyses.trials import DRY_RUN_JOB, TEST_JOB
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.incidents.service import IncidentService
from backend.monitoring.recording.service import SCENE_JOB
from backend.settings import CallbackSettings, Settings, SettingsError, load_settings
from backend.speech.handlers import SpeechDownloadHandler, SpeechHandler
from backend.speech.states import SPEECH_JOB, error_code
from backend.version import __version__

log = structlog.get_logger(__name__)

# An operator who looks at the page after an outage wants the present first: newest first.
SCENE = KindOrder(SCENE_JOB, newest_first=True)
# A person waits for these: whoever asked first is answered first.
BACKEND_TEST = KindOrder(TEST_JOB, newest_first=False)
DRY_RUN = KindOrder(DRY_RUN_JOB, newest_first=False)
# Who asked first is served first; signed URLs expire, so that downloads have places of their own.
SPEECH = KindOrder(SPEECH_JOB, newest_first=False, priorities=(Priority.NORMAL, Priority.LOW))
SPEECH_DOWNLOAD = KindOrder(
    SPEECH_JOB, newest_first=False, priorities=(Priority.HIGH,), slot="speech_download"
)
KINDS = (SCENE, BACKEND_TEST, DRY_RUN, SPEECH, SPEECH_DOWNLOAD)
MARGIN_S = 60.0  # a job that keeps its own time ends by that, not by its worker's deadline
OK, BAD_USAGE, WRONG_SCHEMA, NO_DATABASE, NAME_TAKEN = 0, 2, 3, 5, 6


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker until it is told to stop; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        settings = load_settings()
        kinds = _kinds(arguments.kinds)
        slots = _slots(arguments.slots, kinds, downloads=settings.speech.downloads_at_once)
        configured_url(settings.database, settings.storage)
        _check_callbacks(settings.callbacks)
        fetch_policy(settings.fetch)
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
    except (SettingsError, Unavailable) as error:
        return _refuse(BAD_USAGE, str(error))
    except NameTaken:
        return _refuse(NAME_TAKEN, f"another worker named {identity.name} has been started")
    except Exception as error:
        if not is_disconnect(error):
            raise
        return _refuse(NO_DATABASE, f"the database cannot be used: {reason_of(error)}")
    return OK


async def _run(settings: Settings, identity: WorkerIdentity, *, analyser: str) -> None:
    run_dir, storage = settings.storage.run_dir, settings.storage
    ffmpeg = await find_ffmpeg(settings.recording.ffmpeg_binary)
    async with AsyncExitStack() as stack:
        url = configured_url(settings.database, storage)
        database = Database(url, pool_size=settings.database.pool_size)
        stack.push_async_callback(database.close)
        await check_schema(database)
        nudges = Nudges(run_dir)
        stack.callback(nudges.close)
        folder = stack.enter_context(work_folder(storage.work_dir, identity.instance))
        outbox = Outbox(nudges)
        callbacks = Callbacks(database, nudges, CallbackTargets.anywhere())
        told = JobCallbacks(callbacks, codes=error_code)
        queue = JobQueue(database, outbox, nudges, callbacks=told)
        lease_s = settings.worker.lease_seconds
        registry = WorkerRegistry(database, outbox, silent_after_s=lease_s)
        place = _Place(settings, database, outbox, ffmpeg, folder, identity.slots, analyser)
        kinds = [*_scene_kinds(stack, place), *_speech_kinds(stack, place)]
        nudge = await stack.enter_async_context(
            NudgeListener(run_dir, JOBS, f"worker-{os.getpid()}")
        )
        runner = WorkerRunner(
            queue,
            registry,
            {kind.place: kind for kind in kinds},
            identity,
            nudge,
            poll_s=settings.worker.poll_seconds,
            lease_s=lease_s,
            drain_s=settings.worker.drain_seconds,
        )
        await runner.run(_stop_on_signals(runner.hand_back))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the kinds of job are set up."""

    settings: Settings
    database: Database
    outbox: Outbox
    ffmpeg: Ffmpeg
    folder: Path
    slots: dict[str, int]
    analyser: str

    def slots_of(self, *orders: KindOrder) -> int:
        """How many of these run at the same time, at least one."""
        return max(1, sum(self.slots.get(order.place, 0) for order in orders))


def _scene_kinds(stack: AsyncExitStack, place: _Place) -> list[JobKind]:
    """Archives, and tries of backends and prompts."""
    settings, database, clock = place.settings, place.database, SystemClock()
    storage, models, scene = settings.storage, settings.models, settings.scene
    zone, timeout_s = settings.server.zone, settings.scene.job_timeout_s
    pool = _pool(settings, slots=place.slots_of(SCENE, DRY_RUN), analyser=place.analyser)
    stack.push_async_callback(pool.aclose)
    spending = Spending(database, clock, zone, total_usd=models.total_budget_usd)
    incidents = IncidentService(database, place.outbox, storage.data_dir, clock)
    reports = SceneReports(database, incidents, spending, storage, models, clock, zone)
    cameras = CameraService(database, place.outbox, storage, clock)
    local = LocalPass(pool, scene, storage, analyser=place.analyser)
    model = ModelPass(place.ffmpeg, models, place.folder, zone)
    shelf = ModelShelf(models, Breakers(database), spending)
    stack.push_async_callback(shelf.aclose)
    archives = SceneHandler(
        local, model, shelf, cameras, reports, spending, place.ffmpeg, scene, storage, clock
    )
    dry_run = DryRunHandler(local, model, shelf, cameras, scene, models, storage)
    test = BackendTestHandler(model, shelf, clock)
    return [
        JobKind(SCENE, timeout_s, archives),
        JobKind(DRY_RUN, timeout_s, dry_run),
        JobKind(BACKEND_TEST, models.call_timeout_s + MARGIN_S, test),
    ]


def _speech_kinds(stack: AsyncExitStack, place: _Place) -> list[JobKind]:
    """Videos to listen to, and their downloads."""
    settings, speech, storage = place.settings, place.settings.speech, place.settings.storage
    environment = quiet_environment(storage.models_dir, threads=speech.threads)
    slots = place.slots_of(SPEECH)
    pool = AnalysisPool(slots, argv=_child(place.analyser), environment=environment)
    stack.push_async_callback(pool.aclose)
    policy = fetch_policy(settings.fetch)
    analyser = "fake" if place.analyser == "fake" else "speech"
    listen = SpeechHandler(pool, place.database, speech, storage, place.folder, analyser=analyser)
    fetch = SpeechDownloadHandler(place.database, policy, speech, storage)
    order = replace(SPEECH, most_running=speech.at_once)
    return [
        JobKind(order, speech.timeout_s + MARGIN_S, listen),
        JobKind(SPEECH_DOWNLOAD, speech.timeout_s + MARGIN_S, fetch),
    ]


def _check_callbacks(settings: CallbackSettings) -> None:
    """Refuse what the main process would refuse; only that one sends."""
    targets_of(settings, own_url="http://127.0.0.1")
    signer_of(settings)


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
    environment = quiet_environment(settings.storage.models_dir)
    return AnalysisPool(children, streams, argv=_child(analyser), environment=environment)


def _child(analyser: str) -> Sequence[str]:
    return (*CHILD_ARGV, "--fakes") if analyser == "fake" else CHILD_ARGV


def _kinds(text: str | None) -> list[str]:
    known = [kind.place for kind in KINDS]
    wanted = [part.strip() for part in text.split(",") if part.strip()] if text else known
    for name in wanted:
        if name not in known:
            raise ValueError(f"--kinds: {name} is not one of {', '.join(known)}")
    return wanted


def _slots(text: str, kinds: list[str], *, downloads: int) -> dict[str, int]:
    """`2` is two of each kind, `scene=2,...` names them; more downloads, which mostly wait."""
    slots = dict.fromkeys(kinds, 1)
    for part in text.split(","):
        name, named, number = part.strip().rpartition("=")
        if not number.isdigit() or not 1 <= int(number) <= 256 or (named and name not in kinds):
            raise ValueError(f"--slots: {part.strip()!r} is not N or KIND=N with N from 1 to 256")
        slots.update({name: int(number)} if named else dict.fromkeys(kinds, int(number)))
    place = SPEECH_DOWNLOAD.place
    if place in slots and f"{place}=" not in text:
        slots[place] = downloads
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
