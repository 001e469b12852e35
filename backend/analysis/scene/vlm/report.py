"""The result of scene analysis by a vision-language model, as stored in `analysis_result`.

Names everything that shaped it: the model and its version, the prompt's version, the settings, what
was shown and what was not, and what it took. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from backend.analysis.protocol import ObjectCount
from backend.analysis.scene.vlm.model import Usage
from backend.analysis.scene.vlm.price import usd
from backend.findings.incident import Incident
from backend.findings.score import safety_score

INCIDENTS = TypeAdapter(tuple[Incident, ...])
"""How results hold them."""
DAY_SPENT = "the day's budget is spent"
"""Why a window was not analysed that nobody was asked about, or not often enough."""


class WindowState(StrEnum):
    """What became of a window."""

    ANALYSED = "analysed"
    NO_MOTION = "no_motion"
    UNANALYSED = "unanalysed"


class MergedBy(StrEnum):
    """Who put the windows together."""

    MODEL = "model"
    CODE = "code"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class WindowReport:
    """What became of one window, in seconds from the start of the archive."""

    index: int
    t_start: float
    t_end: float
    state: WindowState
    reason: str | None = None
    """Why it was not analysed."""
    asked: int = 0
    """How many calls were made about it."""
    visibility: str | None = None
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """What the windows amount to together."""

    by: MergedBy
    reason: str | None
    """Why it was not the model."""
    incidents: tuple[Incident, ...]
    summary: str
    model_score: int | None
    """The model's own score; the lowest of the windows' where no model put them together."""


@dataclass(frozen=True, slots=True)
class SceneReport:
    """What a model, and who asked it, found in one archive."""

    backend: str
    model: str
    model_version: str | None
    """As the server named what answered; None when nothing was asked."""
    prompt_version: str
    settings: Mapping[str, Any]
    detector: str | None
    detector_missing: str | None
    objects: Mapping[str, ObjectCount]
    merged: Merged
    windows: tuple[WindowReport, ...]
    usage: Usage
    coverage: Mapping[str, Any]
    timings: Mapping[str, float]
    libraries: Mapping[str, str]

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """In order of time."""
        return self.merged.incidents

    @property
    def safety_score(self) -> int:
        """By the formula that all analysers share; the model's own stands beside it."""
        return safety_score(self.merged.incidents)

    def to_json(self) -> dict[str, Any]:
        """As stored."""
        return {
            "analyser": "vlm",
            "backend": self.backend,
            "model": self.model,
            "model_version": self.model_version,
            "prompt_version": self.prompt_version,
            "settings": dict(self.settings),
            "detector": self.detector,
            "detector_missing": self.detector_missing,
            "objects": {label: asdict(count) for label, count in self.objects.items()},
            "incidents": INCIDENTS.dump_python(self.incidents, mode="json"),
            "safety_score": self.safety_score,
            "model_score": self.merged.model_score,
            "summary": self.merged.summary,
            "usage": usage_json(self.usage),
            "windows": _WINDOWS.dump_python(self.windows, mode="json"),
            "merge": {"by": self.merged.by.value, "reason": self.merged.reason},
            "coverage": {
                **self.coverage,
                "skipped": [*self.coverage.get("skipped", ()), *not_shown(self.windows)],
            },
            "timings": dict(self.timings),
            "libraries": dict(self.libraries),
        }


def usage_json(usage: Usage) -> dict[str, Any]:
    """As results name it."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usd(usage.cost_microusd),
        "calls": usage.calls,
        "latency_ms": usage.latency_ms,
    }


def not_shown(windows: tuple[WindowReport, ...]) -> list[str]:
    """What the model did not see or did not judge, one sentence for each reason."""
    unanalysed = [one for one in windows if one.state is WindowState.UNANALYSED]
    lost = [one for one in unanalysed if one.reason != DAY_SPENT]
    counts = (
        (
            sum(one.state is WindowState.NO_MOTION for one in windows),
            "not shown to the model: nothing moved",
        ),
        (sum(one.asked == 0 for one in lost), "not shown to the model: no picture could be taken"),
        (sum(one.asked > 0 for one in lost), "not analysed: the model gave no usable answer"),
        (len(unanalysed) - len(lost), f"not analysed: {DAY_SPENT}"),
    )
    return [
        f"{count} of {len(windows)} windows {'was' if count == 1 else 'were'} {what}"
        for count, what in counts
        if count
    ]


_WINDOWS = TypeAdapter(tuple[WindowReport, ...])
