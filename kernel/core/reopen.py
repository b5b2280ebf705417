"""Re-opening: what an ended workflow keeps in its next run, what starts again in it, and what stays behind with the old one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import cast

from kernel.core.extension import named, payload_of, without
from kernel.core.plan import Reopened
from kernel.core.program import Line, Part
from kernel.core.records import OWN, Change, Payload, TaskRow, WorkflowRow
from kernel.core.view import View, pick
from kernel.spec.vocabulary import ABSENT

Moved = tuple[TaskRow, Line, str]
"""A task, the line of the table that re-opening takes it by, and the state that it was in."""


def reopen(view: View, workflow: WorkflowRow, line: Line, by: str, reason: str = "") -> None:
    """Begin the next run of an ended workflow: its tasks are kept, start again, or are re-opened with what is below them.

    Of what is kept nothing changes but the run, so the store copies it; what starts again has new rows. The output of the run
    before is not that of the new one; its variables are, unless everything starts again.
    """
    own = view.own(workflow)
    begun = Reopened(workflow, workflow.run)
    view.plan.reopened.append(begun)
    workflow.touched, workflow.started, workflow.reason = True, view.now, ""
    view.apply(workflow, line, by, reason)
    view.tree.run = workflow.run
    for task in own:
        task.run = workflow.run
    brought = {part.event: _moves(view, part, own) for part in view.program.follows["workflow", line.event]}
    for event, moved in brought.items():
        alone = any(part.one for part in view.program.follows["task", event])
        view.plan.changes += _told(workflow, moved, own, by, alone=alone)
        for task, taken, _ in moved:
            _move(view, task, taken)
            if alone:
                view.write(task)
            elif taken.target == ABSENT:
                begun.gone.append(task.no)
            else:
                begun.again.append(task.no)
                view.plan.created_tasks.append(task)
    view.plan.payloads.append(Payload(workflow.id, OWN, "output", None))
    if len(begun.left) == len(own):
        view.plan.payloads.append(Payload(workflow.id, OWN, "variables", None))
    if begun.left:
        _set_aside(view, workflow, begun)
    if begun.gone:
        own = _left_out(view, workflow, begun)
    for event, moved in brought.items():
        for part in (part for part in view.program.follows["task", event] if part.one):
            for task, _, _ in moved:
                _reopen_below(view, task, part, by)
    _recount(view, workflow, own)


def _moves(view: View, part: Part, own: list[TaskRow]) -> list[Moved]:
    """The tasks that an event happens to, each with its line. All is read before anything moves."""
    found = ((task, pick(view.program, task, part.event, view.given)) for task in own if part.where(task, view.given))
    return [(task, line, task.state) for task, line in found if line is not None]


def _told(workflow: WorkflowRow, moved: list[Moved], own: list[TaskRow], by: str, *, alone: bool) -> Iterator[Change]:
    """The history of tasks that an event happened to: one line for each state, where all that were in it moved together."""
    standing = [task.state for task in own]
    for source, group in groupby(sorted(moved, key=lambda move: (move[2], move[0].no)), key=lambda move: move[2]):
        tasks = [(task, line) for task, line, _ in group]
        event, target = tasks[0][1].event, tasks[0][1].target
        if not alone and standing.count(source) == len(tasks):
            yield Change("task", workflow.id, "", event, source, target, int(target != ABSENT), len(tasks), by, "")
            continue
        for task, _ in tasks:
            attempt = task.attempt if alone else int(target != ABSENT)
            yield Change("task", workflow.id, task.ref, event, source, target, attempt, 1, by, "")


def _move(view: View, task: TaskRow, line: Line) -> None:
    for name, read in line.sets:
        setattr(task, name, read(task, view.given))
    task.state, task.changed, task.worker, task.reason, task.touched = line.target, view.now, "", "", True
    if task.mode in line.looks:
        view.woken[task] = None


def _set_aside(view: View, workflow: WorkflowRow, begun: Reopened) -> None:
    """What hangs below tasks that start again, or are there no more, stays with the old run."""
    facts = workflow.prepared.facts
    view.anew |= {(workflow.id, no) for no in begun.left}
    rows = list(view.snapshot.under(workflow.id, [no for no in begun.left if facts[no].mode == "WORKFLOW"]))
    view.plan.aside += rows
    view.gone |= {row.id for row in rows}
    for row in rows:
        view.workflows.pop(row.id, None)
        view.tree.tasks -= row.prepared.size


def _left_out(view: View, workflow: WorkflowRow, begun: Reopened) -> list[TaskRow]:
    """What was spawned by a task that starts again is there no more. Gives the tasks that are."""
    gone = frozenset(begun.gone)
    workflow.prepared = without(workflow.prepared, gone)
    workflow.extension = named("", [payload_of(workflow.id, each) for _, each in sorted(workflow.prepared.spawned.items())])
    view.tree.tasks -= len(gone)
    for no in gone:
        del view.tasks[workflow.id, no]
    own = [task for task in view.own(workflow) if task.no not in gone]
    view.whole = {**view.whole, workflow.id: own}
    return own


def _reopen_below(view: View, task: TaskRow, part: Part, by: str) -> None:
    """The sub-workflow of a task that goes on in place goes on with it: the guard has read that it is there and ended."""
    child = cast(WorkflowRow, view.child(task))
    reopen(view, child, cast(Line, pick(view.program, child, part.event, view.given)), by)


def _recount(view: View, workflow: WorkflowRow, own: list[TaskRow]) -> None:
    """Count anew: below an ending no counter was kept."""
    signature, standing = view.program.signature, view.program.standing
    counts = [0] * len(workflow.counts)
    counted: dict[int, dict[str, tuple[tuple[int, int], ...]]] = {}
    for task in own:
        counted[task.no] = deltas = dict(standing[task.state].get(signature(task.facts), ()))
        for place, by_how_much in deltas.get("tasks", ()):
            counts[place] += by_how_much
    workflow.counts = counts
    predecessors = workflow.prepared.definition.predecessors
    for task in own:
        fresh = [0] * len(task.counts)
        for no in predecessors[task.no]:
            for place, by_how_much in counted[no].get("after", ()):
                fresh[place] += by_how_much
        if fresh != task.counts:
            task.counts = fresh
            if not task.touched:
                view.write(task)
