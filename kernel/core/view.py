"""What steps do to the rows of one decision, and the plan that comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kernel.core.checks import canonical, refuse
from kernel.core.extension import WAITING, Spawn, added, extended, named, payload_of
from kernel.core.facts import Counted
from kernel.core.judge import full, handed_over, own_output
from kernel.core.outputs import with_defaults
from kernel.core.plan import Cascade, Plan, Tombstone
from kernel.core.program import Line, Part, Program
from kernel.core.records import (
    OWN,
    Change,
    Payload,
    Prepared,
    Record,
    TaskRow,
    WorkflowRow,
    child_id,
)
from kernel.core.working_set import WorkingSet
from kernel.errors import InvalidDefinition, quoted
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ABSENT, CLOSED

Move = tuple[Record, Line]


def cause_of(task: TaskRow, reason: str) -> str:
    """A task's bad end as the reason of what follows from it."""
    return f"task {quoted(task.facts.ref)} {task.state}{': ' if reason else ''}{reason}"


def without_output(task: TaskRow) -> Payload:
    """A new attempt starts without the output of the one before."""
    return Payload(task.workflow, task.no, "output", None)


def pick(program: Program, row: Record, event: str, given: Mapping[str, Any]) -> Line | None:
    """The line of the table that the event takes from where the row stands; None when no guard lets it."""
    for line in program.cells[row.kind].get((row.state, event), ()):
        if line.holds(row, given):
            return line
    return None


def counted(program: Program, prepared: Prepared, line: Line) -> Counted:
    """What all tasks of a definition count for when a line creates them: for their workflow, and for those that come after."""
    own, tasks = [0] * program.width["workflow"], [[0] * program.width["task"] for _ in prepared.facts]
    for facts, after in zip(prepared.facts, prepared.definition.successors, strict=True):
        for link, moved in line.deltas.get(program.signature(facts), ()):
            for counts in (own,) if link == "tasks" else [tasks[no] for no in after]:
                for place, by_how_much in moved:
                    counts[place] += by_how_much
    return tuple(own), tuple(map(tuple, tasks))


class View(WorkingSet):
    """Changes rows as the tables say and keeps what changed. One view serves one decision."""

    __slots__ = ()

    # ---- changing -----------------------------------------------------------------------------------------------------
    def apply(self, row: Record, line: Line, by: str, reason: str = "") -> None:
        """Move one row by one line of its table: fields, state, history, counters, and who must look again."""
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
                Change("delivery", row.workflow, row.name, line.event, line.source, line.target, row.attempt, 1, by, "",
                       row.run))

    def _moved_task(self, row: TaskRow, line: Line, by: str, reason: str) -> None:
        plan, facts, event, target = self.plan, row.facts, line.event, line.target
        if not row.touched:
            row.touched = True
            plan.tasks.append(row)
        if event == "REJECT":
            reason = self.judged(row).why
        if reason or line.source != target:
            row.reason = reason  # of the present state, not of an earlier one
        if line.fresh:
            plan.payloads.append(without_output(row))
        plan.changes.append(Change("task", row.workflow, facts.ref, event, line.source, target, row.attempt, 1, by, reason))
        if line.deltas:
            self._count(row, line)
        if facts.mode in line.looks:
            self.woken[row] = None
        if facts.mode == "WORKFLOW" and "child" in line.wakes and (child := self.child(row)) is not None:
            self.woken[child] = None
        if facts.judged:
            self._write_down(row, line)
        self.cause = ""
        if line.badly:
            self.cause = cause_of(row, reason)
        elif facts.asks and target == "COMPLETED":
            self.cause = self.judged(row).says or f"task {quoted(facts.ref)} asks {facts.asks}"

    def _write_down(self, row: TaskRow, line: Line) -> None:
        """What comes with a move: the input of an attempt, what a control task writes, what a sub-workflow gave."""
        payloads = self.plan.payloads
        if line.event == "SCHEDULE" and (text := self.judged(row).input) is not None:
            payloads.append(Payload(row.workflow, row.no, "input", text))
        elif line.event == "PASS":
            payloads += self.judged(row).writes
        elif row.facts.mode == "WORKFLOW" and line.source == "IN_PROGRESS" and line.target in CLOSED:
            payloads.append(Payload(row.workflow, row.no, "output", handed_over(self, child_id(row))))

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
                    if not (before and after):
                        self.woken[owner] = None
                if not owner.touched:
                    self.write(owner)

    def _moved_workflow(self, row: WorkflowRow, line: Line, by: str, reason: str) -> None:
        if not row.touched:
            self.write(row)
        row.reason = reason
        change = Change("workflow", row.id, "", line.event, line.source, line.target, row.slot, 1, by, reason)
        self.plan.changes.append(change)
        if line.target == "COMPLETED" and (text := own_output(self, row)) is not None:
            self.plan.payloads.append(Payload(row.id, OWN, "output", text))
        if line.looks:
            self.woken[row] = None
        if "tasks" in line.wakes:
            self.wake_tasks(row)
        self.cause = ""
        if line.badly:
            self.cause = f"sub-workflow {quoted(row.id)} {line.target}{': ' if reason else ''}{reason}"
        if line.emits:
            self._emit(row, line, change)

    def bury(self, root: WorkflowRow, line: Line) -> None:
        """A root is taken away with its whole tree; what is remembered of it stays."""
        command = self.command
        self.plan.purged = Tombstone(
            root.id, self.tree.run, self.tree.version + 1, root.prepared.definition.source.name, line.source, self.now,
            command.actor, command.reason, command.id)

    def wake_tasks(self, workflow: WorkflowRow) -> None:
        """Look again at the tasks of a workflow that progress may move now."""
        for task in self.snapshot.ready(workflow.id):
            self.woken[self.keep_task(task)] = None

    # ---- beginning ----------------------------------------------------------------------------------------------------
    def create_workflow(self, row: WorkflowRow, line: Line, by: str, reason: str = "") -> None:
        """Start a workflow that does not exist yet."""
        self.plan.created_workflows.append(row)
        self.apply(row, line, by, reason)
        if row.parent:
            text = with_defaults(row.prepared.definition.source, self.judged(row.up).input or "{}")
            self.plan.payloads.append(Payload(row.id, OWN, "input", text))
            self.plan.payloads.append(Payload(row.parent, row.parent_no, "output", canonical({"subWorkflowId": row.id})))
        elif (text := with_defaults(row.prepared.definition.source, self.command.input or "{}")) != "{}":
            self.plan.payloads.append(Payload(row.id, OWN, "input", text))

    def create_tasks(self, workflow: WorkflowRow, line: Line, by: str) -> None:
        """Create all tasks of a workflow; one line of history for all of them."""
        prepared = workflow.prepared
        known = prepared.counted.get(line)
        if known is None:
            known = prepared.counted[line] = counted(self.program, prepared, line)
        workflow.counts, sets = [*known[0]], [(name, read(None, self.given)) for name, read in line.sets]
        for no, counts in enumerate(known[1]):
            self._born(workflow, no, line, [*counts], sets)
        size = len(prepared.facts)
        self.tree.tasks += size
        self.plan.changes.append(
            Change("task", workflow.id, "", line.event, ABSENT, line.target, 1, size, by, ""))

    def _born(self, workflow: WorkflowRow, no: int, line: Line, counts: list[int], sets: list[tuple[str, Any]]) -> TaskRow:
        row = TaskRow(
            workflow.id, no, workflow.run, line.target, 0, 0, 0, NEVER, NEVER, NEVER, NEVER, 0, self.now, "", "", counts,
            workflow.prepared.facts[no], workflow, self)
        for name, value in sets:
            setattr(row, name, value)
        row.touched = True
        self.tasks[row.workflow, row.no] = row
        self.plan.created_tasks.append(row)
        self.woken[row] = None
        return row

    def spawn(self, task: TaskRow, spawn: Spawn, line: Line, by: str) -> None:
        """Add tasks to the workflow of a task that was just closed, so that the workflow is written anyway.

        Raises InvalidDefinition for such as could not run in it.
        """
        workflow, place = task.wf, f"what task {quoted(task.ref)} spawns"
        spawned = added(workflow.prepared, task.no, spawn)
        if too_many := full(self, len(spawned)):
            refuse(place, "tasks", too_many)
        waiting = [self.task(workflow.id, no) for no in spawned[0].before]
        for late in [each for each in waiting if each.state not in WAITING]:
            refuse(place, "before", f"task {quoted(late.ref)} waits for nothing any more: it is {late.state}")
        payloads = [payload_of(workflow.id, each) for each in spawned]
        workflow.prepared = prepared = extended(workflow.prepared, spawned)
        workflow.extension = named(workflow.extension, payloads)
        self.plan.payloads += payloads
        sets = [(name, read(None, self.given)) for name, read in line.sets]
        width = self.program.width["task"]
        rows = [self._born(workflow, each.no, line, [0] * width, sets) for each in spawned]
        for row in rows:
            self._stand(row, "tasks", [workflow])
            self._stand(row, "after", waiting)
            self.plan.changes.append(
                Change("task", workflow.id, row.ref, line.event, ABSENT, line.target, row.attempt, 1, by, ""))
        for row in rows:
            for no in prepared.definition.predecessors[row.no]:
                self._stand(self.task(workflow.id, no), "after", [row])
        self.tree.tasks += len(rows)

    def _stand(self, row: TaskRow, link: str, owners: Sequence[WorkflowRow | TaskRow]) -> None:
        """Let those who begin to count a task over a link count it as it stands."""
        moved = dict(self.program.standing[row.state].get(self.program.signature(row.facts), ())).get(link, ())
        for owner in owners:
            for place, by_how_much in moved:
                owner.counts[place] += by_how_much
            if not owner.touched:
                self.write(owner)

    # ---- whole sets ---------------------------------------------------------------------------------------------------
    def cascade(self, anchor: WorkflowRow, part: Part, by: str, reason: str, *, ending: bool) -> None:
        """Reach every row behind a set link: the rows in the view now, the rest in the store with one statement.

        Without `ending` nothing of the step has happened yet; with it, `anchor` has just ended.
        """
        line = part.line
        if line is None:
            raise InvalidDefinition(f"{part.event} over {part.link!r}", why="it does not move a set of rows that exist")
        emits = line.emits if part.kind == "workflow" else ()
        place = self.program.open_tasks
        cascade = Cascade(part.event, part.kind, part.link, anchor.id, line, part.where, self.given, emits, by, reason,
                          anchor.counts[place] if ending and place is not None else None)
        (self.plan.last if ending else self.plan.first).append(cascade)
        loaded: Iterable[WorkflowRow | TaskRow] = (self.workflows if part.kind == "workflow" else self.tasks).values()
        for row in [row for row in loaded if row is not anchor and self._reached(cascade, row)]:
            self._reach(cascade, row, ending=ending)
        if part.wakes and not ending:
            for found in self.snapshot.paused_by(anchor.id):
                workflow = self.keep_workflow(found)
                self.woken[workflow] = None
                self.wake_tasks(workflow)

    def anything_open(self, workflow: WorkflowRow) -> bool:
        """Whether anything below may still be open. A live sub-workflow has an open task above it, so tasks tell."""
        place = self.program.open_tasks
        return place is None or workflow.counts[place] > 0

    # ---- the end ------------------------------------------------------------------------------------------------------
    def annotate(self, row: Record) -> None:
        """Write down what is not decided on: who works on a task, and what it gave."""
        command, payloads = self.command, self.plan.payloads
        if isinstance(row, TaskRow):
            if command.worker:
                row.worker = command.worker
            if command.payload is not None and not (payloads and without_output(row) in payloads):
                payloads.append(Payload(row.workflow, row.no, "output", command.payload))

    def close(self) -> Plan:
        """Everything that this decision writes. The rows forget it: nothing is left that refers to itself, and a store that
        keeps them may give them to another decision.
        """
        for workflow in self.workflows.values():
            workflow.view, workflow.touched = None, False
        for task in self.tasks.values():
            task.view, task.verdict, task.touched = None, None, False
        return self.plan
