"""Crowding: many people close together for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.analysis.scene.rules.company import Standing, groups, present
from backend.analysis.scene.rules.evidence import confidence, margin, runs, seen
from backend.analysis.scene.rules.settings import CrowdingSettings
from backend.analysis.scene.tracks import PERSON, Track
from backend.findings.incident import Incident, IncidentCategory

SEVERITY = 2
_STEP_S = 0.5


@dataclass(frozen=True, slots=True)
class _Moment:
    t: float
    group: list[Standing]
    """The largest one."""


def crowding(tracks: Sequence[Track], settings: CrowdingSettings) -> Iterator[Incident]:
    """Every stretch in which so many people stood together."""
    people = [track for track in tracks if track.label == PERSON]
    moments = _moments(people, settings)
    crowded = [len(moment.group) >= settings.people for moment in moments]
    times = [moment.t for moment in moments]
    for first, last in runs(times, crowded, hole_s=settings.hole_s):
        if times[last] - times[first] < settings.least_s:
            continue
        fullest = max(moments[first : last + 1], key=lambda moment: len(moment.group))
        count = len(fullest.group)
        yield Incident(
            IncidentCategory.CROWDING,
            t_start=times[first],
            t_end=times[last],
            severity=SEVERITY,
            confidence=confidence(
                [point for _, point in fullest.group],
                margin(count, threshold=settings.people, sure=settings.sure_people),
            ),
            evidence=tuple(
                seen(track, point, f"one of {count} people close together")
                for track, point in fullest.group
            ),
        )


def _moments(people: Sequence[Track], settings: CrowdingSettings) -> list[_Moment]:
    if len(people) < settings.people:
        return []
    start = min(track.t_start for track in people)
    end = max(track.t_end for track in people)
    moments = []
    for step in range(int((end - start) / _STEP_S) + 1):
        t = start + step * _STEP_S
        found = groups(present(people, t), reach=settings.reach)
        moments.append(_Moment(t, max(found, key=len, default=[])))
    return moments
