"""Exhaustive exploration: from the empty store every command in every state, breadth first, with every invariant checked.

Workers, relays and callers have no state here: anyone may give any command at any moment, with the stored lease or with
another one. Time stands still; a timer that is due fires or does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from attrs import define, field, frozen

from kernel.formal.oracle import Given, Oracle, Stuck
from kernel.formal.shape import Shape, State, Tree, Value
from kernel.spec.language import Nature, Place, Spec, Step
from kernel.spec.vocabulary import ABSENT

NOW = 1_000
LEASES = ("held", "stale", "foreign")
"""What a worker presents: the stored lease, that of an earlier hand-out, that of another run."""
STATES = (Nature.STATE, Nature.LIVENESS)
"""Natures whose expressions are to hold in a state; that of a liveness property is about its measure."""


@frozen
class Request:
    """One command on one row, and what is presented with it."""

    step: Step
    row: int
    choices: tuple[tuple[str, str | int], ...] = ()

    def label(self, tree: Tree) -> str:
        """The request as a counterexample names it."""
        said = {("retryable", 0): "for good", ("lease", "stale"): "with a stale lease", ("lease", "foreign"): "with a lease of another run"}
        words = [said[c] for c in self.choices if c in said]
        return " ".join((self.step.name, tree.places[self.row].id, *words))

    @property
    def stale(self) -> bool:
        """Whether the lease presented is not the stored one."""
        return dict(self.choices).get("lease", "held") != "held"

    def given(self, oracle: Oracle, state: State) -> Given:
        """What is presented, where things stand in this state."""
        chosen = dict(self.choices)
        given: dict[str, Value] = {"now": NOW}
        if "origin" in self.step.params:
            given["origin"] = oracle.places[self.row].id
        if "lease" in chosen:
            workflow = oracle.follow(state, self.row, "wf")
            run = int(oracle.value(state, workflow, "run"))
            handouts = int(oracle.value(state, self.row, "handouts"))
            given |= {"run": run + (chosen["lease"] == "foreign"), "handouts": handouts - (chosen["lease"] == "stale")}
        if "retryable" in chosen:
            given["retryable"] = chosen["retryable"]
        return given


def requests(spec: Spec, tree: Tree) -> tuple[Request, ...]:
    """Every command on every row, with everything that can be presented. Deliveries are created, never moved."""
    found = []
    for step in spec.commands:
        if step.on == "delivery":
            continue
        axes: list[list[tuple[str, str | int]]] = []
        if "handouts" in step.params:
            axes.append([("lease", lease) for lease in LEASES])
        if "retryable" in step.params:
            axes.append([("retryable", 1), ("retryable", 0)])
        rows = tree.rows[step.on] if step.name != "START" else tree.rows[step.on][:1]
        found += [Request(step, row, choices) for row in rows for choices in product(*axes)]
    return tuple(found)


@define
class Exploration:
    """What was seen. `trace` is the shortest way to what is broken, as labels of requests."""

    tree: Tree
    found: dict[State, tuple[State, Request] | None]
    """Every state, and how it was first reached."""
    transitions: int = 0
    depth: int = 0
    broken: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    passing: set[State] = field(factory=set)
    """Every state that progress passed through."""


class Explorer:
    """Explores a specification on a shape."""

    def __init__(self, spec: Spec, shape: Shape) -> None:
        """Write the shape out and list the requests."""
        self.spec, self.tree = spec, Tree(spec, shape)
        self.oracle = Oracle(spec, self.tree)
        self.requests = requests(spec, self.tree)
        self.seen = Exploration(self.tree, {self.tree.start: None})

    def wrong(self, state: State, *, mid: bool) -> Iterator[str]:
        """The state invariants that do not hold; between two rules only those that hold there, too."""
        for prop in self.spec.properties:
            if prop.nature in STATES and (prop.place is Place.MID or not mid):
                for row in self.tree.rows[prop.on]:
                    if not self.oracle.evaluate(prop.body, row, {}, state):
                        yield f"{prop.id} {self.tree.places[row].id}"

    def wrong_step(self, before: State, after: State) -> Iterator[str]:
        """The step properties that a commit breaks, for the rows that were there before it."""
        for prop in self.spec.properties:
            if prop.nature is Nature.STEP:
                for row in self.tree.rows[prop.on]:
                    if before[row][0] != ABSENT and not self.oracle.evaluate(prop.body, row, {}, before, after):
                        yield f"{prop.id} {self.tree.places[row].id}"

    def commit(self, request: Request, state: State) -> State | Stuck:
        """What a request makes of a state; keeps what is broken on the way."""

        def watch(passing: State) -> None:
            if passing not in self.seen.passing:
                self.seen.passing.add(passing)
                self.seen.broken += tuple(self.wrong(passing, mid=True))

        given = request.given(self.oracle, state)
        after = self.oracle.commit(request.step, request.row, given, state, watch)
        if isinstance(after, Stuck):
            return after
        if request.stale:
            self.seen.broken += (f"INV-06 {self.tree.places[request.row].id}",)
        self.seen.broken += tuple(self.wrong_step(state, after))
        if after not in self.seen.found:
            self.seen.broken += tuple(self.wrong(after, mid=False))
        return after

    def run(self) -> Exploration:
        """Explore until there is nothing new, or something is broken."""
        seen, frontier = self.seen, [self.tree.start]
        while frontier:
            reached: list[State] = []
            for state in frontier:
                for request in self.requests:
                    after = self.commit(request, state)
                    if seen.broken:
                        seen.trace = (*self.path(state), request.label(self.tree))
                        seen.broken = tuple(dict.fromkeys(seen.broken))
                        return seen
                    if isinstance(after, Stuck):
                        continue
                    seen.transitions += 1
                    if after not in seen.found:
                        seen.found[after] = (state, request)
                        reached.append(after)
            frontier = reached
            seen.depth += bool(reached)
        return seen

    def path(self, state: State) -> tuple[str, ...]:
        """The requests that first led to a state."""
        labels: list[str] = []
        while (step := self.seen.found[state]) is not None:
            state, request = step
            labels.append(request.label(self.tree))
        return tuple(reversed(labels))


def explore(spec: Spec, shape: Shape) -> Exploration:
    """Everything that can happen to a workflow of this shape."""
    return Explorer(spec, shape).run()
