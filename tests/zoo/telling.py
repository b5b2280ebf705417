"""What others are told, and what they see: parents, lists, listeners, indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import attrs

import kernel
from kernel.core.plan import Command
from kernel.core.program import Program
from kernel.core.records import root_of
from kernel.engine.document import checked_document
from kernel.engine.entities import Applied, Page, Workflow
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.sinks import Parcel, Sink
from kernel.engine.timers import Ticked
from kernel.spec import SPEC
from kernel.spec.language import Fire
from kernel.testing.planted import ToldLaterKernel
from kernel.testing.sinks import Behaviour, FaultySink, MemoryArchive
from kernel.testing.world import KernelFactory
from tests.zoo.plants import running, with_rules, with_spec
from tests.zoo.stand import Exhibit, Stage, answer, lease_of, same, tasks, workflows

LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[kernel.TaskDef("x")])
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("invoice", workflow="leaf", retries=1, after=["pick"]),
    kernel.TaskDef("ship", after=["invoice"])])
POINTS = (FaultPoint.BEFORE_COMMIT, FaultPoint.AFTER_COMMIT)


# ---- B22 -----------------------------------------------------------------------------------------------------------------
def a_parent_is_not_told(stage: Stage) -> None:
    """A sub-workflow had COMPLETED and its parent kept RUNNING for ever: what told the parent failed after the sub-workflow's
    commit, and nobody tried again.

    Netflix/conductor#1955, Netflix/conductor#3481
    """
    for point in POINTS:
        one = stage.another()
        k = one.k
        k.register(LEAF, ORDER)
        k.start("order", workflow_id="w")
        k.complete(lease_of(k, "pick"))
        lease = lease_of(k, "x")
        one.crashes.arm(point)
        answer(lambda: k.complete(lease))  # noqa: B023 - called at once
        k = one.reborn()
        applied = point is FaultPoint.AFTER_COMMIT
        same(f"the sub-workflow, killed {point}", str(k.get("w/invoice").state), "COMPLETED" if applied else "RUNNING")
        same("its task in the parent", tasks(k, "w")["w invoice"], "COMPLETED" if applied else "IN_PROGRESS")
        if not applied:
            k.complete(lease)
        same("what the parent was told", [line.event for line in k.history("w") if line.subject == "invoice"][-1:],
             ["CHILD_COMPLETED"])
        k.complete(lease_of(k, "ship"))
        same("workflows", set(workflows(k, "w").values()), {"COMPLETED"})
        one.sound("w")


def _told_later(store: Store, **options: Any) -> Kernel:
    return ToldLaterKernel(store, {}, **options)


# ---- B25 -----------------------------------------------------------------------------------------------------------------
STATES = ("RUNNING", "PAUSED", "COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED")


def listed(k: Kernel) -> dict[str, str]:
    """The state of every workflow, as the lists by state tell it."""
    return {found.id: state for state in STATES for found in k.find(state=state).items}


def the_list_says_something_else(stage: Stage) -> None:
    """A workflow was COMPLETED in its details and RUNNING in the list: the write to the index of the list was lost.

    conductor-oss/conductor#340, conductor-oss/conductor#471. The kernel has no index beside its rows: lists are read from
    them.
    """
    for point in POINTS:
        one = stage.another()
        one.k.register(LEAF)
        for name in ("ended", "paused", "done"):
            one.k.start("leaf", workflow_id=name)
        lease = next(lease for lease in one.k.poll("x", limit=10) if lease.workflow_id == "done")
        acts: tuple[Callable[[], object], ...] = (
            lambda: one.k.terminate("ended"), lambda: one.k.pause("paused"), lambda: one.k.complete(lease))  # noqa: B023
        for act in acts:
            one.crashes.arm(point)
            answer(act)
            one.reborn()
            same(f"what the lists say, killed {point}", listed(one.k), workflows(one.k, "done", "ended", "paused"))
        one.sound("done", "ended", "paused")


class IndexedKernel(Kernel):
    """Lists what an index says, which is written after each commit."""

    def __init__(self, store: Store, index: dict[tuple[str, str], str], **options: Any) -> None:
        """As `Kernel`; the index outlives the process."""
        super().__init__(store, **options)
        self._index = index

    def commit(self, command: Command) -> Applied:
        """Commit, then index."""
        applied = super().commit(command)
        self._write(root_of(command.subject.workflow))
        return applied

    def start(self, name: str, **options: Any) -> Workflow:
        """Start, then index."""
        started = super().start(name, **options)
        self._write(started.id)
        return started

    def _write(self, root: str) -> None:
        self._index[self.store.id, root] = str(self.get(root).state)

    def find(self, *, state: str | None = None, **options: Any) -> Page:
        """What the index says."""
        page = super().find(**options)
        return attrs.evolve(page, items=tuple(w for w in page.items if self._index.get((self.store.id, w.id)) == state))


def _indexed() -> KernelFactory:
    index: dict[tuple[str, str], str] = {}

    def make(store: Store, **options: Any) -> Kernel:
        return IndexedKernel(store, index, **options)
    return make


# ---- B26 -----------------------------------------------------------------------------------------------------------------
def a_sub_workflow_starts_twice(stage: Stage) -> None:
    """The same sub-workflow was started twice at once: two evaluations found its task ready, without a lock, and each gave it
    an id of its own.

    Netflix/conductor#1752
    """
    k, other = stage.k, stage.kernel()
    k.register(LEAF, ORDER)
    k.start("order", workflow_id="w")
    lease = lease_of(k, "pick")
    stage.meanwhile(lambda: (answer(lambda: other.complete(lease)), other.tick()))
    k.complete(lease)
    for attempt in (1, 2):
        same("sub-workflows started", [w.name for w in k.find().items if w.id != "w"], ["leaf"] * attempt)
        same("history", len([line for line in k.history("w", below=True) if line.event == "START"]), 1 + attempt)
        k.fail(lease_of(k, "x"), retryable=False)
    same("workflows", sorted(workflows(k, "w").values()), ["FAILED"] * 3)
    stage.sound("w")


class DetachedKernel(Kernel):
    """Starts a sub-workflow in a commit of its own, under an id by chance, when it finds that its task is ready."""

    def __init__(self, store: Store, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, **{**options, "program": _launches_nothing()})
        self._started: set[tuple[str, str]] = set()

    def commit(self, command: Command) -> Applied:
        """Commit, then evaluate."""
        applied = super().commit(command)
        self._evaluate(root_of(command.subject.workflow))
        return applied

    def tick(self, *, limit: int = 10_000) -> Ticked:
        """Evaluate everything that runs."""
        for found in self.find(state="RUNNING").items:
            self._evaluate(found.id)
        return super().tick(limit=limit)

    def _evaluate(self, root: str) -> None:
        definitions = {task.ref: task.workflow for task in ORDER.tasks}
        for task in self.tasks(root):
            if task.mode == "WORKFLOW" and task.state == "SCHEDULED" and (root, task.ref) not in self._started:
                self._started.add((root, task.ref))
                self.start(str(definitions[task.ref]))


@cache
def _launches_nothing() -> Program:
    return with_spec(progress=tuple(rule for rule in SPEC.progress if rule.name != "LAUNCH_CHILD"))


# ---- B27 -----------------------------------------------------------------------------------------------------------------
UNDO = kernel.WorkflowDef("undo", tasks=[kernel.TaskDef("undo")])
BAD = kernel.WorkflowDef("bad", topics=("archive",), failure_workflow="undo", timeout=60.0, tasks=[
    kernel.TaskDef("a", lease=10.0, on_expiry="TIME_OUT_WF")])
CAUSES = {"FAILED": "no stock", "TIMED_OUT": "its time ran out", "TERMINATED": "withdrawn"}
"""How a workflow ends badly, and of what."""


def _end(stage: Stage, state: str) -> None:
    k = stage.k
    lease = lease_of(k, "a")
    if state == "FAILED":
        k.fail(lease, retryable=False, reason=CAUSES[state])
    elif state == "TERMINATED":
        k.terminate("w", reason=CAUSES[state])
    else:
        stage.clock.advance(11)
        k.tick()


def all_bad_ends_are_told_alike(stage: Stage) -> None:
    """One call told listeners of every unsuccessful end, by the name of terminated: nobody could tell FAILED and TIMED_OUT from
    TERMINATED.

    Netflix/conductor#1808, Netflix/conductor#1950
    """
    for state, cause in CAUSES.items():
        one = stage.another()
        k = one.k
        k.register(UNDO, BAD)
        k.start("bad", workflow_id="w")
        _end(one, state)
        k.deliver()
        archive = one.archive.inner
        assert isinstance(archive, MemoryArchive)
        told = checked_document(archive.documents["w", 1])["workflow"]
        same(f"what the archive hears of a {state} one", (told["state"], cause in told["reason"]), (state, True))
        (undo,) = (found.input for found in k.find(name="undo").items)
        same("what its failure workflow hears", (undo["failureStatus"], cause in undo["reason"]), (state, True))
        one.sound("w")


def _terminated_whatever_it_was() -> Program:
    return with_rules({"END_FAILED": (Fire("TERMINATE"),), "END_TIMED_OUT": (Fire("TERMINATE"),)})


def all_bad_ends_are_noticed_alike(stage: Stage) -> None:
    """Whoever listened for failures and time-outs was called for none of them: every unsuccessful end was one of terminated.

    Netflix/conductor#1808, Netflix/conductor#1950
    """
    for state, cause in CAUSES.items():
        one = stage.another()
        k = one.k
        k.register(UNDO, attrs.evolve(BAD, notify=tuple(CAUSES)))
        k.start("bad", workflow_id="w")
        _end(one, state)
        k.deliver()
        told = [(notice["status"], notice["before"], cause in notice["reason"]) for notice in one.told]
        same(f"notices of a {state} one", told, [(state, "RUNNING", True)])
        one.sound("w")


class _OneCall:
    """A sink that calls its listener of every bad end by one name."""

    def __init__(self, inner: Sink) -> None:
        self.inner, self.owes = inner, inner.owes

    def deliver(self, parcel: Parcel) -> str:
        """Deliver what was ended badly as terminated."""
        told = parcel.read().replace(f'"{parcel.status}"'.encode(), b'"TERMINATED"')
        return self.inner.deliver(attrs.evolve(parcel, open=lambda: iter((told,))))


def _one_name(store: Store, **options: Any) -> Kernel:
    """A kernel whose listeners have one method for all bad ends."""
    return Kernel(store, **{**options, "sinks": {**options["sinks"], "notify": _OneCall(options["sinks"]["notify"])}})


# ---- B37 -----------------------------------------------------------------------------------------------------------------
def _says(archive: FaultySink) -> str:
    """What the archive tells of the latest run that it has heard of."""
    inner = archive.inner
    assert isinstance(inner, MemoryArchive)
    state: str = checked_document(inner.documents[max(inner.documents)])["workflow"]["state"]
    return state


def the_index_goes_back(stage: Stage) -> None:
    """The index said RUNNING of a workflow that had TIMED_OUT: two threads wrote to it, and the older write came last.

    Netflix/conductor#871. What the kernel tells others is of ended runs: here the older run is told last, and twice.
    """
    k = stage.k
    k.register(attrs.evolve(BAD, failure_workflow=None))
    k.start("bad", workflow_id="w")
    _end(stage, "TIMED_OUT")
    stage.archive.plan(Behaviour.RAISE, Behaviour.OK, Behaviour.LATE)
    same("the first run", [d.state for d in k.deliver().outcomes], ["PENDING"])
    k.retry("w")
    k.complete(lease_of(k, "a"))
    same("the second run", [d.state for d in k.deliver().outcomes], ["DELIVERED"])
    same("what the archive says", _says(stage.archive), "COMPLETED")
    for _ in range(2):
        stage.clock.advance(600)
        k.deliver()
    same("deliveries", [str(d.state) for d in k.deliveries()], ["DELIVERED"] * 2)
    same("what the archive says when it was told of the first run, too", _says(stage.archive), "COMPLETED")
    same("archives", [stage.archived("w", 1), stage.archived("w", 2)], ["its frozen rows"] * 2)
    same("the list", listed(k), {"w": "COMPLETED"})
    stage.sound("w")


class _LastWriteWins:
    """A sink with one place for a workflow, in which the last write stands."""

    def __init__(self, inner: FaultySink) -> None:
        self.inner, self.owes = inner, inner.owes

    def deliver(self, parcel: Parcel) -> str:
        """Deliver over what is there."""
        archive = self.inner.inner
        assert isinstance(archive, MemoryArchive)
        archive.documents.pop((parcel.workflow_id, 1), None)
        return self.inner.deliver(attrs.evolve(parcel, run=1))

    def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
        """What stands there."""
        return self.inner.read_back(attrs.evolve(parcel, run=1))


def _one_place(store: Store, **options: Any) -> Kernel:
    """A kernel whose archive has one place for each workflow."""
    return Kernel(store, **{**options, "sinks": {topic: _LastWriteWins(sink) for topic, sink in options["sinks"].items()}})


EXHIBITS = (
    Exhibit("B22", ("Netflix/conductor#1955", "Netflix/conductor#3481"), a_parent_is_not_told, _told_later,
            "a parent is told in a commit of its own"),
    Exhibit("B25", ("conductor-oss/conductor#340", "conductor-oss/conductor#471"), the_list_says_something_else, _indexed(),
            "lists are read from an index that is written after the commit"),
    Exhibit("B26", ("Netflix/conductor#1752",), a_sub_workflow_starts_twice, DetachedKernel,
            "a sub-workflow is started after the commit that found its task ready, under an id by chance"),
    Exhibit("B27", ("Netflix/conductor#1808", "Netflix/conductor#1950"), all_bad_ends_are_told_alike,
            running(_terminated_whatever_it_was), "whatever goes wrong, a workflow ends TERMINATED"),
    Exhibit("B27b", ("Netflix/conductor#1808", "Netflix/conductor#1950"), all_bad_ends_are_noticed_alike, _one_name,
            "listeners have one method for all bad ends"),
    Exhibit("B37", ("Netflix/conductor#871",), the_index_goes_back, _one_place,
            "the archive has one place for all runs of a workflow, and the last write stands"),
)
