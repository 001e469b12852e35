"""Composition root of the main process: services, routes, schedules, each built once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from backend.callbacks.configured import signer_of, targets_of
from backend.callbacks.posting import Poster
from backend.callbacks.routes import router as callbacks_router
from backend.callbacks.sender import PLACES, CallbackSender
from backend.callbacks.service import CALLBACKS, Callbacks
from backend.callbacks.signing import Signer
from backend.callbacks.targets import CallbackTargets
from backend.events.outbox import Outbox, delete_old_events
from backend.events.stream import EventStream
from backend.jobs.callbacks import JobCallbacks
from backend.jobs.routes import router as jobs_router
from backend.jobs.service import JobQueue
from backend.jobs.workers import WorkerRegistry
from backend.kernel.auth import Gate, session_key
from backend.kernel.clock import SystemClock
from backend.kernel.db import Database, configured_url, is_disconnect
from backend.kernel.http import install_errors
from backend.kernel.lifecycle import Supervisor
from backend.kernel.net import UrlPolicy, fetch_policy
from backend.kernel.nudge import EVENTS, NudgeListener, Nudges
from backend.media.ffmpeg import Ffmpeg, find_ffmpeg
from backend.monitoring.analyses.breakers import Breakers
from backend.monitoring.analyses.routes import router as analyses_router
from backend.monitoring.analyses.service import SceneReports
from backend.monitoring.analyses.spending import Spending
from backend.monitoring.analyses.trials import Trials
from backend.monitoring.cameras.routes import router as cameras_router
from backend.monitoring.cameras.service import CameraService
from backend.monitoring.incidents.routes import router as incidents_router
from backend.monitoring.incidents.service import IncidentService
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
from backend.operations.ui import PageFiles
from backend.operations.vitals import Vitals
from backend.settings import CallbackSettings, ServerSettings, Settings
from backend.speech.limits import RequestLimit
from backend.speech.results import MlResults
from backend.speech.routes import ML_RESULTS, MOST_CONTRACT_BYTES, PROCESS_VIDEO, UPLOADS
from backend.speech.routes import contract as contract_router
from backend.speech.routes import router as speech_router
from backend.speech.service import SpeechService
from backend.speech.states import error_code
from backend.speech.uploads import BLOCK_BYTES, Uploads
from backend.version import __version__

PAGE = Path(__file__).resolve().parent.parent / "frontend" / "dist"
SERVICE_STOPS_WITHIN_S = 6.0
ROUTERS = (
    operations_router,
    cameras_router,
    recordings_router,
    incidents_router,
    analyses_router,
    jobs_router,
    callbacks_router,
    contract_router,
    speech_router,
)
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
TIDY_S = 60.0


def create_app(
    settings: Settings, *, ffmpeg: Ffmpeg | None = None, address: str | None = None
) -> FastAPI:
    """The web application. Nothing starts, and no file is touched, before its lifespan begins.

    `ffmpeg` is the one to use where it is known already; `address` is where this server is found
    on this machine, if not by its settings.

    Raises:
        SettingsError: a setting says what cannot be.
    """
    metrics = Metrics()
    outgoing = _Outgoing.of(settings, address)
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
        lifespan=partial(_lifespan, settings, metrics, ffmpeg, outgoing),
    )
    app.state.stopping = asyncio.Event()
    app.state.hang_up = lambda _client: None  # until a server says how
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/docs/files", SWAGGER_FILES)
    app.mount("/ui", PageFiles(PAGE))
    limits = {PROCESS_VIDEO: MOST_CONTRACT_BYTES, ML_RESULTS: MOST_CONTRACT_BYTES}
    limits[UPLOADS] = settings.speech.most_bytes + BLOCK_BYTES  # it says itself what is too much
    install_errors(app, body_limits=limits)
    app.add_middleware(HttpFigures, metrics=metrics)
    refuse_undeclared(app)
    return app


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """Whom this server calls, and from where it fetches."""

    own_url: str
    targets: CallbackTargets
    signer: Signer
    policy: UrlPolicy

    @classmethod
    def of(cls, settings: Settings, address: str | None) -> _Outgoing:
        own_url = settings.server.main_url or address or _own_address(settings.server)
        targets = targets_of(settings.callbacks, own_url=own_url)
        return cls(own_url, targets, signer_of(settings.callbacks), fetch_policy(settings.fetch))


@asynccontextmanager
async def _lifespan(
    settings: Settings,
    metrics: Metrics,
    ffmpeg: Ffmpeg | None,
    outgoing: _Outgoing,
    app: FastAPI,
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
        callbacks = Callbacks(database, nudges, outgoing.targets)
        results = MlResults(database)
        told = _job_callbacks(settings.callbacks, callbacks, results)
        queue = JobQueue(database, outbox, nudges, callbacks=told)
        workers = WorkerRegistry(database, outbox, silent_after_s=settings.worker.lease_seconds)
        cameras = CameraService(database, outbox, storage, clock)
        incidents = IncidentService(database, outbox, storage.data_dir, clock)
        recordings = RecordingService(
            database,
            outbox,
            queue,
            incidents,
            storage,
            clock,
            callback_url=settings.callbacks.analysis_url,
        )
        spending = Spending(
            database, clock, settings.server.zone, total_usd=settings.models.total_budget_usd
        )
        breakers = Breakers(database)
        reports = SceneReports(
            database, incidents, spending, storage, settings.models, clock, settings.server.zone
        )
        retention = Retention(
            database,
            outbox,
            queue,
            cameras,
            storage=storage,
            recording=settings.recording,
            clock=clock,
        )
        gate = Gate(settings.server, session_key=session_key(run_dir))
        uploads = await _uploads(settings)
        speech = SpeechService(
            database,
            queue,
            outgoing.policy,
            settings.speech,
            storage,
            callback_url=_ml_results_url(settings.callbacks.backend_url or outgoing.own_url),
        )
        stream = EventStream(database, nudge)
        loop_delay = LoopDelay(metrics.loop_delay.observe)
        vitals = Vitals(
            database,
            queue,
            workers,
            cameras=cameras.states,
            accounts=spending.of_today,
            breakers=breakers.states,
            callbacks=callbacks.counts,
            data_dir=storage.data_dir,
        )
        _hand_to_routes(
            app,
            gate=gate,
            callbacks=callbacks,
            ml_results=results,
            speech=speech,
            speech_limit=RequestLimit(gate, clock, per_minute=settings.speech.requests_per_minute),
            uploads=uploads,
            login_guard=LoginGuard(),
            clock=clock,
            settings=settings,
            cameras=cameras,
            recordings=recordings,
            incidents=incidents,
            reports=reports,
            breakers=breakers,
            trials=Trials(database, queue),
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
            *_housekeeping(settings, queue, workers, speech),
            *_forgetting(
                {
                    "jobs": queue.delete_old,
                    "workers": workers.delete_gone,
                    "incidents": incidents.delete_old,
                    "reports": reports.delete_old,
                    "costs": spending.delete_old,
                    "speech": speech.delete_old,
                    "results": results.delete_old,
                },
                settings.worker.job_history_days,
            ),
            *_forgetting(
                {"events": partial(delete_old_events, database), "callbacks": callbacks.delete_old},
                settings.worker.event_history_days,
            ),
        ]
        sender = await _sender(stack, run_dir, database, outgoing)
        services = {
            "callbacks": sender.run,
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
    settings: Settings, queue: JobQueue, workers: WorkerRegistry, speech: SpeechService
) -> list[Repeated]:
    reap_s = max(1.0, settings.worker.lease_seconds / 6)
    return [
        Repeated("reap-jobs", reap_s, queue.reap),
        Repeated("reap-workers", reap_s, workers.reap_silent),
        Repeated("tidy-speech", TIDY_S, speech.tidy),
    ]


def _forgetting(
    rows: Mapping[str, Callable[..., Awaitable[object]]], days: float
) -> list[Repeated]:
    """What was found is kept as long as the jobs that found it, what was told as long as events."""
    return [
        Repeated(f"forget-{name}", HOUR_S, partial(delete_old, older_than_s=days * DAY_S))
        for name, delete_old in rows.items()
    ]


async def _uploads(settings: Settings) -> Uploads:
    """Where videos are received, without what a killed process left half."""
    uploads = Uploads(settings.storage.work_dir / "uploads", most_bytes=settings.speech.most_bytes)
    await uploads.clear()
    return uploads


def _own_address(server: ServerSettings) -> str:
    """Where this server is found on this machine, by its settings."""
    host = "127.0.0.1" if server.host in {"0.0.0.0", "::"} else server.host  # noqa: S104  compared
    return f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}"


def _ml_results_url(backend_url: str) -> str:
    return f"{backend_url.rstrip('/')}{ML_RESULTS}"


def _job_callbacks(
    settings: CallbackSettings, callbacks: Callbacks, results: MlResults
) -> JobCallbacks:
    """What tells of jobs; without a backend this server is the one that is told."""
    forget = results.begin if settings.backend_url is None else None
    return JobCallbacks(callbacks, codes=error_code, forget=forget)


async def _sender(
    stack: AsyncExitStack, run_dir: Path, database: Database, outgoing: _Outgoing
) -> CallbackSender:
    """What sends callbacks, with its client and its ear."""
    poster = Poster(most_at_once=PLACES)
    stack.push_async_callback(poster.aclose)
    nudge = await stack.enter_async_context(NudgeListener(run_dir, CALLBACKS, "main"))
    targets, signer = outgoing.targets, outgoing.signer
    return CallbackSender(database, nudge, targets=targets, signer=signer, poster=poster)


async def _create_demo_once(cameras: CameraService, run_dir: Path, _: asyncio.Event) -> None:
    """Add the demo camera to a new installation; one that was removed does not come back."""
    note = run_dir / "demo_camera.created"
    if not note.exists():
        await cameras.create_demo()
        note.touch()
