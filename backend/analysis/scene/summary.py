"""What a pass over a video amounts to: when something moved, who was followed, a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from backend.analysis.protocol import MOST_TRACKS, ObjectCount, TrackInfo
from backend.analysis.scene.motion import Look
from backend.analysis.scene.tracks import Track
from backend.findings.incident import Incident

_SAME_MOTION_S = 1.0
"""Who stands still for less than this has not stopped moving."""


def moving(looks: Sequence[Look]) -> tuple[tuple[float, float], ...]:
    """Stretches of time in which something moved, in seconds from the start of the video.

    The first picture counts for nothing: it has none before it to differ from.
    """
    stretches: list[tuple[float, float]] = []
    for before, look in pairwise(looks):
        if not look.moving:
            continue
        if stretches and before.t - stretches[-1][1] <= _SAME_MOTION_S:
            stretches[-1] = (stretches[-1][0], look.t)
        else:
            stretches.append((before.t, look.t))
    return tuple((round(start, 2), round(end, 2)) for start, end in stretches)


def track_infos(tracks: Sequence[Track]) -> tuple[TrackInfo, ...]:
    """What was followed, the longest first."""
    longest = sorted(tracks, key=lambda track: (track.t_start - track.t_end, track.id))
    return tuple(
        TrackInfo(track.id, track.label, round(track.t_start, 2), round(track.t_end, 2))
        for track in longest[:MOST_TRACKS]
    )


def in_words(objects: Mapping[str, ObjectCount], incidents: Sequence[Incident]) -> str:
    """One or two sentences for a list of what happened."""
    seen = ", ".join(f"{label} ({count.tracks})" for label, count in objects.items())
    kinds = Counter(incident.category.replace("_", " ") for incident in incidents)
    found = ", ".join(f"{kind} ({number})" for kind, number in kinds.items())
    said = f"Seen: {seen}." if seen else "Nothing was recognised."
    return f"{said} Incidents: {found}." if found else said
