"""`run.py` as a program: its options, what it refuses to start with, and how it ends.

Exit codes: 0 stopped as asked, 2 a wrong setting or option, 3 a database of another schema version,
4 another main process works in this DATA_DIR, 5 the database cannot be reached, 6 the port is
taken, 130 Ctrl-C while it migrated.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing

import structlog
import uvloop

from backend.kernel.db import Database, configured_url, is_disconnect, reason_of
from backend.kernel.errors import Unavailable
from backend.kernel.logs import configure_logs
from backend.kernel.schema_version import SchemaMismatch, check_schema, is_empty, upgrade_schema
from backend.main import create_app
from backend.media.ffmpeg import find_ffmpeg
from backend.operations.serving import (
    AnotherMainProcess,
    PortTaken,
    Server,
    bind,
    hold_lock,
    page_address,
)
from backend.settings import Settings, SettingsError, load_settings
from backend.version import __version__

log = structlog.get_logger(__name__)

OK, BAD_USAGE, WRONG_SCHEMA, ALREADY_RUNNING, NO_DATABASE, PORT_TAKEN = 0, 2, 3, 4, 5, 6
INTERRUPTED = 130
DATABASE_ANSWERS_WITHIN_S = 20.0


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
        return _refuse(NO_DATABASE, f"the database cannot be used: {reason_of(error)}")
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
            create_app(settings, ffmpeg=ffmpeg, address=address.rstrip("/")),
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
        await database.warn_of_short_statements()
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


def _refuse(code: int, message: str) -> int:
    sys.stderr.write(f"run.py: {message}\n")
    return code
