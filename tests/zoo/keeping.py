"""What is archived, removed, compensated and opened again."""

from __future__ import annotations

from typing import Any

import kernel
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.sinks import Owes, Parcel, Sink
from kernel.testing.sinks import Behaviour
from tests.zoo.stand import Exhibit, Stage, lease_of, same

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


EXHIBITS = (
    Exhibit("B09", ("Netflix/conductor#1662",), archived_without_a_copy, _believing,
            "what the archive says counts, without a copy that is read back"),
)
