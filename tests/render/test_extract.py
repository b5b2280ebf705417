"""The drawing model shows every transition of the Machines, and nothing else."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.render.extract import Arm, Box, Cause, Look, Picture, firings, lifted, picture
from kernel.spec import DELIVERY, SPEC, TASK, WORKFLOW, Lifecycle, Spec
from kernel.spec.language import Row
from kernel.spec.machine import rows_of
from kernel.spec.vocabulary import ABSENT, CLOSED_WELL, ENDED, SETTLED, held

LIFECYCLES = [WORKFLOW, TASK, DELIVERY]
PICTURES = {lifecycle.table.kind.name: picture(SPEC, lifecycle) for lifecycle in LIFECYCLES}


def with_row(lifecycle: Lifecycle, row: Row) -> tuple[Spec, Lifecycle]:
    """A specification in which one lifecycle has one row more."""
    table = evolve(lifecycle.table, rows=(*lifecycle.table.rows, row))
    return evolve(SPEC, tables={**SPEC.tables, table.kind.name: table}), Lifecycle(table)


def ways(drawn: Picture) -> list[tuple[str, str, str, frozenset[str]]]:
    """Every (event, source, target, what it asks) that a picture shows, boxes written out."""
    members = {box.name: box.states for box in drawn.boxes}
    asked = {event: told.guards for told in drawn.asked for event in told.events}
    return [
        (arm.event, source, arrow.target, frozenset((*arm.guards, *asked.get(arm.event, ()))))
        for arrow in drawn.arrows
        for source in members.get(arrow.source, (arrow.source,))
        for arm in arrow.arms
    ]


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=PICTURES)
def test_picture_shows_every_transition(lifecycle: Lifecycle) -> None:
    """The picture has exactly the transitions of the Machine, each with all guards of its row."""
    shown = ways(PICTURES[lifecycle.table.kind.name])
    held_by_machine = {(event, source, target) for event, source, target, _, _ in rows_of(lifecycle.machine())}
    assert {way[:3] for way in shown} == held_by_machine
    for event, source, target, row, _ in rows_of(lifecycle.machine()):
        names = {guard.name for guard in row.guards}
        assert any(way[:3] == (event, source, target) and names <= way[3] for way in shown)


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=PICTURES)
def test_arrows_are_merged_and_sorted(lifecycle: Lifecycle) -> None:
    """There is one arrow for each pair of ends, and both arrows and the events on them are sorted."""
    arrows = PICTURES[lifecycle.table.kind.name].arrows
    ends = [(arrow.source, arrow.target) for arrow in arrows]
    assert ends == sorted(set(ends))
    assert all(list(arrow.arms) == sorted(set(arrow.arms)) for arrow in arrows)


@pytest.mark.parametrize("drawn", PICTURES.values(), ids=PICTURES)
def test_states_look_like_what_they_are(drawn: Picture) -> None:
    """ABSENT is the start; terminal states look well or badly ended, all others live."""
    kind, well = SPEC.kinds[drawn.name], {"workflow": ENDED[:1], "task": CLOSED_WELL, "delivery": SETTLED[:1]}
    assert drawn.states[ABSENT] is Look.START
    ended = {state for state, look in drawn.states.items() if look in (Look.WELL, Look.BADLY)}
    assert ended == set(kind.terminal)
    assert set(drawn.states) == set(kind.states)
    assert {state for state, look in drawn.states.items() if look is Look.WELL} == set(well[drawn.name])


@pytest.mark.parametrize("drawn", PICTURES.values(), ids=PICTURES)
def test_boxes_hold_what_they_say(drawn: Picture) -> None:
    """Every state but ABSENT is in a box, an inner box is part of its outer one, a box looks like all its states."""
    named = {box.name: box for box in drawn.boxes}
    assert {s for box in drawn.boxes for s in box.states} == set(drawn.states) - {ABSENT}
    for box in drawn.boxes:
        assert not box.inside or set(box.states) < set(named[box.inside].states)
        looks = {drawn.states[state] for state in box.states}
        assert looks == {box.look} or (box.look is None and len(looks) > 1)


CAUSES = [
    (WORKFLOW, "TERMINATE", "RUNNING", [(Cause.CASCADE, ())]),
    (WORKFLOW, "TIME_OUT", "RUNNING", [(Cause.COMMAND, ("deadline passed",)), (Cause.PROGRESS, ("a task timed out",))]),
    (WORKFLOW, "TIME_OUT", "PAUSED", [(Cause.COMMAND, ("deadline passed",))]),
    (WORKFLOW, "RESUME", "PAUSED", [(Cause.COMMAND, ("root, or parent RUNNING",))]),
    (WORKFLOW, "RETRY", "FAILED", [(Cause.REOPENING, ())]),
    (TASK, "CANCEL", "PENDING", [(Cause.CASCADE, ())]),
    (TASK, "SCHEDULE", "PENDING", [(Cause.PROGRESS, ())]),
    (TASK, "CHILD_FAILED", "IN_PROGRESS", [(Cause.PROGRESS, ())]),
    (TASK, "POLL", "SCHEDULED", [(Cause.COMMAND, ())]),
    (TASK, "SIGNAL", "IN_PROGRESS", [(Cause.COMMAND, ())]),
    (TASK, "SKIP", "PENDING", [(Cause.COMMAND, ())]),
    (DELIVERY, "CREATE", ABSENT, [(Cause.CASCADE, ())]),
    (DELIVERY, "REDRIVE", "DEAD", [(Cause.REOPENING, ())]),
]


@pytest.mark.parametrize(("lifecycle", "event", "state", "found"), CAUSES, ids=[f"{c[1]}-{c[2]}" for c in CAUSES])
def test_who_fires_an_event(
    lifecycle: Lifecycle, event: str, state: str, found: list[tuple[Cause, tuple[str, ...]]]
) -> None:
    """Each event is known by who fires it in a state, and by what the command or rule asks besides the row."""
    assert list(firings(SPEC, lifecycle.table, event, state)) == found


def test_what_leaves_every_state_leaves_the_box() -> None:
    """Only an arm that leaves all states of a box for the same target is lifted, and to the largest such box."""
    arm, other = Arm("E", (), Cause.COMMAND), Arm("E", ("guard",), Cause.COMMAND)
    boxes = [Box("small", "", None, ("A", "B"), inside="big"), Box("big", "", None, ("A", "B", "C"))]
    every = {(state, "X", arm) for state in "ABC"}
    assert lifted(every, boxes) == {("big", "X", arm)}
    assert lifted(every - {("C", "X", arm)}, boxes) == {("small", "X", arm)}
    assert lifted(every - {("B", "X", arm)}, boxes) == every - {("B", "X", arm)}
    mixed = {("A", "X", arm), ("B", "X", other)}
    assert lifted(mixed, boxes) == mixed


def test_only_a_crowded_lifecycle_tells_guards_beside() -> None:
    """The task's picture tells once what every row of an event asks; the smaller ones show all guards on the arrows."""
    assert [bool(PICTURES[name].asked) for name in ("workflow", "task", "delivery")] == [False, True, False]
    told = {event: asked.guards for asked in PICTURES["task"].asked for event in asked.events}
    assert set(told) == set(TASK.table.events)
    for event, names in told.items():
        asked = [{guard.name for guard in row.guards} for row in TASK.table.rows if row.event == event]
        assert set(names) == set.intersection(*asked)
    assert {"lease held", "workflow live"} <= set(told["FAIL"])
    assert told["CANCEL"] == ()


def test_entering_tells_the_cascade() -> None:
    """The workflow's picture says what every ending does to other rows; tasks and deliveries have no cascade."""
    assert [event for event, _ in PICTURES["workflow"].entering] == ["TERMINATE", "CANCEL", "CREATE", "CREATE"]
    assert PICTURES["task"].entering == PICTURES["delivery"].entering == ()


def test_another_row_is_another_arrow() -> None:
    """A row that is added to the table shows in the picture, with its guards."""
    spec, lifecycle = with_row(TASK, Row("POLL", ("PENDING",), "IN_PROGRESS", (held,)))
    (arrow,) = (a for a in picture(spec, lifecycle).arrows if (a.source, a.target) == ("PENDING", "IN_PROGRESS"))
    assert arrow.arms == (Arm("POLL", ("lease held",), Cause.COMMAND),)
