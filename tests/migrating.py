"""Runs Alembic on a database of a test."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL

ROOT = Path(__file__).resolve().parent.parent


def apart(call: Callable[[], object]) -> None:
    """Run in a thread of its own: the caller may be inside an event loop, and this starts one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(call).result()


def config(url: URL) -> Config:
    """Alembic's configuration for this database."""
    configuration = Config()
    configuration.set_main_option("script_location", str(ROOT / "migrations"))
    configuration.attributes["url"] = url
    return configuration


def migrate(url: URL, revision: str = "head") -> None:
    """Bring the database to a revision, upwards."""
    apart(lambda: command.upgrade(config(url), revision))
