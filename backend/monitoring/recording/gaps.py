"""Where nothing was recorded: what lies between segments. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

TOLERANCE = timedelta(seconds=2)
"""Cuts wait for a keyframe and names hold whole seconds: less is no gap."""

Span = tuple[datetime, datetime]


def find_gaps(spans: Iterable[Span], since: datetime, until: datetime) -> list[Span]:
    """Stretches of [since, until] that no span covers, longer than the tolerance.

    The time before the first span is no gap: the camera may not have existed, or its archives have
    gone by now. Hand over the last span before `since`, too, where there is one. The time after the
    last span is a gap.
    """
    gaps: list[Span] = []
    covered: datetime | None = None
    for begin, end in sorted(spans):
        if covered is not None and begin - covered > TOLERANCE:
            gaps.append((covered, begin))
        covered = end if covered is None else max(covered, end)
    if covered is not None and until - covered > TOLERANCE:
        gaps.append((covered, until))
    clipped = [(max(a, since), min(b, until)) for a, b in gaps]
    return [(a, b) for a, b in clipped if b > a]
