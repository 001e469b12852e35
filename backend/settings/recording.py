"""How cameras are recorded."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from backend.settings.group import Group


class RecordingSettings(Group):
    """Live view and archive of the cameras."""

    ffmpeg_binary: Path | None = Field(
        None,
        alias="FFMPEG_BINARY",
        description="ffmpeg to use (default: the bundled one, or the system's where newer).",
    )
    demo_camera: bool = Field(
        default=True,
        alias="DEMO_CAMERA",
        description="Create the built-in demo camera when the database is new.",
    )
    retention_days: float = Field(
        7,
        alias="RETENTION_DAYS",
        gt=0,
        description="Days that archives are kept, for cameras that set none.",
    )
    retention_disk_percent: float = Field(
        80,
        alias="RETENTION_DISK_PERCENT",
        gt=0,
        le=99,
        description="Percent of the disk in use above which the oldest archives are deleted.",
    )
    retention_interval_s: float = Field(
        60,
        alias="RETENTION_INTERVAL_SECONDS",
        gt=0,
        description="Seconds between two looks at what is too old or too much.",
    )
