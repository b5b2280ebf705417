"""A process dies at every fault point of every command, on each store; another one finds the last commit, and goes on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.plan import Subject
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.relay import RelayOptions
from kernel.spec import SPEC
from kernel.testing.checks import LIVE, OPEN, Tree
from kernel.testing.clock import ManualClock
from kernel.testing.crashes import Crashes, ProcessCrash
from kernel.testing.dump import Definitions, difference, dumped
from kernel.testing.pool import ARCHIVE, MAIL, POOL, TYPES
from kernel.testing.replay import check_history
from kernel.testing.sinks import Behaviour, FaultySink, MemoryArchive
from kernel.testing.stores import Stores
from tests.stores.servers import stores_of
from tests.stores.stand import STORES, Rows, rows_of

PICK, PACK = TYPES
DUE = WorkflowDef("due", tasks=[TaskDef("a", type=PICK), TaskDef("sub", workflow="leaf")], topics=(ARCHIVE,), timeout=15.0)
"""Nothing in it has a time limit but the workflow itself."""
LATE = WorkflowDef("tardy", tasks=[TaskDef("a", type=PICK)], topics=(ARCHIVE,), timeout=15.0, on_timeout="ALERT_ONLY")
ALERTED = WorkflowDef(
    "alarm", tasks=[TaskDef("a", type=PICK, lease=10.0, on_expiry="ALERT_ONLY")], topics=(ARCHIVE,), timeout=60.0)
WAITS = WorkflowDef("pausing", tasks=[TaskDef("w", kind="wait", wait_for=5.0)], topics=(ARCHIVE,))
OVERRUN = WorkflowDef("slow", tasks=[TaskDef("sub", workflow="leaf", attempt_timeout=10.0)], topics=(ARCHIVE,))
"""Each for the clock of its name."""
OWN = (DUE, LATE, ALERTED, WAITS, OVERRUN)
ENTRY = f"w#1:{ARCHIVE}"
"""The outbox entry that the scenes with a relay are about."""
LATER = 120.0
"""Seconds: longer than any lease or backoff of a delivery."""
ROUNDS = 30
"""More than any of these workflows needs to end."""


@define(eq=False)
class Place:
    """A store with what lies around it: the clock, the archive, and one kernel after the other."""

    stores: Stores
    store: Store
    clock: ManualClock = field(factory=ManualClock)
    sink: FaultySink = field(factory=lambda: FaultySink(MemoryArchive()))
    opened: int = 0

    def open(self, hook: Callable[[FaultPoint, str], None]) -> Kernel:
        """The kernel of a new process; ids and jitter are the same in every place."""
        self.opened += 1
        return Kernel(
            self.store, sinks={ARCHIVE: self.sink, MAIL: self.sink}, clock=self.clock, faults=hook,
            chance=random.Random(self.opened), relay=RelayOptions(timeout=30.0, first=1.0, longest=20.0))

    def reopen(self, hook: Callable[[FaultPoint, str], None]) -> Kernel:
        """The kernel of the process that comes after the one that died."""
        self.store = self.stores.reopen(self.store)
        return self.open(hook)


class Witness:
    """A fault hook that harms nobody: it keeps what the last commit had left when a crash would have happened."""

    def __init__(self, store: Store, point: FaultPoint, passes: int) -> None:
        self.store, self.point, self.passes = store, point, passes
        self.committed, self.found = rows_of(store), Rows()

    def __call__(self, point: FaultPoint, command: str) -> None:
        """The hook itself."""
        if point is FaultPoint.AFTER_COMMIT:
            self.committed = rows_of(self.store)
        if point is self.point:
            if self.passes == 0:
                self.found = self.committed
            self.passes -= 1


@frozen
class Scene:
    """How one command comes about: what happens first, then the call that gives it."""

    command: str
    first: Callable[[Place, Kernel], Any]
    act: Callable[[Kernel, Any], object]
    passes: int = 0
    """How many other commits the call makes before."""
    named: bool = False
    """Whether the call carries a command id, so that the caller may repeat it."""
    title: str = ""

    def __str__(self) -> str:
        return self.title or self.command


# ------------------------------------------------------------------------------------------------------- what happens first
def started(name: str, *, seconds: float = 0.0) -> Callable[[Place, Kernel], None]:
    """A workflow runs, for some time."""
    def first(place: Place, k: Kernel) -> None:
        k.start(name, workflow_id="w")
        place.clock.advance(seconds)
    return first


def leased(name: str, *types: str, seconds: float = 0.0) -> Callable[[Place, Kernel], Any]:
    """A worker holds a task: the one of the last of these types, those of the others are done."""
    def first(place: Place, k: Kernel) -> Any:
        k.start(name, workflow_id="w")
        for type in types[:-1]:
            k.complete(k.poll(type)[0])
        (lease,) = k.poll(types[-1])
        place.clock.advance(seconds)
        return lease
    return first


def paused(place: Place, k: Kernel) -> None:
    """A tree is paused."""
    k.start("tower", workflow_id="w")
    k.pause("w")
    place.clock.advance(3.0)


def sub_failed(place: Place, k: Kernel) -> None:
    """A sub-workflow failed, and its second try is due."""
    k.start("again", workflow_id="w")
    k.fail(k.poll("pack")[0])
    place.clock.advance(4.0)


def sent(failures: int, *, fails: bool) -> Callable[[Place, Kernel], None]:
    """A delivery is due that failed so many times; the next attempt fails, too, or not."""
    def first(place: Place, k: Kernel) -> None:
        k.start("leaf", workflow_id="w")
        k.terminate("w")
        for _ in range(failures):
            place.sink.plan(Behaviour.RAISE)
            k.deliver()
            place.clock.advance(LATER)
        if fails:
            place.sink.plan(Behaviour.RAISE)
    return first


def vanished(failures: int) -> Callable[[Place, Kernel], None]:
    """A relay claimed a delivery that failed so many times, and did not come back."""
    def first(place: Place, k: Kernel) -> None:
        sent(failures, fails=False)(place, k)
        k.commit(k.command("CLAIM", Subject("w", topic=ARCHIVE, run=1), given={"anyway": 0}, actor="relay"))
        place.clock.advance(LATER)
    return first


def closed(place: Place, k: Kernel) -> None:
    """A delivery is due, and its window has closed since."""
    k.start("nightly", workflow_id="w")
    k.terminate("w")
    place.clock.advance(60.0)


def ended(place: Place, k: Kernel) -> None:
    """A tree was terminated with everything open."""
    k.start("due", workflow_id="w")
    k.terminate("w")


def archived(place: Place, k: Kernel) -> None:
    """A tree ended and is delivered; another one has just ended."""
    ended(place, k)
    k.deliver()
    k.start("due", workflow_id="other")
    k.terminate("other")


def deliver(k: Kernel, _: Any) -> object:
    """A relay's pass over one delivery."""
    return k.deliver(limit=1)


def tick(k: Kernel, _: Any) -> object:
    """One timer fires."""
    return k.tick(limit=1)


ONCE = "once"
"""The command id of the calls that carry one."""
SCENES = (
    Scene("START", lambda place, k: None, lambda k, _: k.start("tower", workflow_id="w", command_id=ONCE), named=True),
    Scene("PAUSE", started("tower"), lambda k, _: k.pause("w", command_id=ONCE), named=True),
    Scene("RESUME", paused, lambda k, _: k.resume("w", command_id=ONCE), named=True),
    Scene("TERMINATE", started("tower"), lambda k, _: k.terminate("w", command_id=ONCE), named=True),
    Scene("RETRY", ended, lambda k, _: k.retry("w", command_id=ONCE), named=True),
    Scene("RESTART", ended, lambda k, _: k.restart("w", command_id=ONCE), named=True),
    Scene("RERUN", ended, lambda k, _: k.rerun("w", from_task="a", command_id=ONCE), named=True),
    Scene("PURGE", archived, lambda k, _: k.purge("w")),
    Scene("TIME_OUT", started("due", seconds=20.0), tick),
    Scene("OVERDUE", started("tardy", seconds=20.0), tick),
    Scene("POLL", started("tower"), lambda k, _: k.poll(PICK, limit=2)),
    Scene("HEARTBEAT", leased("clocks", PICK, seconds=5.0), lambda k, lease: k.heartbeat(lease)),
    Scene("COMPLETE", leased("again", PICK, PACK), lambda k, lease: k.complete(lease, output={"n": 1}, command_id=ONCE),
          named=True),
    Scene("FAIL", leased("tower", PICK), lambda k, lease: k.fail(lease, retryable=False, command_id=ONCE), named=True),
    Scene("SIGNAL", started("approval"), lambda k, _: k.signal("w", "now", output={"by": "ada"}, command_id=ONCE), named=True),
    Scene("POSTPONE", leased("tower", PICK), lambda k, lease: k.postpone(lease, 5.0, command_id=ONCE), named=True),
    Scene("SKIP", started("line"), lambda k, _: k.skip("w", "a", command_id=ONCE), named=True),
    Scene("EXPIRE", leased("clocks", PICK, seconds=11.0), tick),
    Scene("ALERT", leased("alarm", PICK, seconds=11.0), tick),
    Scene("ELAPSE", started("pausing", seconds=6.0), tick),
    Scene("OVERRUN", started("slow", seconds=11.0), tick),
    Scene("WAKE", sub_failed, tick),
    Scene("CLAIM", sent(0, fails=False), deliver),
    Scene("DEFER", closed, deliver),
    Scene("CONFIRM", sent(1, fails=False), deliver, passes=1),
    Scene("RELEASE", sent(0, fails=True), deliver, passes=1),
    Scene("RELEASE", vanished(0), tick, title="RELEASE by the clock"),
    Scene("BURY", sent(2, fails=True), deliver, passes=1),
    Scene("BURY", vanished(2), tick, title="BURY by the clock"),
    Scene("REDRIVE", sent(3, fails=False), lambda k, _: k.redrive(ENTRY, command_id=ONCE), named=True),
)
COMMITS = (FaultPoint.BEFORE_COMMIT, FaultPoint.AFTER_COMMIT)
DELIVERY = tuple(Scene("DELIVER", sent(0, fails=fails), deliver, title=title)
                 for fails, title in ((False, "a delivery"), (True, "a failing delivery")))
CASES = [(scene, point) for scene in SCENES for point in COMMITS]
CASES += [(scene, point) for scene in DELIVERY for point in (FaultPoint.CLAIMED, FaultPoint.SENT)]


# ------------------------------------------------------------------------------------------------------------ the two places
@pytest.fixture(params=STORES)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    """Two places alike: in one the process dies, in its twin it does not."""
    stores = stores_of(request.param, tmp_path)
    pair = Place(stores, stores.open()), Place(stores, stores.open())
    yield pair
    for place in pair:
        stores.remove(place.store)


def untouched(scene: Scene, place: Place, point: FaultPoint) -> tuple[Rows, Rows]:
    """What the twin holds where a crash would have happened, and when the call is over."""
    quiet = place.open(Crashes())
    quiet.register(*POOL, *OWN)
    given = scene.first(place, quiet)
    witness = Witness(place.store, point, scene.passes if point in COMMITS else 0)
    quiet.faults = witness
    scene.act(quiet, given)
    assert witness.passes < 0, f"the twin never came to {point}"
    return witness.found, rows_of(place.store)


def settle(place: Place, k: Kernel) -> None:
    """Work goes on until nothing is left to do."""
    for _ in range(ROUNDS):
        place.clock.advance(LATER)
        k.tick()
        for workflow in k.find(state="PAUSED").items:
            if workflow.paused_by == workflow.id:
                k.resume(workflow.id)
        for type in TYPES:
            for lease in k.poll(type, limit=100):
                k.complete(lease)
        for workflow in k.find(state="RUNNING").items:
            for task in k.tasks(workflow.id):
                if task.mode == "WAIT" and task.state in OPEN:
                    k.signal(workflow.id, task.ref)
        for delivery in k.deliveries(state="DEAD"):
            k.redrive(delivery.id)
        k.deliver(now=True)
        if not any(k.find(state=state).items for state in LIVE) and not k.deliveries(state="PENDING"):
            break


def check(k: Kernel) -> None:
    """Nothing is wrong: the audit says so, plain checks say so, and the history tells the rows."""
    assert k.audit().findings == ()
    definitions, roots = Definitions(), [w.id for w in k.find(limit=1000).items if w.parent is None]
    for root, tree in dumped(k.store, roots, definitions).items():
        assert list(Tree(tree, definitions).problems()) == []
        assert check_history(k, root) > 0


@pytest.mark.parametrize(("scene", "point"), CASES, ids=str)
def test_a_crash_leaves_the_last_commit(places: tuple[Place, Place], scene: Scene, point: FaultPoint) -> None:
    """Killed before a commit, nothing of it is there; killed behind it, all of it is, as with a twin that lived. The process
    that comes next finds a clean store, a caller who repeats the command has it applied once, and everything ends.
    """
    place, twin = places
    expected, complete = untouched(scene, twin, point)
    crashes = Crashes()
    k = place.open(crashes)
    k.register(*POOL, *OWN)
    given = scene.first(place, k)
    before = rows_of(place.store)
    crashes.arm(point, scene.passes if point in COMMITS else 0)
    with pytest.raises(ProcessCrash):
        scene.act(k, given)
    assert crashes.fired == {(point, scene.command): 1}

    k = place.reopen(Crashes())
    after = rows_of(place.store)
    assert difference(expected, after) == ""
    if not scene.passes and point in COMMITS:
        assert (after == before) is (point is FaultPoint.BEFORE_COMMIT)
    check(k)
    if scene.named:
        scene.act(k, given)
        assert difference(complete, rows_of(place.store)) == ""
    settle(place, k)
    assert {workflow.state for workflow in k.find(limit=1000).items} <= {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"}
    assert {delivery.state for delivery in k.deliveries(limit=1000)} == {"DELIVERED"}
    check(k)


def test_every_command_is_killed_at_every_point() -> None:
    """The cases name every command of the specification with both ends of its commit, and every fault point there is."""
    killed = {(scene.command, point) for scene, point in CASES}
    assert {(step.name, point) for step in SPEC.commands for point in COMMITS} <= killed
    assert {point for _, point in killed} == set(FaultPoint)
