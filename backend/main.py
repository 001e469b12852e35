"""Composition root of `run.py`: settings, services, routes, schedules, signals.

Exit codes: 0 stopped as asked, 2 a wrong setting or option, 3 a database of another schema version,
4 another main process works in this DATA_DIR, 5 the database cannot be reached, 6 the port is
taken, 130 Ctrl-C while it migrated.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path

import structlog
import uvloop
from fastapi import FastAPI

from backend.events.outbox import Outbox, delete_old_events
from backend.events.stream import EventStream
from backend.jobs.routes import router as jobs_router
from backend.jobs.service import JobQueue
from backend.jobs.workers import WorkerRegistry
from backend.kernel.auth import Gate, session_key
from backend.kernel.clock import SystemClock
from backend.kernel.db import Database, configured_url, is_disconnect
from backend.kernel.errors import Unavailable
from backend.kernel.http import install_errors
from backend.kernel.lifecycle import Supervisor
from backend.kernel.logs import configure_logs
from backend.kernel.nudge import EVENTS, NudgeListener, Nudges
from backend.kernel.redact import redact
from backend.kernel.schema_version import SchemaMismatch, check_schema, is_empty, upgrade_schema
from backend.media.ffmpeg import Ffmpeg, find_ffmpeg
from backend.monitoring.cameras.routes import router as cameras_router
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.recording.live import LiveViews
from backend.monitoring.recording.recorders import CameraSupervision
from backend.monitoring.recording.retention import Retention
from backend.monitoring.recording.routes import router as recordings_router
from backend.monitoring.recording.service import RecordingService
from backend.operations import openapi
from backend.operations.access import refuse_undeclared
from backend.operations.http_figures import HttpFigures
from backend.operations.login import LoginGuard
from backend.operations.loop_delay import LoopDelay
from backend.operations.metrics import Metrics
from backend.operations.routes import SWAGGER_FILES
from backend.operations.routes import router as operations_router
from backend.operations.schedules import Repeated, Schedules
from backend.operations.serving import (
    AnotherMainProcess,
    PortTaken,
    Server,
    bind,
    hold_lock,
    page_address,
)
from backend.operations.ui import PageFiles
from backend.operations.vitals import Vitals
from backend.settings import Settings, SettingsError, load_settings
from backend.version import __version__

log = structlog.get_logger(__name__)

OK, BAD_USAGE, WRONG_SCHEMA, ALREADY_RUNNING, NO_DATABASE, PORT_TAKEN = 0, 2, 3, 4, 5, 6
INTERRUPTED = 130
PAGE = Path(__file__).resolve().parent.parent / "frontend" / "dist"
SERVICE_STOPS_WITHIN_S = 6.0
DATABASE_ANSWERS_WITHIN_S = 20.0
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def create_app(settings: Settings, *, ffmpeg: Ffmpeg | None = None) -> FastAPI:
    """The web application. Nothing starts, and no file is touched, before its lifespan begins.

    `ffmpeg` is the one to use where it is known already.
    """
    metrics = Metrics()
    app = FastAPI(
        title=openapi.TITLE,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # a redirect would name the address as seen behind a proxy
        generate_unique_id_function=openapi.operation_id,
        responses=openapi.ERROR_ANSWERS,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        lifespan=partial(_lifespan, settings, metrics, ffmpeg),
    )
    app.state.stopping = asyncio.Event()
    for router in (operations_router, cameras_router, recordings_router, jobs_router):
        app.include_router(router)
    app.mount("/docs/files", SWAGGER_FILES)
    app.mount("/ui", PageFiles(PAGE))
    install_errors(app)
    app.add_middleware(HttpFigures, metrics=metrics)
    refuse_undeclared(app)
    return app


@asynccontextmanager
async def _lifespan(
    settings: Settings, metrics: Metrics, ffmpeg: Ffmpeg | None, app: FastAPI
) -> AsyncIterator[None]:
    """Everything that lives as long as the process serves; stopped in reverse order."""
    run_dir, storage, clock = settings.storage.run_dir, settings.storage, SystemClock()
    ffmpeg = ffmpeg or await find_ffmpeg(settings.recording.ffmpeg_binary)
    async with AsyncExitStack() as stack:
        url = configured_url(settings.database, storage)
        database = Database(url, pool_size=settings.database.pool_size)
        stack.push_async_callback(database.close)
        nudges = Nudges(run_dir)
        stack.callback(nudges.close)
        nudge = await stack.enter_async_context(NudgeListener(run_dir, EVENTS, "main"))
        outbox = Outbox(nudges)
        queue = JobQueue(database, outbox, nudges)
        workers = WorkerRegistry(database, outbox, silent_after_s=settings.worker.lease_seconds)
        cameras = CameraService(database, outbox, storage, clock)
        recordings = RecordingService(database, outbox, queue, storage, clock)
        retention = Retention(
            database,
            outbox,
            queue,
            cameras,
            storage=storage,
            recording=settings.recording,
            clock=clock,
        )
        stream = EventStream(database, nudge)
        loop_delay = LoopDelay(metrics.loop_delay.observe)
        vitals = Vitals(database, queue, workers, cameras=cameras.states, data_dir=storage.data_dir)
        _hand_to_routes(
            app,
            gate=Gate(settings.server, session_key=session_key(run_dir)),
            login_guard=LoginGuard(),
            clock=clock,
            cameras=cameras,
            recordings=recordings,
            retention=retention,
            live=LiveViews(storage.live_dir),
            jobs=queue,
            workers=workers,
            events=stream,
            vitals=vitals,
            metrics=metrics,
            loop_delay=loop_delay,
        )
        repeated = [
            Repeated("retention", settings.recording.retention_interval_s, retention.run),
            *_housekeeping(settings, database, queue, workers),
        ]
        services = {
            "loop-delay": loop_delay.run,
            "vitals": vitals.run,
            "events": stream.run,
            "schedules": Schedules(repeated).run,
            "cameras": CameraSupervision(ffmpeg, cameras, recordings, clock).run,
        }
        if settings.recording.demo_camera:
            services["demo-camera"] = partial(_create_demo_once, cameras, run_dir)
        supervisor = await stack.enter_async_context(
            Supervisor(stop_within_s=SERVICE_STOPS_WITHIN_S, passes=is_disconnect)
        )
        for name, run in services.items():
            supervisor.start(name, run)
        yield


def _hand_to_routes(app: FastAPI, **parts: object) -> None:
    """Put what the routes use where they look for it."""
    for name, part in parts.items():
        setattr(app.state, name, part)


def _housekeeping(
    settings: Settings, database: Database, queue: JobQueue, workers: WorkerRegistry
) -> list[Repeated]:
    worker = settings.worker
    reap_s = max(1.0, worker.lease_seconds / 6)
    events_s = worker.event_history_days * DAY_S
    jobs_s = worker.job_history_days * DAY_S
    forget_events = partial(delete_old_events, database, older_than_s=events_s)
    return [
        Repeated("reap-jobs", reap_s, queue.reap),
        Repeated("reap-workers", reap_s, workers.reap_silent),
        Repeated("forget-events", HOUR_S, forget_events),
        Repeated("forget-jobs", HOUR_S, partial(queue.delete_old, older_than_s=jobs_s)),
        Repeated("forget-workers", HOUR_S, partial(workers.delete_gone, older_than_s=jobs_s)),
    ]


async def _create_demo_once(cameras: CameraService, run_dir: Path, _: asyncio.Event) -> None:
    """Add the demo camera to a new installation; one that was removed does not come back."""
    note = run_dir / "demo_camera.created"
    if not note.exists():
        await cameras.create_demo()
        note.touch()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop, or migrate; the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        settings = load_settings()
        configured_url(settings.database, settings.storage)
    except SettingsError as error:
        return _refuse(BAD_USAGE, str(error))
    configure_logs(settings.server.log_level, settings.server.log_format, program="main")
    work = _migrate if arguments.command == "migrate" else _serve
    try:
        uvloop.run(work(settings))
    except (SettingsError, Unavailable) as error:
        return _refuse(BAD_USAGE, str(error))
    except SchemaMismatch as error:
        return _refuse(WRONG_SCHEMA, error.message)
    except AnotherMainProcess as error:
        return _refuse(ALREADY_RUNNING, str(error))
    except PortTaken as error:
        return _refuse(PORT_TAKEN, str(error))
    except Exception as error:
        if not is_disconnect(error):
            raise
        return _refuse(NO_DATABASE, f"the database cannot be reached: {_reason(error)}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK


async def _serve(settings: Settings) -> None:
    """Take the place on this machine, look at the database, serve."""
    with (
        hold_lock(settings.storage.run_dir),
        closing(bind(settings.server.host, settings.server.port)) as bound,
    ):
        address = page_address(bound)
        ffmpeg = await find_ffmpeg(settings.recording.ffmpeg_binary)
        server = Server(
            create_app(settings, ffmpeg=ffmpeg),
            on_serving=lambda: _say(f"VAP is at {address}  (Ctrl-C stops it)"),
        )
        server.stop_on_signals()
        async with asyncio.timeout(DATABASE_ANSWERS_WITHIN_S):
            await _prepare_database(settings)
        await server.serve(sockets=[bound])
    log.info("stopped", action="main.stopped")


async def _prepare_database(settings: Settings) -> None:
    """Check the schema; a new embedded database is given one."""
    url = configured_url(settings.database, settings.storage)
    database = Database(url)
    try:
        if settings.database.url is None and await is_empty(database):
            await upgrade_schema(url)
        await check_schema(database)
    finally:
        await database.close()


async def _migrate(settings: Settings) -> None:
    url = configured_url(settings.database, settings.storage)
    await upgrade_schema(url)
    _say(f"The database has the schema of VAP {__version__}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="The main process of VAP: page, API, live video, archives and schedules."
        " Settings come from the environment or .env; docs/configuration.md lists them.",
    )
    parser.add_argument("--version", action="version", version=f"VAP {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve until told to stop (what happens without a command)")
    commands.add_parser("migrate", help="bring the database to the schema of this version")
    return parser


def _say(line: str) -> None:
    """A line for the operator, beside the log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _reason(error: BaseException) -> str:
    """The driver's own words on one line, without credentials."""
    words = str(getattr(error, "orig", None) or error) or type(error).__name__
    return redact(" ".join(words.split()))[:300]


def _refuse(code: int, message: str) -> int:
    sys.stderr.write(f"run.py: {message}\n")
    return code
