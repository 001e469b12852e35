"""From windows' answers to incidents of the archive: by a model's merge, or in code.

No incident is lost or doubled: each one that a window reported is in exactly one incident of the
result, with all its evidence. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.analysis.scene.vlm.answers import MergeAnswer, WindowAnswer
from backend.analysis.scene.vlm.windows import Window
from backend.findings.incident import Evidence, Incident

MOST_GAP_S = 2.0
"""Incidents of neighbouring windows that are no further apart are one."""


@dataclass(frozen=True, slots=True)
class WindowIncident:
    """An incident that a window reported, with the id by which a merge names it."""

    id: int
    window: int
    incident: Incident


def in_archive(window: Window, answer: WindowAnswer) -> tuple[Incident, ...]:
    """A window's incidents in seconds of the archive: evidence first what it means, then why."""
    seen = {one.id: one for one in answer.observations}
    found = []
    for one in answer.incidents:
        named = [seen[id_] for id_ in dict.fromkeys(one.observations)]
        start = _at(window, one.t_start)
        found.append(
            Incident(
                category=one.category,
                t_start=start,
                t_end=_at(window, one.t_end),
                severity=one.severity,
                confidence=one.confidence,
                evidence=(
                    Evidence(start, one.evidence),
                    *(
                        Evidence(_at(window, what.t), what.text)
                        for what in sorted(named, key=lambda what: what.t)
                    ),
                ),
            )
        )
    return tuple(found)


def numbered(answers: Mapping[Window, WindowAnswer]) -> tuple[WindowIncident, ...]:
    """All windows' incidents in order, with ids from 1."""
    found = [
        (window.index, incident)
        for window in sorted(answers, key=lambda window: window.index)
        for incident in in_archive(window, answers[window])
    ]
    return tuple(
        WindowIncident(number, window, incident)
        for number, (window, incident) in enumerate(found, start=1)
    )


def merge_by_model(
    answer: MergeAnswer, incidents: Sequence[WindowIncident]
) -> tuple[Incident, ...]:
    """The model's merge; incidents that it does not mention stay as they are.

    The answer was read with the ids of these incidents.
    """
    left = {one.id: one.incident for one in incidents}
    merged = []
    for one in answer.incidents:
        members = [left.pop(id_) for id_ in sorted(one.members)]
        start, end = _span(members)
        merged.append(
            Incident(
                category=one.category,
                t_start=start,
                t_end=end,
                severity=one.severity,
                confidence=one.confidence,
                evidence=(Evidence(start, one.evidence), *_evidence(members)),
            )
        )
    return in_order([*merged, *left.values()])


def merge_in_code(incidents: Sequence[WindowIncident]) -> tuple[Incident, ...]:
    """Join what goes on from one window into the next: same category, at most a short gap.

    A chain takes one incident of a window at most: what a window told apart stays apart.
    """
    chains: list[list[WindowIncident]] = []
    for one in sorted(incidents, key=lambda one: (one.window, one.incident.t_start, one.id)):
        before = [chain for chain in chains if _goes_on(chain[-1], one)]
        if before:
            max(before, key=lambda chain: chain[-1].incident.t_end).append(one)
        else:
            chains.append([one])
    return in_order([_joined([one.incident for one in chain]) for chain in chains])


def _goes_on(earlier: WindowIncident, later: WindowIncident) -> bool:
    return (
        later.window == earlier.window + 1
        and later.incident.category is earlier.incident.category
        and later.incident.t_start - earlier.incident.t_end <= MOST_GAP_S
    )


def _joined(members: Sequence[Incident]) -> Incident:
    start, end = _span(members)
    return Incident(
        category=members[0].category,
        t_start=start,
        t_end=end,
        severity=max(member.severity for member in members),
        confidence=max(member.confidence for member in members),
        evidence=_evidence(members),
    )


def _span(members: Sequence[Incident]) -> tuple[float, float]:
    return min(member.t_start for member in members), max(member.t_end for member in members)


def _evidence(members: Sequence[Incident]) -> tuple[Evidence, ...]:
    return tuple(evidence for member in members for evidence in member.evidence)


def in_order(incidents: Sequence[Incident]) -> tuple[Incident, ...]:
    """By time."""
    return tuple(sorted(incidents, key=lambda one: (one.t_start, one.t_end, one.category.value)))


def _at(window: Window, t: float) -> float:
    return round(window.t_start + t, 3)
