"""The whole kernel driven through a model: in every state every command, through its public methods, on real stores.

The public method is taken where there is one, else `commit`, as the clock and the relay do. What was committed is read back
from the store; a fresh load takes it back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum, auto

from attrs import define, field

from kernel.core.plan import Plan
from kernel.core.program import standard_program
from kernel.core.records import Change, Policy
from kernel.engine.entities import Applied, Lease
from kernel.engine.explain import delivery_id
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import HistoryRecord
from kernel.errors import NotFound, Refused
from kernel.formal.explore import CHOSEN, NOW, Explorer, Request
from kernel.formal.oracle import Stuck
from kernel.formal.shape import State
from kernel.spec.language import Lock
from kernel.spec.vocabulary import ABSENT
from kernel.testing.world import KernelFactory
from tests.conformance.rows import ALL, ROOT, Shelf, kept, load, plans, read
from tests.model.bridge import VERSION, Bridge, too_deep
from tests.model.world import World

INSTEAD = {"ALERT": "EXPIRE", "OVERRUN": "EXPIRE", "OVERDUE": "TIME_OUT", "BURY": "RELEASE"}
"""What the clock gives where the first command is refused, and the timer that stands for both."""
TIMERS = ("EXPIRE", "ELAPSE", "TIME_OUT", "RELEASE", *INSTEAD)
JITTER = 20
"""How many bits a command draws for the jitter of a retry."""
SINCE = datetime.fromtimestamp(0, UTC)


class StoppedClock:
    """Time stands still, as in the model."""

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return NOW


@define
class NoChance:
    """The least of everything, as in the model; but ids differ."""

    ids: int = 0

    def random(self) -> float:
        """A number from 0 to 1."""
        return 0.0

    def getrandbits(self, k: int, /) -> int:
        """A whole number of k random bits: what jitter is drawn from is 0."""
        self.ids += 1
        return 0 if k <= JITTER else self.ids


class Answer(Enum):
    """What the kernel says to a command."""

    DONE = auto()
    NOTHING = auto()
    """A no-op, nothing to hand out, or what is there already."""
    REFUSED = auto()


@define
class Counted:
    """What was seen on one store. The last three are empty where kernel and model conform; each entry tells one difference."""

    states: int = 0
    transitions: int = 0
    """Of the model; each was executed by the code, unless it is missing."""
    refusals: int = 0
    """Commands of which nothing comes in the model, and in the code: refused, or a no-op."""
    missing: list[str] = field(factory=list)
    """Transitions of the model that the code did not make."""
    outside: list[str] = field(factory=list)
    """Transitions of the code that the model does not have."""
    otherwise: list[str] = field(factory=list)
    """Another answer, counters, history or findings than the state asks for; work that the store does not list."""

    @property
    def differences(self) -> list[str]:
        """All of them, in words."""
        return [*(f"missing: {text}" for text in self.missing), *(f"outside: {text}" for text in self.outside), *self.otherwise]


class Stand:
    """A kernel on a store that is put into states of a model."""

    def __init__(self, shelf: Shelf, bridge: Bridge, make: KernelFactory = Kernel) -> None:
        """A new store with the definitions of the shape."""
        self.bridge, self.tree, self.shelf = bridge, bridge.explorer.tree, shelf
        policy = Policy(sends=2, lease=bridge.shape.delivery_lease)
        self.store = shelf.open(policy, tuple(bridge.prepared.values()))
        self.kernel = make(self.store, clock=StoppedClock(), chance=NoChance(), faults=self.passing)
        self.seen = Counted()
        self.lines, self.commits = 0, 0
        self.state: State = ()
        self.plans: list[Plan] = []

    def passing(self, point: FaultPoint, command: str) -> None:
        """The kernel passes a fault point: count the commits that it is about to make."""
        self.commits += point is FaultPoint.BEFORE_COMMIT

    def put(self, state: State) -> None:
        """Let the store hold this state and nothing else."""
        if state is not self.state:
            self.state, self.plans = state, plans(self.bridge, state)
        self.shelf.clear(self.store)
        load(self.store, self.plans)

    def visit(self, state: State, asked: Sequence[tuple[Request, State | Stuck]]) -> None:
        """One state, with everything that was asked in it and what the model makes of that. What is refused comes first."""
        self.put(state)
        world, lines = read(self.store, self.bridge)
        self.lines = len(lines)
        self.seen.states += 1
        if kept(self.bridge.state(world)) != kept(state):
            raise AssertionError(f"the store does not hold what was loaded: {self.bridge.explorer.path(state)}")
        self.seen.otherwise += [f"{self.way(state)}: {text}" for text in self.unlisted(state, asked)]
        for request, after in asked:
            if isinstance(after, Stuck):
                self.refuse(state, request, after)
        self.unchanged(state, world)
        for request, after in asked:
            if not isinstance(after, Stuck):
                self.move(state, request, after)

    def way(self, state: State, request: Request | None = None) -> str:
        """How a state is reached, and what is asked there."""
        last = () if request is None else (request.label(self.tree),)
        return f"{self.shelf.name}: {' -> '.join((*self.bridge.explorer.path(state), *last))}"

    # ---- one request --------------------------------------------------------------------------------------------------
    def refuse(self, state: State, request: Request, stuck: Stuck) -> None:
        """Ask for what the model does not do. Who polls in vain or starts what is there gets nothing, without a refusal."""
        self.seen.refusals += 1
        answer = self.give(request, state)
        quiet = request.step.name in ("POLL", "START")
        if answer is Answer.DONE:
            self.seen.outside.append(self.way(state, request))
            self.put(state)
        elif answer is not (Answer.NOTHING if stuck.declared else Answer.REFUSED) and not quiet:
            self.seen.otherwise.append(f"{self.way(state, request)}: {answer.name}")

    def unchanged(self, state: State, before: World) -> None:
        """Refusals change nothing."""
        world, lines = read(self.store, self.bridge)
        if self.bridge.state(world) != self.bridge.state(before) or len(lines) != self.lines:
            self.seen.otherwise.append(f"{self.way(state)}: a refusal changed something")

    def move(self, state: State, request: Request, after: State) -> None:
        """Ask for what the model does, read what the store holds then, and take it back."""
        self.seen.transitions += 1
        self.commits = 0
        answer = self.give(request, state)
        if answer is not Answer.DONE:
            self.seen.missing.append(f"{self.way(state, request)}: {answer.name}")
            return
        world, lines = read(self.store, self.bridge, self.lines)
        reached = kept(self.bridge.state(world))
        if reached != kept(after):
            self.seen.missing.append(self.way(state, request))
            self.seen.outside.append(f"{self.way(state, request)}: {self.tree.told(reached)}")
        elif told := self.mistold(request, state, after, world, lines):
            self.seen.otherwise.append(f"{self.way(state, request)}: {told}")
        self.put(state)

    def mistold(
        self, request: Request, state: State, after: State, world: World, lines: list[HistoryRecord]
    ) -> str:
        """More commits than one, counters that do not count, history that does not replay, a version that does not rise."""
        if self.commits != 1:
            return f"it took {self.commits} commits"
        if world.root is None:
            return "" if world.grave is not None and not lines else "a tree that is gone has left something"
        first = 0 if state[0][0] == ABSENT else VERSION
        raised = request.step.lock is Lock.TREE and bool(lines)
        if world.root.version != first + raised:
            return f"the version is {world.root.version}, after {first}"
        changes = [Change(line.kind, line.workflow, line.subject, line.event, line.source, line.target, line.attempt, line.rows,
                          line.by, line.reason, line.run if line.kind == "delivery" else 0) for line in lines]
        return self.bridge.miscounted(world, after) or self.bridge.replayed(state, changes, self.bridge.named(world), after)

    # ---- what the store lists -----------------------------------------------------------------------------------------
    def unlisted(self, state: State, asked: Sequence[tuple[Request, State | Stuck]]) -> Iterator[str]:
        """What the clock or a relay could do and the store does not tell them of; and what an audit finds."""
        with self.store.transaction(write=False) as transaction:
            timers = {(timer.command, timer.subject) for timer in transaction.timers(NOW, ALL)}
            due = set(transaction.claimable(self.bridge.shape.topics, NOW, ALL))
            yield from map(str, transaction.violations())
        for request, after in asked:
            name, subject = request.step.name, self.bridge.command(request, state, NOW).subject
            if isinstance(after, Stuck):
                continue
            if name in TIMERS and (request.step.by == "clock" or self.lost(request, state)):
                if (INSTEAD.get(name, name), subject) not in timers:
                    yield f"{name} of {subject} is not listed"
            elif name == "CLAIM" and not dict(request.choices)["anyway"] and subject not in due:
                yield f"{subject} is due and not listed"

    def lost(self, request: Request, state: State) -> bool:
        """Whether a delivery's lease ran out."""
        return request.step.on == "delivery" and self.bridge.stored(state, request.row)["expires"] <= NOW

    # ---- asking ---------------------------------------------------------------------------------------------------------
    def give(self, request: Request, state: State) -> Answer:
        """Give one command to the kernel."""
        try:
            done = self.ask(request, state)
        except (Refused, NotFound):
            return Answer.REFUSED
        return Answer.DONE if done else Answer.NOTHING

    def ask(self, request: Request, state: State) -> bool:
        """Call the method; whether something was done. Raises Refused or NotFound."""
        k, name, place = self.kernel, request.step.name, self.tree.places[request.row]
        given = request.given(self.bridge.explorer.oracle, state)
        on_workflow: dict[str, Callable[..., Applied]] = {
            "PAUSE": k.pause, "RESUME": k.resume, "TERMINATE": k.terminate, "RESTART": k.restart}
        if name == "START":
            k.start(ROOT, input=json.loads(too_deep()), workflow_id=place.id)
            return state[request.row][0] == ABSENT
        if name in on_workflow:
            applied = on_workflow[name](place.id)
        elif name == "RETRY":
            applied = k.retry(place.id, resume_children=bool(given["resume"]))
        elif name == "RERUN":
            chosen = self.tree.places[int(given[CHOSEN])]
            applied = k.rerun(place.id, from_task=chosen.id.rpartition(".")[2], in_workflow=chosen.order[0])
        elif name == "PURGE":
            applied = k.purge(place.id, unarchived=bool(given["unarchived"]))
        elif name in ("SIGNAL", "SKIP"):
            applied = {"SIGNAL": k.signal, "SKIP": k.skip}[name](place.order[0], place.id.rpartition(".")[2])
        elif name == "REDRIVE":
            run = int(self.bridge.explorer.oracle.value(state, request.row, "run"))
            applied = k.redrive(delivery_id(place.order[0], run, place.id.rpartition(">")[2]))
        elif name == "POLL" and not self.rivals(request, state):
            return bool(k.poll(place.id.rpartition(".")[2], worker="wanda"))
        elif "handouts" in given and int(given["handouts"]) >= 0:  # no lease can be older than the first
            return self.report(request, state)
        else:
            applied = k.commit(self.bridge.command(request, state, NOW))
        return not applied.no_op

    def rivals(self, request: Request, state: State) -> bool:
        """Whether another task of this type could be handed out instead."""
        ref = self.tree.places[request.row].id.rpartition(".")[2]
        return any(j != request.row and state[j][0] == "SCHEDULED" and self.tree.places[j].id.endswith(f".{ref}")
                   for j in self.tree.rows["task"])

    def report(self, request: Request, state: State) -> bool:
        """A worker's word, under the lease that the request presents."""
        k, name, place = self.kernel, request.step.name, self.tree.places[request.row]
        given, row = request.given(self.bridge.explorer.oracle, state), self.bridge.stored(state, request.row)
        ref = place.id.rpartition(".")[2]
        lease = Lease(place.order[0], ref, ref, row["attempt"], int(given["run"]), int(given["handouts"]), "wanda", SINCE, None,
                      place.order[1])
        if name == "HEARTBEAT":
            k.heartbeat(lease)
        elif name == "COMPLETE":
            k.complete(lease)
        elif name == "FAIL":
            k.fail(lease, retryable=bool(given["retryable"]))
        else:
            k.postpone(lease, 0)
        return True


class Conformance:
    """Drives stands through a model while an explorer runs: each state once, with all that is asked in it."""

    def __init__(self, explorer: Explorer, shelves: Sequence[Shelf], make: KernelFactory = Kernel,
                 progress: Callable[[int], None] | None = None) -> None:
        """A stand for each kind of store; `progress` hears how many states were visited."""
        self.progress = progress
        self.explorer = explorer
        bridge = Bridge.over(explorer, standard_program())
        self.stands = [Stand(shelf, bridge, make) for shelf in shelves]
        self.state: State = ()
        self.asked: list[tuple[Request, State | Stuck]] = []

    def run(self) -> list[Counted]:
        """Explore everything; what was seen on each store."""
        seen = self.explorer.run(self)
        assert seen.broken == ()
        self.flush()
        return [stand.seen for stand in self.stands]

    def __call__(self, state: State, request: Request, after: State | Stuck) -> None:
        """Keep what is asked in a state, until the next one comes."""
        if state is not self.state:
            self.flush()
            self.state = state
        self.asked.append((request, after))

    def flush(self) -> None:
        """Visit the state whose requests are all known."""
        if self.asked:
            for stand in self.stands:
                stand.visit(self.state, self.asked)
            if self.progress is not None:
                self.progress(self.stands[0].seen.states)
            self.asked = []

    def close(self) -> None:
        """Let go of the stores."""
        for stand in self.stands:
            stand.kernel.close()
