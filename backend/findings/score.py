"""The safety score: one formula for every scene analyser, so that scores can be compared.

    score = round(100 * product over incidents of (1 - weight(severity) * confidence))

100 is safe, 0 is worst. Each incident takes away a share of what is left: the order of incidents
does not matter, one more incident never raises the score, and the score never falls below 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from backend.findings.incident import Incident

SEVERITY_WEIGHT = {0: 0.0, 1: 0.05, 2: 0.15, 3: 0.40, 4: 0.75}
"""Share of the score that a certain incident of each severity takes away."""


def safety_score(incidents: Iterable[Incident]) -> int:
    """Score 0..100 of a video with these incidents; 100 when there are none."""
    return round(100 * prod(1 - SEVERITY_WEIGHT[i.severity] * i.confidence for i in incidents))
