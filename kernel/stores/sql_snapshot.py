"""The rows of one tree as a decision asks for them, read in the transaction that will write the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kernel.core.archive import Hearing
from kernel.core.checks import canonical
from kernel.core.plan import Subject
from kernel.core.records import TaskRow, WorkflowRow, root_of
from kernel.spec.language import NEVER
from kernel.stores.reader_snapshot import ReaderSnapshot

if TYPE_CHECKING:
    from kernel.stores.sql_transaction import SqlTransaction


class SqlSnapshot(ReaderSnapshot["SqlTransaction"]):
    """The rows of one tree in its present run."""

    def __init__(self, transaction: SqlTransaction, subject: Subject) -> None:
        root = root_of(subject.workflow)
        super().__init__(transaction, root, transaction.read_ahead(subject) or transaction.tree(root))
        self.policy = transaction.store.policy

    def tasks(self, workflow_id: str, nos: Sequence[int]) -> Iterable[TaskRow]:
        """Several tasks of one workflow."""
        return self.transaction.several(workflow_id, self.run, nos)

    def under(self, workflow_id: str, nos: Sequence[int]) -> Iterable[WorkflowRow]:
        """The sub-workflows of every attempt of these tasks, and all below them."""
        return self.transaction.workflow_rows("under", {"id": workflow_id, "nos": canonical(list(nos))}) if nos else ()

    def ready(self, workflow_id: str) -> Iterable[TaskRow]:
        """The tasks that progress may move once the workflow is RUNNING."""
        return self.transaction.task_rows("ready", workflow_id, self.run)

    def paused_by(self, workflow_id: str) -> Iterable[WorkflowRow]:
        """The descendants that this workflow's PAUSE paused."""
        return self.transaction.workflow_rows("paused_by", {"id": workflow_id, "run": self.run})

    def count_workflows(self) -> int:
        """How many workflows the tree has in its present run."""
        return sum(1 for row in self.every_run() if row.until >= NEVER)

    def every_run(self) -> Iterable[WorkflowRow]:
        """Every workflow of the tree in each of its runs."""
        return self.transaction.workflow_rows("every_run", {"root": self.root})

    def archiving(self, now: int) -> Hearing | None:
        """What the store itself says of archives at this time."""
        return self.transaction.archiving(now)
