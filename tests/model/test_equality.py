"""The decision does what the oracle does: on every pinned shape, in every state, for every command, all of them counted.

For each pair the plan of `decide` is written to a copy of the state, its cascades reach the rows that it does not list, and
then everything stored is compared; the counters are recounted, the history is replayed, a refusal must be a refusal.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from heapq import heappush
from typing import Any

import pytest
from attrs import evolve

from kernel.core import decide as deciding
from kernel.core import program as compiling
from kernel.core.derive import derive_deltas
from kernel.core.plan import Command, Plan, Subject
from kernel.core.program import Program, compile_program
from kernel.core.view import View
from kernel.formal.explore import NOW, Explorer, Request
from kernel.formal.oracle import Stuck
from kernel.formal.shape import Shape, State, Task, hurried
from kernel.spec import SPEC
from kernel.spec.vocabulary import ABSENT
from tests.model.bridge import Bridge
from tests.model.shapes import ONE, SHAPES, TIMED, nesting
from tests.model.world import World

PINNED = {
    #            states, transitions, comparisons
    "two":      (219, 764, 9076),
    "child":    (120, 658, 10054),
    "race":     (339, 1941, 28291),
    "asked":    (268, 1852, 27062),
    "hurried":  (1997, 8949, 115222),
    "deep":     (771, 5074, 73306),
    "mixed":    (727, 5537, 86079),
    "postponed": (111, 385, 4796),
    "clocks":   (1631, 9623, 158461),
    "again":    (1263, 6950, 119623),
    "fork":     (1298, 10663, 171014),
    "skip":     (150, 870, 13162),
    "own":      (842, 4803, 115608),
    "reject":   (222, 2010, 37692),
    "switch":   (351, 3310, 59965),
    "unsound":  (15, 64, 837),
    "told":     (146, 469, 5616),
    "told again": (49, 127, 786),
    "reopened": (117, 563, 5768),
    "reopened deep": (327, 2478, 31437),
    "reopened again": (1292, 8337, 123340),
    "respawned": (1028, 7970, 102924),
    "spawn":    (186, 961, 13452),
    "dynamic":  (89, 715, 12342),
}
QUICK = ("two", "child", "unsound", "told", "told again", "reopened")
TOLD = Shape((Task("a"),))
DELIVERIES = {
    "held": (TOLD, (153, 348, 4918)),
    "expired": (hurried(TOLD), (298, 747, 9488)),
    "bad ends": (evolve(TOLD, hears="BAD_ENDS"), (131, 298, 4198)),
    "nothing": (evolve(TOLD, hears="NOTHING"), (21, 48, 758)),
    "rounds": (evolve(TOLD, wait=7), (153, 336, 4918)),
    "closed": (evolve(TOLD, wait=7, open=0), (261, 576, 8246)),
}
"""Shapes, and what is pinned: states, transitions, comparisons."""
ONLY = {
    "SKIP": ("two", "skip", *DELIVERIES), "POSTPONE": ("postponed", "walk"), "ALERT": ("hurried", "clocks", "walk"),
    "ELAPSE": ("clocks", "walk"), "OVERRUN": ("clocks", "walk"), "OVERDUE": ("clocks", "walk"),
}
"""Commands and the shapes in which they are given; elsewhere they change nothing, or make many states that are much alike."""
WALKS = {3: (52052, 2), 4: (52060, 4)}
"""By seed: how many pairs are compared, and how often tasks became due between two commands."""


class Comparison:
    """Compares the decision with the oracle while an explorer runs; counts, and keeps the first difference."""

    def __init__(self, explorer: Explorer, program: Program) -> None:
        self.explorer, self.bridge = explorer, Bridge.over(explorer, program)
        self.state: State = ()
        self.world = World()
        self.counted = 0

    def __call__(self, state: State, request: Request, after: State | Stuck) -> None:
        """One comparison. Fails with the way to the state, the command and the difference."""
        if state is not self.state:
            self.state, self.world = state, self.bridge.world(state)
        difference = self.bridge.differs(request, state, self.world, after)
        self.counted += 1
        if difference:
            way = " -> ".join((*self.explorer.path(state), request.label(self.explorer.tree)))
            pytest.fail(f"{way}: {difference}", pytrace=False)


def spare(explorer: Explorer, name: str) -> None:
    """Leave out the commands that are given in other shapes only."""
    explorer.requests = tuple(
        request for request in explorer.requests if name in ONLY.get(request.step.name, (name,)))


@pytest.fixture(scope="module")
def program() -> Program:
    """The compiled specification."""
    return compile_program(SPEC)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PINNED])
def test_decision_equals_oracle(name: str, program: Program) -> None:
    """Every command in every state of the shape has the same outcome, counters and history; and no invariant is broken."""
    explorer = Explorer(SPEC, SHAPES[name])
    spare(explorer, name)
    compared = Comparison(explorer, program)
    seen = explorer.run(compared)
    assert seen.broken == ()
    assert (len(seen.found), seen.transitions, compared.counted) == PINNED[name]


def test_enough_is_compared() -> None:
    """The pinned shapes are all compared, and are more than a hundred thousand pairs of state and command together."""
    assert set(PINNED) == set(SHAPES)
    assert sum(compared for _, _, compared in PINNED.values()) > 500_000
    assert sum(transitions for _, transitions, _ in PINNED.values()) > 40_000


@pytest.mark.parametrize("name", DELIVERIES)
def test_deliveries_move_alike(name: str, program: Program) -> None:
    """Every command on a delivery has the same outcome, as far as four claims reach, with leases that last and that do not."""
    shape, pinned = DELIVERIES[name]
    explorer = Explorer(SPEC, shape, kinds=SPEC.kinds)
    (delivery,), claims = explorer.tree.rows["delivery"], explorer.tree.columns["delivery"]["claims"]
    explorer.within = lambda state: int(state[delivery][claims]) < 4
    spare(explorer, name)
    compared = Comparison(explorer, program)
    seen = explorer.run(compared)
    assert seen.broken == ()
    assert (len(seen.found), seen.transitions, compared.counted) == pinned


NOTICES = evolve(TOLD, topics=(), notify=("RUNNING", "PAUSED", "TERMINATED"), notices=5)


def test_notices_are_delivered_alike(program: Program) -> None:
    """The model of notices, as far as three claims of each: every command on one is refused or done alike, and each in turn."""
    explorer = Explorer(SPEC, NOTICES, kinds=SPEC.kinds)
    rows, claims = explorer.tree.rows["delivery"], explorer.tree.columns["delivery"]["claims"]
    explorer.within = lambda state: all(int(state[row][claims]) < 3 for row in rows)
    spare(explorer, "notices")
    explorer.requests = tuple(r for r in explorer.requests if r.step.name in ("START", "PAUSE", "RESUME", "TERMINATE") or (
        r.step.on == "delivery" and r.step.name != "REDRIVE"))  # what is redriven has lost its turn
    compared = Comparison(explorer, program)
    seen = explorer.run(compared)
    assert seen.broken == ()
    assert (len(seen.found), seen.transitions, compared.counted) == (374, 503, 36504)
    places = explorer.tree.places
    for state in seen.found:
        held = [row for row in rows if state[row][0] == "LEASED"]
        assert all(state[before][0] in (ABSENT, "DELIVERED", "DEAD") for row in held for before in places[row].sets["earlier"])


PURGES = {
    "archived": (evolve(TOLD, purge=1), (84, 218, 3067), 1),
    "not asked for": (evolve(TOLD, purge=1, hears="NOTHING"), (28, 78, 1225), 1),
    "nothing below": (Shape((Task("a"), nesting("s", evolve(ONE, hears="NOTHING"), "a")), purge=1), (802, 3346, 77140), 1),
}
"""Shapes of which a tree may be purged; states, transitions, comparisons, and how many of the states are tombstones."""


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow) if name == "nothing below" else name for name in PURGES])
def test_trees_are_purged_alike(name: str, program: Program) -> None:
    """The model of purging: a workflow with its delivery, as far as two claims reach; nothing is left or begins anew."""
    shape, pinned, graves = PURGES[name]
    explorer = Explorer(SPEC, shape, kinds=SPEC.kinds)
    columns = explorer.tree.columns
    explorer.within = lambda state: all(
        int(state[row][columns["delivery"]["claims"]]) < 2 for row in explorer.tree.rows["delivery"])
    compared = Comparison(explorer, program)
    seen = explorer.run(compared)
    assert seen.broken == ()
    assert (len(seen.found), seen.transitions, compared.counted) == pinned
    assert sum(bool(state[0][columns["workflow"]["purged"]]) for state in seen.found) == graves


# ---- with a clock that goes on --------------------------------------------------------------------------------------------
class Walk:
    """Goes through the shape with every clock at random, and compares every command at each stop."""

    def __init__(self, seed: int, program: Program) -> None:
        self.chance, self.explorer = random.Random(seed), Explorer(SPEC, TIMED)
        spare(self.explorer, "walk")
        self.bridge, self.oracle = Bridge.over(self.explorer, program), self.explorer.oracle
        self.state, self.now, self.taken = self.explorer.tree.start, NOW, Counter[str]()

    def wake(self) -> None:
        """Time passes, and tasks become due: waking each of them by itself comes to what progress comes to."""
        self.now += self.chance.choice((0, 2, 5, 12))
        settled = self.oracle.settle(self.state, {"now": self.now})
        if settled == self.state:
            return
        self.taken["woken"] += 1
        world = self.bridge.world(self.state)
        for due in [t for t in world.own.values() if t.state == "SCHEDULED" and t.not_before <= self.now]:
            plan = deciding.decide(self.bridge.program, world, Command("WAKE", Subject(due.workflow, due.no)), self.now)
            assert isinstance(plan, Plan)
            world, _ = world.after(plan)
        if self.bridge.state(world) != settled:
            reached = self.explorer.tree.told(self.bridge.state(world))
            pytest.fail(f"WAKE of what is due at {self.now}: {reached}", pytrace=False)
        self.state = settled

    def compare(self) -> dict[str, list[State]]:
        """Compare every command where the walk stands; what each accepted one would lead to."""
        world, found = self.bridge.world(self.state), dict[str, list[State]]()
        for request in self.explorer.requests:
            if self.explorer.beyond(request, self.state):
                continue
            given = request.given(self.oracle, self.state, self.now)
            after = self.oracle.commit(request.step, request.row, given, self.state)
            difference = self.bridge.differs(request, self.state, world, after, self.now)
            self.taken["compared"] += 1
            if difference:
                pytest.fail(f"{request.label(self.explorer.tree)} at {self.now}: {difference}", pytrace=False)
            if not isinstance(after, Stuck) and after != self.state and request.step.name != "TERMINATE":
                found.setdefault(request.step.name, []).append(after)
        return found

    def go(self, steps: int = 120) -> Counter[str]:
        """Walk on; a workflow that ended is begun again. Counts the commands taken, and what was compared."""
        for _ in range(steps):
            self.wake()
            found = self.compare()
            if not found:
                self.state = self.explorer.tree.start
                continue
            names = sorted(found)
            weights = [{"PAUSE": 1, "HEARTBEAT": 2}.get(name, 6) for name in names]
            (name,) = self.chance.choices(names, weights)
            self.state = self.chance.choice(found[name])
            self.taken[name] += 1
        return self.taken


@pytest.mark.slow
@pytest.mark.parametrize("seed", WALKS)
def test_decision_equals_oracle_as_time_goes_by(seed: int, program: Program) -> None:
    """With leases, delays, poll time-outs and deadlines that pass at different moments the outcomes are the same."""
    taken = Walk(seed, program).go()
    assert (taken["compared"], taken["woken"]) == WALKS[seed]
    assert {"POLL", "COMPLETE", "FAIL", "EXPIRE", "PAUSE", "RESUME"} <= set(taken)


# ---- planted faults: each must be seen ------------------------------------------------------------------------------------
def differs(name: str, program: Program) -> None:
    """Compare on one shape until the first difference."""
    explorer = Explorer(SPEC, SHAPES[name])
    explorer.run(Comparison(explorer, program))


Patch = pytest.MonkeyPatch


def deltas_lost(patch: Patch) -> Program:
    """The counters do not hear that a task was COMPLETED."""
    derive = derive_deltas
    patch.setattr(compiling, "derive_deltas", lambda *given: {**derive(*given), ("IN_PROGRESS", "COMPLETED"): {}})
    return compile_program(SPEC)


def wakes_lost(patch: Patch) -> Program:
    """Nobody is woken over a link."""
    patch.setattr(compiling, "derive_wakes", lambda spec: {})
    return compile_program(SPEC)


def looks_lost(patch: Patch) -> Program:
    """A row that moved is not looked at again itself."""
    patch.setattr(compiling._Compiler, "looks", lambda *given: frozenset())
    return compile_program(SPEC)


def rules_reordered(patch: Patch) -> Program:
    """Starts come before ends."""
    return compile_program(evolve(SPEC, progress=tuple(sorted(SPEC.progress, key=lambda rule: rule.on))))


def ends_reordered(patch: Patch) -> Program:
    """Of two ends the later one in the table comes first."""
    return compile_program(evolve(SPEC, progress=(*SPEC.progress[:4], *SPEC.progress[4:12][::-1], *SPEC.progress[12:])))


def gates_shut(patch: Patch) -> Program:
    """A condition that only some rules share is asked for all of them."""
    patch.setattr(compiling._Compiler, "common", lambda self, condition, cases: True)
    return compile_program(SPEC)


def lines_confused(patch: Patch) -> Program:
    """What waits in line is taken as it stood when it got there."""
    patch.setattr(deciding, "heappush", lambda heap, entry: heappush(heap, (*entry[:3], entry[3] + 10**6, *entry[4:])))
    return compile_program(SPEC)


def untold(patch: Patch) -> Program:
    """What a cascade moves writes no notice."""
    cascade = View.cascade
    patch.setattr(View, "cascade", lambda self, anchor, part, *given, **named: cascade(
        self, anchor, evolve(part, line=part.line and evolve(part.line, emits=("outbox",))), *given, **named))
    return compile_program(SPEC)


def replaced(method: str, by: Callable[..., Any]) -> Callable[[Patch], Program]:
    """A method of the view does something else."""

    def plant(patch: Patch) -> Program:
        patch.setattr(View, method, by)
        return compile_program(SPEC)

    return plant


def nothing(*given: Any, **named: Any) -> None:
    """Instead of something."""


FAULTS: dict[str, tuple[str, Callable[[Patch], Program]]] = {
    "a counter's change dropped": ("two", deltas_lost),
    "a wake-up over a link dropped": ("child", wakes_lost),
    "a row does not look at itself": ("child", looks_lost),
    "starts before ends": ("race", rules_reordered),
    "ends in another order": ("hurried", ends_reordered),
    "a gate too narrow": ("mixed", gates_shut),
    "the heap is not looked at again": ("race", lines_confused),
    "no overlay on rows read late": ("deep", replaced("_catch_up", nothing)),
    "a cascade misses the rows at hand": ("fork", replaced("_reach", nothing)),
    "nothing seems open below": ("child", replaced("anything_open", lambda *given: False)),
    "a switch takes its default branch": ("switch", replaced("choice", lambda *given: 1)),
    "no deliveries": ("two", replaced("_emit", nothing)),
    "a cascade tells of no status": ("told", untold),
    "tasks not woken by RESUME": ("child", replaced("wake_tasks", nothing)),
    "counters of successors forgotten": ("two", replaced("successors", lambda *given: [])),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if shape == "race" else name for name, (shape, _) in FAULTS.items()])
def test_a_planted_fault_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fault that is planted in the decision makes the comparison fail."""
    shape, plant = FAULTS[name]
    with pytest.raises((pytest.fail.Exception, AssertionError, KeyError, AttributeError)):
        differs(shape, plant(monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["workflows before tasks", "late rows see the present"])
def test_a_planted_fault_of_time_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A RESUME whose shift of time does not read the state before shifts wrongly, and the walks see it."""
    program = compile_program(SPEC)
    if fault == "workflows before tasks":
        resume = program.commands["RESUME"]
        object.__setattr__(resume, "cascades", resume.cascades[::-1])
    else:
        monkeypatch.setattr(View, "_before", lambda self, workflow: workflow)
    walks = [Walk(seed, program) for seed in WALKS]
    with pytest.raises(pytest.fail.Exception, match="RESUME"):
        Counter(taken for walk in walks for taken in walk.go())
