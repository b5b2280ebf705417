"""The rows of one tree as a decision asks for them, read from Redis and compared when the plan is committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kernel.core.archive import Hearing
from kernel.core.plan import Subject
from kernel.core.records import TaskRow, WorkflowRow, root_of
from kernel.stores.reader_snapshot import ReaderSnapshot

if TYPE_CHECKING:
    from kernel.stores.redis_work import RedisWork


class RedisSnapshot(ReaderSnapshot["RedisWork"]):
    """The rows of one tree in its present run."""

    def __init__(self, transaction: RedisWork, subject: Subject) -> None:
        super().__init__(transaction, root_of(subject.workflow), transaction.read_ahead(subject))
        self.policy = transaction.store.policy
        self._workflows: int | None = None

    def tasks(self, workflow_id: str, nos: Sequence[int]) -> Iterable[TaskRow]:
        """Several tasks of one workflow."""
        return self.transaction.some_tasks(workflow_id, self.run, nos)

    def under(self, workflow_id: str, nos: Sequence[int]) -> Iterable[WorkflowRow]:
        """The sub-workflows of every attempt of these tasks, and all below them."""
        rows, asked = self.transaction.below(workflow_id, self.run) if nos else [], set(nos)
        first = tuple(f"{row.id}/" for row in rows if row.parent == workflow_id and row.parent_no in asked)
        return [row for row in rows if f"{row.id}/".startswith(first)] if first else []

    def ready(self, workflow_id: str) -> Iterable[TaskRow]:
        """The tasks that progress may move once the workflow is RUNNING."""
        return [
            row for row in self.transaction.tasks(workflow_id, self.run)
            if (row.state == "PENDING" and row.counts[0] == 0) or (row.state == "SCHEDULED" and row.mode != "WORKER")
            or (row.state == "IN_PROGRESS" and row.signalled)
        ]

    def paused_by(self, workflow_id: str) -> Iterable[WorkflowRow]:
        """The descendants that this workflow's PAUSE paused."""
        return [row for row in self.transaction.below(workflow_id, self.run)
                if row.run == self.run and row.id != workflow_id and row.state == "PAUSED" and row.paused_by == workflow_id]

    def count_workflows(self) -> int:
        """How many workflows the tree has in its present run."""
        if self._workflows is None:
            self._workflows = self.transaction.workflows_of(self.root)
        return self._workflows

    def every_run(self) -> Iterable[WorkflowRow]:
        """Every workflow of the tree in each of its runs."""
        return self.transaction.family(self.root)

    def archiving(self, now: int) -> Hearing | None:
        """What the store itself says of archives at this time."""
        return self.transaction.archiving(self.root, now)
