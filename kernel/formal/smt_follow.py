"""What events bring with them, as SMT-LIB: down trees of any depth, in one step.

Each event that follows is a predicate: it happens to a row. It is defined by the row above, so that no depth is named. What
is true of all rows that are reached is shown by induction over the depth, as goals of their own, and may then be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kernel.formal.smt import Smt, World, joined
from kernel.spec.language import Expr, Fire, Lit, Row, Step

Event = tuple[str, str]
"""A kind and an event."""
REACHED: Mapping[str, str] = {
    "tasks": "({cause} (wf x))",
    "child": "(and (not (workflow_root x)) ({cause} (up x)) (= (workflow_slot x) (task_attempt{w} (up x))))",
    "under": "(under.{cause} x)",
    "under_tasks": "(under.{cause} (wf x))",
}
"""When x is behind a link of a row to which the cause happens; w is the world in which that row has moved."""


def happens(event: Event) -> str:
    """The predicate of an event."""
    return f"does.{event[0]}.{event[1]}"


class Following:
    """Everything that follows from the events of one step, which is at one row."""

    def __init__(self, smt: Smt, step: Step, before: World, row: str = "me") -> None:
        """`before` is the world in which the row itself has moved; nothing below it has."""
        self.smt, self.row, self.before = smt, row, before
        self.causes = [(step.on, fire.event) for fire in step.do]
        self.ways: dict[Event, list[tuple[Event, Fire]]] = {}
        line = [*self.causes]
        for cause in line:  # grows while it is walked
            for fire in (fire for f in smt.spec.follows if (f.kind, f.event) == cause for fire in f.do):
                event = (smt.spec.links[fire.at].target, fire.event)
                self.ways.setdefault(event, []).append((cause, fire))
                if event not in line:
                    line.append(event)
        self.after = World({**before.names, **{f"{kind}_{name}": "@T" for kind, name in self.written()}})
        self.seen = World(before.names, above=self.after)
        """How a row that is reached sees things: itself and what is below as before, what is above as after."""

    def lines(self, event: Event) -> list[tuple[Row, dict[str, Expr]]]:
        """The lines of an event, with all that each sets."""
        return [(line, self.smt.sets(event[0], line)) for line in self.smt.lines(*event)]

    def written(self) -> dict[tuple[str, str], None]:
        """The fields that are written on the way."""
        return {(event[0], name): None for event in self.ways for _, sets in self.lines(event) for name in sets}

    def definitions(self) -> Iterator[str]:
        """The predicates and the world after: declared, and what they are."""
        for cause in self.causes:
            yield f"(define-fun {happens(cause)} ((x {cause[0]})) Bool (= x {self.row}))"
        for event in self.ways:
            yield f"(declare-fun {happens(event)} ({event[0]}) Bool)"
        for kind, name in self.written():
            yield f"(declare-fun {kind}_{name}@T ({kind}) {self.smt.sort(kind, name)})"
        for cause in {cause: None for ways in self.ways.values() for cause, fire in ways if fire.at.startswith("under")}:
            below = f"(and (not (workflow_root x)) (or ({happens(cause)} (up x)) (under.{happens(cause)} (wf (up x)))))"
            yield f"(declare-fun under.{happens(cause)} (workflow) Bool)"
            yield f"(assert (forall ((x workflow)) (= (under.{happens(cause)} x) {below})))"
        for event in self.ways:
            yield f"(assert (forall ((x {event[0]})) (= ({happens(event)} x) {self.condition(event)})))"
        for kind, name in self.written():
            yield f"(assert (forall ((x {kind})) (= ({kind}_{name}@T x) {self.value(kind, name)})))"

    def condition(self, event: Event) -> str:
        """When an event happens to x."""
        reached = [joined("and", [
            REACHED[fire.at].format(cause=happens(cause), w=self.after.suffix("task", "attempt")),
            self.smt.text(fire.where, event[0], "x", self.seen)]) for cause, fire in self.ways[event]]
        fits = [self.smt.fits(line, event[0], "x", self.seen) for line, _ in self.lines(event)]
        return joined("and", [joined("or", reached), joined("or", fits)])

    def value(self, kind: str, name: str) -> str:
        """What a field of x is after all."""
        value = f"({kind}_{name}{self.before.suffix(kind, name)} x)"
        for event in (event for event in self.ways if event[0] == kind):
            for line, sets in self.lines(event):
                if name in sets:
                    set_to = sets[name]
                    new = (self.smt.constant(set_to.value, kind, name) if isinstance(set_to, Lit)
                           else self.smt.text(set_to, kind, "x", self.seen))
                    value = f"(ite (and ({happens(event)} x) {self.smt.fits(line, kind, 'x', self.seen)}) {new} {value})"
        return value

    def reach(self, x: str) -> Iterator[tuple[str, str]]:
        """What is true of a workflow x that is reached: by induction over its depth."""
        me = self.row
        onward = [happens(event) for event, ways in self.ways.items() if any(fire.at == "child" for _, fire in ways)]
        aside = [f"under.{happens(cause)}" for cause in
                 {cause: None for ways in self.ways.values() for cause, fire in ways if fire.at == "under"}]
        for does in onward:
            yield "who goes on is below, as is all between", (
                f"(=> ({does} {x}) (and (above {me} {x}) (forall ((y workflow)) "
                f"(=> (above y {x}) (or (= y {me}) ({does} y))))))")
            yield "who goes on is of the new run", f"(=> ({does} {x}) (= (workflow_run@T {x}) (workflow_run@T {me})))"
        for under in aside:
            yield "who is set aside is below, and does not go on", (
                f"(=> ({under} {x}) {joined('and', [f'(above {me} {x})', *(f'(not ({does} {x}))' for does in onward)])})")
            yield "what is below who is set aside is, too", (
                f"(forall ((y workflow)) (=> (and (above y {x}) ({under} y)) ({under} {x})))")
