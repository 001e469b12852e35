"""A camera that sees nothing: covered, blinded, or in the dark. Needs no detector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from backend.analysis.scene.motion import Look
from backend.analysis.scene.rules.evidence import margin, of_certainty, runs
from backend.analysis.scene.rules.settings import ObstructionSettings
from backend.findings.incident import Evidence, Incident, IncidentCategory

SEVERITY = 2
_DARK, _FLAT, _BLURRED = "the picture is dark", "the picture is of one colour", "detail is gone"


def obstruction(looks: Sequence[Look], settings: ObstructionSettings) -> Iterator[Incident]:
    """Every stretch in which the picture shows nothing."""
    usual = median(look.detail for look in looks) if looks else 0.0
    # The median alone would take a cover that stays for most of the video for the usual view.
    usual = max(usual, _upper_quartile([look.detail for look in looks]))
    reasons = [_reason(look, usual, settings) for look in looks]
    times = [look.t for look in looks]
    blind = [reason is not None for reason in reasons]
    for first, last in runs(times, blind, hole_s=settings.hole_s):
        lasted_s = times[last] - times[first]
        if lasted_s < settings.least_s:
            continue
        yield Incident(
            IncidentCategory.CAMERA_OBSTRUCTED,
            t_start=times[first],
            t_end=times[last],
            severity=SEVERITY,
            confidence=of_certainty(
                1.0, margin(lasted_s, threshold=settings.least_s, sure=settings.sure_s)
            ),
            evidence=(Evidence(round(times[first], 2), f"{reasons[first]} for {lasted_s:.0f} s"),),
        )


def _reason(look: Look, usual_detail: float, settings: ObstructionSettings) -> str | None:
    if look.brightness <= settings.dark_brightness and look.contrast <= settings.dark_contrast:
        return _DARK
    if look.contrast <= settings.flat_contrast:
        return _FLAT
    if (
        usual_detail >= settings.usual_least_detail
        and look.detail <= settings.lost_detail * usual_detail
    ):
        return _BLURRED
    return None


def _upper_quartile(values: Sequence[float]) -> float:
    return sorted(values)[len(values) * 3 // 4] if values else 0.0
