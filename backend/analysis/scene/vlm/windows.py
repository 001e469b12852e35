"""Which stretches of an archive are shown to a model, one at a time.

One budget of pictures over ten minutes makes models invent what lies between them, so an archive
is cut into equal windows. Pure; the windows tile the archive without gap or overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch, in seconds from the start of the archive."""

    index: int
    t_start: float
    t_end: float
    moving: bool
    """Whether anything moved in it; a window in which nothing did is not shown to a model."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.t_end - self.t_start


def plan_windows(
    duration_s: float, window_s: float, moving: Sequence[tuple[float, float]]
) -> tuple[Window, ...]:
    """Equal windows, each as near to `window_s` as their whole number allows; at least one.

    A window moves when it shares more than an instant with one of the intervals in `moving`.
    """
    if not (isfinite(duration_s) and duration_s >= 0):
        raise ValueError(f"a duration is 0 or more seconds, not {duration_s}")
    if not (isfinite(window_s) and window_s > 0):
        raise ValueError(f"a window is longer than 0 seconds, not {window_s}")
    count = max(1, round(duration_s / window_s))
    edges = [duration_s * index / count for index in range(count)] + [duration_s]
    return tuple(
        Window(index, t_start, t_end, _moves(t_start, t_end, moving))
        for index, (t_start, t_end) in enumerate(pairwise(edges))
    )


def _moves(t_start: float, t_end: float, moving: Sequence[tuple[float, float]]) -> bool:
    return any(min(t_end, end) > max(t_start, start) for start, end in moving)
