"""run.py as an operator meets it: who may call what, refusals in one line, a clean end."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from pathlib import Path

import httpx
import pytest
from sqlalchemy import URL

from backend import main
from backend.events.catalog import CameraChanged
from backend.events.outbox import Outbox
from backend.kernel.auth import Role
from backend.kernel.db import Database
from backend.kernel.nudge import Nudges
from backend.main import create_app
from backend.operations.access import list_access
from backend.version import __version__
from docs.generate import default_settings
from tests.main_process import Ended, Relay, Running, run, started
from tests.waiting import WITHIN_S, until

pytestmark = pytest.mark.system
P, S, V, O = Role.PUBLIC, Role.SERVICE, Role.VIEWER, Role.OPERATOR  # noqa: E741  as short as a table needs
PATIENT_S = 60.0
"""A client's time limit: longer than a slow machine takes to answer."""
ACCESS = {
    ("GET", "/"): P,
    ("GET", "/ui"): P,
    ("*", "/ui"): P,
    ("*", "/docs/files"): P,
    ("GET", "/docs"): V,
    ("GET", "/openapi.json"): V,
    ("GET", "/health"): P,
    ("GET", "/metrics"): V,
    ("GET", "/api/v1/session"): P,
    ("POST", "/api/v1/session"): P,
    ("DELETE", "/api/v1/session"): P,
    ("GET", "/api/v1/events"): V,
    ("GET", "/api/v1/cameras"): V,
    ("POST", "/api/v1/cameras"): O,
    ("POST", "/api/v1/cameras/probe"): O,
    ("GET", "/api/v1/cameras/{camera_id}"): V,
    ("PATCH", "/api/v1/cameras/{camera_id}"): O,
    ("DELETE", "/api/v1/cameras/{camera_id}"): O,
    ("POST", "/api/v1/cameras/{camera_id}/enable"): O,
    ("POST", "/api/v1/cameras/{camera_id}/disable"): O,
    ("GET", "/api/v1/cameras/{camera_id}/segments"): V,
    ("GET", "/api/v1/cameras/{camera_id}/gaps"): V,
    ("GET", "/api/v1/cameras/{camera_id}/storage"): V,
    ("GET", "/api/v1/cameras/{camera_id}/scores"): V,
    ("POST", "/api/v1/cameras/{camera_id}/dry-run"): O,
    ("GET", "/api/v1/scene/backends"): V,
    ("POST", "/api/v1/scene/backends/{backend}/test"): O,
    ("GET", "/api/v1/scene/day"): V,
    ("GET", "/api/v1/scene/costs"): V,
    ("GET", "/api/v1/incidents"): V,
    ("GET", "/api/v1/incidents/precision"): V,
    ("GET", "/api/v1/incidents/{incident_id}"): V,
    ("POST", "/api/v1/incidents/{incident_id}/verdict"): O,
    ("GET", "/api/v1/incidents/{incident_id}/snapshot"): V,
    ("GET", "/live/{camera_id}/{name}"): V,
    ("GET", "/live/{camera_id}/sub/{name}"): V,
    ("GET", "/archive/{camera_id}/{name}"): V,
    ("GET", "/api/v1/jobs"): V,
    ("GET", "/api/v1/jobs/{job_id}"): V,
    ("POST", "/api/v1/jobs/{job_id}/cancel"): O,
    ("POST", "/api/v1/jobs/{job_id}/retry"): O,
    ("GET", "/api/v1/workers"): V,
    ("GET", "/api/v1/callbacks"): V,
    ("GET", "/api/v1/callbacks/{callback_id}"): V,
    ("POST", "/api/v1/callbacks/{callback_id}/redeliver"): O,
    ("POST", "/api/upload-video/process-video"): S,
    ("POST", "/api/v1/ml/ml-results"): S,
    ("GET", "/api/v1/ml/job-status/{job_id}"): S,
    ("GET", "/api/v1/speech/jobs"): V,
    ("POST", "/api/v1/speech/jobs"): O,
    ("POST", "/api/v1/speech/uploads"): O,
    ("GET", "/api/v1/speech/jobs/{job_id}"): V,
    ("GET", "/api/v1/speech/jobs/{job_id}/video"): V,
    ("GET", "/api/v1/speech/jobs/{job_id}/transcript.{form}"): V,
}


def test_every_route_asks_for_the_role_of_this_table() -> None:
    app = create_app(default_settings())
    assert {(a.method, a.path): a.role for a in list_access(app)} == ACCESS


def test_making_the_app_touches_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create_app(default_settings())
    assert not list(tmp_path.iterdir())


def _is_one_line(ended: Ended, *words: str) -> None:
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.startswith("run.py: ")
    for word in words:
        assert word in ended.err
    assert "Traceback" not in ended.err


# --- refusals


def test_beyond_loopback_without_credentials_it_refuses_to_start(tmp_path: Path) -> None:
    ended = run(tmp_path, VAP_HOST="0.0.0.0")
    assert ended.code == 2
    _is_one_line(ended, "VAP_HOST=0.0.0.0", "VAP_ADMIN_PASSWORD", "VAP_API_KEYS")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("VAP_PORT", "eighty", ["VAP_PORT", "integer"]),
        ("VAP_PORT", "70000", ["VAP_PORT", "65535"]),
        ("VAP_HOST", "no-such-host.invalid", ["VAP_"]),
        ("VAP_ADMIN_PASSWORD", "short", ["VAP_ADMIN_PASSWORD", "8"]),
        ("VAP_API_KEYS", "king:0123456789abcdef", ["VAP_API_KEYS", "role"]),
        ("VAP_API_KEYS", "short", ["VAP_API_KEYS", "16"]),
        ("SERVICE_ALLOWED_HOSTS", "10.0.0.0/33", ["SERVICE_ALLOWED_HOSTS"]),
        ("VAP_TIMEZONE", "Mars/Olympus", ["VAP_TIMEZONE", "Mars/Olympus"]),
        ("LOG_LEVEL", "loud", ["LOG_LEVEL"]),
        ("DATABASE_URL", "oracle://u:hunter22@h/d", ["DATABASE_URL", "oracle"]),
        ("WORKER_LEASE_SECONDS", "0", ["WORKER_LEASE_SECONDS"]),
        ("FFMPEG_BINARY", "/nonexistent/ffmpeg", ["FFMPEG_BINARY"]),
        ("DATA_DIR", "/proc/nowhere", ["DATA_DIR"]),
        ("BACKEND_URL", "backend:9000", ["BACKEND_URL", "http://"]),
        ("MODEL_PRICES", "hunter22", ["MODEL_PRICES", "JSON"]),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    tmp_path: Path, name: str, value: str, words: list[str]
) -> None:
    settings = {"VAP_ADMIN_PASSWORD": "long enough"} if name == "VAP_HOST" else {}
    ended = run(tmp_path, **{**settings, name: value})
    assert ended.code == 2, ended.err
    _is_one_line(ended, *words)
    assert "hunter22" not in ended.err


def test_a_wrong_option_and_help_and_version(tmp_path: Path) -> None:
    assert run(tmp_path, "--nonsense").code == 2
    ended = run(tmp_path, "--help")
    assert ended.code == 0
    assert "migrate" in ended.out
    assert run(tmp_path, "--version").out == f"VAP {__version__}\n"


def test_another_schema_is_refused_with_both_versions_and_the_command(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").code == 0
    with sqlite3.connect(tmp_path / "data" / "vap.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    ended = run(tmp_path)
    assert ended.code == 3
    _is_one_line(ended, "9999", "0003", "run.py migrate")
    ended = run(tmp_path, "migrate")
    assert ended.code == 3
    _is_one_line(ended, "9999")


async def test_a_database_of_the_operators_is_not_migrated_unasked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mine.sqlite3'}"
    ended = run(tmp_path, DATABASE_URL=url)
    assert ended.code == 3
    _is_one_line(ended, "run.py migrate")
    assert run(tmp_path, "migrate", DATABASE_URL=url).code == 0
    async with started(tmp_path, DATABASE_URL=url) as running:
        assert (await running.stop()).code == 0


@pytest.mark.parametrize("command", [(), ("migrate",)])
@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_a_database_that_is_down_is_one_line_without_its_password(
    tmp_path: Path, scheme: str, command: tuple[str, ...], refusing_tcp_port: int
) -> None:
    url = f"{scheme}://somebody:hunter22@127.0.0.1:{refusing_tcp_port}/vap"
    ended = run(tmp_path, *command, DATABASE_URL=url)
    assert ended.code == 5
    _is_one_line(ended, "database")
    assert "hunter22" not in ended.err


async def test_a_second_main_process_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with started(tmp_path) as running:
        ended = run(tmp_path)
        assert ended.code == 4
        _is_one_line(ended, str(running.process.pid), str(tmp_path / "data"))
        assert httpx.get(running.address + "health", timeout=PATIENT_S).status_code == 200


async def test_a_killed_main_process_leaves_the_place_free(tmp_path: Path) -> None:
    async with started(tmp_path) as running:
        await running.stop(signal.SIGKILL)
    async with started(tmp_path) as running:
        assert (await running.stop()).code == 0


async def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    async with started(tmp_path) as running:
        port = running.address.rstrip("/").rpartition(":")[2]
        ended = run(tmp_path, DATA_DIR=str(tmp_path / "other"), VAP_PORT=port)
    assert ended.code == 6
    _is_one_line(ended, port, "VAP_PORT")
    assert not (tmp_path / "other" / "vap.sqlite3").exists()


# --- serving


async def test_a_new_installation_makes_its_database_and_serves(tmp_path: Path) -> None:
    async with started(tmp_path) as running, _client(running) as client:
        await until(lambda: _is_well(client))
        answer = await client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")
        assert "server" not in answer.headers
        assert (await client.get("/api/v1/cameras")).json()["items"] == []


def _client(running: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=running.address, timeout=PATIENT_S)


async def _problems(client: httpx.AsyncClient) -> list[str]:
    """What is wrong by its own words; not that the machine is slow."""
    answer = await client.get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == ("degraded" if body["problems"] else "ok")
    return [problem for problem in body["problems"] if problem != "event_loop_held"]


async def _is_well(client: httpx.AsyncClient) -> bool:
    return not await _problems(client)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_with_streams_and_idle_connections_open(
    tmp_path: Path, number: int
) -> None:
    async with (
        started(tmp_path) as running,
        _client(running) as client,
        client.stream("GET", "/api/v1/events") as events,
    ):
        assert events.status_code == 200
        await client.get("/health")  # stays open, idle
        reading = asyncio.ensure_future(_read_all(events))
        ended = await running.stop(number)  # the stream alone would last for an hour
        text = await reading
    assert ended.code == 0
    assert text.startswith("retry: ")
    assert "Traceback" not in ended.err
    assert "error" not in ended.err.lower()
    assert '"main.stopped"' in ended.err


async def _read_all(answer: httpx.Response) -> str:
    return "".join([text async for text in answer.aiter_text()])


async def test_a_signal_ends_it_cleanly_in_mid_download(tmp_path: Path) -> None:
    async with started(tmp_path) as running:
        archive = tmp_path / "data" / "archive" / "gate" / "archive_20260101_100000.mp4"
        archive.parent.mkdir(parents=True)
        with archive.open("wb") as file:
            file.truncate(200_000_000)
        host, port = running.address.rstrip("/").removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=4096)
        path = "/archive/gate/archive_20260101_100000.mp4"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        ended = await running.stop()  # for the rest, which nobody reads, it would wait for ever
        writer.close()
    assert ended.code == 0
    assert "Traceback" not in ended.err


async def test_the_demo_camera_is_made_once_and_does_not_come_back(tmp_path: Path) -> None:
    class Cameras:
        made = 0
        is_down = True

        async def create_demo(self) -> None:
            if self.is_down:
                raise ConnectionRefusedError
            self.made += 1

    cameras = Cameras()
    with pytest.raises(ConnectionRefusedError):
        await main._create_demo_once(cameras, tmp_path, asyncio.Event())
    cameras.is_down = False
    for _ in range(2):
        await main._create_demo_once(cameras, tmp_path, asyncio.Event())
    assert cameras.made == 1


@pytest.mark.parametrize("database", ["mysql", "postgresql"], indirect=True)
async def test_it_lives_through_an_outage_of_the_database_and_all_goes_on(
    tmp_path: Path, database: Database
) -> None:
    url = database.url
    port = url.port or {"mysql": 3306, "postgresql": 5432}[database.dialect]
    async with (
        Relay(url.host or "127.0.0.1", port) as relay,
        started(tmp_path, DATABASE_URL=_through(relay, url)) as running,
        _client(running) as client,
        client.stream("GET", "/api/v1/events") as events,
    ):
        lines = events.aiter_lines()
        assert await anext(lines) == "retry: 2000"

        await until(lambda: _is_well(client))
        await relay.cut()
        await until(lambda: _problems(client), within_s=2 * WITHIN_S)  # a slow look is kept for 30
        assert await _problems(client) == ["database_unreachable"]
        answer = await client.get("/api/v1/jobs")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "database_unavailable"
        await until(lambda: "schedule.db_down" in running.log.read_text())
        await relay.join()
        await until(lambda: _is_well(client))
        assert (await client.get("/api/v1/jobs")).status_code == 200
        await _publish(database)
        async with asyncio.timeout(WITHIN_S):
            while "camera.changed" not in await anext(lines):
                pass  # the stream that was open all the time brings it
        await until(lambda: "schedule.db_back" in running.log.read_text())
        ended = await running.stop()
    assert ended.code == 0
    assert "Traceback" not in ended.err
    down = [line for line in ended.err.splitlines() if '"schedule.db_down"' in line]
    works = [json.loads(line)["work"] for line in down]
    assert len(works) == len(set(works))  # once each work, not each time


def _through(relay: Relay, url: URL) -> str:
    through = url.set(host="127.0.0.1", port=relay.port)
    return through.render_as_string(hide_password=False)


async def _publish(database: Database) -> None:
    nudges = Nudges(Path("nowhere"))
    async with database.write() as session:
        Outbox(nudges).publish(session, CameraChanged(camera_id="gate"))
    nudges.close()
