"""What a model has to answer about a window and about all windows together, and reading it.

The schemas are small plain JSON Schema (no $ref, no anyOf, every property required and no other)
so that each protocol's own checking takes them as they are. Their order is the order of emission:
what was seen before what it means. Servers do not check ranges, times and names of observations:
that is done here, and what is wrong is said in one sentence that the model is sent back. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from backend.analysis.scene.vlm.model import UnusableAnswer
from backend.findings.incident import Incident, IncidentCategory

TOLERANCE_S = 1.0
"""Times so far outside of the window are moved to its edge; others are refused."""
MOST_INCIDENTS = 20
MOST_OBSERVATIONS = 100
_MOST_NOTE_CHARS = 500
_MOST_SUMMARY_CHARS = 2000
_MOST_QUOTED_CHARS = 40


class Visibility(StrEnum):
    """How much of the scene can be made out."""

    CLEAR = "clear"
    LIMITED = "limited"
    NONE = "none"


def _text(most_chars: int) -> Callable[[str], str]:
    def cut(text: str) -> str:
        printable = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
        words = " ".join(printable.split())
        if not words:
            raise ValueError("must not be empty")
        return words if len(words) <= most_chars else words[: most_chars - 1] + "…"

    return cut


Note = Annotated[str, AfterValidator(_text(_MOST_NOTE_CHARS))]
Summary = Annotated[str, AfterValidator(_text(_MOST_SUMMARY_CHARS))]
Id = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Severity = Annotated[int, Field(ge=0, le=4)]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Score = Annotated[int, Field(ge=0, le=100)]


class _Read(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Observation(_Read):
    """One thing seen, in seconds from the start of the window."""

    id: Id
    t: Seconds
    text: Note


class SeenIncident(_Read):
    """What observations mean, in seconds from the start of the window."""

    observations: tuple[Id, ...]
    t_start: Seconds
    t_end: Seconds
    evidence: Note
    category: IncidentCategory
    severity: Severity
    confidence: Confidence


class WindowAnswer(_Read):
    """What a model said about one window."""

    visibility: Visibility
    observations: Annotated[tuple[Observation, ...], Field(max_length=MOST_OBSERVATIONS)]
    incidents: Annotated[tuple[SeenIncident, ...], Field(max_length=MOST_INCIDENTS)]
    summary: Summary
    safety_score: Score
    """The model's own, kept beside the one that is computed."""


class MergedIncident(_Read):
    """Incidents of windows that are one; `members` are their ids."""

    members: tuple[Id, ...]
    evidence: Note
    category: IncidentCategory
    severity: Severity
    confidence: Confidence


class MergeAnswer(_Read):
    """What a model said about all windows together."""

    incidents: tuple[MergedIncident, ...]
    summary: Summary
    safety_score: Score


def window_schema(categories: Sequence[IncidentCategory]) -> dict[str, Any]:
    """JSON Schema of a `WindowAnswer` with incidents of these categories only."""
    seconds = _field("number", "Seconds from the start of the window.")
    observation = _object(
        id=_field("integer", "1, 2, 3 and so on."),
        t=seconds,
        text=_field("string", "One thing that is visible at that time. No conclusions."),
    )
    incident = _object(
        observations=_list(
            {"type": "integer"}, "Ids of the observations that show it, at least one."
        ),
        t_start=seconds,
        t_end=seconds,
        evidence=_field("string", "Why these observations are this incident, in one sentence."),
        category=_names(categories),
        severity=_SEVERITY,
        confidence=_CONFIDENCE,
    )
    return _object(
        visibility={**_names(tuple(Visibility)), "description": "Can the scene be made out?"},
        observations=_list(observation, "What is visible, in order of time."),
        incidents=_list(incident, f"At most {MOST_INCIDENTS}; empty when there is none."),
        summary=_field("string", "What happens in the window, in one to three sentences."),
        safety_score=_SCORE,
    )


def merge_schema(categories: Sequence[IncidentCategory]) -> dict[str, Any]:
    """JSON Schema of a `MergeAnswer` with incidents of these categories only."""
    incident = _object(
        members=_list({"type": "integer"}, "Ids of the windows' incidents that are this one."),
        evidence=_field("string", "Why they are one incident, in one sentence."),
        category=_names(categories),
        severity=_SEVERITY,
        confidence=_CONFIDENCE,
    )
    return _object(
        incidents=_list(
            incident, "Incidents that go over several windows; others stay as they are."
        ),
        summary=_field("string", "What happens in the whole archive, in two to five sentences."),
        safety_score=_SCORE,
    )


def _field(kind: str, description: str) -> dict[str, Any]:
    return {"type": kind, "description": description}


def _names(names: Sequence[StrEnum]) -> dict[str, Any]:
    return {"type": "string", "enum": [name.value for name in names]}


def _list(items: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"type": "array", "description": description, "items": dict(items)}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: dict(one) for name, one in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }


_SEVERITY = _field(
    "integer",
    "0 worth a note, 1 unusual, 2 should be looked at, 3 dangerous, 4 danger to life.",
)
_CONFIDENCE = _field("number", "0 to 1: how sure it is that this happened.")
_SCORE = _field("integer", "0 to 100: 100 is safe, 0 is worst.")

_Answer = TypeVar("_Answer", bound=_Read)


def read_window(
    text: str, *, seconds: float, categories: Collection[IncidentCategory]
) -> WindowAnswer:
    """Read what was said about a window that is `seconds` long.

    Raises:
        UnusableAnswer: `empty`, or `malformed` with a sentence that tells the model what is wrong.
    """
    answer = _parse(text, WindowAnswer, categories)
    known = [one.id for one in answer.observations]
    if twice := _first_double(known):
        raise _malformed(f"two observations have the id {twice[0]}")
    observations = tuple(
        one.model_copy(update={"t": _clamped(one.t, seconds, f"observation {one.id}")})
        for one in answer.observations
    )
    incidents = []
    for number, one in enumerate(answer.incidents, start=1):
        which = f"incident {number}"
        if one.category not in categories:
            raise _malformed(f"{which} is {one.category.value}, but must be {_one_of(categories)}")
        if not one.observations:
            raise _malformed(f"{which} names no observation")
        if unknown := [id_ for id_ in one.observations if id_ not in known]:
            raise _malformed(f"{which} names observation {unknown[0]}, which is not in the answer")
        if one.t_end < one.t_start:
            raise _malformed(
                f"{which} ends at {one.t_end:g} s, before its start at {one.t_start:g} s"
            )
        times = {
            "t_start": _clamped(one.t_start, seconds, which),
            "t_end": _clamped(one.t_end, seconds, which),
        }
        incidents.append(one.model_copy(update=times))
    return answer.model_copy(update={"observations": observations, "incidents": tuple(incidents)})


def read_merge(
    text: str,
    *,
    known: Mapping[int, Incident],
    categories: Collection[IncidentCategory],
) -> MergeAnswer:
    """Read what was said about all windows; `known` has their incidents by id.

    A merge joins what windows saw. It must not add to it or talk it away: a category is that of the
    worst of its members, severity and confidence are not below that one's.

    Raises:
        UnusableAnswer: `empty`, or `malformed` with a sentence that tells the model what is wrong.
    """
    answer = _parse(text, MergeAnswer, categories)
    for number, one in enumerate(answer.incidents, start=1):
        which = f"incident {number}"
        if not one.members:
            raise _malformed(f"{which} has no members")
        if unknown := [id_ for id_ in one.members if id_ not in known]:
            raise _malformed(f"{which} has the member {unknown[0]}, which is no incident's id")
        members = [known[id_] for id_ in one.members]
        severity, confidence = worst = max((one.severity, one.confidence) for one in members)
        of_worst = {one.category for one in members if (one.severity, one.confidence) == worst}
        if one.category not in of_worst:
            raise _malformed(
                f"{which} is {one.category.value}, but the worst of its members is"
                f" {' or '.join(sorted(of_worst))}"
            )
        if one.severity < severity or one.confidence < confidence:
            raise _malformed(
                f"{which} has severity {one.severity} and confidence {one.confidence:g}, but the"
                f" worst of its members has {severity} and {confidence:g}"
            )
    if twice := _first_double([id_ for one in answer.incidents for id_ in one.members]):
        raise _malformed(f"id {twice[0]} is used twice in members")
    return answer


def _parse(text: str, shape: type[_Answer], categories: Collection[IncidentCategory]) -> _Answer:
    bare = _without_fence(text)
    if not bare:
        raise UnusableAnswer("empty", "the answer is empty")
    try:
        return shape.model_validate_json(bare.encode())
    except UnicodeEncodeError as error:
        raise _malformed("the answer is not Unicode text") from error
    except ValidationError as error:
        raise _malformed(_in_words(error, categories)) from error


def _without_fence(text: str) -> str:
    """Small models put JSON into a Markdown fence even when they are held to a schema."""
    bare = text.strip()
    if bare.startswith("```") and bare.endswith("```") and "\n" in bare:
        return bare.split("\n", 1)[1].removesuffix("```").strip()
    return bare


def _in_words(error: ValidationError, categories: Collection[IncidentCategory]) -> str:
    """The first thing that is wrong, with where and what was there instead."""
    first = error.errors(include_url=False, include_context=False)[0]
    says = first["msg"].removeprefix("Value error, ").removesuffix(".").replace("Tuple", "List")
    if first["type"] == "json_invalid":
        return f"the answer is not JSON: {says.removeprefix('Invalid JSON: ')}"
    where = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]
    ).lstrip(".")
    if where.endswith(".category"):
        says = f"must be {_one_of(categories)}"
    found = first["input"]
    shown = "" if isinstance(found, dict | list) else f", not {_quoted(found)}"
    return f"{where or 'the answer'}: {says[:1].lower()}{says[1:]}{shown}"


def _quoted(found: object) -> str:
    text = ascii(found)
    return text if len(text) <= _MOST_QUOTED_CHARS else text[:_MOST_QUOTED_CHARS] + "..."


def _malformed(sentence: str) -> UnusableAnswer:
    return UnusableAnswer("malformed", sentence)


def _first_double(ids: Sequence[int]) -> list[int]:
    return [id_ for place, id_ in enumerate(ids) if id_ in ids[:place]][:1]


def _one_of(categories: Collection[IncidentCategory]) -> str:
    return "one of " + ", ".join(sorted(category.value for category in categories))


def _clamped(t: float, seconds: float, which: str) -> float:
    if not -TOLERANCE_S <= t <= seconds + TOLERANCE_S:
        raise _malformed(f"{which} has the time {t:g} s, outside of 0 to {seconds:g} s")
    return min(max(t, 0.0), seconds)
