"""The decision: (snapshot, command, now) -> Plan | Refusal. Pure; progress is part of it.

The command's own step is taken first; then progress runs to its end: of all rows that something woke, the first rule that is
enabled, in the order of the table, is taken, until none is.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Any

from attrs import frozen

from kernel.core.plan import Command, Plan, Refusal
from kernel.core.program import Action, Line, Program
from kernel.core.records import OWN, DeliveryRow, Record, TaskRow, TreeRow, WorkflowRow
from kernel.core.snapshot import Snapshot
from kernel.core.view import Move, View
from kernel.spec.language import Lock, Table
from kernel.spec.vocabulary import ABSENT

Blocked = tuple[str, str, str, str]
"""The event, the state, the guard that is false (empty: no row), and why."""


@frozen
class Choice:
    """One command that could be given to a row now: whether it would be accepted, and if not, which guard refuses it, why."""

    event: str
    allowed: bool
    guard: str
    reason: str


def pick(program: Program, row: Record, event: str, given: Mapping[str, Any]) -> Line | None:
    """The line of the table that the event takes from where the row stands; None when no guard lets it."""
    for line in program.cells[row.kind].get((row.state, event), ()):
        if line.holds(row, given):
            return line
    return None


def declined(table: Table, state: str, event: str) -> tuple[bool, str]:
    """What the table says of a cell without a row: whether it is a no-op, and the reason."""
    for no_op in table.no_ops:
        if no_op.event == event and state in no_op.source:
            return True, no_op.why
    return False, next(r.why for r in table.refusals if r.event == event and state in r.source)


def blocked(program: Program, row: Record, event: str, given: Mapping[str, Any]) -> Blocked:
    """Why no line of a cell is enabled: the first false guard of the line that came furthest."""
    lines = program.cells[row.kind].get((row.state, event), ())
    if not lines:
        return event, row.state, "", declined(program.spec.tables[row.kind], row.state, event)[1]
    furthest, name, why = -1, "", ""
    for line in lines:
        for depth, (guard, holds) in enumerate(line.guards):
            if not holds(row, given):
                if depth > furthest:
                    furthest, name, why = depth, guard.name, guard.why
                break
    return event, row.state, name, why


def moves_of(view: View, action: Action, row: Record) -> list[Move] | Blocked:
    """The rows that an action moves one by one, each with its line; or what blocks it. Everything reads the state before."""
    given = view.given
    moves: list[Move] = []
    for part in action.parts:
        if not part.one or (part.creates and part.link):
            continue
        target: Record = getattr(row, part.link) if part.link else row
        line = pick(view.program, target, part.event, given)
        if line is None:
            return blocked(view.program, target, part.event, given)
        moves.append((target, line))
    return moves


def perform(view: View, action: Action, row: Record, moves: list[Move]) -> None:
    """Take a step: move rows one by one, create rows that a definition gives, cascade over whole sets."""
    name = action.step.name
    births = [(p, _birth(view, row, p.link)) for p in action.parts if p.creates]
    for target, line in moves:
        if target.state == ABSENT and isinstance(target, WorkflowRow):
            view.create_workflow(target, line, name)
        else:
            view.apply(target, line, name)
            _enter(view, target, line, name)
    for part, workflow in births:
        if part.kind == "workflow" and part.link:
            born = pick(view.program, workflow, part.event, view.given)
            assert born is not None, part.event
            view.create_workflow(workflow, born, name)
        elif part.kind == "task":
            view.create_tasks(workflow, view.program.cells["task"][ABSENT, part.event][0], name)
    for part in action.parts:
        if not part.one and not part.creates:
            assert isinstance(row, WorkflowRow)
            view.cascade(row, part, name, ending=False)


def _birth(view: View, row: Record, link: str) -> WorkflowRow:
    """The workflow that is born, or whose tasks are."""
    if isinstance(row, TaskRow):
        return row.child
    assert isinstance(row, WorkflowRow), link
    return row


def _enter(view: View, row: Record, line: Line, by: str) -> None:
    """What happens below a workflow that ended."""
    entering = view.program.entering.get((row.kind, line.target))
    if entering is None or not isinstance(row, WorkflowRow) or not view.anything_open(row):
        return
    for part in entering[0]:
        view.cascade(row, part, by, ending=True)


def enabled(view: View, row: Record) -> tuple[Action, list[Move]] | None:
    """The first progress rule that is enabled on a row."""
    given = view.given
    for action in view.program.rules[row.kind][row.state]:
        if action.holds(row, given):
            moves = moves_of(view, action, row)
            if isinstance(moves, list):
                return action, moves
    return None


def settle(view: View) -> None:
    """Run progress to its end."""
    heap: list[tuple[int, str, int, int, Record, Action]] = []
    woken, pushed = view.woken, 0
    while True:
        while woken:
            row = woken.popitem()[0]
            found = enabled(view, row)
            if found is not None:
                pushed += 1
                owner, no = (row.workflow, row.no) if isinstance(row, TaskRow) else (row.id, OWN)  # type: ignore[union-attr]
                heappush(heap, (found[0].index, owner, no, pushed, row, found[0]))
        if not heap:
            return
        _, _, _, _, row, action = heappop(heap)
        found = enabled(view, row)
        if found is None:
            continue
        if found[0] is not action:
            woken[row] = None
            continue
        perform(view, action, row, found[1])


def subject_of(view: View, command: Command) -> Record | None:
    """The row that a command is on."""
    subject = command.subject
    if subject.topic is not None:
        return view.snapshot.delivery(subject.workflow, subject.run, subject.topic)
    if subject.no is not None:
        row = view.snapshot.task(subject.workflow, subject.no)
        return None if row is None else view.keep_task(row)
    found = view.workflow(subject.workflow)
    if found is None and command.prepared is not None:
        return view.fresh_workflow(subject.workflow, command.prepared, None)
    return found


def refuse(view: View, action: Action, row: Record, why: Blocked) -> Plan | Refusal:
    """The answer to a command that is not enabled: a declared no-op, or a refusal."""
    event, state, guard, reason = why
    if not guard and declined(view.program.spec.tables[row.kind], state, event)[0]:
        plan = view.plan(born=False, raises=False)
        plan.no_op = reason
        return plan
    return Refusal(view.command, event, state, guard, reason, fenced="handouts" in action.step.params)


def decide(program: Program, snapshot: Snapshot, command: Command, now: int) -> Plan | Refusal | None:
    """What a command does: everything that one commit writes, or why it is refused; None when its subject does not exist.

    `now` is in microseconds; a tree's clock never goes back.
    """
    tree = snapshot.tree()
    born = tree is None
    if tree is None:
        tree = TreeRow(command.subject.workflow, 1, 0, now, 0)
    elif tree.clock > now:
        now = tree.clock
    view = View(program, snapshot, command, tree, now)
    action = program.commands[command.name]
    row = subject_of(view, command)
    if row is None:
        return None
    moves = moves_of(view, action, row)
    if not isinstance(moves, list):
        return refuse(view, action, row, moves)
    if not action.holds(row, view.given):
        guard = next(g for g, holds in action.guards if not holds(row, view.given))
        return refuse(view, action, row, (command.name, row.state, guard.name, guard.why))
    lock = action.step.lock
    perform(view, action, row, moves)
    view.annotate(row)
    if not action.parts:
        view.woken[row] = None
    if action.step.on != "delivery":
        settle(view)
    return view.plan(born=born, raises=lock is Lock.TREE and bool(view.changes))


def choices(view: View, row: Record) -> tuple[Choice, ...]:
    """Every command that exists for a row, and whether the one who may give it could give it now."""
    found = []
    for name, action in view.program.commands.items():
        if action.step.on != row.kind or name in ("START", "WAKE"):
            continue
        why: Blocked | None = None
        moves = moves_of(view, action, row)
        if not isinstance(moves, list):
            why = moves
        elif not action.holds(row, view.given):
            guard = next(g for g, holds in action.guards if not holds(row, view.given))
            why = (name, row.state, guard.name, guard.why)
        found.append(Choice(name, why is None, why[2] if why else "", why[3] if why else ""))
    return tuple(found)


def presented(row: Record, now: int) -> dict[str, Any]:
    """What the one who may move the row would present: the lease that is stored, a proof, no delay."""
    given: dict[str, Any] = {"now": now, "retryable": 1, "delay": 0, "proof": "proof"}
    if isinstance(row, TaskRow):
        given |= {"run": row.wf.run, "handouts": row.handouts, "origin": row.workflow}
    elif isinstance(row, WorkflowRow):
        given |= {"origin": row.id}
    elif isinstance(row, DeliveryRow):
        given |= {"claims": row.claims}
    return given
