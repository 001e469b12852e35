"""What a person has made of an incident."""

from __future__ import annotations

from enum import StrEnum

from backend.kernel.state_machine import StateMachine


class IncidentState(StrEnum):
    """The stored value. A verdict can be changed, and taken back."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


_S = IncidentState

INCIDENT = StateMachine(
    name="incident",
    initial=_S.OPEN,
    moves={
        _S.OPEN: frozenset({_S.CONFIRMED, _S.REJECTED}),
        _S.CONFIRMED: frozenset({_S.OPEN, _S.REJECTED}),
        _S.REJECTED: frozenset({_S.OPEN, _S.CONFIRMED}),
    },
)
