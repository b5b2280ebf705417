"""What is archived, removed, compensated and opened again."""

from __future__ import annotations

from typing import Any

import attrs

import kernel
from kernel.core.program import Program
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.sinks import Owes, Parcel, Sink
from kernel.spec.language import F, Row, both, either, eq, is_
from kernel.spec.vocabulary import asked_for
from kernel.testing.sinks import Behaviour
from tests.zoo.plants import running, with_rows
from tests.zoo.stand import Exhibit, Stage, answer, lease_of, same

ONE = kernel.WorkflowDef("one", topics=("archive",), tasks=[kernel.TaskDef("a")])


# ---- B09 -----------------------------------------------------------------------------------------------------------------
def archived_without_a_copy(stage: Stage) -> None:
    """The archive did not take a workflow, and the workflow counted as archived all the same: its rows were gone, and no later
    run of the archiver could find it.

    Netflix/conductor#1662
    """
    k = stage.k
    k.register(ONE)
    for fault in (Behaviour.RAISE, Behaviour.RAISE_BASE, Behaviour.LIE, Behaviour.HALF, Behaviour.LATE, Behaviour.TWICE):
        name = f"w-{fault}"
        k.start("one", workflow_id=name)
        k.complete(lease_of(k, "a"), output={"n": 1})
        stage.archive.plan(fault)
        k.deliver()
        delivered = {d.id: d.state == "DELIVERED" for d in k.deliveries()}[f"{name}#1:archive"]
        same(f"DELIVERED without a copy after {fault}", delivered and stage.archived(name) != "its frozen rows", False)
        same(f"the rows after {fault}", (str(k.get(name).state), k.tasks(name)[0].output), ("COMPLETED", {"n": 1}))
        stage.clock.advance(600)
        k.deliver()
        same(f"the archive, when it is mended after {fault}", stage.archived(name), "its frozen rows")
        stage.sound(name)


class _Believed:
    """A sink that is believed: nothing is read back."""

    owes = Owes.RECEIPT

    def __init__(self, inner: Sink) -> None:
        self.inner = inner

    def deliver(self, parcel: Parcel) -> str:
        """As the inner sink, which has to say something."""
        return self.inner.deliver(parcel) or "stored"


def _believing(store: Store, **options: Any) -> Kernel:
    """A kernel that believes its sinks."""
    return Kernel(store, **{**options, "sinks": {topic: _Believed(sink) for topic, sink in options["sinks"].items()}})


# ---- B14 -----------------------------------------------------------------------------------------------------------------
UNDO = kernel.WorkflowDef("undo", tasks=[kernel.TaskDef("a")])
WAYS: dict[str, tuple[str, int]] = {
    "completes": ("COMPLETED", 0), "fails": ("FAILED", 1), "times out": ("TIMED_OUT", 1),
    "passes its deadline": ("TIMED_OUT", 1), "is terminated by hand": ("TERMINATED", 1),
    "asks for COMPLETED": ("COMPLETED", 0), "asks for FAILED": ("FAILED", 1), "asks for TERMINATED": ("TERMINATED", 1)}
"""How a workflow may end, the state that it ends in, and how often its failure workflow starts."""


def _ending(way: str) -> kernel.WorkflowDef:
    asks = way.removeprefix("asks for ")
    stop = [] if asks == way else [kernel.TaskDef("stop", kind="terminate", asks=asks, after=["a"])]
    return kernel.WorkflowDef(
        "ending", topics=("archive",), failure_workflow="undo", timeout=60.0, tasks=[
            kernel.TaskDef("a", lease=10.0, on_expiry="TIME_OUT_WF"), *stop])


def _bring_about(stage: Stage, way: str) -> None:
    k = stage.k
    lease = lease_of(k, "a")
    if way == "fails":
        k.fail(lease, retryable=False)
    elif way == "times out" or way == "passes its deadline":
        if way == "passes its deadline":
            k.pause("w")
        stage.clock.advance(11 if way == "times out" else 61)
        k.tick()
    elif way == "is terminated by hand":
        k.terminate("w")
    else:
        k.complete(lease)


def compensated_however_it_ends(stage: Stage) -> None:
    """The failure workflow started when a task failed, but not when a TERMINATE task failed the workflow, nor when somebody
    terminated it by hand: it hung on one of the ways to end.

    Netflix/conductor#1328, Netflix/conductor#1750, conductor-oss/conductor#16, conductor-oss/conductor#1169. Exactly once, also
    when the process dies after it was started.
    """
    for way, (state, times) in WAYS.items():
        for killed in (False, True):
            one = stage.another()
            k = one.k
            k.register(UNDO, _ending(way))
            k.start("ending", workflow_id="w", input={"sku": 7})
            _bring_about(one, way)
            same(f"a workflow that {way}", str(k.get("w").state), state)
            if killed:
                one.crashes.arm(FaultPoint.SENT)
            answer(k.deliver)
            k = one.reborn()
            for _ in range(3):
                one.clock.advance(600)
                k.tick()
                k.deliver()
            found = [w for w in k.find(name="undo").items if w.input.get("workflowId") == "w" and w.input.get("sku") == 7]
            same(f"failure workflows of one that {way}", len(found), times)
            one.sound("w")


def _of_failures_only() -> Program:
    def of_failures(row: Row) -> Row:
        if row.event != "CREATE":
            return row
        told = both(asked_for.holds, either(eq(F("own"), 0), is_("FAILED", of=("of",))))
        return attrs.evolve(row, guards=(attrs.evolve(asked_for, holds=told),))

    return with_rows("delivery", of_failures)


EXHIBITS = (
    Exhibit("B09", ("Netflix/conductor#1662",), archived_without_a_copy, _believing,
            "what the archive says counts, without a copy that is read back"),
    Exhibit("B14", ("Netflix/conductor#1328", "Netflix/conductor#1750", "conductor-oss/conductor#16",
                    "conductor-oss/conductor#1169"),
            compensated_however_it_ends, running(_of_failures_only), "only a FAILED workflow is compensated"),
)
