"""A state machine as one table: checks a move, guards an UPDATE, draws its own picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from backend.kernel.errors import Conflict

State = TypeVar("State", bound=StrEnum)


@dataclass(frozen=True)
class StateMachine(Generic[State]):
    """Allowed moves between states: `moves[a]` holds the states that may follow `a`."""

    name: str
    initial: State
    moves: Mapping[State, frozenset[State]]

    def sources(self, target: State) -> list[State]:
        """States from which `target` may be reached: the guard of the UPDATE that moves there."""
        return [state for state, targets in self.moves.items() if target in targets]

    def is_final(self, state: State) -> bool:
        """Whether nothing follows."""
        return not self.moves[state]

    def check(self, current: State, target: State) -> None:
        """Raise Conflict unless the move is allowed."""
        if target not in self.moves[current]:
            raise Conflict(
                f"{self.name} is {current} and cannot become {target}",
                code="invalid_state",
                current=str(current),
                target=str(target),
            )

    def mermaid(self) -> str:
        """The machine as a Mermaid state diagram."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        for state, targets in self.moves.items():
            lines += [f"    {state} --> {target}" for target in sorted(targets)]
            if not targets:
                lines.append(f"    {state} --> [*]")
        return "\n".join(lines)
