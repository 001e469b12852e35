"""Every setting of VAP: its name in the environment (or `.env`), default, unit and meaning.

The only module that reads the environment. Both programs call `load_settings()` once and pass the
frozen groups on. `.env.example` and `docs/configuration.md` are generated from this file
(`make docs`) and checked against it.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Names = Annotated[tuple[str, ...], NoDecode]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode]
ApiKeys = Annotated[tuple["ApiKey", ...], NoDecode]

LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingsError(Exception):
    """A setting is missing or wrong; the message is one line for the operator that names it."""


class ApiKeyRole(StrEnum):
    """What the holder of an API key may do; each role includes the ones before it."""

    SERVICE = "service"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class ApiKey(BaseModel):
    """One entry of `VAP_API_KEYS`: `key` (an operator) or `role:key`."""

    model_config = ConfigDict(frozen=True)
    role: ApiKeyRole
    key: SecretStr


def _split(value: object) -> object:
    """Items of a comma-separated setting."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Group(BaseSettings):
    """Settings that belong together, from the environment, else `.env`, else the default."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,
    )


class ServerSettings(Group):
    """Where the main process listens, and who may call it."""

    host: str = Field("127.0.0.1", alias="VAP_HOST", description="Address to listen on.")
    port: int = Field(8080, alias="VAP_PORT", ge=0, le=65535, description="TCP port to listen on.")
    admin_password: SecretStr | None = Field(
        None,
        alias="VAP_ADMIN_PASSWORD",
        min_length=8,
        description="Password of the page's administrator. This or VAP_API_KEYS is needed to"
        " listen beyond loopback.",
    )
    api_keys: ApiKeys = Field(
        (),
        alias="VAP_API_KEYS",
        description="Comma-separated keys for programs (`Authorization: Bearer KEY`), each `KEY` or"
        " `ROLE:KEY` with role service, viewer, operator (the default) or admin.",
    )
    service_allowed_hosts: Networks = Field(
        (ip_network("127.0.0.0/8"), ip_network("::1/128")),
        alias="SERVICE_ALLOWED_HOSTS",
        description="Comma-separated addresses and CIDRs from which the contracts' service routes"
        " may be called without a key.",
    )
    trusted_proxies: Networks = Field(
        (),
        alias="TRUSTED_PROXIES",
        description="Comma-separated addresses and CIDRs of reverse proxies whose X-Forwarded-*"
        " headers are believed. A forwarded request is never local.",
    )
    main_url: str | None = Field(
        None,
        alias="MAIN_URL",
        description="Where workers on other machines find the main process"
        " (default: http://VAP_HOST:VAP_PORT).",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="LOG_LEVEL", description="Least severe log line that is written."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto",
        alias="LOG_FORMAT",
        description="Log lines as text or JSON; auto is text on a terminal and JSON elsewhere.",
    )
    timezone: str | None = Field(
        None,
        alias="VAP_TIMEZONE",
        description="The site's IANA time zone, for days on the page and in reports; storage"
        " stays UTC (default: the system's).",
    )

    _split_networks = field_validator("service_allowed_hosts", "trusted_proxies", mode="before")(
        _split
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _parse_keys(cls, value: object) -> object:
        parts = _split(value)
        if not isinstance(parts, tuple):
            return value
        return tuple(_parse_key(part) if isinstance(part, str) else part for part in parts)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"unknown time zone {value!r}") from error
        return value

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        if self.host in LOOPBACK_NAMES:
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


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

    _split_dirs = field_validator("media_dirs", mode="before")(_split)

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


class WorkerSettings(Group):
    """How workers take jobs, and when others give up on them."""

    poll_seconds: float = Field(
        5,
        alias="WORKER_POLL_SECONDS",
        gt=0,
        le=3600,
        description="Longest wait in seconds between two looks for jobs.",
    )
    lease_seconds: float = Field(
        30,
        alias="WORKER_LEASE_SECONDS",
        ge=2,
        description="Seconds without a heartbeat after which a worker's jobs go to another.",
    )
    drain_seconds: float = Field(
        300,
        alias="WORKER_DRAIN_SECONDS",
        ge=0,
        description="Seconds a stopping worker lets its jobs finish before it hands them back.",
    )
    job_history_days: float = Field(
        90,
        alias="JOB_HISTORY_DAYS",
        gt=0,
        description="Days that finished jobs are kept.",
    )
    event_history_days: float = Field(
        7,
        alias="EVENT_HISTORY_DAYS",
        gt=0,
        description="Days that events are kept for the page and for other systems.",
    )


class SceneSettings(Group):
    """The scene analysis of each archive."""

    backend: Literal["local"] = Field(
        "local",
        alias="SCENE_BACKEND",
        description="Scene analyser of cameras that name none.",
    )
    detector_weights: str | None = Field(
        None,
        alias="DETECTOR_WEIGHTS",
        description="YOLO weights (.pt, .onnx, an OpenVINO folder, .engine) for all cameras but the"
        " demo camera; `none` for motion only (default: yolo11n.pt where ultralytics can"
        " fetch it).",
    )
    detector_device: str = Field(
        "auto",
        alias="DETECTOR_DEVICE",
        description="auto, cpu, or a CUDA device such as cuda:0.",
    )
    detector_confidence: float = Field(
        0.35,
        alias="DETECTOR_CONFIDENCE",
        gt=0,
        lt=1,
        description="Least confidence of a detection, 0 to 1.",
    )
    sample_fps: float = Field(
        5,
        alias="SCENE_SAMPLE_FPS",
        gt=0,
        le=30,
        description="Pictures per second that are looked at.",
    )
    job_timeout_s: float = Field(
        1800,
        alias="SCENE_JOB_TIMEOUT_SECONDS",
        gt=0,
        description="Seconds after which the analysis of one archive is stopped.",
    )


class Settings(BaseModel):
    """All groups, loaded together."""

    model_config = ConfigDict(frozen=True)
    server: ServerSettings
    storage: StorageSettings
    database: DatabaseSettings
    recording: RecordingSettings
    worker: WorkerSettings
    scene: SceneSettings


GROUPS: dict[str, type[Group]] = {
    "server": ServerSettings,
    "storage": StorageSettings,
    "database": DatabaseSettings,
    "recording": RecordingSettings,
    "worker": WorkerSettings,
    "scene": SceneSettings,
}

_Group = TypeVar("_Group", bound=Group)


def load_settings() -> Settings:
    """Read the environment and `.env`.

    Raises:
        SettingsError: a value is wrong, or VAP would listen beyond loopback with no credentials.
    """
    groups: dict[str, Any] = {name: _load_group(group) for name, group in GROUPS.items()}
    settings = Settings(**groups)
    server = settings.server
    if not server.is_loopback and server.admin_password is None and not server.api_keys:
        raise SettingsError(
            f"VAP_HOST={server.host} is reachable from other machines:"
            " set VAP_ADMIN_PASSWORD or VAP_API_KEYS, or listen on 127.0.0.1"
        )
    return settings


def _load_group(group: type[_Group]) -> _Group:
    try:
        return group()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else group.__name__
        raise SettingsError(f"{name}: {first['msg']}") from None


def _parse_key(text: str) -> dict[str, str]:
    role, colon, key = text.partition(":")
    if not colon:
        role, key = ApiKeyRole.OPERATOR, text
    if role not in tuple(ApiKeyRole):
        raise ValueError("role must be one of service, viewer, operator, admin")
    if len(key) < 16:
        raise ValueError("an API key has at least 16 characters")
    return {"role": role, "key": key}
