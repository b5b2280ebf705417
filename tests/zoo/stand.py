"""What the zoo's exhibits share: a stage for a scenario, kernels to play on it, and what must be true in the end.

An exhibit is a real bug of a real engine. Its scenario is one function: it plays what happened, fault included, and asserts
what should have been. On the kernel it passes; on a kernel in which the bug was planted it raises AssertionError.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from attrs import define, field, frozen

import kernel
from kernel.core.records import Policy
from kernel.engine.document import document
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store, Transaction
from kernel.engine.sinks import Parcel
from kernel.errors import KernelError
from kernel.spec.vocabulary import LIVE, OPEN
from kernel.testing.clock import ManualClock
from kernel.testing.crashes import Crashes, ProcessCrash
from kernel.testing.replay import check_history
from kernel.testing.sinks import FaultySink, MemoryArchive
from kernel.testing.stores import Stores
from kernel.testing.world import KernelFactory


class Gate:
    """A store that knows whether somebody is inside. A second lock under the first, in one thread, is an AssertionError."""

    def __init__(self, store: Store) -> None:
        self.inner = store
        self.name, self.id, self.durability = store.name, store.id, store.durability
        self.policy: Policy = store.policy
        self.inside = False
        self.writes = 0

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Transaction]:
        """As the store's."""
        if self.inside:
            raise AssertionError("a second lock was taken under the first: with one that is not re-entrant, nobody goes on")
        with self.inner.transaction(write=write) as transaction:
            self.inside = True
            self.writes += write
            try:
                yield transaction
            finally:
                self.inside = False

    def close(self) -> None:
        """As the store's."""
        self.inner.close()


def _nobody() -> None:
    """Nobody comes in."""


@define(eq=False)
class Stage:
    """A new store, a clock that stands still, an archive that misbehaves when told, and kernels of one make on them."""

    stores: Stores
    make: KernelFactory = Kernel
    clock: ManualClock = field(factory=ManualClock)
    archive: FaultySink = field(factory=lambda: FaultySink(MemoryArchive()))
    told: list[dict[str, Any]] = field(factory=list)
    """What topic notify told, as it came."""
    crashes: Crashes = field(factory=Crashes)
    store: Gate = field(init=False)
    k: Kernel = field(init=False)
    others: list[Stage] = field(factory=list)
    intruder: Callable[[], object] = _nobody

    def __attrs_post_init__(self) -> None:
        self.store = Gate(self.stores.open())
        self.k = self.kernel()

    def kernel(self, **options: Any) -> Kernel:
        """One more process on the store."""
        sinks = {"archive": self.archive, "notify": kernel.CallableSink(self._hear)}
        standard = {"sinks": sinks, "clock": self.clock, "chance": random.Random(7), "faults": self._passed}
        return self.make(self.store, **{**standard, **options})

    def _hear(self, parcel: Parcel) -> str:
        """The listener of topic notify."""
        self.told.append(json.loads(parcel.read()))
        return f"number {len(self.told)}"

    def _passed(self, point: FaultPoint, command: str) -> None:
        """Somebody else comes in as soon as nobody is inside; then the process may die."""
        if not self.store.inside:
            intruder, self.intruder = self.intruder, _nobody
            intruder()
        self.crashes(point, command)

    def meanwhile(self, act: Callable[[], object]) -> None:
        """Let another process act as soon as the next command lets it: after its commit, or in a gap before that."""
        self.intruder = act

    def reborn(self) -> Kernel:
        """The process died; another one finds what the store kept."""
        self.crashes.disarm()
        self.store = Gate(self.stores.reopen(self.store.inner))
        self.k = self.kernel()
        return self.k

    def another(self) -> Stage:
        """The same anew, on an empty store."""
        self.others.append(Stage(self.stores, self.make))
        return self.others[-1]

    def strike(self) -> None:
        """Let go of everything."""
        self.archive.release_all()
        for stage in (*self.others, self):
            self.stores.remove(stage.store.inner)

    # ---- what must be true ----------------------------------------------------------------------------------------------
    def sound(self, *roots: str) -> None:
        """No invariant is broken, the history of these trees tells what their rows say, and archives are what was frozen."""
        found = [f"{f.invariant} {f.workflow_id} {f.subject}: {f.text}" for f in self.k.audit().findings]
        same("findings", found, [])
        for root in roots:
            check_history(self.k, root)
        for delivery in self.k.deliveries(state="DELIVERED", limit=1_000):
            place = delivery.workflow_id, delivery.run
            if delivery.topic == "archive":
                same(f"the archive of {delivery.workflow_id}", self.archived(*place), "its frozen rows")

    def archived(self, workflow_id: str, run: int = 1) -> str:
        """What the archive holds of a run, in words."""
        archive = self.archive.inner
        assert isinstance(archive, MemoryArchive)
        found = archive.documents.get((workflow_id, run))
        if found is None:
            return "missing"
        return "its frozen rows" if found == b"".join(document(self.store, workflow_id, run)) else "another document"


Scenario = Callable[[Stage], None]


@frozen
class Exhibit:
    """One bug: its number, where it was reported, the scenario (whose text says what it was), and a kernel that has it."""

    id: str
    links: tuple[str, ...]
    scenario: Scenario
    plant: KernelFactory
    says: str
    """What is wrong with that kernel."""

    @property
    def name(self) -> str:
        """The name of its test."""
        return f"{self.id}_{self.scenario.__name__}"

    @property
    def was(self) -> str:
        """What the bug was."""
        return " ".join((self.scenario.__doc__ or "").partition("\n\n")[0].split())

    @property
    def remark(self) -> str:
        """What stands behind the issues: what else is played, or what stands for a thing that the kernel does not have."""
        text = " ".join((self.scenario.__doc__ or "").partition("\n\n")[2].split())
        for issue in self.links:
            text = text.replace(issue, "")
        return text.lstrip(",. ")


def on_stage(stores: Stores, make: KernelFactory = Kernel) -> AbstractContextManager[Stage]:
    """A stage that is struck in the end."""
    @contextmanager
    def staged() -> Iterator[Stage]:
        stage = Stage(stores, make)
        try:
            yield stage
        finally:
            stage.strike()
    return staged()


# ---- asserting, in words that stand in specs/evidence/zoo.md -------------------------------------------------------------
def same(what: str, found: object, wanted: object) -> None:
    """The one is the other."""
    if found != wanted:
        raise AssertionError(f"{what}: {found}, not {wanted}")


def tasks(k: Kernel, *workflows: str) -> dict[str, str]:
    """The state of every task of these workflows and of all below them, by workflow and reference."""
    found: dict[str, str] = {}
    waiting = [k.tree(workflow) for workflow in workflows]
    while waiting:
        node = waiting.pop()
        found |= {f"{node.workflow.id} {task.ref}": str(task.state) for task in node.tasks}
        waiting += node.children
    return dict(sorted(found.items()))


def workflows(k: Kernel, *roots: str) -> dict[str, str]:
    """The state of these workflows and of all below them, by id."""
    found: dict[str, str] = {}
    waiting = [k.tree(root) for root in roots]
    while waiting:
        node = waiting.pop()
        found[node.workflow.id] = str(node.workflow.state)
        waiting += node.children
    return dict(sorted(found.items()))


def answer(call: Callable[[], Any]) -> str:
    """What a caller was told: `applied`, `no-op`, or the error by its name; whatever else a sink or a plant lets out, too."""
    try:
        found = call()
    except (KernelError, OSError) as error:
        return type(error).__name__
    except ProcessCrash as crash:
        return f"killed {crash.point}"
    return "no-op" if isinstance(found, kernel.Applied) and found.no_op else "applied"


def still_open(k: Kernel, *roots: str) -> list[str]:
    """The tasks of these trees that are not closed."""
    return [f"{name} {state}" for name, state in tasks(k, *roots).items() if state in OPEN]


def still_live(k: Kernel, *roots: str) -> list[str]:
    """The workflows of these trees that have not ended."""
    return [f"{name} {state}" for name, state in workflows(k, *roots).items() if state in LIVE]


def lease_of(k: Kernel, type: str, worker: str = "w") -> kernel.Lease:
    """The one task of a type that there must be."""
    leases = k.poll(type, worker=worker, limit=10)
    same(f"tasks handed out to {type}", len(leases), 1)
    return leases[0]
