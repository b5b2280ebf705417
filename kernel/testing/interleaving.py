"""Forced interleavings: a command stops just before it commits, another one is given meanwhile, then the first goes on.

What a store does about it is its own affair: it lets the second wait, or the first decide again. But both answers and all rows
have to be those of the two commands one after the other, in one order or the other.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen

from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.plan import Subject
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store, Timer
from kernel.engine.timers import fire
from kernel.stores.memory import MemoryStore
from kernel.testing.clock import ManualClock
from kernel.testing.dump import Definitions, everything
from kernel.testing.lockstep import answered
from kernel.testing.stores import POLICY, Stores

Call = Callable[[Kernel], Any]
WAITS = 0.02
"""Seconds that the second command gets to finish while the first stands still; one that waits for it needs none."""
PATIENCE = 60.0
"""Seconds after which two commands that wait for each other are given up."""
SMALL = WorkflowDef("small", topics=("archive",), tasks=[TaskDef("only")])
BUSY = WorkflowDef("busy", topics=("archive",), tasks=[
    TaskDef("done", workflow="small"), TaskDef("first"), TaskDef("next", workflow="small", after=["first"]),
    TaskDef("second", retries=1, lease=5.0), TaskDef("third"), TaskDef("asked", kind="wait"),
    TaskDef("last", kind="wait", after=["asked"])])


@frozen
class Scene:
    """A tree in some state, and the commands that may meet in it."""

    name: str
    prepare: Callable[[Kernel, ManualClock], dict[str, Call]]


def _leased(k: Kernel, type: str) -> Any:
    (lease,) = k.poll(type, worker="w")
    return lease


def _under_way(k: Kernel, clock: ManualClock) -> dict[str, Call]:
    """A root with tasks in every open state, one sub-workflow that has ended and one that is about to start."""
    k.start("busy", workflow_id="w", input={"n": 1})
    k.complete(_leased(k, "only"))
    first, second = _leased(k, "first"), _leased(k, "second")
    archive = Subject("w/done", topic="archive", run=1)
    clock.advance(6.0)  # the lease of the second task is over, and nobody has looked yet
    return {
        "terminate": lambda k: k.terminate("w", reason="enough"), "pause": lambda k: k.pause("w"),
        "start a child": lambda k: k.complete(first, output={"n": 2}), "retry": lambda k: k.fail(second, reason="broken"),
        "heartbeat": lambda k: k.heartbeat(second), "postpone": lambda k: k.postpone(second, 3.0),
        "poll": lambda k: k.poll("third", worker="other"), "signal": lambda k: k.signal("w", "asked"),
        "skip": lambda k: k.skip("w", "last"), "expire": lambda k: fire(k, Timer("EXPIRE", Subject("w", second.position))),
        "claim": lambda k: k.commit(k.command("CLAIM", archive, given={"anyway": 0})),
        "the same id": lambda k: k.signal("w", "asked", command_id="twin"),
    }


def _ended(k: Kernel, clock: ManualClock) -> dict[str, Call]:
    """A root that was terminated, its archive under way."""
    calls = _under_way(k, clock)
    calls["start a child"](k)
    k.terminate("w")
    archive = Subject("w", topic="archive", run=1)
    k.commit(k.command("CLAIM", archive, given={"anyway": 0}))
    return {
        "retry": lambda k: k.retry("w"), "retry in place": lambda k: k.retry("w", resume_children=True),
        "restart": lambda k: k.restart("w"), "rerun": lambda k: k.rerun("w", from_task="second"),
        "terminate": lambda k: k.terminate("w"), "purge": lambda k: k.purge("w", unarchived=True),
        "confirm": lambda k: k.commit(k.command("CONFIRM", archive, given={"claims": 1, "proof": "p"})),
        "start again": lambda k: k.start("busy", workflow_id="w", input={"n": 1}),
        "a late result": calls["retry"],
    }


def _paused(k: Kernel, clock: ManualClock) -> dict[str, Call]:
    """A root that was paused."""
    calls = _under_way(k, clock)
    k.pause("w")
    kept = ("terminate", "start a child", "retry", "heartbeat", "poll", "signal", "expire", "claim")
    return {"resume": lambda k: k.resume("w"), **{name: calls[name] for name in kept}}


SCENES = (Scene("under way", _under_way), Scene("paused", _paused), Scene("ended", _ended))


class _Halt:
    """A fault hook that stops before the first commit until it is told to go on."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self, point: FaultPoint, command: str) -> None:
        if point is FaultPoint.BEFORE_COMMIT and not self.reached.is_set():
            self.reached.set()
            self.go.wait(PATIENCE)


class _Caller(threading.Thread):
    """Gives one command and keeps the answer."""

    def __init__(self, k: Kernel, call: Call) -> None:
        super().__init__(daemon=True)
        self.k, self.call, self.answer = k, call, ("never", "it did not come back")
        self.error: BaseException | None = None

    def run(self) -> None:
        """The thread itself."""
        try:
            self.answer = answered(self.call, self.k)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the test
            self.error = error


def _set_up(store: Store, scene: Scene) -> tuple[ManualClock, dict[str, Call]]:
    clock = ManualClock()
    k = Kernel(store, clock=clock, chance=random.Random(0))
    k.register(SMALL, BUSY)
    return clock, scene.prepare(k, clock)


def _left(store: Store) -> Any:
    """All that can be read afterwards, and what the audit says."""
    with store.transaction(write=False) as transaction:
        late, violations = transaction.late("w"), sorted(transaction.violations())
    return everything(store, ["w"], Definitions()), late, violations


def _in_turn(scene: Scene, names: tuple[str, str], order: tuple[int, int]) -> Any:
    """The two commands one after the other on a memory store: both answers, and what is left."""
    store = MemoryStore(policy=POLICY)
    clock, calls = _set_up(store, scene)
    kernels = [Kernel(store, clock=clock, chance=random.Random(seed)) for seed in (1, 2)]
    answers = {place: answered(calls[names[place]], kernels[place]) for place in order}
    return (answers[0], answers[1]), _left(store)


def _meeting(stores: Stores, scene: Scene, names: tuple[str, str]) -> Any:
    """The second command is given while the first stands before its commit."""
    store = stores.open()
    beside = stores.beside(store)
    try:
        clock, calls = _set_up(store, scene)
        halt = _Halt()
        one = _Caller(Kernel(store, clock=clock, chance=random.Random(1), faults=halt), calls[names[0]])
        other = _Caller(Kernel(beside, clock=clock, chance=random.Random(2)), calls[names[1]])
        one.start()
        while one.is_alive() and not halt.reached.wait(WAITS):
            pass  # what is refused never comes to a commit
        other.start()
        other.join(WAITS)
        halt.go.set()
        for caller in (one, other):
            caller.join(PATIENCE)
            if caller.error is not None:
                raise caller.error
        return (one.answer, other.answer), _left(store)
    finally:
        beside.close()
        stores.remove(store)


def pairs() -> Iterator[tuple[Scene, tuple[str, str]]]:
    """Every scene with every two commands that may meet in it, in both orders."""
    for scene in SCENES:
        names = list(scene.prepare(*_rehearsal()))
        yield from ((scene, (first, second)) for first in names for second in names)


def _rehearsal() -> tuple[Kernel, ManualClock]:
    """Where a scene can say which commands it has."""
    clock = ManualClock()
    k = Kernel(MemoryStore(policy=POLICY), clock=clock, chance=random.Random(0))
    k.register(SMALL, BUSY)
    return k, clock


def met(stores: Stores, scene: Scene, names: tuple[str, str]) -> str:
    """What is wrong when these two meet; empty when it is as if one had come after the other."""
    found = _meeting(stores, scene, names)
    if any(found == _in_turn(scene, names, order) for order in ((0, 1), (1, 0))):
        return ""
    return f"{scene.name}: {names[0]} met {names[1]}: neither order gives {found[0]}, or not these rows"
