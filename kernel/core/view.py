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
from kernel.errors import quoted
from kernel.spec.language import NEVER, YES
from kernel.spec.vocabulary import ABSENT, CLOSED_BADLY

Move = tuple[Record, Line]


class View:
    """Loads rows as they are needed, links them, and keeps what changed. One view serves one decision."""

    __slots__ = (
        "born", "cause", "changes", "command", "created_deliveries", "created_tasks", "created_workflows", "deliveries",
        "first", "given", "last", "now", "payloads", "program", "recorded", "seen", "snapshot", "tasks", "tree", "verdicts",
        "woken", "workflows", "written",
    )

    def __init__(self, program: Program, snapshot: Snapshot, command: Command, tree: TreeRow, now: int) -> None:
        self.program, self.snapshot, self.command, self.tree, self.now = program, snapshot, command, tree, now
        self.given: Mapping[str, Any] = {**command.given, "now": now}
        self.born = self.recorded = False
        self.cause = ""
        self.workflows: dict[str, WorkflowRow] = {}
        self.tasks: dict[tuple[str, int], TaskRow] = {}
        self.deliveries: list[DeliveryRow] = []
        self.written: dict[Record, None] = {}
        self.created_workflows: list[WorkflowRow] = []
        self.created_tasks: list[TaskRow] = []
        self.created_deliveries: list[DeliveryRow] = []
        self.seen: set[Record] = set()
        self.changes: list[Change] = []
        self.payloads: list[Payload] = []
        self.first: list[Cascade] = []
        self.last: list[Cascade] = []
        self.woken: dict[Record, None] = {}
        self.verdicts: dict[TaskRow, Judged] = {}

    # ---- loading ------------------------------------------------------------------------------------------------------
    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """A workflow of the tree, with what this decision did to it."""
        row = self.workflows.get(workflow_id)
        return row or self.keep_workflow(self.snapshot.workflow(workflow_id))

    def keep_workflow(self, row: WorkflowRow | None) -> WorkflowRow | None:
        """Take a freshly read workflow into the view, unless it is there."""
        if row is None or row.id in self.workflows:
            return row and self.workflows[row.id]
        row.view = self
        self.workflows[row.id] = row
        self._catch_up(row)
        return row

    def task(self, workflow_id: str, no: int) -> TaskRow:
        """A task of the tree, with what this decision did to it. It must exist."""
        row = self.tasks.get((workflow_id, no))
        if row is None:
            found = self.snapshot.task(workflow_id, no)
            assert found is not None, (workflow_id, no)
            row = self.keep_task(found)
        return row

    def keep_task(self, row: TaskRow) -> TaskRow:
        """Take a freshly read task into the view, unless it is there."""
        known = self.tasks.get((row.workflow, row.no))
        if known is not None:
            return known
        workflow = self.workflow(row.workflow)
        assert workflow is not None, row.workflow
        row.wf = workflow
        row.view = self
        self.tasks[row.workflow, row.no] = row
        if self.first or self.last:
            self._catch_up(row)
        return row

    def _catch_up(self, row: WorkflowRow | TaskRow) -> None:
        """Do to a row that was read just now what the cascades of this decision do to it in the store."""
        for cascade in self.first:
            if self._reached(cascade, row):
                for name, value in [(n, f(row, cascade.given)) for n, f in cascade.line.sets]:
                    setattr(row, name, value)
                row.state, row.changed = cascade.line.target, self.now
        for cascade in self.last:
            if self._reached(cascade, row):
                self.apply(row, cascade.line, cascade.by)

    def _reached(self, cascade: Cascade, row: WorkflowRow | TaskRow) -> bool:
        if row.kind != cascade.kind or row.state not in cascade.line.row.source:
            return False
        owner = row.id if isinstance(row, WorkflowRow) else row.workflow
        return in_scope(cascade.link, cascade.workflow, owner) and bool(cascade.where(row, cascade.given))

    def child(self, task: TaskRow) -> WorkflowRow:
        """The sub-workflow of the task's present attempt; a row in state ABSENT before it starts."""
        found = self.workflow(child_id(task))
        if found is not None and found.run == task.run:
            return found
        prepared = self.judged(task).child
        assert prepared is not None
        return self.fresh_workflow(child_id(task), prepared, task)

    def fresh_workflow(self, workflow_id: str, prepared: Prepared, up: TaskRow | None) -> WorkflowRow:
        """A workflow that does not exist yet."""
        row = WorkflowRow(
            workflow_id, self.tree.run, ABSENT, up.workflow if up else "", up.no if up else OWN, up.attempt if up else 0,
            up.wf.depth + 1 if up else 0, prepared, self.now, self.now, NEVER, "", 0, "",
            [0] * len(self.program.counters_of("workflow")),
        )
        row.view = self
        self.workflows[workflow_id] = row
        return row

    def judged(self, task: TaskRow) -> Judged:
        """The verdict on a task, once per decision."""
        verdict = self.verdicts.get(task)
        if verdict is None:
            verdict = self.verdicts[task] = judge(self, task)
        return verdict

    def payload(self, workflow_id: str, no: int, what: str) -> str | None:
        """A JSON text, the ones of this decision included."""
        for payload in reversed(self.payloads):
            if payload[:3] == (workflow_id, no, what):
                return payload.text
        return self.snapshot.payload(workflow_id, no, what)

    def askers(self, link: str, row: TaskRow) -> Iterable[Record]:
        """The rows that count this one over a link."""
        if link == "tasks":
            return (row.wf,)
        nos = row.wf.prepared.definition.successors[row.no]
        missing = [n for n in nos if (row.workflow, n) not in self.tasks]
        if missing:
            for found in self.snapshot.tasks(row.workflow, missing):
                self.keep_task(found)
        return [self.tasks[row.workflow, n] for n in nos]

    def readers(self, link: str, row: Record) -> Iterable[Record]:
        """The rows that read this one and may be enabled by what happened to it."""
        if link == "tasks" and isinstance(row, WorkflowRow):
            return [self.keep_task(t) for t in self.snapshot.ready(row.id)]
        if link == "child" and isinstance(row, TaskRow) and row.mode == "WORKFLOW":
            return [w] if (w := self.workflow(child_id(row))) is not None else []
        return ()

    # ---- changing -----------------------------------------------------------------------------------------------------
    def apply(self, row: Record, line: Line, by: str) -> None:
        """Move one row by one line of its table: fields, state, history, counters, and who must look again."""
        source, target = row.state, line.target
        if line.sets:
            given = self.given
            for name, value in [(name, read(row, given)) for name, read in line.sets]:
                setattr(row, name, value)
        row.state = target
        row.changed = self.now
        if row not in self.seen:
            self.written[row] = None
        kind = row.kind
        if isinstance(row, TaskRow):
            self._settle_task(row, source, target, line.event, by)
        elif isinstance(row, WorkflowRow):
            self._settle_workflow(row, source, target, line.event, by)
        else:
            self.changes.append(Change(kind, row.workflow, row.topic, line.event, source, target, row.attempt, 1, by, ""))
        if source != ABSENT:
            for link in self.program.wakes.get((kind, line.event, source, target), ()):
                self.woken.update(dict.fromkeys(self.readers(link, row)))

    def _settle_task(self, row: TaskRow, source: str, target: str, event: str, by: str) -> None:
        program = self.program
        reason = self.command.reason if by == self.command.name else ""
        if event == "REJECT":
            reason = self.judged(row).why
        if reason:
            row.reason = reason
        self.changes.append(Change("task", row.workflow, row.facts.ref, event, source, target, row.attempt, 1, by, reason))
        for link, moved in program.deltas["task"][program.signature["task"](row.facts), source, target]:
            for asker in self.askers(link, row):
                for place, by_how_much in moved:
                    asker.counts[place] += by_how_much  # type: ignore[union-attr]
                self._touch(asker)
        self.woken[row] = None
        if event == "SCHEDULE" and (text := self.judged(row).input) is not None:
            self.payloads.append(Payload(row.workflow, row.no, "input", text))
        if target in CLOSED_BADLY:
            self.cause = f"task {quoted(row.facts.ref)} {target}" + (f": {row.reason}" if row.reason else "")

    def _settle_workflow(self, row: WorkflowRow, source: str, target: str, event: str, by: str) -> None:
        reason = self.command.reason if by == self.command.name else self.cause if by.startswith("END") else ""
        if reason:
            row.reason = reason
        self.changes.append(Change("workflow", row.id, "", event, source, target, row.slot, 1, by, reason))
        self.woken[row] = None
        entering = self.program.entering.get(("workflow", target))
        if entering is not None and self.program.entering.get(("workflow", source)) is None:
            for part in entering[1]:
                self.emit(row, part)

    def _touch(self, row: Record) -> None:
        """A counter of the row moved: write it, and let it look again."""
        if row not in self.seen:
            self.written[row] = None
        self.woken[row] = None

    def emit(self, workflow: WorkflowRow, part: Part) -> None:
        """Write the deliveries of a workflow's run."""
        (line,) = self.program.cells["delivery"][ABSENT, part.event]
        for topic in workflow.prepared.topics:
            row = DeliveryRow(
                workflow.id, workflow.run, topic, ABSENT, 0, 0, 0, NEVER, "", "", self.now, self.snapshot.policy.sends,
                self.snapshot.policy.lease,
            )
            self.seen.add(row)
            self.created_deliveries.append(row)
            self.apply(row, line, part.event)

    def create_workflow(self, row: WorkflowRow, line: Line, by: str) -> None:
        """Start a workflow that does not exist yet."""
        self.seen.add(row)
        self.created_workflows.append(row)
        self.apply(row, line, by)
        if row.parent:
            text = self.judged(row.up).input
            self.payloads.append(Payload(row.id, OWN, "input", text or "{}"))
            self.payloads.append(Payload(row.parent, row.parent_no, "output", canonical({"subWorkflowId": row.id})))
        elif self.command.input is not None:
            self.payloads.append(Payload(row.id, OWN, "input", self.command.input))

    def create_tasks(self, workflow: WorkflowRow, line: Line, by: str) -> None:
        """Create all tasks of a workflow; one line of history for all of them."""
        program, prepared, now = self.program, workflow.prepared, self.now
        sets = [(name, read(None, self.given)) for name, read in line.sets]
        signature, deltas = program.signature["task"], program.deltas["task"]
        counts = workflow.counts
        for no, (facts, before) in enumerate(zip(prepared.facts, prepared.definition.predecessors, strict=True)):
            row = TaskRow(workflow.id, no, workflow.run, line.target, 0, 0, 0, NEVER, 0, now, "", "", [len(before)], facts,
                          workflow, self)
            for name, value in sets:
                setattr(row, name, value)
            self.tasks[workflow.id, no] = row
            self.created_tasks.append(row)
            self.seen.add(row)
            self.woken[row] = None
            for link, moved in deltas[signature(facts), ABSENT, line.target]:
                if link == "tasks":
                    for place, by_how_much in moved:
                        counts[place] += by_how_much
        self.tree.tasks += len(prepared.facts)
        self.changes.append(
            Change("task", workflow.id, "", line.event, ABSENT, line.target, 1, len(prepared.facts), by, ""))

    def cascade(self, anchor: WorkflowRow, part: Part, by: str, *, ending: bool) -> None:
        """Reach every row behind a set link: the rows in the view now, the rest in the store with one statement."""
        (line,) = {id(ls[0]): ls[0] for (_, event), ls in self.program.cells[part.kind].items() if event == part.event}.values()
        cascade = Cascade(
            part.event, part.kind, part.link, anchor.id, line, part.where if part.fire.where != YES else _anywhere,
            self.given, ("workflow", line.target) in self.program.entering and part.kind == "workflow", by,
            self.command.reason if by == self.command.name else self.cause,
        )
        (self.last if ending else self.first).append(cascade)
        loaded: list[WorkflowRow | TaskRow] = [*self.workflows.values(), *self.tasks.values()]
        reached = [row for row in loaded if row is not anchor and self._reached(cascade, row)]
        for row in reached:
            if ending:
                self.apply(row, line, by)
            else:
                for name, value in [(n, f(row, self.given)) for n, f in line.sets]:
                    setattr(row, name, value)
                row.state, row.changed = line.target, self.now
        if part.wakes and not ending:
            # An ending wakes nobody: every row that it moves lies below an ended workflow, and every rule asks for a live one.
            for row in [*self.snapshot.paused_by(anchor.id)]:
                kept = self.keep_workflow(row)
                self.woken[kept] = None  # type: ignore[index]
                self.woken.update(dict.fromkeys(self.readers("tasks", kept)))  # type: ignore[arg-type]

    def anything_open(self, workflow: WorkflowRow) -> bool:
        """Whether anything below may still be open. A live sub-workflow has an open task above it, so tasks tell."""
        place = self.program.open_tasks
        return place is None or workflow.counts[place] > 0

    def annotate(self, row: Record) -> None:
        """Write down what is not decided on: who works on a task, what it gave, what went wrong with a delivery."""
        command = self.command
        if isinstance(row, TaskRow):
            if command.worker:
                row.worker = command.worker
            if command.payload is not None:
                self.payloads.append(Payload(row.workflow, row.no, "output", command.payload))
        elif isinstance(row, DeliveryRow) and command.name in ("RELEASE", "BURY"):
            row.error = command.reason

    def plan(self, *, born: bool, raises: bool) -> Plan:
        """Everything that this decision writes."""
        written = self.written
        if raises:
            self.tree.version += 1
            self.tree.clock = self.now
        return Plan(
            self.command, self.now, self.tree, born, raises, self.first, self.created_workflows, self.created_tasks,
            self.created_deliveries, [r for r in written if isinstance(r, WorkflowRow)],
            [r for r in written if isinstance(r, TaskRow)], [r for r in written if isinstance(r, DeliveryRow)], self.last,
            self.payloads, self.changes,
        )


def _anywhere(row: Any, given: Mapping[str, Any]) -> bool:
    return True


def in_scope(link: str, anchor: str, owner: str) -> bool:
    """Whether a row of workflow `owner` (for a workflow: the row itself) is behind a set link of the workflow `anchor`."""
    if link == "tasks":
        return owner == anchor
    if link == "children":
        return owner.rpartition("/")[0] == anchor
    below = owner.startswith(anchor + "/")
    return below or owner == anchor if link == "all_tasks" else below
