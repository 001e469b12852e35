"""What the settings of callbacks mean. Both programs read them before they start anything."""

from __future__ import annotations

from urllib.parse import urlsplit

from backend.callbacks.signing import Signer
from backend.callbacks.targets import CallbackTargets
from backend.kernel.errors import InvalidInput
from backend.settings import CallbackSettings, SettingsError


def targets_of(settings: CallbackSettings, *, own_url: str) -> CallbackTargets:
    """Who may be called back: the backend, or else this server, and whom the operator named.

    Raises:
        SettingsError: one of them is no address.
    """
    named = {
        "BACKEND_URL": settings.backend_url,
        "MAIN_URL": own_url,
        "ANALYSIS_CALLBACK_URL": settings.analysis_url,
    }
    for name, url in named.items():
        if url is not None:
            _check(name, url)
    hosts = [*settings.allowed_hosts]
    if settings.analysis_url is not None:
        hosts.append(urlsplit(settings.analysis_url).netloc)
    try:
        return CallbackTargets(settings.backend_url or own_url, hosts)
    except ValueError as error:
        raise SettingsError(f"CALLBACK_ALLOWED_HOSTS: {error}") from error


def signer_of(settings: CallbackSettings) -> Signer:
    """What makes the headers.

    Raises:
        SettingsError: the secret is not usable.
    """
    try:
        return Signer(settings.secret.get_secret_value() if settings.secret else None)
    except ValueError as error:
        raise SettingsError(f"CALLBACK_SECRET: {error}") from error


def _check(name: str, url: str) -> None:
    try:
        CallbackTargets.anywhere().check(url)
    except InvalidInput as error:
        raise SettingsError(f"{name}: {error.message}") from error
