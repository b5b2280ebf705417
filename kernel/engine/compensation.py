"""The sink of topic "compensation", which the kernel itself has: it starts the failure workflow of a run that went wrong.

It is delivered like anything else: after the commit, outside any transaction, again after a crash. The workflow's id is made
of the run that it is for, so starting it twice starts it once; its id is the receipt.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from kernel.core.plan import Subject
from kernel.core.records import OWN
from kernel.engine import inputs, reading
from kernel.engine.explain import not_found
from kernel.engine.sinks import Owes, Parcel
from kernel.errors import quoted
from kernel.spec.vocabulary import CLOSED_BADLY

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel
    from kernel.engine.ports import Transaction


def compensation_id(store: str, workflow_id: str, run: int) -> str:
    """The id of the failure workflow of a run: always the same, and no other run of any store has it."""
    return f"failure-{hashlib.sha256(f'{store}:{workflow_id}#{run}'.encode()).hexdigest()[:24]}"


class Compensation:
    """Starts failure workflows. Owes a receipt: the id of the workflow that it started."""

    owes: ClassVar[Owes] = Owes.RECEIPT

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def deliver(self, parcel: Parcel) -> str:
        """Start the failure workflow, or find it started; it may even be over and purged."""
        kernel, origin, run = self.kernel, parcel.workflow_id, parcel.run
        own = compensation_id(kernel.store.id, origin, run)
        with kernel.store.transaction(write=False) as transaction:
            name, given = _origin(transaction, origin, run)
            if transaction.tombstone(own) is not None:
                return own
        reason = f"run {run} of workflow {origin} is {given['failureStatus']}"
        return kernel.start(
            name, input=given, workflow_id=own, actor="relay", reason=reason[:inputs.LONGEST_REASON]).id


def _origin(transaction: Transaction, workflow_id: str, run: int) -> tuple[str, dict[str, Any]]:
    """The failure workflow of a run, and what it is started with: the run's input, and what became of it."""
    row = transaction.workflow(workflow_id, run)
    name = None if row is None else row.prepared.definition.source.failure_workflow
    if row is None or name is None:
        raise not_found(Subject(workflow_id))
    source, own = row.prepared.definition.source, reading.loaded(transaction.payload(workflow_id, run, OWN, "input")) or {}
    bad = [task for task in transaction.tasks(workflow_id, run) if task.state in CLOSED_BADLY]
    bad.sort(key=lambda task: (task.state == "CANCELED", task.changed, task.no))
    return _named(name, own), {
        **own, "workflowId": workflow_id, "failureStatus": row.state, "reason": row.reason,
        "failureTaskId": f"{workflow_id}/{bad[0].ref}" if bad else None,
        "failedWorkflow": {"workflowId": workflow_id, "run": run, "workflowType": source.name, "version": source.version,
                           "status": row.state},
    }


def _named(name: str, own: dict[str, Any]) -> str:
    """The definition's name; one that begins with $ is that of the key of the run's input that holds it, as in Conductor."""
    if not name.startswith("$"):
        return name
    key = name.strip("${}").rpartition(".")[2]
    return inputs.name(own.get(key), f"the failure workflow that {quoted(name)} names")
