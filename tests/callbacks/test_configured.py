"""The settings of callbacks, as an operator gets them wrong."""

from __future__ import annotations

import pytest

from backend.callbacks.configured import signer_of, targets_of
from backend.kernel.errors import InvalidInput
from backend.settings import CallbackSettings, SettingsError

OWN = "http://127.0.0.1:8080"


def settings(**values: str) -> CallbackSettings:
    return CallbackSettings.model_validate(values)


def test_the_backend_this_server_and_who_was_named_may_be_called() -> None:
    for own in (OWN, "http://[::1]:8080"):
        targets_of(settings(), own_url=own).check(f"{own}/api/v1/ml/ml-results")
    named = settings(
        BACKEND_URL="https://ecg.example",
        ANALYSIS_CALLBACK_URL="http://[fd12::7]:9000/scene",
        CALLBACK_ALLOWED_HOSTS="other.example",
    )
    targets = targets_of(named, own_url=OWN)
    for url in ("https://ecg.example/x", "http://[fd12::7]:9000/y", "https://other.example:7/"):
        targets.check(url)
    for url in (OWN, "http://[fd12::7]:9001/", "https://ecg.example:444/"):
        with pytest.raises(InvalidInput):
            targets.check(url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKEND_URL", "backend:9000"),
        ("BACKEND_URL", "http://user:hunter22@backend"),
        ("ANALYSIS_CALLBACK_URL", "ftp://backend/x"),
        ("ANALYSIS_CALLBACK_URL", "/scene"),
        ("CALLBACK_ALLOWED_HOSTS", "backend, http://backend"),
    ],
)
def test_an_address_that_is_none_is_named_by_its_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as refused:
        targets_of(settings(**{name: value}), own_url=OWN)
    assert "hunter22" not in str(refused.value)


def test_an_address_of_its_own_that_is_none_is_named_by_its_setting() -> None:
    with pytest.raises(SettingsError, match=r"^MAIN_URL: "):
        targets_of(settings(), own_url="vap")


def test_a_secret_that_is_none_is_named_by_its_setting() -> None:
    with pytest.raises(SettingsError, match=r"^CALLBACK_SECRET: ") as refused:
        signer_of(settings(CALLBACK_SECRET="hunter22!!"))
    assert "hunter22" not in str(refused.value)
