"""Whom VAP talks to because somebody else named the address."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from backend.settings.group import Group, Names, split_names


class FetchSettings(Group):
    """What may be fetched from addresses that others name."""

    allow_http: bool = Field(
        default=False,
        alias="URL_ALLOW_HTTP",
        description="Fetch media by plain http too.",
    )
    allowed_hosts: Names = Field(
        (),
        alias="URL_ALLOWED_HOSTS",
        description="Comma-separated host names, addresses and CIDRs from which media may be"
        " fetched although they are private or loopback.",
    )

    _split_hosts = field_validator("allowed_hosts", mode="before")(split_names)


class CallbackSettings(Group):
    """Who is called back."""

    backend_url: str | None = Field(
        None,
        alias="BACKEND_URL",
        description="The ECG backend that is told of speech jobs (default: this server).",
    )
    allowed_hosts: Names = Field(
        (),
        alias="CALLBACK_ALLOWED_HOSTS",
        description="Comma-separated hosts that may be called back (default: BACKEND_URL's).",
    )
    secret: SecretStr | None = Field(
        None,
        alias="CALLBACK_SECRET",
        description="Signs callbacks by Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.",
    )
    analysis_url: str | None = Field(
        None,
        alias="ANALYSIS_CALLBACK_URL",
        description="Who is told of camera analyses (default: nobody).",
    )

    _split_hosts = field_validator("allowed_hosts", mode="before")(split_names)
