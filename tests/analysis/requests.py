"""Requests and contexts for analysers that run in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backend.analysis.protocol import Cancelled, LocalSceneSettings, SceneRequest

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def scene_request(
    video: Path, *, seconds: float = 10, weights: Path | str = "none", **options: Any
) -> SceneRequest:
    """A request for that video, with nothing beside it written to."""
    models_dir = options.pop("models_dir", video.parent / "models")
    return SceneRequest(
        video,
        "cam",
        "Cam",
        START,
        START + timedelta(seconds=seconds),
        LocalSceneSettings(models_dir, **options),
        weights=str(weights),
    )


@dataclass
class Heard:
    """A context that remembers what it was told, and cancels after so many looks."""

    cancel_after: int | None = None
    said: list[tuple[int, str]] = field(default_factory=list)
    looks: int = 0

    def progress(self, percent: int, message: str) -> None:
        self.said.append((percent, message))

    def cancelled(self) -> bool:
        self.looks += 1
        return self.cancel_after is not None and self.looks > self.cancel_after

    def check(self) -> None:
        if self.cancelled():
            raise Cancelled
