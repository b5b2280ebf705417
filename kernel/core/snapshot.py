"""What a decision may ask of a store: the rows of one tree, as they are when the commit begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from kernel.core.archive import Hearing
from kernel.core.plan import Tombstone
from kernel.core.records import DeliveryRow, Policy, Prepared, TaskRow, TreeRow, WorkflowRow


class Snapshot(Protocol):
    """The rows of one tree in its present run. The decision may change every row that it gets: nobody else has it."""

    policy: Policy

    def tree(self) -> TreeRow | None:
        """The tree itself; None before it starts."""

    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """One workflow."""

    def task(self, workflow_id: str, no: int) -> TaskRow | None:
        """One task, by position."""

    def tasks(self, workflow_id: str, nos: Sequence[int]) -> Iterable[TaskRow]:
        """Several tasks of one workflow, by position: those of them that exist, in any order."""

    def all_tasks(self, workflow_id: str) -> Iterable[TaskRow]:
        """All tasks of a workflow, by position."""

    def under(self, workflow_id: str, nos: Sequence[int]) -> Iterable[WorkflowRow]:
        """The sub-workflows of every attempt of these tasks of a workflow, and all below them, by id."""

    def ready(self, workflow_id: str) -> Iterable[TaskRow]:
        """The tasks that progress may move once the workflow is RUNNING.

        PENDING with nothing missing, SCHEDULED ones that no worker polls, IN_PROGRESS ones that were signalled early.
        """

    def paused_by(self, workflow_id: str) -> Iterable[WorkflowRow]:
        """The descendants that this workflow's PAUSE paused."""

    def count_workflows(self) -> int:
        """How many workflows the tree has in its present run; 0 before it starts."""

    def every_run(self) -> Iterable[WorkflowRow]:
        """Every workflow of the tree in each of its runs."""

    def outboxes(self) -> Iterable[DeliveryRow]:
        """Every delivery of the tree, of each of its runs."""

    def tombstone(self) -> Tombstone | None:
        """What stays of the tree, if it was purged."""

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One delivery, by its name."""

    def earlier(self, row: DeliveryRow) -> Iterable[DeliveryRow]:
        """The open notices of the same workflow, of any run, that come before a notice."""

    def archiving(self, now: int) -> Hearing | None:
        """What the store itself says of archives at this time; None where each definition says it."""

    def payload(self, workflow_id: str, no: int, what: str) -> str | None:
        """A JSON text: the input or output of a task, or (no = OWN) the input of a workflow."""

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition; the latest one when no version is asked for."""
