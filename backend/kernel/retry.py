"""Delays between tries: growing, with jitter, so that those who failed together do not return
together; and what a server asks for."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays first_s, first_s * factor, ... up to max_s, each cut by a random share."""

    first_s: float
    max_s: float
    factor: float = 2.0
    jitter: float = 0.3

    def delay_s(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row (1 is the first)."""
        exponent = min(max(failures - 1, 0), 64)
        full = min(self.first_s * self.factor**exponent, self.max_s)
        return full * (1 - self.jitter * random.random())  # noqa: S311  spread, not secrecy


def asked_delay_s(retry_after: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for; None for none and for nonsense.

    The standard has whole seconds only, but some servers write decimals.
    """
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text[:12])
    try:
        at = parsedate_to_datetime(text)
        return max((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None
