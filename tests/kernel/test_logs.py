"""Log lines are JSON or text, hold their facts, and never a credential."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from backend.kernel.logs import configure_logs


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configuration = structlog.get_config()
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**configuration)
    structlog.contextvars.clear_contextvars()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_its_action_facts_program_and_context(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("INFO", "json", program="main")
    with structlog.contextvars.bound_contextvars(camera_id="gate"):
        structlog.get_logger("x").info("camera state", action="camera.state", state="live")
    (line,) = _lines(capsys)
    assert line.pop("timestamp")
    assert line == {
        "event": "camera state",
        "action": "camera.state",
        "state": "live",
        "camera_id": "gate",
        "program": "main",
        "level": "info",
    }


def test_credentials_are_masked_in_facts_traces_and_other_libraries_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("INFO", "json", program="main")
    url = "rtsp://admin:hunter22@cam/1"
    log = structlog.get_logger("y")
    log.info("opened", url=url)
    try:
        raise RuntimeError(f"cannot open {url}")
    except RuntimeError:
        log.exception("failed")
    logging.getLogger("some.library").warning("retrying %s", url)
    text = capsys.readouterr().err
    assert "hunter22" not in text
    assert text.count("rtsp://***@cam/1") >= 3


def test_what_is_less_severe_than_asked_for_is_not_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("WARNING", "text", program="main")
    structlog.get_logger("z").info("quiet")
    logging.getLogger("z").info("quiet")
    structlog.get_logger("z").warning("loud")
    text = capsys.readouterr().err
    assert "quiet" not in text
    assert "loud" in text
