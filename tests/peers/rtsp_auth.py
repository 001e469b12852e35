"""Who may see a test camera: HTTP Basic and Digest (RFC 2617, MD5) as RTSP uses them."""

from __future__ import annotations

import re
import secrets
from base64 import b64decode
from dataclasses import dataclass, field
from hashlib import md5
from typing import Literal

AuthScheme = Literal["digest", "basic"]

_REALM = "test camera"


@dataclass(frozen=True)
class Gate:
    """Lets one user in. One nonce holds for the life of the gate, as on simple cameras."""

    user: str
    password: str
    scheme: AuthScheme = "digest"
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate."""
        if self.scheme == "basic":
            return f'Basic realm="{_REALM}"'
        return f'Digest realm="{_REALM}", nonce="{self.nonce}"'

    def admits(self, authorization: str | None, method: str) -> bool:
        """Whether the value of an Authorization header is right for a request with this method."""
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() != self.scheme:
            return False
        return self._basic(value) if self.scheme == "basic" else self._digest(value, method)

    def _basic(self, value: str) -> bool:
        try:
            return b64decode(value, validate=True).decode() == f"{self.user}:{self.password}"
        except ValueError:
            return False

    def _digest(self, value: str, method: str) -> bool:
        given = {
            name: quoted or bare
            for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', value)
        }
        secret = _md5(f"{self.user}:{_REALM}:{self.password}")
        request = _md5(f"{method}:{given.get('uri', '')}")
        middle = self.nonce
        if "qop" in given:
            middle = ":".join(
                [self.nonce, given.get("nc", ""), given.get("cnonce", ""), given["qop"]]
            )
        right = _md5(f"{secret}:{middle}:{request}")
        return (given.get("username"), given.get("nonce"), given.get("response")) == (
            self.user,
            self.nonce,
            right,
        )


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
