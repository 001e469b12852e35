"""What becomes of a callback."""

from __future__ import annotations

from enum import StrEnum

from backend.kernel.state_machine import StateMachine


class CallbackKind(StrEnum):
    """The stored value. Newer progress replaces older; a result is never replaced."""

    PROGRESS = "progress"
    RESULT = "result"


class CallbackState(StrEnum):
    """The stored value; a callback stays pending through all its attempts."""

    PENDING = "pending"
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    DEAD = "dead"


_S = CallbackState

CALLBACK = StateMachine(
    name="callback",
    initial=_S.PENDING,
    moves={
        _S.PENDING: frozenset({_S.DELIVERED, _S.SUPERSEDED, _S.DEAD}),
        _S.DELIVERED: frozenset({_S.PENDING}),
        _S.SUPERSEDED: frozenset(),
        _S.DEAD: frozenset({_S.PENDING}),
    },
)
