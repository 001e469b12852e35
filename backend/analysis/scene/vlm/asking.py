"""Asking one question until its answer is usable, and remembering what came of it.

What a model said was paid for, so an outcome is saved as soon as it is there, under a name, with a
fingerprint of what it was asked: a later attempt at the same job takes it from there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.analysis.scene.vlm.model import (
    ModelError,
    Question,
    UnusableAnswer,
    Usage,
    VisionModel,
)
from backend.analysis.scene.vlm.prompt import asked_again

A = TypeVar("A", bound=BaseModel)


class Parts(Protocol):
    """What earlier attempts at the same job saved; survives the death of a worker."""

    def known(self) -> Mapping[str, Any]:
        """All that was saved, by name: plain JSON."""

    async def save(self, name: str, value: Any) -> None:
        """Save plain JSON under a name, in place of what was there."""


class Outcome(BaseModel, Generic[A]):
    """What came of one question, and what it took."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    """Of what was asked: an outcome of another question is not taken for this one's."""
    settled: bool
    """It was asked as often as it may be, or answered; else only what it took counts."""
    answer: A | None = None
    code: str = ""
    reason: str | None = None
    """Why there is no answer."""
    asked: int = 0
    """How many calls were made."""
    usage: Usage = Usage()
    version: str | None = None
    """The model that answered, as its server named it."""


@dataclass(slots=True)
class Memory:
    """Outcomes by name, of earlier attempts and of this one."""

    parts: Parts
    prefix: str
    _unsaved: dict[str, Any] = field(default_factory=dict)

    def recall(self, name: str, fingerprint: str, shape: type[Outcome[A]]) -> Outcome[A] | None:
        """What is known under this name.

        Of another question only what it took is left. Look whether it is settled.
        """
        value = self.parts.known().get(self.prefix + name)
        if value is None:
            return None
        try:
            # As JSON, since answers are read strictly: an enum's name is right in JSON only.
            found = shape.model_validate_json(json.dumps(value))
        except ValidationError:  # saved by another version of this program
            return None
        if found.fingerprint == fingerprint:
            return found
        return shape(fingerprint=fingerprint, settled=False, asked=found.asked, usage=found.usage)

    def note(self, name: str, outcome: Outcome[A]) -> None:
        """Have it saved by the next `flush`, in place of what was noted before."""
        self._unsaved[name] = outcome.model_dump(mode="json")

    async def flush(self, *names: str) -> None:
        """Save what was noted and not saved yet: under these names, or all of it.

        What is cut off is not lost: it stays noted.
        """
        for name in names or list(self._unsaved):
            if (value := self._unsaved.get(name)) is not None:
                await self.parts.save(self.prefix + name, value)
                del self._unsaved[name]


async def ask(
    model: VisionModel,
    question: Question,
    read: Callable[[str], A],
    start: Outcome[A],
    *,
    asks: int,
    so_far: Callable[[Outcome[A]], None],
) -> Outcome[A]:
    """Ask up to `asks` times, each time with what was wrong with the answer before.

    Counts on from `start`, the not settled outcome of earlier attempts. Any other error of the
    model goes up. What the question took without an answer is told to `so_far` at once, since
    whoever asks may be cancelled at any time.
    """
    taken, asked = start, question
    wrong: UnusableAnswer | None = None
    for _ in range(asks):
        try:
            said = await model.ask(asked)
        except UnusableAnswer as error:
            taken, wrong = _plus(taken, error.usage, calls=1), error
        except ModelError as error:
            so_far(_plus(taken, error.usage, calls=error.usage.calls))
            raise
        else:
            taken = _plus(taken, said.usage, calls=1)
            try:
                found = {"settled": True, "answer": read(said.text), "version": said.model}
            except UnusableAnswer as error:
                wrong = error
            else:
                return taken.model_copy(update=found)
        so_far(taken)
        asked = asked_again(question, wrong)
    code, reason = ("", None) if wrong is None else (wrong.code, wrong.message)
    return taken.model_copy(update={"settled": True, "code": code, "reason": reason})


def _plus(outcome: Outcome[A], usage: Usage, *, calls: int) -> Outcome[A]:
    more = {"asked": outcome.asked + calls, "usage": outcome.usage.plus(usage)}
    return outcome.model_copy(update=more)


def fingerprint(*what: object) -> str:
    """Of anything that JSON can say."""
    plain = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(plain.encode(errors="replace")).hexdigest()
