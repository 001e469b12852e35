"""Takes credentials out of what is shown, logged or stored for reading."""

from __future__ import annotations

import re

MASK = "***"
# Repetitions are bounded: a line of a megabyte without a space must not cost minutes.
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]{0,30}://)[^/\s?#]*@", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(
    r"(?P<name>[?&;]?\b(?:user(?:name)?|usr|psw|pw|key|auth|login(?:use|pas)|x-amz-[a-z\-]+"
    r"|[\w\-]{0,24}?(?:pass(?:w(?:or)?d?|phrase)?|pwd|token|api[_\-]?key|secret|signature))=)"
    r"[^&\s;]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with user names and passwords in URLs, and secret-looking parameters, masked."""
    return _SECRET_PARAMETER.sub(rf"\g<name>{MASK}", _USERINFO.sub(rf"\g<scheme>{MASK}@", text))
