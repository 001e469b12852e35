"""Takes credentials out of what is shown, logged or stored for reading."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MASK = "***"
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]*://)[^/\s?#]*@", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(
    r"(?P<name>[?&;]?\b(?:user(?:name)?|usr|pwd|pass(?:word)?|token|key|api_?key|secret|auth"
    r"|signature|x-amz-[a-z\-]+)=)[^&\s;]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with user names and passwords in URLs, and secret-looking parameters, masked."""
    return _SECRET_PARAMETER.sub(rf"\g<name>{MASK}", _USERINFO.sub(rf"\g<scheme>{MASK}@", text))


def has_credentials(url: str) -> bool:
    """Whether redacting would change the URL."""
    return redact(url) != url or urlsplit(url).password is not None
