"""Every setting of VAP: its name in the environment (or `.env`), default, unit and meaning.

The only package that reads the environment. Both programs call `load_settings()` once and pass the
frozen groups on. `.env.example` and `docs/configuration.md` are generated from it (`make docs`) and
checked against it.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_settings import SettingsError as UnreadableSetting

from backend.settings.group import Group, SettingsError
from backend.settings.outgoing import CallbackSettings, FetchSettings
from backend.settings.recording import RecordingSettings
from backend.settings.scene import PRICES, ModelPrice, ModelSettings, SceneBackend, SceneSettings
from backend.settings.server import ApiKey, ApiKeyRole, ServerSettings, is_loopback_host
from backend.settings.speech import SpeechApiSettings
from backend.settings.storage import DatabaseSettings, StorageSettings
from backend.settings.worker import WorkerSettings

__all__ = [
    "GROUPS",
    "PRICES",
    "ApiKey",
    "ApiKeyRole",
    "CallbackSettings",
    "DatabaseSettings",
    "FetchSettings",
    "Group",
    "ModelPrice",
    "ModelSettings",
    "RecordingSettings",
    "SceneBackend",
    "SceneSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "SpeechApiSettings",
    "StorageSettings",
    "WorkerSettings",
    "is_loopback_host",
    "load_settings",
]


class Settings(BaseModel):
    """All groups, loaded together."""

    model_config = ConfigDict(frozen=True)
    server: ServerSettings
    storage: StorageSettings
    database: DatabaseSettings
    recording: RecordingSettings
    worker: WorkerSettings
    scene: SceneSettings
    models: ModelSettings
    fetch: FetchSettings
    callbacks: CallbackSettings
    speech: SpeechApiSettings


GROUPS: dict[str, type[Group]] = {
    "server": ServerSettings,
    "storage": StorageSettings,
    "database": DatabaseSettings,
    "recording": RecordingSettings,
    "worker": WorkerSettings,
    "scene": SceneSettings,
    "models": ModelSettings,
    "fetch": FetchSettings,
    "callbacks": CallbackSettings,
    "speech": SpeechApiSettings,
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
    except UnreadableSetting as error:  # JSON that is none; the message names the field
        field = re.search(r'field "(\w+)"', str(error))
        named = group.model_fields[field[1]].alias if field else None
        raise SettingsError(f"{named or group.__name__}: no valid JSON") from None
