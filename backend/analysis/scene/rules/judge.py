"""All rules over one video; what is reported twice is merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from backend.analysis.scene.motion import Look
from backend.analysis.scene.rules.crowding import crowding
from backend.analysis.scene.rules.falls import falls
from backend.analysis.scene.rules.loitering import loitering
from backend.analysis.scene.rules.near_misses import near_misses
from backend.analysis.scene.rules.obstruction import obstruction
from backend.analysis.scene.rules.running import running
from backend.analysis.scene.rules.settings import RuleSettings
from backend.analysis.scene.tracks import Track
from backend.findings.incident import Incident


def judge(
    tracks: Sequence[Track], looks: Sequence[Look], settings: RuleSettings
) -> tuple[Incident, ...]:
    """All incidents of a video, in order of time."""
    found = [
        *falls(tracks, settings.fall),
        *near_misses(tracks, settings.near_miss),
        *running(tracks, settings.running),
        *loitering(tracks, settings.loitering, settings.crowding),
        *crowding(tracks, settings.crowding),
        *obstruction(looks, settings.obstruction),
    ]
    exact = (
        replace(incident, t_start=round(incident.t_start, 2), t_end=round(incident.t_end, 2))
        for incident in found
    )
    return merged(exact, within_s=settings.merge_within_s)


def merged(incidents: Iterable[Incident], *, within_s: float) -> tuple[Incident, ...]:
    """One incident for those of a category that follow each other and share somebody.

    The merged one spans all, is as severe and as certain as the worst, and keeps all evidence.
    """
    kept: list[Incident] = []
    for incident in sorted(incidents, key=lambda i: (i.t_start, i.t_end, i.category)):
        for index, earlier in enumerate(kept):
            if _same(earlier, incident, within_s):
                kept[index] = _both(earlier, incident)
                break
        else:
            kept.append(incident)
    return tuple(kept)


def _same(earlier: Incident, later: Incident, within_s: float) -> bool:
    if earlier.category != later.category or later.t_start - earlier.t_end > within_s:
        return False
    return _who(earlier) == _who(later) or bool(_who(earlier) & _who(later))


def _who(incident: Incident) -> frozenset[int]:
    return frozenset(e.track_id for e in incident.evidence if e.track_id is not None)


def _both(earlier: Incident, later: Incident) -> Incident:
    return replace(
        earlier,
        t_end=max(earlier.t_end, later.t_end),
        severity=max(earlier.severity, later.severity),
        confidence=max(earlier.confidence, later.confidence),
        evidence=(*earlier.evidence, *later.evidence),
    )
