"""The rows of one tree as a decision asks for them, read in the transaction that will write the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kernel.core.archive import Hearing
from kernel.core.checks import canonical
from kernel.core.plan import Subject, Tombstone
from kernel.core.records import DeliveryRow, Prepared, TaskRow, TreeRow, WorkflowRow, root_of

if TYPE_CHECKING:
    from kernel.stores.sql_transaction import SqlTransaction


class SqlSnapshot:
    """The rows of one tree in its present run. Every answer is made anew from the database."""

    def __init__(self, transaction: SqlTransaction, subject: Subject) -> None:
        self.transaction, self.policy = transaction, transaction.store.policy
        self.root = root_of(subject.workflow)
        self.row = transaction.read_ahead(subject) or transaction.tree(self.root)
        self.run = 1 if self.row is None else self.row.run

    def tree(self) -> TreeRow | None:
        """The tree itself; None before it starts."""
        return self.row

    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """One workflow."""
        return self.transaction.workflow(workflow_id, self.run)

    def task(self, workflow_id: str, no: int) -> TaskRow | None:
        """One task."""
        return self.transaction.task(workflow_id, self.run, no)

    def tasks(self, workflow_id: str, nos: Sequence[int]) -> Iterable[TaskRow]:
        """Several tasks of one workflow."""
        found = (self.transaction.task(workflow_id, self.run, no) for no in nos)
        return [row for row in found if row is not None]

    def all_tasks(self, workflow_id: str) -> Iterable[TaskRow]:
        """All tasks of a workflow."""
        return self.transaction.tasks(workflow_id, self.run)

    def under(self, workflow_id: str, nos: Sequence[int]) -> Iterable[WorkflowRow]:
        """The sub-workflows of every attempt of these tasks, and all below them."""
        return self.transaction.workflow_rows("under", {"id": workflow_id, "nos": canonical(list(nos))}) if nos else ()

    def ready(self, workflow_id: str) -> Iterable[TaskRow]:
        """The tasks that progress may move once the workflow is RUNNING."""
        return self.transaction.task_rows("ready", workflow_id, self.run)

    def paused_by(self, workflow_id: str) -> Iterable[WorkflowRow]:
        """The descendants that this workflow's PAUSE paused."""
        return self.transaction.workflow_rows("paused_by", {"id": workflow_id, "run": self.run})

    def every_run(self) -> Iterable[WorkflowRow]:
        """Every workflow of the tree in each of its runs."""
        return self.transaction.workflow_rows("every_run", {"root": self.root})

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

    def archiving(self, now: int) -> Hearing | None:
        """What the store itself says of archives at this time."""
        return self.transaction.archiving(now)

    def payload(self, workflow_id: str, no: int, what: str) -> str | None:
        """A JSON text."""
        return self.transaction.payload(workflow_id, self.run, no, what)

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition."""
        return self.transaction.definition(name, version)
