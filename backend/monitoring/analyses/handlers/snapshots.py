"""A picture of each incident, beside its archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from backend.findings.incident import Incident
from backend.media.excerpts import ExcerptError, snapshot
from backend.media.ffmpeg import Ffmpeg
from backend.monitoring.incidents.service import snapshot_path

log = structlog.get_logger(__name__)

MOST = 20
"""Of one archive; the most severe ones have a picture."""


async def take_snapshots(
    ffmpeg: Ffmpeg, video: Path, incidents: Sequence[Incident]
) -> frozenset[int]:
    """Take the pictures; positions of those that have one. A picture that fails is left out."""
    taken = set()
    ranked = sorted(range(len(incidents)), key=lambda position: -incidents[position].severity)
    for position in ranked[:MOST]:
        try:
            await snapshot(
                ffmpeg, video, _moment(incidents[position]), to=snapshot_path(video, position)
            )
        except ExcerptError as error:
            log.warning("no picture of an incident", action="scene.no_snapshot", code=error.code)
            continue
        taken.add(position)
    return frozenset(taken)


def _moment(incident: Incident) -> float:
    """Where the incident shows best: in the middle of what was noted of it."""
    times = sorted(evidence.t for evidence in incident.evidence)
    return times[len(times) // 2] if times else (incident.t_start + incident.t_end) / 2
