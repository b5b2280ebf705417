"""The `transitions` Machines, the runtime's flat dispatch table and a plain reading of the tables decide alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from transitions import EventData, Machine, MachineError

from kernel.core.program import Program, compile_program
from kernel.spec import DELIVERY, SPEC, TASK, WORKFLOW, Lifecycle
from kernel.spec.evaluate import Counters, Function
from kernel.spec.language import F, Guard, Row, Table, both
from kernel.spec.logic import OTHER, domains, quantifiers
from kernel.spec.machine import Condition, Marker, rows_of
from tests.spec.stand import Situation, count, make, meaning, possible, situations, valuation

LIFECYCLES = {"workflow": WORKFLOW, "task": TASK, "delivery": DELIVERY}
CELLS = {"workflow": (98, 34), "task": (264, 50), "delivery": (35, 7)}
"""Of each lifecycle: its cells, and how many of them have rows."""
DRIVEN = {"workflow": (656, 2448), "task": (1556, 10431), "delivery": (1683, 29055)}
"""Of each lifecycle: how many guard valuations there are over all cells, and how many situations realise them."""


class Driver:
    """A Machine whose guards are the plain interpreter, and which tells the row that it took."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.machine = lifecycle.machine(function=plainly)
        self.machine.after_state_change = [self.note]
        self.taken: list[Row] = []

    def note(self, event: EventData) -> None:
        """Remember the table row of the transition that was taken."""
        assert event.transition is not None
        self.taken += [m.row for m in event.transition.before if isinstance(m, Marker)]

    def drive(self, event: str, situation: Situation) -> Row | type[MachineError] | None:
        """The row that the event takes; None when all guards refuse; MachineError when the state has no transition."""
        state, row = situation.row.state, situation.row
        self.taken.clear()
        try:
            moved = self.machine.events[event].trigger(row, **situation.given)
        except MachineError:
            assert row.state == state
            return MachineError
        reached, row.state = row.state, state
        assert [moved, reached] == [bool(self.taken), self.taken[0].target if self.taken else state]
        return self.taken[0] if self.taken else None


def plainly(guard: Guard, counters: Counters) -> Function:
    """A guard as the plain interpreter reads it, without counters."""
    return lambda row, given: meaning(guard.holds, row, given)


def dispatched(program: Program, kind: str, event: str, situation: Situation) -> Row | type[MachineError] | None:
    """The row that the runtime takes from its flat table."""
    lines = program.cells[kind].get((situation.row.state, event))
    if lines is None:
        return MachineError
    enabled = [line for line in lines if line.holds(situation.row, situation.given)]
    assert len(enabled) <= 1
    return enabled[0].row if enabled else None


def read(rows: tuple[Row, ...], situation: Situation) -> Row | type[MachineError] | None:
    """The row that the table itself says is taken."""
    if not rows:
        return MachineError
    enabled = [r for r in rows if all(meaning(g.holds, situation.row, situation.given) for g in r.guards)]
    assert len(enabled) <= 1
    return enabled[0] if enabled else None


def cells(table: Table) -> Iterator[tuple[str, str, tuple[Row, ...]]]:
    """Every cell: event, state, rows."""
    for event in table.events:
        for state in table.kind.states:
            yield event, state, table.rows_for(event, state)


@pytest.fixture(scope="module")
def program() -> Program:
    """The compiled specification."""
    return compile_program(SPEC)


@pytest.mark.no_cover
@pytest.mark.parametrize("kind", [
    kind if kind == "workflow" else pytest.param(kind, marks=pytest.mark.slow) for kind in LIFECYCLES])
def test_machine_and_dispatch_table_agree(kind: str, program: Program) -> None:
    """In every state, for every event and every valuation of the guards, the Machine (with plain guards), the runtime's
    dispatch table and the table itself take the same row, or refuse alike; every valuation is met, and all are counted.
    """
    table = LIFECYCLES[kind].table
    driver, met, driven, seen = Driver(LIFECYCLES[kind]), 0, 0, Counter[bool]()
    for event, state, rows in cells(table):
        guards = [g.holds for r in rows for g in r.guards]
        values = [value for r in rows for _, value in r.set]
        realised = set()
        for situation in situations(kind, *guards, state=state, along=values):
            situation.row.state = state
            count(situation.row, program.places, guards)
            expected = read(rows, situation)
            assert driver.drive(event, situation) is expected, (event, state, situation.given)
            assert dispatched(program, kind, event, situation) is expected, (event, state, situation.given)
            realised.add(valuation(guards, situation, kind))
            driven += 1
        here = state if state in domains(*guards).get(F("state"), ()) else OTHER
        assert realised == {frozenset(v.items()) for v in possible(kind, guards) if v.get(F("state"), here) == here}
        met += len(realised)
        seen[bool(rows)] += 1
    assert (seen.total(), seen[True]) == CELLS[kind]
    assert (met, driven) == DRIVEN[kind]


@pytest.mark.parametrize("kind", LIFECYCLES)
def test_dispatch_table_sets_what_the_table_sets(kind: str, program: Program) -> None:
    """Each line of the dispatch table has its row's target, guards and fields, and gives what these mean."""
    table = LIFECYCLES[kind].table
    lines = {id(line.row): line for found in program.cells[kind].values() for line in found}
    assert set(lines) == {id(row) for row in table.rows}
    for row in table.rows:
        line = lines[id(row)]
        assert (line.event, line.target) == (row.event, row.target)
        assert [guard for guard, _ in line.guards] == list(row.guards)
        assert [name for name, _ in line.sets] == [name for name, _ in row.set]
        for situation in situations(kind, *(value for _, value in row.set), state=row.source[0]):
            for (_, value), (_, function) in zip(row.set, line.sets, strict=True):
                assert function(situation.row, situation.given) == meaning(value, situation.row, situation.given)


@pytest.mark.parametrize("kind", LIFECYCLES)
def test_machine_holds_the_table(kind: str) -> None:
    """A Machine has the states, events, rows and guards of its table, in the table's order, and nothing else."""
    table = LIFECYCLES[kind].table
    machine = LIFECYCLES[kind].machine()
    assert (machine.name, machine.models, list(machine.states)) == (f"{kind}: ", [], list(table.kind.states))
    assert (machine.initial, list(machine.events)) == ("ABSENT", list(table.events))
    for event, state, rows in cells(table):
        found = [entry for entry in rows_of(machine) if entry[:2] == (event, state)]
        assert [entry[2:4] for entry in found] == [(row.target, row) for row in rows]
        assert [[c.guard for c in entry[4]] for entry in found] == [list(row.guards) for row in rows]
    assert len(rows_of(machine)) == sum(len(row.source) for row in table.rows)


def test_machine_names_what_may_happen() -> None:
    """The Machine behind a lifecycle answers what Python people ask of one."""
    machine: Machine = TASK.machine()
    assert set(machine.get_triggers("SKIPPED")) == {"RESET", "REOPEN", "SET_ASIDE"}
    assert set(machine.get_triggers("PENDING")) == {"SCHEDULE", "REJECT", "SIGNAL", "CANCEL", "SKIP"}


def test_machine_moves_a_row() -> None:
    """Triggered with the declared guards, a Machine moves the row that it is given and keeps none."""
    machine = TASK.machine()
    row = make("task", state="IN_PROGRESS", mode="WAIT", wf=make("workflow", state="PAUSED"))
    assert machine.events["SIGNAL"].trigger(row, now=1)
    assert row.state == "COMPLETED"
    with pytest.raises(MachineError):
        machine.events["SIGNAL"].trigger(row, now=1)


def test_machine_reads_counters() -> None:
    """With places for its quantifiers a Machine reads counters and never looks at the rows behind."""
    (quantifier,) = quantifiers(both(*TASK.table.rows_for("SCHEDULE", "PENDING")[0].guards))
    machine = TASK.machine({quantifier: 1})
    row = make("task", state="PENDING", sound=1, branch=0, wf=make("workflow", state="RUNNING"), counts=[0, 2])
    assert not machine.events["SCHEDULE"].trigger(row, now=1)
    row.counts = [2, 0]
    assert machine.events["SCHEDULE"].trigger(row, now=1)
    assert row.state == "SCHEDULED"


def test_condition_is_called_by_its_name() -> None:
    """What a diagram of a Machine shows at a transition is the guard's name."""
    conditions = [c for entry in rows_of(TASK.machine()) for c in entry[4]]
    assert {c.__name__ for c in conditions} == {g.name for r in TASK.table.rows for g in r.guards}
    assert all(isinstance(c, Condition) for c in conditions)


def test_marker_does_nothing() -> None:
    """The callback that carries a table row through a Machine leaves everything as it is."""
    marker: Any = Marker(TASK.table.rows[0])
    assert marker(None) is None
