"""States of a camera's stream."""

from __future__ import annotations

from enum import StrEnum

from backend.kernel.state_machine import StateMachine


class CameraState(StrEnum):
    """What the stream of a camera does now; the stored value."""

    STARTING = "starting"
    LIVE = "live"
    STALLED = "stalled"
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    STOPPED = "stopped"


_S = CameraState

CAMERA = StateMachine(
    name="camera",
    initial=_S.STOPPED,
    moves={
        _S.STOPPED: frozenset({_S.STARTING}),
        _S.STARTING: frozenset({_S.LIVE, _S.RECONNECTING, _S.FAILED, _S.STOPPED}),
        _S.LIVE: frozenset({_S.STALLED, _S.RECONNECTING, _S.FAILED, _S.STOPPED}),
        _S.STALLED: frozenset({_S.LIVE, _S.RECONNECTING, _S.FAILED, _S.STOPPED}),
        _S.RECONNECTING: frozenset({_S.LIVE, _S.STALLED, _S.FAILED, _S.STOPPED}),
        _S.FAILED: frozenset({_S.STARTING, _S.LIVE, _S.RECONNECTING, _S.STOPPED}),
    },
)
"""`failed` is a fault that trying again soon will not mend (a wrong password, no such path, a codec
that cannot be read): it is tried again all the same, at the longest delay."""
