"""The working set of one decision: rows loaded from a snapshot, changed by steps, put into a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kernel.core.checks import canonical
from kernel.core.judge import Judged, judge
from kernel.core.plan import Cascade, Command, Plan
from kernel.core.program import Line, Part, Program
from kernel.core.records import (
    OWN,
    Change,
    DeliveryRow,
    Payload,
    Prepared,
    Record,
    TaskRow,
    TreeRow,
    WorkflowRow,
    child_id,
)
from kernel.core.snapshot import Snapshot
from kernel.errors import InvalidDefinition, StoreCorrupt, quoted
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ABSENT, CLOSED_BADLY, ENDED_BADLY

Move = tuple[Record, Line]


class View:
    """Loads rows as they are needed, links them, and keeps what changed. One view serves one decision."""

    __slots__ = (
        "before", "cause", "command", "given", "now", "plan", "program", "snapshot", "tasks", "tree", "woken", "workflows",
    )

    def __init__(self, program: Program, snapshot: Snapshot, command: Command, tree: TreeRow, now: int) -> None:
        """`now` is in microseconds; `given` is what the command's guards and fields read."""
        self.program, self.snapshot, self.command, self.tree, self.now = program, snapshot, command, tree, now
        self.plan = Plan(command, now, tree, False)
        self.given: Mapping[str, Any] = {**command.given, "now": now}
        self.cause = ""
        """Why the next end up the tree happens, in words."""
        self.workflows: dict[str, WorkflowRow] = {}
        self.tasks: dict[tuple[str, int], TaskRow] = {}
        self.before: dict[str, WorkflowRow] = {}
        self.woken: dict[WorkflowRow | TaskRow, None] = {}

    # ---- loading ------------------------------------------------------------------------------------------------------
    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """A workflow of the tree, with what this decision did to it."""
        row = self.workflows.get(workflow_id)
        if row is None:
            found = self.snapshot.workflow(workflow_id)
            row = None if found is None else self.keep_workflow(found)
        return row

    def keep_workflow(self, row: WorkflowRow) -> WorkflowRow:
        """Take a freshly read workflow into the view, unless it is there."""
        known = self.workflows.get(row.id)
        if known is not None:
            return known
        row.view = self
        self.workflows[row.id] = row
        if self.plan.first or self.plan.last:
            self._catch_up(row)
        return row

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
            [0] * len(self.program.counters_of("workflow")),
        )
        row.view, row.touched = self, True
        self.workflows[workflow_id] = row
        return row

    def judged(self, task: TaskRow) -> Judged:
        """The verdict on a task, once per decision; anew for a sub-workflow that waits to start while the tree grew."""
        verdict = task.verdict
        if verdict is None or (verdict.child and task.state == "SCHEDULED" and verdict.tasks != self.tree.tasks):
            verdict = task.verdict = judge(self, task)
        return verdict

    def payload(self, workflow_id: str, no: int, what: str) -> str | None:
        """A JSON text, the ones of this decision included."""
        for payload in reversed(self.plan.payloads):
            if payload[:3] == (workflow_id, no, what):
                return payload.text
        return self.snapshot.payload(workflow_id, no, what)

    def successors(self, task: TaskRow) -> list[TaskRow]:
        """The tasks that come directly after a task."""
        workflow, rows, absent = task.workflow, [], []
        for no in task.wf.prepared.definition.successors[task.no]:
            row = self.tasks.get((workflow, no))
            if row is None:
                absent.append(no)
            else:
                rows.append(row)
        if absent:
            found = list(self.snapshot.tasks(workflow, absent))
            if len(found) < len(absent):
                raise missing(f"a task of workflow {quoted(workflow)}")
            for row in found:
                self._link(row, task.wf)
            rows += found
        return rows

    # ---- changing -----------------------------------------------------------------------------------------------------
    def apply(self, row: Record, line: Line, by: str, reason: str = "") -> None:
        """Move one row by one line of its table: fields, state, history, counters, and who must look again."""
        source = row.state
        if line.sets:
            given = self.given
            for name, read in line.sets:
                setattr(row, name, read(row, given))
        row.state, row.changed = line.target, self.now
        if isinstance(row, TaskRow):
            self._moved_task(row, line, by, reason)
        elif isinstance(row, WorkflowRow):
            self._moved_workflow(row, line, by, reason)
        else:
            self.plan.deliveries.append(row)
            self.plan.changes.append(
                Change("delivery", row.workflow, row.topic, line.event, source, line.target, row.attempt, 1, by, ""))

    def _moved_task(self, row: TaskRow, line: Line, by: str, reason: str) -> None:
        if not row.touched:
            self._write(row)
        if line.event == "REJECT":
            reason = self.judged(row).why
        if reason:
            row.reason = reason
        self.plan.changes.append(
            Change("task", row.workflow, row.facts.ref, line.event, line.source, line.target, row.attempt, 1, by, reason))
        if line.deltas:
            self._count(row, line)
        if row.facts.mode in line.looks:
            self.woken[row] = None
        if "child" in line.wakes and row.facts.mode == "WORKFLOW" and (child := self.child(row)) is not None:
            self.woken[child] = None
        if row.facts.judged and line.event == "SCHEDULE" and (text := self.judged(row).input) is not None:
            self.plan.payloads.append(Payload(row.workflow, row.no, "input", text))
        self.cause = ""
        if line.target in CLOSED_BADLY:
            self.cause = f"task {quoted(row.facts.ref)} {line.target}{': ' if reason else ''}{reason}"

    def _count(self, row: TaskRow, line: Line) -> None:
        """Take what a transition changes to the counters of those who count the task.

        They look again when a counter begins or ceases to be 0: that is all that a rule reads of it.
        """
        for link, moved in line.deltas.get(self.program.signature(row.facts), ()):
            for owner in (row.wf,) if link == "tasks" else self.successors(row):
                counts = owner.counts
                for place, by_how_much in moved:
                    before = counts[place]
                    counts[place] = after = before + by_how_much
                    if not before or not after:
                        self.woken[owner] = None
                if not owner.touched:
                    self._write(owner)

    def _write(self, row: WorkflowRow | TaskRow) -> None:
        """Let the plan write the row, once."""
        row.touched = True
        if isinstance(row, TaskRow):
            self.plan.tasks.append(row)
        else:
            self.plan.workflows.append(row)

    def _moved_workflow(self, row: WorkflowRow, line: Line, by: str, reason: str) -> None:
        if not row.touched:
            self._write(row)
        if reason:
            row.reason = reason
        self.plan.changes.append(
            Change("workflow", row.id, "", line.event, line.source, line.target, row.slot, 1, by, reason))
        if line.looks:
            self.woken[row] = None
        if "tasks" in line.wakes:
            self.wake_tasks(row)
        self.cause = ""
        if line.target in ENDED_BADLY:
            self.cause = f"sub-workflow {quoted(row.id)} {line.target}{': ' if reason else ''}{reason}"
        self._emit(row, line)

    def wake_tasks(self, workflow: WorkflowRow) -> None:
        """Look again at the tasks of a workflow that progress may move now."""
        for task in self.snapshot.ready(workflow.id):
            self.woken[self.keep_task(task)] = None

    def _emit(self, workflow: WorkflowRow, line: Line) -> None:
        """Write the deliveries of a workflow's run, when it enters a state that has some."""
        entering = self.program.entering
        if ("workflow", line.target) not in entering or ("workflow", line.source) in entering:
            return
        for part in entering["workflow", line.target][1]:
            (create,) = self.program.cells["delivery"][ABSENT, part.event]
            for topic in workflow.prepared.topics:
                self.create_delivery(workflow, topic, create)

    # ---- beginning ----------------------------------------------------------------------------------------------------
    def create_workflow(self, row: WorkflowRow, line: Line, by: str, reason: str = "") -> None:
        """Start a workflow that does not exist yet."""
        self.plan.created_workflows.append(row)
        self.apply(row, line, by, reason)
        if row.parent:
            text = self.judged(row.up).input
            self.plan.payloads.append(Payload(row.id, OWN, "input", text or "{}"))
            self.plan.payloads.append(Payload(row.parent, row.parent_no, "output", canonical({"subWorkflowId": row.id})))
        elif self.command.input is not None:
            self.plan.payloads.append(Payload(row.id, OWN, "input", self.command.input))

    def create_tasks(self, workflow: WorkflowRow, line: Line, by: str) -> None:
        """Create all tasks of a workflow; one line of history for all of them."""
        prepared, now, signature = workflow.prepared, self.now, self.program.signature
        sets = [(name, read(None, self.given)) for name, read in line.sets]
        width = len(self.program.counters_of("task"))
        born = [dict(line.deltas.get(signature(facts), ())) for facts in prepared.facts]
        for no, (facts, before) in enumerate(zip(prepared.facts, prepared.definition.predecessors, strict=True)):
            counts = [0] * width
            for place, by_how_much in (move for other in before for move in born[other].get("after", ())):
                counts[place] += by_how_much
            row = TaskRow(
                workflow.id, no, workflow.run, line.target, 0, 0, 0, NEVER, 0, now, "", "", counts, facts, workflow, self)
            for name, value in sets:
                setattr(row, name, value)
            row.touched = True
            self.tasks[workflow.id, no] = row
            self.plan.created_tasks.append(row)
            self.woken[row] = None
            for place, by_how_much in born[no].get("tasks", ()):
                workflow.counts[place] += by_how_much
        self.tree.tasks += len(prepared.facts)
        self.plan.changes.append(
            Change("task", workflow.id, "", line.event, ABSENT, line.target, 1, len(prepared.facts), by, ""))

    def create_delivery(self, workflow: WorkflowRow, topic: str, line: Line) -> None:
        """Write what one topic is to be told of a workflow's run."""
        policy = self.snapshot.policy
        row = DeliveryRow(
            workflow.id, workflow.run, topic, line.target, 0, 0, 0, NEVER, "", "", self.now, policy.sends, policy.lease)
        for name, read in line.sets:
            setattr(row, name, read(row, self.given))
        self.plan.created_deliveries.append(row)
        self.plan.changes.append(
            Change("delivery", workflow.id, topic, line.event, ABSENT, line.target, 0, 1, line.event, ""))

    # ---- whole sets ---------------------------------------------------------------------------------------------------
    def cascade(self, anchor: WorkflowRow, part: Part, by: str, reason: str, *, ending: bool) -> None:
        """Reach every row behind a set link: the rows in the view now, the rest in the store with one statement.

        Without `ending` nothing of the step has happened yet; with it, `anchor` has just ended.
        """
        line = part.line
        if line is None:
            raise InvalidDefinition(f"{part.event} over {part.link!r}", why="it does not move a set of rows that exist")
        emits = part.kind == "workflow" and ("workflow", line.target) in self.program.entering
        cascade = Cascade(part.event, part.kind, part.link, anchor.id, line, part.where, self.given, emits, by, reason)
        (self.plan.last if ending else self.plan.first).append(cascade)
        loaded: Iterable[WorkflowRow | TaskRow] = (self.workflows if part.kind == "workflow" else self.tasks).values()
        for row in [row for row in loaded if row is not anchor and self._reached(cascade, row)]:
            self._reach(cascade, row, ending=ending)
        if part.wakes and not ending:
            for found in self.snapshot.paused_by(anchor.id):
                workflow = self.keep_workflow(found)
                self.woken[workflow] = None
                self.wake_tasks(workflow)

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
        row.state, row.changed, row.reason = line.target, self.now, cascade.reason or row.reason
        if ending:
            owner, subject, number = (
                (row.id, "", row.slot) if isinstance(row, WorkflowRow) else (row.workflow, row.ref, row.attempt))
            if not row.touched:
                self._write(row)
            self.plan.changes.append(
                Change(row.kind, owner, subject, line.event, source, line.target, number, 1, cascade.by, cascade.reason))
            if isinstance(row, WorkflowRow):
                self._emit(row, line)

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

    def anything_open(self, workflow: WorkflowRow) -> bool:
        """Whether anything below may still be open. A live sub-workflow has an open task above it, so tasks tell."""
        place = self.program.open_tasks
        return place is None or workflow.counts[place] > 0

    # ---- the end ------------------------------------------------------------------------------------------------------
    def annotate(self, row: Record) -> None:
        """Write down what is not decided on: who works on a task, and what it gave."""
        command = self.command
        if isinstance(row, TaskRow):
            if command.worker:
                row.worker = command.worker
            if command.payload is not None:
                self.plan.payloads.append(Payload(row.workflow, row.no, "output", command.payload))

    def close(self) -> Plan:
        """Everything that this decision writes. The rows forget the view, so that nothing is left that refers to itself."""
        for workflow in self.workflows.values():
            workflow.view = None
        for task in self.tasks.values():
            task.view = None
        return self.plan


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
