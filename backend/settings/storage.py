"""Where data is kept: folders and the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from backend.settings.group import Group, split_names


class StorageSettings(Group):
    """Where files lie."""

    data_dir: Path = Field(
        Path("data_storage"),
        alias="DATA_DIR",
        description="Folder of archives, live segments, models, the embedded database and work"
        " files.",
    )
    media_dirs: Annotated[tuple[Path, ...], NoDecode] = Field(
        (),
        alias="MEDIA_DIRS",
        description="Comma-separated folders from which `file:` sources may be read"
        " (default: DATA_DIR/media).",
    )

    _split_dirs = field_validator("media_dirs", mode="before")(split_names)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @property
    def archive_dir(self) -> Path:
        """Folder of the archives, one sub-folder a camera."""
        return self.data_dir / "archive"

    @property
    def live_dir(self) -> Path:
        """Folder of the live HLS segments, one sub-folder a camera; emptied at each start."""
        return self.data_dir / "live"

    @property
    def models_dir(self) -> Path:
        """Folder of model weights and of what was exported from them."""
        return self.data_dir / "models"

    @property
    def work_dir(self) -> Path:
        """Folder of a job's temporary files."""
        return self.data_dir / "work"

    @property
    def run_dir(self) -> Path:
        """Folder of locks, nudge ports and the session key of running processes."""
        return self.data_dir / "run"

    @property
    def allowed_media_dirs(self) -> tuple[Path, ...]:
        """Folders that `file:` sources may lie in, absolute."""
        dirs = self.media_dirs or (self.data_dir / "media",)
        return tuple(folder.expanduser().resolve() for folder in dirs)


class DatabaseSettings(Group):
    """The database that joins the main process and the workers."""

    url: SecretStr | None = Field(
        None,
        alias="DATABASE_URL",
        description="`sqlite+aiosqlite://`, `mysql+aiomysql://` or `postgresql+asyncpg://` URL;"
        " `sqlite://`, `mysql://`, `mariadb://`, `postgres://` and `postgresql://` are understood"
        " (default: SQLite under DATA_DIR).",
    )
    pool_size: int = Field(
        10, alias="DATABASE_POOL_SIZE", ge=1, le=200, description="Connections a process keeps."
    )
