"""The rows of one decision: read from a snapshot when they are asked for, linked, and kept until the plan is made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kernel.core.archive import ARCHIVE
from kernel.core.judge import Judged, judge
from kernel.core.outbox import Swept, archives, cause_of, emitted, hearing_of, noticed
from kernel.core.plan import Cascade, Command, Plan, Subject
from kernel.core.program import Line, Program
from kernel.core.reach import behind
from kernel.core.records import (
    OWN,
    Change,
    DeliveryRow,
    Prepared,
    Record,
    TaskRow,
    TreeRow,
    WorkflowRow,
    child_id,
)
from kernel.core.snapshot import Snapshot
from kernel.errors import StoreCorrupt, quoted
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ABSENT

_NOTHING: Mapping[Any, Any] = {}
_NOBODY: frozenset[Any] = frozenset()


class WorkingSet:
    """Loads rows as they are needed, links them, and lets a row that is read late catch up with the cascades so far."""

    __slots__ = (
        "anew", "before", "cause", "command", "given", "gone", "links", "now", "plan", "program", "snapshot", "tasks", "tree",
        "whole", "woken", "workflows",
    )

    def __init__(self, program: Program, snapshot: Snapshot, command: Command, tree: TreeRow, now: int) -> None:
        """`now` is in microseconds; `given` is what the command's guards and fields read."""
        self.program, self.snapshot, self.command, self.tree, self.now = program, snapshot, command, tree, now
        self.plan = Plan(command, now, tree, False)
        self.given: Mapping[str, Any] = {**command.given, "now": now, "chance": command.chance}
        self.cause = ""
        """Why the next end up the tree happens, in words."""
        self.workflows: dict[str, WorkflowRow] = {}
        self.tasks: dict[tuple[str, int], TaskRow] = {}
        self.before: dict[str, WorkflowRow] = {}
        self.woken: dict[WorkflowRow | TaskRow, None] = {}
        self.whole: Mapping[str, list[TaskRow]] = _NOTHING
        """All tasks of those workflows that were read as a whole."""
        self.links: Mapping[tuple[TaskRow, str], Any] = _NOTHING
        """What the task that the caller names is linked to."""
        self.gone: frozenset[str] = _NOBODY
        """The workflows that this decision set aside, and where it may start others."""
        self.anew: frozenset[tuple[str, int]] = _NOBODY
        """The tasks that start again: nothing that they took in or gave in an earlier run counts."""

    def set_time(self, now: int) -> None:
        """Decide as of another time than the one given."""
        self.now = self.plan.now = now
        self.given = {**self.given, "now": now}

    # ---- loading ------------------------------------------------------------------------------------------------------
    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """A workflow of the tree, with what this decision did to it."""
        row = self.workflows.get(workflow_id)
        if row is None and workflow_id not in self.gone:
            row = self.snapshot.workflow(workflow_id)
            if row is not None:
                self._take_in(row)
        return row

    def keep_workflow(self, row: WorkflowRow) -> WorkflowRow:
        """Take a freshly read workflow into the view, unless it is there."""
        known = self.workflows.get(row.id)
        if known is not None:
            return known
        self._take_in(row)
        return row

    def _take_in(self, row: WorkflowRow) -> None:
        row.view = self
        self.workflows[row.id] = row
        if self.plan.first or self.plan.last:
            self._catch_up(row)

    def task(self, workflow_id: str, no: int) -> TaskRow:
        """A task of the tree, with what this decision did to it. Raises StoreCorrupt when it is not there."""
        row = self.tasks.get((workflow_id, no))
        if row is None:
            found = self.snapshot.task(workflow_id, no)
            if found is None:
                raise missing(f"task number {no} of workflow {quoted(workflow_id)}")
            row = self.keep_task(found)
        return row

    def keep_task(self, row: TaskRow) -> TaskRow:
        """Take a freshly read task into the view, unless it is there. Raises StoreCorrupt when its workflow is not there."""
        known = self.tasks.get((row.workflow, row.no))
        if known is not None:
            return known
        workflow = self.workflow(row.workflow)
        if workflow is None:
            raise missing(f"workflow {quoted(row.workflow)}")
        self._link(row, workflow)
        return row

    def named(self, subject: Subject) -> TaskRow | None:
        """The task that the caller names besides the subject of the command; None when there is no such row."""
        row = None if subject.no is None else self.snapshot.task(subject.workflow, subject.no)
        return None if row is None else self.keep_task(row)

    def own(self, workflow: WorkflowRow) -> list[TaskRow]:
        """All tasks of a workflow, by position."""
        rows = self.whole.get(workflow.id)
        if rows is None:
            rows = [self.keep_task(row) for row in self.snapshot.all_tasks(workflow.id)]
            self.whole = {**self.whole, workflow.id: rows}
        return rows

    def behind(self, row: Record, link: str) -> Any:
        """The rows behind a set link that nothing counts: of a workflow, of a task that the caller names, of a notice."""
        if isinstance(row, DeliveryRow):
            return self.snapshot.earlier(row)
        if isinstance(row, WorkflowRow):
            return self.own(row) if link == "tasks" else self._whole_tree(row, link)
        found = self.links.get((row, link))
        if found is None:
            found = behind(row, link)
            self.links = {**self.links, (row, link): found}
        return found

    def _whole_tree(self, root: WorkflowRow, link: str) -> Iterable[WorkflowRow | DeliveryRow]:
        """What a root has in all its runs: sub-workflows, deliveries, or for each workflow its archive."""
        if link == "subs":
            return (row for row in self.snapshot.every_run() if row.id != root.id)
        outboxes = self.snapshot.outboxes()
        return outboxes if link == "all_outboxes" else archives(
            self.snapshot.every_run(), outboxes, self.snapshot.archiving(self.now))

    def retention(self, row: WorkflowRow) -> int:
        """How long the rows of a workflow stay after its end, by the policy that is in force now."""
        return hearing_of(row.prepared, ARCHIVE, self.snapshot.archiving(self.now)).retention

    def _link(self, row: TaskRow, workflow: WorkflowRow) -> None:
        row.wf, row.view = workflow, self
        self.tasks[row.workflow, row.no] = row
        if self.plan.first or self.plan.last:
            self._catch_up(row)

    def child(self, task: TaskRow) -> WorkflowRow | None:
        """The sub-workflow of the task's present attempt."""
        return self.workflow(child_id(task))

    def fresh_workflow(self, workflow_id: str, prepared: Prepared, up: TaskRow | None) -> WorkflowRow:
        """A workflow that does not exist yet."""
        row = WorkflowRow(
            workflow_id, self.tree.run, ABSENT, up.workflow if up else "", up.no if up else OWN, up.attempt if up else 0,
            up.wf.depth + 1 if up else 0, prepared, self.now, self.now, NEVER, "", 0, "",
            [0] * self.program.width["workflow"],
        )
        row.view, row.touched = self, True
        row.purged = int(up is None and self.snapshot.tombstone() is not None)
        self.workflows[workflow_id] = row
        return row

    def judged(self, task: TaskRow) -> Judged:
        """The verdict on a task, once per decision; anew for one that waits while what it stands on changed."""
        verdict = task.verdict
        if verdict is None or (task.state == "SCHEDULED" and verdict.outdated(self, task)):
            verdict = task.verdict = judge(self, task)
        return verdict

    def choice(self, switch: TaskRow) -> int:
        """The number of the branch that a switch chose when it was passed."""
        output = json.loads(self.payload(switch.workflow, switch.no, "output") or "{}")
        cases = switch.wf.prepared.definition.cases[switch.no]
        value = output.get("selectedCase")
        return 2 + cases.index(value) if value in cases else 1

    def payload(self, workflow_id: str, no: int, what: str) -> str | None:
        """A JSON text, the ones of this decision included."""
        for payload in reversed(self.plan.payloads):
            if payload[:3] == (workflow_id, no, what):
                return payload.text
        if workflow_id in self.gone or (workflow_id, no) in self.anew:
            return None
        return self.snapshot.payload(workflow_id, no, what)

    def successors(self, task: TaskRow) -> list[TaskRow]:
        """The tasks that come directly after a task."""
        workflow, wf, rows, absent = task.workflow, task.wf, [], []
        numbers = wf.prepared.definition.successors[task.no]
        for no in numbers:
            row = self.tasks.get((workflow, no))
            if row is None:
                absent.append(no)
            else:
                rows.append(row)
        if absent:
            for row in self.snapshot.tasks(workflow, absent):
                self._link(row, wf)
                rows.append(row)
            if len(rows) < len(numbers):
                raise missing(f"a task of workflow {quoted(workflow)}")
        return rows

    # ---- what a cascade does to the rows in the view ------------------------------------------------------------------
    def write(self, row: WorkflowRow | TaskRow) -> None:
        """Let the plan write the row, once."""
        row.touched = True
        if isinstance(row, TaskRow):
            self.plan.tasks.append(row)
        else:
            self.plan.workflows.append(row)

    def _emit(self, workflow: WorkflowRow, line: Line, change: Change, *, swept: bool = False) -> None:
        """Write what a workflow tells when it comes to a state: the deliveries of its run's end, a notice of its status."""
        prepared, run, policy = workflow.prepared, (workflow.id, workflow.run), self.snapshot.policy
        of, rows = Swept(line.target) if swept else workflow, list[DeliveryRow]()
        if prepared.topics and "outbox" in line.emits:
            rows += emitted(self.program, of, prepared, run, self.now, policy, self.snapshot.archiving(self.now))
        if prepared.notify and "notices" in line.emits:
            cause = cause_of(change, self.command, self.now)
            rows += noticed(self.program, of, prepared, run, self.now, policy, self.tree.version + 1, cause)
        for row in rows:
            self.plan.created_deliveries.append(row)
            self.plan.changes.append(
                Change("delivery", workflow.id, row.name, "CREATE", ABSENT, row.state, 0, 1, "CREATE", ""))

    def keep_delivery(self, row: DeliveryRow) -> DeliveryRow:
        """Let a freshly read delivery be judged by the policy that is in force now."""
        row.at, row.view = self.now, self
        if row.topic == ARCHIVE:
            row.hearing = self.snapshot.archiving(self.now) or row.hearing
        return row

    def _catch_up(self, row: WorkflowRow | TaskRow) -> None:
        """Do to a row that was read just now what the cascades of this decision do to it in the store."""
        if isinstance(row, TaskRow) and self.plan.first:
            present, row.wf = row.wf, self._before(row.wf)  # what comes first sees everything as it was before
            self._reach_by(self.plan.first, row, ending=False)
            row.wf = present
        elif self.plan.first:
            self._reach_by(self.plan.first, row, ending=False)
        self._reach_by(self.plan.last, row, ending=True)

    def _reach_by(self, cascades: list[Cascade], row: WorkflowRow | TaskRow, *, ending: bool) -> None:
        for cascade in cascades:
            if self._reached(cascade, row):
                self._reach(cascade, row, ending=ending)

    def _before(self, workflow: WorkflowRow) -> WorkflowRow:
        """A workflow as it was when the decision began."""
        found = self.before.get(workflow.id)
        if found is None:
            found = self.before[workflow.id] = self.snapshot.workflow(workflow.id) or workflow
        return found

    def _reached(self, cascade: Cascade, row: WorkflowRow | TaskRow) -> bool:
        if row.kind != cascade.kind or row.state not in cascade.line.row.source:
            return False
        owner = row.id if isinstance(row, WorkflowRow) else row.workflow
        return in_scope(cascade.link, cascade.workflow, owner) and bool(cascade.where(row, cascade.given))

    def _reach(self, cascade: Cascade, row: WorkflowRow | TaskRow, *, ending: bool) -> None:
        """Do to one row what a cascade does to it in the store.

        A cascade that comes first finds the row in the store, too, and writes it down there. One that comes last does not
        find it any more. Below an ending no counter is kept and no rule is enabled, so nobody is told.
        """
        line, source = cascade.line, row.state
        for name, read in line.sets:
            setattr(row, name, read(row, cascade.given))
        row.state, row.changed = line.target, self.now
        if source != line.target:
            row.reason = cascade.reason if isinstance(row, WorkflowRow) else ""
        if ending:
            owner, subject, number = (
                (row.id, "", row.slot) if isinstance(row, WorkflowRow) else (row.workflow, row.ref, row.attempt))
            if not row.touched:
                self.write(row)
            change = Change(row.kind, owner, subject, line.event, source, line.target, number, 1, cascade.by, cascade.reason)
            self.plan.changes.append(change)
            if isinstance(row, WorkflowRow):
                self._emit(row, line, change, swept=True)


def missing(what: str) -> StoreCorrupt:
    """A row that another one leads to is not there."""
    return StoreCorrupt(f"reading {what}", why="its row is missing, though others lead to it",
                        hint="kernel audit lists what is inconsistent; restore the store from a copy")


def in_scope(link: str, anchor: str, owner: str) -> bool:
    """Whether a row of workflow `owner` (for a workflow: the row itself) is behind a set link of the workflow `anchor`."""
    if link == "tasks":
        return owner == anchor
    if link == "children":
        return owner.rpartition("/")[0] == anchor
    below = owner.startswith(anchor + "/")
    return below or owner == anchor if link == "all_tasks" else below
