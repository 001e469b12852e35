"""How many voices there are, and what each sounds like. Pure and deterministic.

What all windows of a recording have in common (room, telephone line, codec) is subtracted, and the
rest is looked at in the few directions in which the windows differ most. Average linkage proposes
voices, rather too many. Then variational Bayes weighs them, as in VBx (Landini et al., 2022) but
without its sense of time, and with the recording's own spread in place of a trained one: a voice
that explains too little loses its windows to the others. One likeness above which two voices are
the same would not do: two people on one telephone line are more alike (cosine of their means 0.87)
than parts of what one man says in an echoing hall (0.74).

The numbers were tuned on mixtures of read speech, clean, with echo and telephone-filtered; they
are a compromise between one voice taken for two and two for one.

Of a long recording at most `MOST_CLUSTERED` windows, evenly spread, are clustered: a voice that is
in fewer than `FEWEST_WINDOWS` of them is not found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Labels = NDArray[np.int64]

MOST_SPEAKERS = 8
MOST_CLUSTERED = 500
"""Work and memory grow with the square of it, and more of them make a voice's moods look like
voices."""
MOST_PROPOSED = 16
ALIKE = 0.70
"""Cosine: windows that are on average above it are proposed as one voice."""
FEWEST_WINDOWS = 3
"""A voice heard less often is no voice but noise, where there are others to take its windows."""
DIRECTIONS = 6
"""Principal directions that are looked at."""
WITHIN = 0.005
"""Variance of one voice in such a direction, in a long recording..."""
WITHIN_FEW = 16
"""...and twice that in so few windows: with few, the directions follow chance."""
EVIDENCE = 0.36
"""What a window weighs that stands for a second of speech. It goes with the root of the seconds:
windows that overlap say much the same, but a word by itself says less than its length."""
CAUTION = 30.0
"""How much surer than by its windows a voice has to be in order to stay apart."""
_LEAST_SPREAD = 0.05
_LEAST_SHARE = 1e-3
_ROUNDS = 60
_TINY = 1e-9


def voices_in(
    windows: Floats, seconds: Sequence[float], *, most_speakers: int = MOST_SPEAKERS
) -> Floats:
    """The voices: voices x features, of length 1, for windows (n x features, of length 1).

    Of `seconds` of speech each window stands for, which is less than its length where it overlaps
    with others.
    """
    weights = np.asarray(seconds, dtype=np.float64)
    if len(windows) > MOST_CLUSTERED:
        spread = np.linspace(0, len(windows) - 1, MOST_CLUSTERED).round().astype(np.int64)
        windows, weights = windows[spread], weights[spread]
    if len(windows) < 2:
        return windows
    labels = by_first_appearance(_weighed(_places(windows), weights, _proposed(windows)))
    sizes = np.bincount(labels)
    largest = np.sort(np.argsort(-sizes, kind="stable")[:most_speakers])
    enough = largest[sizes[largest] >= FEWEST_WINDOWS]
    return _means(windows, labels)[enough if len(enough) else largest[:1]]


def by_first_appearance(labels: Labels) -> Labels:
    """The same grouping, numbered 0, 1, ... in the order in which the groups begin."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return np.asarray(order[inverse], dtype=np.int64)


def _proposed(windows: Floats) -> Labels:
    """Average linkage, on the side of too many."""
    above = np.triu_indices(len(windows), 1)
    cosines = (windows @ windows.T)[above].astype(np.float64)
    tree = linkage(np.clip(1 - cosines, 0, 2), method="average")
    labels = fcluster(tree, 1 - ALIKE, criterion="distance")
    if labels.max() > MOST_PROPOSED:
        labels = fcluster(tree, MOST_PROPOSED, criterion="maxclust")
    return by_first_appearance(labels)


def _places(windows: Floats) -> Doubles:
    """Windows x directions, such that each voice has variance 1 in each of them."""
    centred = windows.astype(np.float64) - windows.mean(axis=0, dtype=np.float64)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    within = WITHIN * (1 + (WITHIN_FEW / len(windows)) ** 2)
    return np.asarray(centred @ directions[:DIRECTIONS].T / np.sqrt(within))


def _weighed(places: Doubles, seconds: Doubles, labels: Labels) -> Labels:
    """Which voice each window belongs to, when each voice has to be worth its while.

    A voice's place is normal around the middle with the variance of all windows, a window normal
    around its voice's place with variance 1. `belongs` is windows x voices; `voices` and `unsure`
    are mean and variance of each voice's place.
    """
    spread = np.maximum(np.mean(places**2, axis=0), _LEAST_SPREAD)
    belongs = np.eye(int(labels.max()) + 1)[labels]
    evidence = EVIDENCE * np.sqrt(seconds)[:, None]
    for _ in range(_ROUNDS):
        share = belongs.T @ seconds / seconds.sum()
        belongs, share = belongs[:, share > _LEAST_SHARE], share[share > _LEAST_SHARE]
        heard = (evidence * belongs).T / CAUTION
        unsure = spread / (1 + heard.sum(axis=1, keepdims=True) * spread)
        voices = unsure * (heard @ places)
        fit = places @ voices.T - (voices**2 + unsure).sum(axis=1) / 2
        likely = evidence * fit + np.log(share)
        likely = np.exp(likely - likely.max(axis=1, keepdims=True))
        belongs = likely / likely.sum(axis=1, keepdims=True)
    return np.asarray(np.argmax(belongs, axis=1), dtype=np.int64)


def _means(windows: Floats, labels: Labels) -> Floats:
    """The mean of each cluster, of length 1; labels are 0, 1, ... without gaps."""
    sums = np.zeros((int(labels.max()) + 1, windows.shape[1]), dtype=np.float64)
    np.add.at(sums, labels, windows)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.maximum(lengths, _TINY), dtype=np.float32)
