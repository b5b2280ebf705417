"""Refusals in words: what was asked, where things stand, why not, what is allowed now, what to do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from kernel.core.decide import allowed, declined, presented
from kernel.core.plan import Command, Plan, Refusal, Subject, Tombstone
from kernel.core.program import Program
from kernel.core.records import Record, TaskRow, TreeRow, WorkflowRow, root_of
from kernel.core.snapshot import Snapshot
from kernel.core.view import View
from kernel.engine.entities import moment
from kernel.engine.ports import Transaction
from kernel.errors import Fenced, GuardRefused, NoSuchTransition, NotFound, Refused, quoted
from kernel.spec.task import TASK_TABLE
from kernel.spec.vocabulary import ABSENT, outbox_settled, unused
from kernel.spec.workflow import WORKFLOW_TABLE


def described(subject: Subject, row: Record | None = None) -> str:
    """A subject as messages name it."""
    if subject.topic is not None:
        return f"delivery {quoted(delivery_id(subject.workflow, subject.run, subject.topic))}"
    if subject.no is not None:
        ref = quoted(row.ref) if isinstance(row, TaskRow) else f"number {subject.no}"
        return f"task {ref} of workflow {quoted(subject.workflow)}"
    return f"workflow {quoted(subject.workflow)}"


def delivery_id(workflow_id: str, run: int, name: str) -> str:
    """The id of a delivery: workflow, run and its name."""
    return f"{workflow_id}#{run}:{name}"


def told(tombstone: Tombstone) -> str:
    """What became of a tree that was purged."""
    by = f" by {quoted(tombstone.actor)}" if tombstone.actor else ""
    why = f": {quoted(tombstone.reason)}" if tombstone.reason else ""
    return (f"{quoted(tombstone.root)} ({tombstone.state}, run {tombstone.run}) was purged at "
            f"{moment(tombstone.at):%Y-%m-%d %H:%M:%S} UTC{by}{why}")


def not_found(subject: Subject, asked: str = "", tombstone: Tombstone | None = None) -> NotFound:
    """No such row; `tombstone` is what stays of its tree, if it was purged."""
    what = described(subject)
    hint = "kernel list shows the workflows of a store, kernel tree ID the tasks of one"
    if subject.topic is not None:
        hint = "kernel deliveries shows what is to be delivered, was delivered, or died"
    asked = f"{asked} of {what}" if asked else what
    if tombstone is None:
        return NotFound(asked, why="there is none in this store", hint=hint)
    return NotFound(asked, stands=told(tombstone), why="a purge removes all rows of a tree, of every run",
                    hint="its archive has it; its id is not used again")


def left_behind(transaction: Transaction, command: Command) -> Refusal | None:
    """Why a lease does not count whose task stayed behind with an earlier run; None when there never was such a task."""
    subject, run = command.subject, command.given.get("run")
    if subject.no is None or run is None or transaction.task(subject.workflow, run, subject.no) is None:
        return None
    return Refusal(command, command.name, f"set aside with run {run}", "", declined(TASK_TABLE, ABSENT, command.name)[1], True)


def unknown_definition(names: Mapping[str, Sequence[int]], name: str, version: int | None) -> NotFound:
    """No such definition; `names` are those that are registered, with their versions."""
    asked = f"definition {quoted(name)}" + ("" if version is None else f" version {version}")
    known = ", ".join(f"{quoted(n)} {'/'.join(map(str, v))}" for n, v in list(names.items())[:10])
    return NotFound(asked, stands=f"{len(names)} definitions are registered" + (f": {known}" if known else ""),
                    why="it is not registered in this store", hint="k.register(definition) first")


def error_of(program: Program, snapshot: Snapshot, refusal: Refusal, now: int) -> Refused:
    """A refusal as the error that the caller gets."""
    command = refusal.command
    tree = snapshot.tree() or TreeRow(command.subject.workflow, 1, 0, now, 0)
    view = View(program, snapshot, Command(command.name, command.subject), tree, max(now, tree.clock))
    row = row_of(view, command.subject)
    accepted: tuple[str, ...] = ()
    if row is not None:
        view.given = presented(row, view.now)
        accepted = allowed(view, row)
    asked = f"{command.name} of {described(command.subject, row)}"
    if command.worker or refusal.fenced:
        asked += f" by {quoted(command.worker or command.actor)}" if command.worker or command.actor else ""
    grave = snapshot.tombstone() if row is None else None
    stands = _stands(row, tree.run, tree.version) or (told(grave) if grave is not None else refusal.state)
    if refusal.fenced:
        return Fenced(asked, guard=refusal.guard or "lease held", stands=stands, why=refusal.why, allowed=accepted,
                      hint="stop working on this attempt and poll for the next task")
    hint = _hint(refusal, row)
    if refusal.guard:
        return GuardRefused(asked, guard=refusal.guard, stands=stands, why=f"{refusal.why} (guard: {refusal.guard})",
                            allowed=accepted, hint=hint)
    return NoSuchTransition(asked, stands=stands, why=refusal.why, allowed=accepted, hint=hint)


def no_op_of(snapshot: Snapshot, plan: Plan) -> str:
    """Why a command changed nothing; of a workflow that a PAUSE above it paused, whose RESUME resumes it."""
    subject = plan.command.subject
    row = snapshot.workflow(subject.workflow) if subject.no is None and subject.topic is None else None
    if row is None or row.paused_by in ("", row.id):
        return plan.no_op
    return f"{plan.no_op}: the PAUSE of {quoted(row.paused_by)} paused it, and the RESUME of that resumes it, too"


def row_of(view: View, subject: Subject) -> Record | None:
    """The row that a subject names, linked."""
    if subject.topic is not None:
        delivery = view.snapshot.delivery(subject.workflow, subject.run, subject.topic)
        return None if delivery is None else view.keep_delivery(delivery)
    if subject.no is not None:
        task = view.snapshot.task(subject.workflow, subject.no)
        return None if task is None else view.keep_task(task)
    return view.workflow(subject.workflow)


def _stands(row: Record | None, run: int, version: int) -> str:
    place = f"run {run}, version {version}"
    if isinstance(row, TaskRow):
        held = f", held by {quoted(row.worker)}" if row.worker and row.state == "IN_PROGRESS" else ""
        return f"{row.state}, attempt {row.attempt} of {row.facts.tries}{held}; workflow {row.wf.state} ({place})"
    return f"{row.state} ({place})" if row is not None else ""


def _hint(refusal: Refusal, row: Record | None) -> str:
    if refusal.command.name == "START":
        if refusal.guard == unused.name:
            return "choose another id"
        return "choose another id; the same id with the same definition and input gives the workflow that exists"
    if isinstance(row, WorkflowRow) and row.parent and refusal.command.name == "RESUME":
        return f"kernel resume {shlex.quote(row.parent)}"
    if isinstance(row, WorkflowRow) and row.parent and refusal.command.name in WORKFLOW_TABLE.reopening:
        return f"kernel {refusal.command.name.lower()} {shlex.quote(root_of(row.id))}"
    if refusal.guard == outbox_settled.name:
        return "kernel deliver --archive DIR delivers what is open, kernel redrive --all tries again what is DEAD"
    return f"kernel show {shlex.quote(refusal.command.subject.workflow)}"
