"""Growing delays between tries, with jitter: those who failed together do not return together."""

from __future__ import annotations

import random
from dataclasses import dataclass


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
