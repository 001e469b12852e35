"""The figures of the main process for Prometheus.

`Metrics` owns a registry of its own. HTTP figures and loop delays are counted as they happen; what
the database and the disk know is read when somebody scrapes. Credentials and source URLs never
become a label; labels are bounded: states, kinds, backends, route templates and ids of cameras.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from backend.callbacks.schemas import CallbackCounts
from backend.callbacks.states import CallbackState
from backend.events.stream import EventStream
from backend.media.archive import DiskUsage
from backend.operations.loop_delay import LoopDelay
from backend.operations.vitals import DatabaseVitals, Vitals, VitalSigns
from backend.version import __version__

CONTENT_TYPE = CONTENT_TYPE_LATEST
DELAY_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts what happens, and writes it down when scraped. One a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.loop_delay = Histogram(
            "vap_event_loop_delay_seconds",
            "How late the event loop ran a 100 ms tick.",
            buckets=DELAY_BUCKETS_S,
            registry=self.registry,
        )
        self.http_requests = Counter(
            "vap_http_requests",
            "HTTP answers by method, route template and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.http_latency = Histogram(
            "vap_http_time_to_answer_seconds",
            "Time until an HTTP answer began (streams and downloads go on after it).",
            ["method", "route"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.http_bytes = Counter(
            "vap_http_sent_bytes",
            "Bytes of HTTP bodies handed to the network, by route template.",
            ["route"],
            registry=self.registry,
        )

    async def scrape(self, vitals: Vitals, stream: EventStream, loop_delay: LoopDelay) -> bytes:
        """Everything in Prometheus's text format; within two seconds."""
        now = _Now(await vitals.get(), stream, loop_delay)
        self.registry.register(now)
        try:
            return generate_latest(self.registry)
        finally:
            self.registry.unregister(now)


class _Now(Collector):
    """The figures that are read, not counted."""

    def __init__(self, signs: VitalSigns, stream: EventStream, loop_delay: LoopDelay) -> None:
        self._signs = signs
        self._stream = stream
        self._loop_delay = loop_delay

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are not checked for clashes at each scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The figures of this moment."""
        yield InfoMetricFamily("vap", "The program.", {"version": __version__})
        yield _gauge(
            "vap_event_loop_delay_max_seconds", "Worst of a minute.", self._loop_delay.max_s
        )
        yield _gauge("vap_event_listeners", "Open event streams.", self._stream.listener_count)
        yield _gauge(
            "vap_event_stream_lag_seconds",
            "Age of the newest event when it was handed to listeners.",
            self._stream.lag_s,
        )
        database = self._signs.database
        yield _gauge("vap_database_up", "1 while the database answers.", database is not None)
        if database is not None:
            yield from _of_database(database)
        if self._signs.disk is not None:
            yield from _of_disk(self._signs.disk)


def _of_database(database: DatabaseVitals) -> Iterator[Metric]:
    yield _gauge("vap_database_latency_seconds", "One round trip.", database.latency_s)
    jobs = GaugeMetricFamily("vap_jobs", "Jobs by kind and status.", labels=["kind", "status"])
    for kind, by_status in database.queue.counts.items():
        for status, number in by_status.items():
            jobs.add_metric([kind, status], number)
    yield jobs
    yield _gauge(
        "vap_oldest_pending_job_age_seconds",
        "How long the job that waits longest has been due; 0 when none waits.",
        database.queue.oldest_pending_age_s or 0,
    )
    cameras = GaugeMetricFamily("vap_cameras", "Cameras by state.", labels=["state"])
    for state, number in database.cameras.items():
        cameras.add_metric([state], number)
    yield cameras
    yield _gauge("vap_workers_alive", "Workers with a recent heartbeat.", database.workers_alive)
    yield from _of_models(database)
    yield from _of_callbacks(database.callbacks)


def _of_callbacks(counts: CallbackCounts) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "vap_callbacks", "Callbacks by state; dead ones were given up.", labels=["state"]
    )
    for state in CallbackState:
        states.add_metric([state], counts.by_state.get(state, 0))
    yield states
    yield _gauge(
        "vap_oldest_pending_callback_age_seconds",
        "How long the callback that waits longest has been there; 0 when none waits.",
        counts.oldest_pending_age_s or 0,
    )


def _of_models(database: DatabaseVitals) -> Iterator[Metric]:
    cost = GaugeMetricFamily(
        "vap_scene_cost_today_usd",
        "What models cost on this day of the site, with what running calls may yet cost;"
        " camera_id is empty for all.",
        labels=["camera_id"],
    )
    calls = GaugeMetricFamily(
        "vap_scene_calls_today",
        "Calls to models on this day of the site; camera_id is empty for all.",
        labels=["camera_id"],
    )
    if not any(account.camera_id == "" for account in database.accounts):  # a day without a call
        cost.add_metric([""], 0)
        calls.add_metric([""], 0)
    for account in database.accounts:
        cost.add_metric([account.camera_id], account.spent_microusd / 1_000_000)
        calls.add_metric([account.camera_id], account.calls)
    yield cost
    yield calls
    is_open = GaugeMetricFamily(
        "vap_model_breaker_open",
        "1 while a model is left alone because it failed.",
        labels=["backend"],
    )
    for backend, state in database.breakers.items():
        is_open.add_metric([backend], float(state))
    yield is_open


def _of_disk(disk: DiskUsage) -> Iterator[Metric]:
    yield _gauge("vap_disk_free_bytes", "Free on the disk of DATA_DIR.", disk.free_bytes)
    yield _gauge("vap_disk_size_bytes", "Size of the disk of DATA_DIR.", disk.total_bytes)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=float(value))
