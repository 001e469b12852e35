"""An outbox and a stream that tests move by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.events.outbox import Outbox
from backend.kernel.nudge import EVENTS, NudgeListener, Nudges


@pytest.fixture
def outbox(nudges: Nudges) -> Outbox:
    return Outbox(nudges)


@pytest.fixture
async def nudge(tmp_path: Path) -> AsyncIterator[NudgeListener]:
    async with NudgeListener(tmp_path / "run", EVENTS, "test") as listener:
        yield listener
