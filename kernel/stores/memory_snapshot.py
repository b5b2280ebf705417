"""The rows of one tree as a decision asks for them: private copies of those in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kernel.core.archive import Hearing
from kernel.core.outbox import hearing_of
from kernel.core.plan import Tombstone
from kernel.core.records import (
    DeliveryRow,
    Prepared,
    TaskRow,
    TreeRow,
    WorkflowRow,
    root_of,
)
from kernel.core.working_set import in_scope
from kernel.spec.vocabulary import UNSETTLED

if TYPE_CHECKING:
    from kernel.stores.memory import MemoryStore


class MemorySnapshot:
    """The rows of one tree in its present run, as private copies."""

    def __init__(self, store: MemoryStore, root: str) -> None:
        self.store, self.root, self.policy = store, root, store.policy
        self.row = store.trees.get(root)
        self.run = 1 if self.row is None else self.row.run

    def tree(self) -> TreeRow | None:
        """The tree itself; None before it starts."""
        row = self.row
        return None if row is None else TreeRow(row.root, row.run, row.version, row.clock, row.tasks)

    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """One workflow."""
        row = self.store.find(workflow_id, self.run)
        return row.copy() if row is not None else None

    def task(self, workflow_id: str, no: int) -> TaskRow | None:
        """One task."""
        row = self.store.own(workflow_id, self.run).get(no)
        return row.copy() if row is not None else None

    def tasks(self, workflow_id: str, nos: Sequence[int]) -> Iterable[TaskRow]:
        """Several tasks of one workflow."""
        own, found = self.store.own(workflow_id, self.run), []
        for no in nos:
            row = own.get(no)
            if row is not None:
                found.append(row.copy())
        return found

    def all_tasks(self, workflow_id: str) -> Iterable[TaskRow]:
        """All tasks of a workflow."""
        rows = self.store.own(workflow_id, self.run)
        return [rows[no].copy() for no in sorted(rows)]

    def under(self, workflow_id: str, nos: Sequence[int]) -> Iterable[WorkflowRow]:
        """The sub-workflows of every attempt of these tasks, and all below them."""
        rows, asked = self.store.below(workflow_id, self.run), set(nos)
        first = tuple(row.id for row in rows if row.parent == workflow_id and row.parent_no in asked)
        return [row.copy() for row in rows if any(row.id == one or row.id.startswith(one + "/") for one in first)]

    def ready(self, workflow_id: str) -> Iterable[TaskRow]:
        """The tasks that progress may move once the workflow is RUNNING."""
        return [
            row.copy() for row in self.store.own(workflow_id, self.run).values()
            if (row.state == "PENDING" and row.counts[0] == 0) or (row.state == "SCHEDULED" and row.mode != "WORKER")
            or (row.state == "IN_PROGRESS" and row.signalled)
        ]

    def paused_by(self, workflow_id: str) -> Iterable[WorkflowRow]:
        """The descendants that this workflow's PAUSE paused."""
        return [
            row.copy() for (owner, run), row in self.store.workflows.items()
            if run == self.run and row.state == "PAUSED" and row.paused_by == workflow_id
            and in_scope("subs", workflow_id, owner)
        ]

    def count_workflows(self) -> int:
        """How many workflows the tree has in its present run."""
        return len(self.store.below(self.root, self.run))

    def every_run(self) -> Iterable[WorkflowRow]:
        """Every workflow of the tree in each of its runs."""
        return [row.copy() for (owner, _), row in self.store.workflows.items() if root_of(owner) == self.root]

    def outboxes(self) -> Iterable[DeliveryRow]:
        """Every delivery of the tree, of each of its runs."""
        return [row.copy() for key, row in self.store.outbox.items() if root_of(key[0]) == self.root]

    def tombstone(self) -> Tombstone | None:
        """What stays of the tree, if it was purged."""
        return self.store.tombstones.get(self.root)

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One delivery, by its name."""
        row = self.store.outbox.get((workflow_id, run, name))
        if row is None:
            return None
        found, owner = row.copy(), self.store.workflows.get((workflow_id, run))
        found.hearing = found.hearing if owner is None else hearing_of(owner.prepared, row.topic, None)
        return found

    def earlier(self, row: DeliveryRow) -> Iterable[DeliveryRow]:
        """The open notices of the same workflow that come before a notice."""
        return [other.copy() for (owner, _, _), other in self.store.outbox.items()
                if owner == row.workflow and other.topic == row.topic and other.state in UNSETTLED and other.turn < row.turn]

    def archiving(self, now: int) -> Hearing | None:
        """What the store itself says of archives at this time."""
        since = max((since for since in self.store.archive if since <= now), default=None)
        return None if since is None else self.store.archive[since][1]

    def payload(self, workflow_id: str, no: int, what: str) -> str | None:
        """A JSON text."""
        row = self.store.find(workflow_id, self.run)
        return None if row is None else self.store.payloads.get((workflow_id, row.run, no, what))

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition."""
        return definition_of(self.store, name, version)


def definition_of(store: MemoryStore, name: str, version: int | None) -> Prepared | None:
    """A registered definition; the latest one when no version is asked for."""
    versions = [v for n, v in store.definitions if n == name] if version is None else [version]
    return store.definitions.get((name, max(versions))) if versions else None
