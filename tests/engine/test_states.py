"""The enums of states: what callers compare with is what the tables own."""

from __future__ import annotations

from enum import StrEnum

import pytest

import kernel
from kernel.engine.states import DeliveryState, TaskState, WorkflowState
from kernel.spec.vocabulary import ABSENT, KINDS

ENUMS: dict[str, type[StrEnum]] = {"workflow": WorkflowState, "task": TaskState, "delivery": DeliveryState}


@pytest.mark.parametrize("kind", KINDS)
def test_the_states_are_those_of_the_tables(kind: str) -> None:
    """All states of the kind in their order, but ABSENT, which nothing that can be read has."""
    assert [state.value for state in ENUMS[kind]] == [state for state in KINDS[kind].states if state != ABSENT]


@pytest.mark.parametrize("enum", ENUMS.values(), ids=ENUMS)
def test_a_state_is_its_name(enum: type[StrEnum]) -> None:
    """It compares and prints as the plain text that the stores and Conductor use."""
    for state in enum:
        assert state == state.name == state.value == f"{state}"
        assert enum(state.value) is state


def test_the_front_door_has_them() -> None:
    """Under the same names."""
    assert (kernel.WorkflowState, kernel.TaskState, kernel.DeliveryState) == (WorkflowState, TaskState, DeliveryState)
