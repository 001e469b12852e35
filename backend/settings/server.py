"""Where the main process listens, and who may call it."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzlocal
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from backend.settings.group import Group, split_names

Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode]
ApiKeys = Annotated[tuple["ApiKey", ...], NoDecode]


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
        description="Where this server is found by its own callbacks, and by workers on other"
        " machines, which do not need it yet (default: http://VAP_HOST:VAP_PORT).",
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
        split_names
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _parse_keys(cls, value: object) -> object:
        parts = split_names(value)
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
        return is_loopback_host(self.host)

    @property
    def own_address(self) -> IPv4Address | IPv6Address | None:
        """The one address that is listened on; None where it is a name, or all of them."""
        try:
            address = ip_address(self.host)
        except ValueError:
            return None
        return None if address.is_unspecified else address

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone) if self.timezone else tzlocal.get_localzone()


def is_loopback_host(host: str) -> bool:
    """Whether this name or address can only mean the machine itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_key(text: str) -> dict[str, str]:
    role, colon, key = text.partition(":")
    if not colon:
        role, key = ApiKeyRole.OPERATOR, text
    if role not in tuple(ApiKeyRole):
        raise ValueError("role must be one of service, viewer, operator, admin")
    if len(key) < 16:
        raise ValueError("an API key has at least 16 characters")
    return {"role": role, "key": key}
