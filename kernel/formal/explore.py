"""Exhaustive exploration: from the empty store every command in every state, breadth first, with every invariant checked.

Workers, relays and callers have no state here: anyone may give any command at any moment, with the stored lease or with
another one. Time stands still; a timer that is due fires or does not. Deliveries and the tree do not touch each other (a
static check), so a delivery is only created here, unless the exploration is asked to move deliveries too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import product

from attrs import define, field, frozen

from kernel.formal.oracle import Given, Oracle, Stuck
from kernel.formal.rows import Rows, Value
from kernel.formal.shape import Shape, State, Tree
from kernel.spec.language import Nature, Place, Spec, Step
from kernel.spec.vocabulary import ABSENT

NOW = 1_000
"""The time that stands still."""
AXES: tuple[tuple[str, tuple[tuple[str, str | int], ...]], ...] = (
    ("handouts", (("lease", "held"), ("lease", "stale"), ("lease", "foreign"))),
    ("claims", (("lease", "held"), ("lease", "stale"))),
    ("retryable", (("retryable", 1), ("retryable", 0))),
    ("proof", (("proof", "sha256:digest"), ("proof", ""))),
    ("error", (("error", "the disk is full"),)),
    ("delay", (("delay", 0),)),
    ("anyway", (("anyway", 0), ("anyway", 1))),
    ("resume", (("resume", 0), ("resume", 1))),
    ("unarchived", (("unarchived", 0), ("unarchived", 1))),
)
"""What can be presented for a parameter: of a lease the stored one, that of an earlier hand-out, that of another run."""
SAID = {
    ("retryable", 0): "for good", ("lease", "stale"): "with a stale lease", ("lease", "foreign"): "with a lease of another run",
    ("proof", ""): "without a proof", ("anyway", 1): "out of turn", ("resume", 1): "and its sub-workflows in place",
    ("unarchived", 1): "archived or not", ("error", ""): "without an error",
    ("error", "the network is down"): "for another reason",
}
CHOSEN = "from_task"
"""The parameter that names a task: any one of the tree."""
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
        words = [SAID[c] for c in self.choices if c in SAID]
        words += [f"{name} {value}" for name, value in self.choices if name in tree.shape.presented]
        words += [f"from {tree.places[int(place)].id}" for name, place in self.choices if name == CHOSEN]
        return " ".join((self.step.name, tree.places[self.row].id, *words))

    @property
    def fenced(self) -> bool:
        """Whether a worker presents a lease that is not the stored one, so that nothing may come of it."""
        return self.step.on == "task" and dict(self.choices).get("lease", "held") != "held"

    def given(self, oracle: Oracle, state: State, now: int = NOW) -> Given:
        """What is presented, where things stand in this state."""
        chosen, named = dict(self.choices), self.step.params
        given: dict[str, Value] = {"now": now, "chance": 0, **{name: chosen[name] for name in named if name in chosen}}
        if "origin" in named:
            given["origin"] = oracle.places[self.row].id
        if "run" in named:
            run = oracle.value(state, oracle.follow(state, self.row, "wf"), "run")
            given["run"] = int(run) + (chosen["lease"] == "foreign")
        for count in ("handouts", "claims"):
            if count in named:
                given[count] = int(oracle.value(state, self.row, count)) - (chosen["lease"] == "stale")
        return given


def requests(spec: Spec, tree: Tree, kinds: Collection[str]) -> tuple[Request, ...]:
    """Every command on every row of these kinds, with everything that can be presented. Only a root is started.

    PURGE only where the shape is for it: what it takes away is nowhere else to be compared with.
    """
    found = []
    for step in spec.commands:
        if step.name == "PURGE" and not tree.shape.purge:
            continue
        axes = [choices for param, choices in AXES if param in step.params]
        axes += [tuple((param, value) for value in values)
                 for param, values in tree.shape.presented.items() if param in step.params]
        axes += [tuple((CHOSEN, task) for task in tree.rows["task"])] if CHOSEN in step.params else []
        rows = tree.rows[step.on] if step.name != "START" else tree.rows[step.on][:1]
        found += [Request(step, row, choices) for row in rows for choices in product(*axes) if step.on in kinds]
    return tuple(found)


Observer = Callable[[State, Request, State | Stuck], None]
Within = Callable[[State], bool]


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

    def __init__(
        self, spec: Spec, shape: Shape | Rows, *, kinds: Collection[str] = ("workflow", "task"), within: Within | None = None
    ) -> None:
        """Write the shape out and list the requests on rows of these kinds.

        Go on only from states that are `within`, and in which no task was handed out more often than it has attempts: a
        worker could hand its task back for ever.
        """
        self.spec, self.tree, self.within = spec, Tree(spec, shape), within
        self.oracle = Oracle(spec, self.tree)
        self.requests = requests(spec, self.tree, kinds)
        self.seen = Exploration(self.tree, {self.tree.start: None})
        follows = {follow.event for follow in spec.follows}
        self.renewing = {(kind, event) for kind, table in spec.tables.items() for event in table.reopening if event in follows}
        """The events that begin a run of the tree."""
        self.steps: set[tuple[State, State]] = set()
        """From where to where commits led: more than one leads most ways, and some nowhere."""
        self.pace = 0
        """How much later each commit is than everything before it; 0: time stands still."""

    def given(self, request: Request, state: State) -> Given:
        """What is presented with a request, and when."""
        if not self.pace:
            return request.given(self.oracle, state)
        changed = (int(state[row][self.tree.columns[place.kind]["changed"]]) for row, place in enumerate(self.tree.places))
        return request.given(self.oracle, state, max(NOW, *changed) + self.pace)

    def wrong(self, state: State, *, mid: bool) -> Iterator[str]:
        """The state invariants that do not hold; between two rules only those that hold there, too."""
        for prop in (*self.spec.properties, *self.spec.given):
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

    def beyond(self, request: Request, state: State) -> bool:
        """Whether a request would begin a run of the tree that the shape has no room for."""
        if not any((request.step.on, fire.event) in self.renewing for fire in request.step.do):
            return False
        run = self.oracle.value(state, self.tree.rows["workflow"][0], "run")
        return (run == self.tree.shape.runs
                and self.oracle.moves(request.step, request.row, self.given(request, state), state) is not None)

    def bounded(self, state: State) -> bool:
        """Whether to go on from a state."""
        few = all(
            int(self.oracle.value(state, row, "handouts")) <= int(self.oracle.value(state, row, "attempt"))
            for row in self.tree.rows.get("task", ()))
        return few and self.unfilled(state) and (self.within is None or self.within(state))

    def unfilled(self, state: State) -> bool:
        """Whether there is room for the notices of another commit: it may bring a workflow to two statuses."""
        for row in self.tree.rows["workflow"] if self.tree.shape.notices else ():
            line = self.tree.places[row].sets.get("notices", ())
            taken = {self.tree.places[j].order for j in line if state[j][0] != ABSENT}
            if line and len(taken) > self.tree.shape.notices - 2:
                return False
        return True

    def commit(self, request: Request, state: State) -> State | Stuck:
        """What a request makes of a state; keeps what is broken on the way."""

        def watch(passing: State) -> None:
            if passing not in self.seen.passing:
                self.seen.passing.add(passing)
                self.seen.broken += tuple(self.wrong(passing, mid=True))

        given = self.given(request, state)
        after = self.oracle.commit(request.step, request.row, given, state, watch)
        if isinstance(after, Stuck):
            return after
        if request.fenced:
            self.seen.broken += (f"INV-06 {self.tree.places[request.row].id}",)
        if (state, after) not in self.steps:
            self.steps.add((state, after))
            self.seen.broken += tuple(self.wrong_step(state, after))
        if after not in self.seen.found:
            self.seen.broken += tuple(self.wrong(after, mid=False))
        return after

    def run(self, observe: Observer | None = None) -> Exploration:
        """Explore until there is nothing new, or something is broken. `observe` is shown every commit and every refusal."""
        seen, frontier = self.seen, [self.tree.start]
        while frontier:
            reached: list[State] = []
            for state in frontier:
                for request in self.requests:
                    if self.beyond(request, state):
                        continue
                    after = self.commit(request, state)
                    if observe is not None:
                        observe(state, request, after)
                    if seen.broken:
                        seen.trace = (*self.path(state), request.label(self.tree))
                        seen.broken = tuple(dict.fromkeys(seen.broken))
                        return seen
                    if isinstance(after, Stuck):
                        continue
                    seen.transitions += 1
                    if after not in seen.found:
                        seen.found[after] = (state, request)
                        if self.bounded(after):
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
