"""What the snapshots of stores outside memory share: the transaction that they read in answers for the present run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from kernel.core.plan import Tombstone
from kernel.core.records import DeliveryRow, Prepared, TaskRow, TreeRow, WorkflowRow


class Reading(Protocol):
    """What a transaction is asked."""

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run."""

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """One task."""

    def tasks(self, workflow_id: str, run: int) -> Iterable[TaskRow]:
        """The tasks of a workflow, by position."""

    def outboxes(self, root: str) -> list[DeliveryRow]:
        """Every delivery of a tree, of each of its runs."""

    def tombstone(self, root: str) -> Tombstone | None:
        """What stays of a tree that was purged."""

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One delivery, by its name."""

    def earlier(self, row: DeliveryRow) -> Iterable[DeliveryRow]:
        """The open notices of the same workflow that come before a notice."""

    def payload(self, workflow_id: str, run: int, no: int, what: str) -> str | None:
        """A JSON text."""

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition."""


Reader = TypeVar("Reader", bound=Reading)


class ReaderSnapshot(Generic[Reader]):
    """The rows of one tree in its present run. Every answer is made anew from what the store gives."""

    __slots__ = ("policy", "root", "row", "run", "transaction")

    def __init__(self, transaction: Reader, root: str, row: TreeRow | None) -> None:
        """`row` is the tree itself; None before it starts."""
        self.transaction, self.root, self.row = transaction, root, row
        self.run = 1 if row is None else row.run

    def tree(self) -> TreeRow | None:
        """The tree itself; None before it starts."""
        return self.row

    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """One workflow."""
        return self.transaction.workflow(workflow_id, self.run)

    def task(self, workflow_id: str, no: int) -> TaskRow | None:
        """One task."""
        return self.transaction.task(workflow_id, self.run, no)

    def all_tasks(self, workflow_id: str) -> Iterable[TaskRow]:
        """All tasks of a workflow."""
        return self.transaction.tasks(workflow_id, self.run)

    def outboxes(self) -> Iterable[DeliveryRow]:
        """Every delivery of the tree, of each of its runs."""
        return self.transaction.outboxes(self.root)

    def tombstone(self) -> Tombstone | None:
        """What stays of the tree, if it was purged."""
        return self.transaction.tombstone(self.root)

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One delivery, by its name."""
        return self.transaction.delivery(workflow_id, run, name)

    def earlier(self, row: DeliveryRow) -> Iterable[DeliveryRow]:
        """The open notices of the same workflow that come before a notice."""
        return self.transaction.earlier(row)

    def payload(self, workflow_id: str, no: int, what: str) -> str | None:
        """A JSON text."""
        return self.transaction.payload(workflow_id, self.run, no, what)

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition."""
        return self.transaction.definition(name, version)
