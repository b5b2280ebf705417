"""A store of dictionaries for tests of the decision: rows by id, private copies, plans applied in their documented order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field

from kernel.core.archive import Hearing
from kernel.core.outbox import Swept, cause_of, emitted, noticed
from kernel.core.plan import Cascade, Plan, Reopened, Tombstone
from kernel.core.program import standard_program
from kernel.core.records import (
    Change,
    DeliveryRow,
    Policy,
    Prepared,
    Record,
    TaskRow,
    TreeRow,
    WorkflowRow,
)
from kernel.core.working_set import in_scope
from kernel.spec.vocabulary import ABSENT


@define
class World:
    """The rows of one tree in its present run, and the definitions that exist. It is a Snapshot."""

    root: TreeRow | None = None
    workflows: dict[str, WorkflowRow] = field(factory=dict)
    own: dict[tuple[str, int], TaskRow] = field(factory=dict)
    outbox: dict[tuple[str, int, str], DeliveryRow] = field(factory=dict)
    payloads: dict[tuple[str, int, str], str] = field(factory=dict)
    definitions: Mapping[str, Prepared] = field(factory=dict)
    policy: Policy = field(factory=Policy)
    grave: Tombstone | None = None

    # ---- what a decision asks -------------------------------------------------------------------------------------------
    def tree(self) -> TreeRow | None:
        """The tree itself."""
        row = self.root
        return row and TreeRow(row.root, row.run, row.version, row.clock, row.tasks)

    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """A copy of one workflow."""
        row = self.workflows.get(workflow_id)
        return row and row.copy()

    def task(self, workflow_id: str, no: int) -> TaskRow | None:
        """A copy of one task."""
        row = self.own.get((workflow_id, no))
        return row and row.copy()

    def tasks(self, workflow_id: str, nos: Sequence[int]) -> list[TaskRow]:
        """Copies of several tasks, of those that exist."""
        return [self.own[workflow_id, no].copy() for no in nos if (workflow_id, no) in self.own]

    def all_tasks(self, workflow_id: str) -> list[TaskRow]:
        """Copies of all tasks of a workflow, by position."""
        return [row.copy() for (owner, _), row in sorted(self.own.items(), key=lambda e: e[0]) if owner == workflow_id]

    def under(self, workflow_id: str, nos: Sequence[int]) -> list[WorkflowRow]:
        """Copies of the sub-workflows of these tasks, and of all below them."""
        first = [w.id for w in self.workflows.values() if w.parent == workflow_id and w.parent_no in nos]
        return [w.copy() for i, w in self.workflows.items() if any(i == one or i.startswith(one + "/") for one in first)]

    def ready(self, workflow_id: str) -> list[TaskRow]:
        """Copies of the tasks that progress may move once the workflow is RUNNING."""
        return [
            row.copy() for (owner, _), row in self.own.items() if owner == workflow_id and (
                (row.state == "PENDING" and row.counts == [0])
                or (row.state == "SCHEDULED" and row.mode != "WORKER")
                or (row.state == "IN_PROGRESS" and row.signalled))
        ]

    def paused_by(self, workflow_id: str) -> list[WorkflowRow]:
        """Copies of the descendants that this workflow's PAUSE paused."""
        return [
            row.copy() for owner, row in self.workflows.items()
            if row.state == "PAUSED" and row.paused_by == workflow_id and in_scope("subs", workflow_id, owner)
        ]

    def count_workflows(self) -> int:
        """How many workflows there are."""
        return len(self.workflows)

    def every_run(self) -> list[WorkflowRow]:
        """Copies of all workflows."""
        return [row.copy() for row in self.workflows.values()]

    def outboxes(self) -> list[DeliveryRow]:
        """Copies of all deliveries."""
        return [row.copy() for row in self.outbox.values()]

    def tombstone(self) -> Tombstone | None:
        """What stays of the tree, if it was purged."""
        return self.grave

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """A copy of one delivery."""
        row = self.outbox.get((workflow_id, run, name))
        return row and row.copy()

    def earlier(self, row: DeliveryRow) -> list[DeliveryRow]:
        """Copies of the open notices before one."""
        return [other.copy() for other in self.outbox.values()
                if other.workflow == row.workflow and other.version and other.turn < row.turn
                and other.state in ("PENDING", "LEASED")]

    def archiving(self, now: int) -> Hearing | None:
        """The store says nothing of archives."""
        return None

    def payload(self, workflow_id: str, no: int, what: str) -> str | None:
        """A JSON text."""
        return self.payloads.get((workflow_id, no, what))

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A definition."""
        return self.definitions.get(name)

    # ---- writing a plan -------------------------------------------------------------------------------------------------
    def after(self, plan: Plan) -> tuple[World, list[Change]]:
        """The world as the plan leaves it, and all of the commit's history."""
        if plan.purged is not None:
            return World(definitions=self.definitions, policy=self.policy, grave=plan.purged), plan.changes
        world = evolve(
            self, workflows=dict(self.workflows), own={place: row.copy() for place, row in self.own.items()},
            outbox=dict(self.outbox), payloads=dict(self.payloads))
        first = [line for row in plan.aside for line in world.set_aside(row, plan)]
        for reopened in plan.reopened:
            world.reopen(reopened)
        first += [line for cascade in plan.first for line in world.cascade(cascade, plan)]
        written: list[list[Any]] = [
            plan.created_workflows, plan.workflows, plan.created_tasks, plan.tasks, plan.created_deliveries, plan.deliveries]
        for rows in written:
            for row in rows:
                world.put(row)
        last = [line for cascade in plan.last for line in world.cascade(cascade, plan)]
        for payload in plan.payloads:
            if payload.text is None:
                world.payloads.pop(payload[:3], None)
            else:
                world.payloads[payload[:3]] = payload.text
        lines = [*first, *plan.changes, *last]
        if lines:
            world.root = plan.tree
        return world, lines

    def set_aside(self, row: WorkflowRow, plan: Plan) -> list[Change]:
        """Forget a workflow that stays behind with its run, and its tasks."""
        found = Counter(task.state for (owner, _), task in self.own.items() if owner == row.id)
        for place in [place for place in self.own if place[0] == row.id]:
            del self.own[place]
        del self.workflows[row.id]
        name = plan.command.name
        moved = [("workflow", row.state, 1), *(("task", state, count) for state, count in sorted(found.items()))]
        return [Change(kind, row.id, "", "SET_ASIDE", state, ABSENT, 0, count, name, "") for kind, state, count in moved]

    def reopen(self, reopened: Reopened) -> None:
        """Take what a workflow keeps into its next run."""
        workflow = reopened.workflow
        assert self.workflows[workflow.id].run == reopened.was
        self.put(workflow)
        for no in reopened.gone:
            del self.own[workflow.id, no]
            for what in ("input", "output", "definition"):
                self.payloads.pop((workflow.id, no, what), None)
        for (owner, no), row in self.own.items():
            if owner == workflow.id:
                row.run = workflow.run
                if no in reopened.again:
                    self.payloads.pop((owner, no, "input"), None)
                    self.payloads.pop((owner, no, "output"), None)

    def put(self, row: Record) -> None:
        """Write one row."""
        if isinstance(row, WorkflowRow):
            self.workflows[row.id] = row.copy()
        elif isinstance(row, TaskRow):
            self.own[row.workflow, row.no] = row.copy()
        else:
            self.outbox[row.workflow, row.run, row.name] = row.copy()

    def behind(self, cascade: Cascade) -> Iterator[WorkflowRow | TaskRow]:
        """Copies of the rows behind the link of a cascade; a task sees its workflow as it stands now."""
        if cascade.kind == "workflow":
            yield from (w.copy() for i, w in self.workflows.items() if in_scope(cascade.link, cascade.workflow, i))
            return
        for row in self.own.values():
            if in_scope(cascade.link, cascade.workflow, row.workflow):
                copy = row.copy()
                copy.wf = self.workflows[row.workflow]
                yield copy

    def cascade(self, cascade: Cascade, plan: Plan) -> list[Change]:
        """Move a set of rows as one statement does: all is read before anything is written.

        One line of history for each workflow and state that rows were in.
        """
        line, given = cascade.line, cascade.given
        moving = [r for r in self.behind(cascade) if r.state in line.row.source and cascade.where(r, given)]
        changed = [[(name, read(row, given)) for name, read in line.sets] for row in moving]
        found: Counter[tuple[str, str]] = Counter()
        before = {row.id: row.state for row in moving if isinstance(row, WorkflowRow)}
        told: list[Change] = []
        for row, values in zip(moving, changed, strict=True):
            found[row.id if isinstance(row, WorkflowRow) else row.workflow, row.state] += 1
            for name, value in values:
                setattr(row, name, value)
            row.state, row.changed = line.target, plan.now
            self.put(row)
            if isinstance(row, WorkflowRow) and cascade.emits:
                told += self.tell(row, Change("workflow", row.id, "", line.event, before[row.id], row.state, 0, 1, cascade.by,
                                              cascade.reason), cascade, plan)
        moved = [
            Change(cascade.kind, owner, "", line.event, source, line.target, 0, count, cascade.by, cascade.reason)
            for (owner, source), count in found.items() if source != line.target
        ]
        return moved + told

    def tell(self, workflow: WorkflowRow, change: Change, cascade: Cascade, plan: Plan) -> list[Change]:
        """Write the deliveries and the notice of a workflow that a cascade moved."""
        given = (standard_program(), Swept(workflow.state), workflow.prepared, (workflow.id, workflow.run), plan.now,
                 self.policy)
        rows = [*emitted(*given, None)] if "outbox" in cascade.emits else []
        if "notices" in cascade.emits:
            rows += noticed(*given, plan.tree.version, cause_of(change, plan.command, plan.now))
        for row in rows:
            self.put(row)
        return [Change("delivery", workflow.id, row.name, "CREATE", ABSENT, row.state, 0, 1, "CREATE", "") for row in rows]
