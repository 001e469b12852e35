"""The headers of a callback: the specified ones, and those of Standard Webhooks."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from standardwebhooks import Webhook

USER_AGENT = "ML-Server/1.0"
LEAST_KEY_BYTES = 24
MOST_KEY_BYTES = 64
"""As Standard Webhooks says."""


class Signer:
    """Makes the headers; signed only where there is a secret.

    Args:
        secret: the base64 of a random key, with or without the prefix `whsec_`.

    Raises:
        ValueError: the secret is not usable; the message does not hold it.
    """

    def __init__(self, secret: str | None) -> None:
        self._webhook: Webhook | None = None
        if secret is None:
            return
        encoded = secret.strip().removeprefix("whsec_")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("a webhook secret is base64, as in whsec_...") from None
        if not LEAST_KEY_BYTES <= len(key) <= MOST_KEY_BYTES:
            raise ValueError(
                f"a webhook secret is the base64 of {LEAST_KEY_BYTES} to {MOST_KEY_BYTES} bytes"
            )
        self._webhook = Webhook(key)

    def headers(self, message_id: str, body: str, at: datetime) -> dict[str, str]:
        """The headers of one attempt."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": message_id,
        }
        if self._webhook is not None:
            headers["webhook-timestamp"] = str(int(at.timestamp()))
            headers["webhook-signature"] = self._webhook.sign(message_id, at, body)
        return headers
