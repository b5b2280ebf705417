"""Each lifecycle as a `transitions` Machine: the vocabulary that Python people know.

The diagrams are drawn from it, and the runtime's flat dispatch table is compiled from it once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from transitions import EventData, Machine

from kernel.spec.evaluate import Counters, Function, guard_function
from kernel.spec.language import Guard, Row, Table


@frozen(eq=False)
class Condition:
    """A guard in the form that a Machine calls; keeps the guard, so that a reader of the Machine finds it again."""

    guard: Guard
    function: Function

    @property
    def __name__(self) -> str:
        return self.guard.name

    def __call__(self, event: EventData) -> bool:
        """Whether the guard holds for the row that is the event's model and for what the caller presents."""
        return bool(self.function(event.model, event.kwargs))


@frozen(eq=False)
class Marker:
    """Carries the table row of a transition through the Machine. Called before the change; does nothing."""

    row: Row

    def __call__(self, event: EventData) -> None:
        """Nothing: a Machine of ours never acts."""


@frozen
class Lifecycle:
    """A declared lifecycle: its table, and the Machine built from it."""

    table: Table

    def machine(
        self, counters: Counters | None = None, function: Callable[[Guard, Counters], Function] = guard_function
    ) -> Machine:
        """A Machine without a model: one shared value; `machine.events[event].trigger(row, **presented)` moves a row.

        `counters` places the counted quantifiers; `function` turns guards into functions (tests give another one).
        """
        placed: Mapping[Any, int] = counters or {}
        machine = Machine(
            model=None, states=list(self.table.kind.states), initial=self.table.kind.states[0],
            auto_transitions=False, send_event=True, name=self.table.kind.name,
        )
        for row in self.table.rows:
            machine.add_transition(
                row.event, list(row.source), row.target,
                conditions=[Condition(g, function(g, placed)) for g in row.guards],
                before=[Marker(row)],
            )
        return machine


def rows_of(machine: Machine) -> tuple[tuple[str, str, str, Row, tuple[Condition, ...]], ...]:
    """What a Machine holds, flat: event, source, target, the table row, its conditions; in the order of the Machine."""
    return tuple(
        (event.name, source, marker.row.target, marker.row,
         tuple(c.func for c in transition.conditions if isinstance(c.func, Condition)))
        for event in machine.events.values()
        for source, transitions in event.transitions.items()
        for transition in transitions
        for marker in transition.before if isinstance(marker, Marker)
    )
