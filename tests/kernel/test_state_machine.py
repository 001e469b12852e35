"""One table checks moves, guards updates and draws itself."""

from __future__ import annotations

from enum import StrEnum

import pytest

from backend.jobs.states import JOB, JobStatus
from backend.kernel.errors import Conflict
from backend.kernel.state_machine import StateMachine
from backend.monitoring.cameras.states import CAMERA


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    OFF = "off"


LIGHT = StateMachine(
    name="light",
    initial=Light.RED,
    moves={
        Light.RED: frozenset({Light.GREEN}),
        Light.GREEN: frozenset({Light.RED, Light.OFF}),
        Light.OFF: frozenset(),
    },
)


def test_an_allowed_move_passes_and_another_names_both_states() -> None:
    LIGHT.check(Light.RED, Light.GREEN)
    with pytest.raises(Conflict, match="light is red and cannot become off") as caught:
        LIGHT.check(Light.RED, Light.OFF)
    assert caught.value.code == "invalid_state"
    assert caught.value.detail == {"current": "red", "target": "off"}


def test_sources_are_the_states_that_lead_there() -> None:
    assert LIGHT.sources(Light.RED) == [Light.GREEN]
    assert LIGHT.sources(Light.OFF) == [Light.GREEN]


def test_a_state_without_moves_is_final() -> None:
    assert LIGHT.is_final(Light.OFF)
    assert not LIGHT.is_final(Light.RED)


def test_the_picture_shows_every_move_the_start_and_the_ends() -> None:
    assert LIGHT.mermaid().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> red",
        "    red --> green",
        "    green --> off",
        "    green --> red",
        "    off --> [*]",
    ]


@pytest.mark.parametrize("machine", [JOB, CAMERA], ids=lambda machine: machine.name)
def test_the_products_machines_are_whole(machine: StateMachine) -> None:
    """Every state is in the table, and can be reached from the first."""
    states = set(type(machine.initial))
    assert set(machine.moves) == states
    reached, todo = set(), [machine.initial]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo += machine.moves[state]
    assert reached == states


def test_a_completed_job_stays_completed() -> None:
    assert JOB.is_final(JobStatus.COMPLETED)
