"""The drawing model: what a picture shows, taken from the Machines and the tables; DOT and Mermaid only write it down.

Two things keep a picture from becoming a tangle, and both follow from the data. An arm that leaves every state of a box
for the same state leaves the box instead (CANCEL leaves "open" once, not three times). And in a lifecycle with many
rows, what every row of an event asks is told once, beside the picture, so that the arrows show what tells rows apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from attrs import frozen

from kernel.render.words import state_tests
from kernel.spec import Lifecycle
from kernel.spec.check import possible
from kernel.spec.language import Kind, Row, Spec, Step, Table
from kernel.spec.machine import rows_of
from kernel.spec.names import entering, reached
from kernel.spec.vocabulary import (
    ABSENT,
    CLOSED,
    CLOSED_BADLY,
    CLOSED_WELL,
    ENDED,
    ENDED_BADLY,
    LIVE,
    OPEN,
    SETTLED,
    UNSETTLED,
)

CROWDED = 20
"""A lifecycle with more rows than this tells what an event always asks beside the picture."""


class Look(StrEnum):
    """What a state is to a reader."""

    START = "start"
    LIVE = "live"
    WELL = "well"
    BADLY = "badly"


class Cause(StrEnum):
    """Who fires an event, the stronger one where there are several."""

    REOPENING = "reopening"
    CASCADE = "cascade"
    PROGRESS = "progress"
    COMMAND = "command"


@frozen(order=True)
class Arm:
    """One line on an arrow: an event, and what it asks."""

    event: str
    guards: tuple[str, ...]
    cause: Cause


@frozen(order=True)
class Arrow:
    """From a state or a box to a state, with every event that takes this way."""

    source: str
    target: str
    arms: tuple[Arm, ...]


@frozen
class Box:
    """States that are drawn together, and the box around it, if any."""

    name: str
    title: str
    look: Look | None
    """What all its states are to a reader; None where they differ."""
    states: tuple[str, ...]
    inside: str = ""


@frozen
class Asked:
    """What every row of these events asks."""

    events: tuple[str, ...]
    guards: tuple[str, ...]


@frozen
class Picture:
    """One lifecycle, ready to be written down."""

    name: str
    states: Mapping[str, Look]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    asked: tuple[Asked, ...]
    entering: tuple[tuple[str, str], ...]
    """What every way into a terminal state does to other rows: the events, and at which rows."""


BOXES: Mapping[str, tuple[Box, ...]] = {
    "workflow": (
        Box("live", "live", Look.LIVE, LIVE),
        Box("ended", "terminal", None, ENDED),
        Box("ended_badly", "badly", Look.BADLY, ENDED_BADLY, inside="ended"),
    ),
    "task": (
        Box("open", "open", Look.LIVE, OPEN),
        Box("unstarted", "not started", Look.LIVE, OPEN[:2], inside="open"),
        Box("closed", "closed", None, CLOSED),
        Box("closed_well", "well", Look.WELL, CLOSED_WELL, inside="closed"),
        Box("closed_badly", "badly", Look.BADLY, CLOSED_BADLY, inside="closed"),
    ),
    "delivery": (
        Box("open", "open", Look.LIVE, UNSETTLED),
        Box("closed", "closed", None, SETTLED),
    ),
}


def boxes_of(kind: Kind) -> tuple[Box, ...]:
    """The boxes of a lifecycle: those that have words of their own, or what is open, what is closed, and what is so badly."""
    if kind.name in BOXES:
        return BOXES[kind.name]
    live = tuple(state for state in kind.states if state != ABSENT and state not in kind.terminal)
    found = (Box("open", "open", Look.LIVE, live), Box("closed", "closed", None, kind.terminal),
             Box("closed_badly", "badly", Look.BADLY, kind.badly, inside="closed"))
    return tuple(box for box in found if box.states)


def look(table: Table, state: str) -> Look:
    """What a state is to a reader."""
    if state == ABSENT:
        return Look.START
    if state not in table.kind.terminal:
        return Look.LIVE
    return Look.BADLY if state in table.kind.badly else Look.WELL


def firings(spec: Spec, table: Table, event: str, state: str) -> tuple[tuple[Cause, tuple[str, ...]], ...]:
    """Who fires an event on a row in this state, and what that asks besides the guards of the table's row.

    Whoever asks nothing hides those who ask something; an event that nobody fires yet is drawn like a command.
    """

    def ways(step: Step) -> list[str]:
        return [f.at for f in step.do if f.event == event and reached(spec, step, f) is table]

    if event in table.reopening:
        return ((Cause.REOPENING, ()),)
    if any(ways(step) for step in entering(spec)):
        return ((Cause.CASCADE, ()),)
    found: dict[tuple[str, ...], Cause] = {}
    afar = Cause.COMMAND
    for cause, steps in ((Cause.COMMAND, spec.commands), (Cause.PROGRESS, spec.progress)):
        for step in (s for s in steps if ways(s)):
            if "self" not in ways(step):
                afar = cause  # a row elsewhere tells it: only of note where nothing of its own does
            elif possible(step, state):
                found.setdefault(tuple(g.name for g in step.guards if state_tests(g.holds) is None), cause)
    if () in found or not found:
        return ((found.get((), afar), ()),)
    return tuple((cause, asks) for asks, cause in found.items())


def always_asked(table: Table) -> dict[str, tuple[str, ...]]:
    """For each event the guards that every one of its rows has."""
    asked = {}
    for event in table.events:
        rows = [[g.name for g in r.guards] for r in table.rows if r.event == event]
        asked[event] = tuple(name for name in rows[0] if all(name in names for names in rows))
    return asked


def grouped(asked: Mapping[str, tuple[str, ...]]) -> tuple[Asked, ...]:
    """Events that always ask the same, together."""
    return tuple(
        Asked(tuple(e for e in asked if asked[e] == names), names) for names in dict.fromkeys(asked.values())
    )


def lifted(arms: set[tuple[str, str, Arm]], boxes: Iterable[Box]) -> set[tuple[str, str, Arm]]:
    """Arms as (source, target, arm), where what leaves every state of a box leaves the box; the largest box first."""
    found = set(arms)
    for box in sorted(boxes, key=lambda b: -len(b.states)):
        for target, arm in {(t, a) for _, t, a in found}:
            ways = {(state, target, arm) for state in box.states}
            if ways <= found:
                found = found - ways | {(box.name, target, arm)}
    return found


def told(row: Row, known: tuple[str, ...]) -> tuple[str, ...]:
    """The guards of a row that are not told beside the picture."""
    return tuple(g.name for g in row.guards if g.name not in known)


def picture(spec: Spec, lifecycle: Lifecycle) -> Picture:
    """The drawing model of a lifecycle."""
    table = lifecycle.table
    kind, boxes = table.kind.name, boxes_of(table.kind)
    asked = always_asked(table) if len(table.rows) > CROWDED else {}
    arms = {
        (source, target, Arm(event, (*told(row, asked.get(event, ())), *more), cause))
        for event, source, target, row, _ in rows_of(lifecycle.machine())
        for cause, more in firings(spec, table, event, source)
    }
    looks = {state: look(table, state) for state in table.kind.states}
    onward = {(source, target, arm) for source, target, arm in arms if looks[source] is looks[target] is Look.LIVE}
    arms = lifted(arms - onward, boxes) | onward
    ways = sorted({(source, target) for source, target, _ in arms})
    return Picture(
        name=kind,
        states=looks,
        boxes=boxes,
        arrows=tuple(Arrow(s, t, tuple(sorted(a for x, y, a in arms if (x, y) == (s, t)))) for s, t in ways),
        asked=grouped(asked),
        entering=effects(spec, kind),
    )


def effects(spec: Spec, kind: str) -> tuple[tuple[str, str], ...]:
    """What every way into a terminal state of a kind does to other rows: the events, and at which rows."""
    return tuple((fire.event, spec.links[fire.at].about) for enter in spec.on_enter if enter.kind == kind and enter.cascade
                 for fire in (*enter.cascade, *enter.emit))
