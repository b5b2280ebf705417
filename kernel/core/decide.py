"""The decision: (snapshot, command, now) -> Plan | Refusal. Pure; progress is part of it.

The command's own step is taken first; then progress runs to its end: of all rows that something woke, the first rule that is
enabled, in the order of the table, is taken, until none is.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, cast

from attrs import frozen

from kernel.core.nobody import Nobody
from kernel.core.plan import Command, Plan, Refusal
from kernel.core.program import Action, Line, Part, Program
from kernel.core.records import OWN, DeliveryRow, Record, TaskRow, TreeRow, WorkflowRow, child_id
from kernel.core.reopen import reopen
from kernel.core.snapshot import Snapshot
from kernel.core.view import Move, View, cause_of, pick
from kernel.core.working_set import missing
from kernel.errors import InvalidDefinition, quoted
from kernel.spec.language import Lock, Table
from kernel.spec.vocabulary import ABSENT, ENDED, ENDED_BADLY, held

UNLISTED = ("START", "WAKE", "ALERT", "ELAPSE", "OVERRUN", "OVERDUE")
"""Commands that nobody would choose: that a workflow begins, and what the clock does besides EXPIRE and TIME_OUT."""
Blocked = tuple[str, str, str, str]
"""The event, the state, the guard that is false (empty: no row), and why."""
Enabled = tuple[Action, list[Move]]
ROW, TREE = Lock.ROW, Lock.TREE


@frozen
class Choice:
    """One command that could be given to a row now: whether it would be accepted, and if not, which guard refuses it, why."""

    event: str
    allowed: bool
    guard: str
    reason: str


# ---- what is enabled ----------------------------------------------------------------------------------------------------
def moves_of(view: View, action: Action, row: Record) -> list[Move] | None:
    """The rows that an action moves one by one, each with its line; None when one cannot move. All reads the state before."""
    if action.alone:
        line = pick(view.program, row, action.moves[0].event, view.given)
        return None if line is None else [(row, line)]
    moves: list[Move] = []
    for part in action.moves:
        target: Record | Nobody = getattr(row, part.link) if part.link else row
        if isinstance(target, Nobody):
            raise missing(f"the {part.link} of task {quoted(cast(TaskRow, row).ref)}")
        line = pick(view.program, target, part.event, view.given)
        if line is None:
            return None
        moves.append((target, line))
    return moves


def enabled(view: View, row: WorkflowRow | TaskRow) -> Enabled | None:
    """The first progress rule that is enabled on a row."""
    given, of = view.given, row.facts if isinstance(row, TaskRow) else row
    agenda = view.program.agenda[row.kind][row.state, of.mode, of.judged]
    if agenda.gate is not None and not agenda.gate(row, given):
        return None
    for way in agenda.ways:
        if way.holds(row, given):
            if way.line is not None:
                return way.action, [(row, way.line)]
            moves = moves_of(view, way.action, row)
            if moves is not None:
                return way.action, moves
    return None


def declined(table: Table, state: str, event: str) -> tuple[bool, str]:
    """What the table says of a cell without a row: whether it is a no-op, and the reason."""
    for no_op in table.no_ops:
        if no_op.event == event and state in no_op.source:
            return True, no_op.why
    return False, next(r.why for r in table.refusals if r.event == event and state in r.source)


def blocked(view: View, action: Action, row: Record) -> Blocked:
    """Why a command is not enabled: the first false guard of the line that came furthest, or one of the command itself."""
    for part in action.moves:
        if not part.link and pick(view.program, row, part.event, view.given) is None:
            return _blocked(view, row, part.event)
    guard = next(guard for guard, holds in action.guards if not holds(row, view.given))
    return action.step.name, row.state, guard.name, guard.why


def _blocked(view: View, row: Record, event: str) -> Blocked:
    lines = view.program.cells[row.kind].get((row.state, event), ())
    if not lines:
        return event, row.state, "", declined(view.program.spec.tables[row.kind], row.state, event)[1]
    false = [
        next((depth, guard) for depth, (guard, holds) in enumerate(line.guards) if not holds(row, view.given))
        for line in lines
    ]
    _, furthest = max(false, key=lambda found: found[0])
    return event, row.state, furthest.name, furthest.why


# ---- what happens -------------------------------------------------------------------------------------------------------
def perform(view: View, action: Action, row: Record, moves: list[Move]) -> None:
    """Take a step: cascade over whole sets, move rows one by one, create rows that a definition gives."""
    name, reason = action.step.name, ""
    if action.index < 0:
        reason = view.command.reason
    elif action.step.on == "workflow":
        reason = _why(view, action, cast(WorkflowRow, row), moves)
    if action.alone:
        view.apply(row, moves[0][1], name, reason)
    else:
        _move(view, action, row, moves, reason)
    if action.spawned is not None and isinstance(row, TaskRow):
        _spawn(view, action, row, action.spawned)
    elif action.births and not isinstance(row, DeliveryRow):
        _bear(view, action, row)


def _move(view: View, action: Action, row: Record, moves: list[Move], reason: str) -> None:
    """Cascade over whole sets, then move rows one by one."""
    name = action.step.name
    for part in action.cascades:
        view.cascade(cast(WorkflowRow, row), part, name, reason, ending=False)
    for target, line in moves:
        if not isinstance(target, WorkflowRow):
            view.apply(target, line, name, reason)
        elif line.source == ABSENT:
            view.create_workflow(target, line, name, reason)
        elif line.reopens:
            reopen(view, target, line, name, reason)
        else:
            view.apply(target, line, name, reason)
            if line.target == ABSENT:
                view.bury(target, line)
            _enter(view, target, line, name, reason)


def _why(view: View, action: Action, row: WorkflowRow, moves: list[Move]) -> str:
    """Why a rule on a workflow is taken, in words: what went wrong below, or what the rule ends it for.

    What has just happened is known. A permissive task may have failed long ago; the first that did is named.
    """
    if view.cause or moves[0][1].target not in ENDED_BADLY:
        return view.cause
    for no, facts in enumerate(row.prepared.facts):
        if facts.permissive and action.culprit is not None and action.culprit(task := view.task(row.id, no), view.given):
            return cause_of(task, task.reason)
    return action.step.guards[-1].name


def _bear(view: View, action: Action, row: WorkflowRow | TaskRow) -> None:
    """Create what a step brings into being: the tasks of the workflow that it is on, or a sub-workflow with its tasks."""
    workflow = row if isinstance(row, WorkflowRow) else _child_to_be(view, row)
    for part in action.births:
        line = next(ln for ln in view.program.cells[part.kind][ABSENT, part.event] if ln.holds(workflow, view.given))
        if part.kind == "workflow":
            view.create_workflow(workflow, line, action.step.name)
        else:
            view.create_tasks(workflow, line, action.step.name)


def _spawn(view: View, action: Action, task: TaskRow, part: Part) -> None:
    """Add the tasks that a result, or a control task that was passed, brings to its workflow, if it brings any."""
    spawn = view.command.spawn if action.index < 0 else view.judged(task).spawn if task.facts.judged else None
    if spawn is not None:
        (line,) = view.program.cells[part.kind][ABSENT, part.event]
        view.spawn(task, spawn, line, action.step.name)


def _child_to_be(view: View, task: TaskRow) -> WorkflowRow:
    prepared = view.judged(task).child
    if prepared is None:
        raise InvalidDefinition(f"starting {quoted(child_id(task))}", why="a sub-workflow starts only where its task is sound",
                                hint="guard the row that launches it")
    return view.fresh_workflow(child_id(task), prepared, task)


def _enter(view: View, workflow: WorkflowRow, line: Line, by: str, reason: str) -> None:
    """What happens below a workflow that ended."""
    cascades = view.program.entering.get(("workflow", line.target))
    if cascades is not None and view.anything_open(workflow):
        for part in cascades:
            view.cascade(workflow, part, by, reason, ending=True)


def settle(view: View) -> None:
    """Run progress to its end: the first rule in the order of the table, on the first row by workflow and position.

    Only rows that were woken can have one. What a step did not wake can have become impossible by it, never possible; so what
    stands in line is looked at again when its turn comes and something has happened since.
    """
    heap: list[tuple[int, str, int, int, WorkflowRow | TaskRow, Enabled]] = []
    woken, serial, fresh = view.woken, 0, 0
    while True:
        while woken:
            row, _ = woken.popitem()
            found = enabled(view, row)
            if found is None:
                continue
            if not woken and not heap:
                perform(view, found[0], row, found[1])  # the only one: no need to stand in line
                continue
            serial += 1
            owner, no = (row.workflow, row.no) if isinstance(row, TaskRow) else (row.id, OWN)
            heappush(heap, (found[0].index, owner, no, serial, row, found))
        if not heap:
            return
        index, _, _, pushed, row, found = heappop(heap)
        if pushed <= fresh:
            again = enabled(view, row)
            if again is None or again[0].index != index:
                woken[row] = None
                continue
            found = again
        fresh = serial
        perform(view, found[0], row, found[1])


# ---- commands -----------------------------------------------------------------------------------------------------------
def subject_of(view: View, command: Command) -> Record | None:
    """The row that a command is on."""
    subject = command.subject
    if subject.no is not None:
        row = view.snapshot.task(subject.workflow, subject.no)
        return None if row is None else view.keep_task(row)
    if subject.topic is not None:
        delivery = view.snapshot.delivery(subject.workflow, subject.run, subject.topic)
        return None if delivery is None else view.keep_delivery(delivery)
    found = None if view.plan.born else view.workflow(subject.workflow)
    if found is None and command.prepared is not None:
        return view.fresh_workflow(subject.workflow, command.prepared, None)
    return found


def refuse(view: View, action: Action, row: Record) -> Plan | Refusal:
    """The answer to a command that is not enabled: a declared no-op, or a refusal."""
    event, state, guard, why = blocked(view, action, row)
    if not guard and declined(view.program.spec.tables[row.kind], state, event)[0]:
        view.plan.no_op = why
        return view.close()
    fenced = "handouts" in action.step.params and guard in ("", held.name)
    return Refusal(view.command, event, state, guard, why, fenced)


def decide(program: Program, snapshot: Snapshot, command: Command, now: int) -> Plan | Refusal | None:
    """What a command does: everything that one commit writes, or why it is refused; None when its subject does not exist.

    `now` is in microseconds; neither a tree's clock nor that of the row goes back.
    """
    tree = snapshot.tree()
    born = tree is None
    if tree is None:
        tree = TreeRow(command.subject.workflow, 1, 0, now, 0)
    elif tree.clock > now:
        now = tree.clock
    view = View(program, snapshot, command, tree, now)
    view.plan.born = born
    action = program.commands[command.name]
    row = subject_of(view, command)
    if row is None or row.kind != action.step.on:
        return None
    if row.changed > now:
        view.set_time(row.changed)
    if command.chosen is not None:
        view.given = {**view.given, "from_task": view.named(command.chosen)}
    moves = moves_of(view, action, row) if action.holds(row, view.given) else None
    if moves is None:
        return refuse(view, action, row)
    perform(view, action, row, moves)
    view.annotate(row)
    if not isinstance(row, DeliveryRow):
        if not action.parts:
            view.woken[row] = None
        settle(view)
    plan, lock = view.plan, action.step.lock
    if lock is ROW:
        plan.changes.clear()  # it changes no state
    elif plan.changes or plan.first:
        tree.clock = view.now
        if lock is TREE:
            plan.raises = True
            tree.version += 1
    return view.close()


def offered(view: View, row: Record) -> Iterator[tuple[Action, bool]]:
    """Every command that exists for a row, and whether the one who may give it could give it now."""
    for name, action in view.program.commands.items():
        if action.step.on == row.kind and name not in UNLISTED:
            yield action, action.holds(row, view.given) and moves_of(view, action, row) is not None


def allowed(view: View, row: Record) -> tuple[str, ...]:
    """The commands that would be accepted now."""
    return tuple(action.step.name for action, accepted in offered(view, row) if accepted)


def choices(view: View, row: Record) -> tuple[Choice, ...]:
    """Every command that exists for a row, and why it would be refused now, if it would be."""
    found = []
    for action, accepted in offered(view, row):
        _, _, guard, why = ("", "", "", "") if accepted else blocked(view, action, row)
        found.append(Choice(action.step.name, accepted, guard, why))
    return tuple(found)


def presented(row: Record, now: int) -> dict[str, Any]:
    """What the one who may move the row would present: the lease that is stored, a proof, no delay, its first task."""
    given: dict[str, Any] = {
        "now": now, "chance": 0, "retryable": 1, "delay": 0, "proof": "proof", "error": "error", "anyway": 0}
    if isinstance(row, TaskRow):
        given |= {"run": row.wf.run, "handouts": row.handouts, "origin": row.workflow}
    elif isinstance(row, WorkflowRow):
        given |= {"origin": row.id, "resume": 0, "unarchived": 0,
                  "from_task": row.view.task(row.id, 0) if row.state in ENDED else None}
    else:
        given |= {"claims": row.claims}
    return given
