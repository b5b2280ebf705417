"""Rows of a store as the entities that callers get."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from kernel.core.outputs import Outputs, with_defaults
from kernel.core.plan import Plan, Subject
from kernel.core.records import OWN, DeliveryRow, TaskRow, TreeRow, WorkflowRow, entry_of, root_of
from kernel.engine.entities import (
    Delivery,
    Finding,
    HistoryRow,
    LateResult,
    Lease,
    Node,
    Report,
    Task,
    Workflow,
    moment,
    moment_or_none,
)
from kernel.engine.explain import delivery_id, not_found
from kernel.engine.ports import HistoryRecord, LateRecord, Transaction
from kernel.engine.states import DeliveryState, TaskState, WorkflowState
from kernel.errors import GuardRefused, InvalidDefinition, InvalidInput, NotFound, StoreCorrupt, quoted
from kernel.spec.vocabulary import unused

Own = Callable[[str], str | None]
"""Gives the input, the output or the variables of a workflow: JSON texts, None where there is none."""


def loaded(text: str | None) -> Any:
    """A stored JSON text as a value; None where there is none. Raises StoreCorrupt."""
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise damaged("a stored JSON text", f"it cannot be read: {error}") from error


def damaged(what: str, why: str) -> StoreCorrupt:
    """The error for what no program of ours has written."""
    return StoreCorrupt(f"reading {what}", why=why, hint="restore a backup; keep the damaged file for analysis")


def registered_otherwise(name: str, version: int) -> InvalidDefinition:
    """The error for a definition of which other content is kept under the same name and version."""
    return InvalidDefinition(
        f"registering {quoted(name)} version {version}", stands="this version is registered with other content",
        why="a running workflow keeps the definition that it started with", hint=f"register version {version + 1}")


def tree_of(transaction: Transaction, workflow_id: str) -> TreeRow:
    """The tree of a workflow. Raises NotFound."""
    tree = transaction.tree(root_of(workflow_id))
    if tree is None:
        raise not_found(Subject(workflow_id), tombstone=transaction.tombstone(root_of(workflow_id)))
    return tree


def workflow_row(transaction: Transaction, workflow_id: str, run: int | None = None) -> tuple[TreeRow, WorkflowRow]:
    """A workflow and its tree. Raises NotFound."""
    tree = tree_of(transaction, workflow_id)
    row = None if run is not None and run > tree.run else transaction.workflow(workflow_id, tree.run if run is None else run)
    if row is None:
        raise _left_behind(transaction, tree, workflow_id, tree.run if run is None else run)
    return tree, row


def last_row(transaction: Transaction, tree: TreeRow, workflow_id: str) -> tuple[int, WorkflowRow]:
    """The last run of a tree that a workflow is part of, and its row there. Raises NotFound."""
    for run in range(tree.run, 0, -1):
        row = transaction.workflow(workflow_id, run)
        if row is not None:
            return run, row
    raise not_found(Subject(workflow_id))


def _left_behind(transaction: Transaction, tree: TreeRow, workflow_id: str, run: int) -> NotFound:
    """The error for a workflow that is no part of a run; it may be of another one. Raises NotFound for one that is of none."""
    error, (last, _) = not_found(Subject(workflow_id)), last_row(transaction, tree, workflow_id)
    error.why = f"it is not part of run {run} of its tree"
    error.hint = f"kernel show {shlex.quote(workflow_id)} --run {last}"
    return error


def check_same(transaction: Transaction, row: WorkflowRow, name: str, version: int | None, text: str) -> None:
    """A second START of an id: the same content gives the workflow that exists, any other is refused."""
    source = row.prepared.definition.source
    same = source.name == name and version in (None, source.version)
    if not same or (transaction.payload(row.id, 1, OWN, "input") or "{}") != with_defaults(source, text):
        raise GuardRefused(
            f"START of workflow {quoted(row.id)}", guard=unused.name,
            stands=f"a workflow of this id was started from {quoted(source.name)} version {source.version}",
            why="it was started from another definition or with another input",
            hint="choose another id; the same id and content again gives the workflow that exists")


def position(row: WorkflowRow, ref: str) -> int:
    """The position of a task. Raises NotFound."""
    no = row.prepared.definition.index.get(ref)
    if no is None:
        error = not_found(Subject(row.id))
        error.asked = f"task {quoted(ref)} of workflow {quoted(row.id)}"
        error.why = f"definition {quoted(row.prepared.definition.source.name)} has no task of this reference"
        raise error
    return no


def own_payloads(transaction: Transaction, row: WorkflowRow) -> Own:
    """The payloads of a workflow itself, as a store keeps them."""
    return lambda what: transaction.payload(row.id, row.run, OWN, what)


def workflow(transaction: Transaction, row: WorkflowRow, version: int, own: Own | None = None) -> Workflow:
    """A workflow as callers get it. `own` gives its own payloads where they are known; else they are read."""
    source = row.prepared.definition.source
    given = own or own_payloads(transaction, row)
    return Workflow(
        id=row.id, run=row.run, state=WorkflowState(row.state), name=source.name, definition_version=source.version,
        parent=row.parent or None, root=root_of(row.id), started=moment(row.started), changed=moment(row.changed),
        deadline=moment_or_none(row.deadline), paused_by=row.paused_by or None, reason=row.reason, version=version,
        input=loaded(given("input")) or {}, output=workflow_output(transaction, row, given("output")),
        variables=workflow_variables(row, given("variables")),
    )


def begun(transaction: Transaction, plan: Plan) -> Workflow:
    """The workflow that a plan starts: what it is told of need not be read."""
    row = plan.created_workflows[0]
    own = {p.what: p.text for p in plan.payloads if (p.workflow, p.no) == (row.id, OWN)}
    return workflow(transaction, row, plan.tree.version, own.get)


def present(transaction: Transaction, workflow_id: str, run: int | None = None) -> Workflow:
    """A workflow as it stands. Raises NotFound."""
    tree, row = workflow_row(transaction, workflow_id, run)
    return workflow(transaction, row, tree.version)


def workflow_variables(row: WorkflowRow, text: str | None) -> Any:
    """The variables of a workflow: as they were set, or as its definition begins with them."""
    if text is not None:
        return loaded(text)
    given = row.prepared.definition.source.variables
    return deepcopy(given) if given else {}


def workflow_output(transaction: Transaction, row: WorkflowRow, text: str | None) -> Any:
    """What a workflow gave: its own output, or that of its last task that was done."""
    def state(no: int) -> str:
        task = transaction.task(row.id, row.run, no)
        return "" if task is None else task.state

    if text is not None or row.state != "COMPLETED":
        return loaded(text)
    given = Outputs(row.prepared.definition, lambda no: transaction.payload(row.id, row.run, no, "output"))
    return given.workflow(state)


def task_input(transaction: Transaction, row: TaskRow, owner: WorkflowRow) -> Any:
    """The input of a task: as it was resolved, or as the definition gives it."""
    definition = owner.prepared.definition
    if definition.templated[row.no]:
        return loaded(transaction.payload(row.workflow, row.run, row.no, "input"))
    given = definition.source.tasks[row.no].input
    return deepcopy(given) if given else {}  # a definition never changes, whatever a reader does with its input


def task_reason(row: TaskRow, owner: WorkflowRow) -> str:
    """Why a task stands where it does. A cascade writes no reason into each task: it is that of the workflow."""
    return row.reason or (owner.reason if row.state == "CANCELED" else "")


def task(transaction: Transaction, row: TaskRow, owner: WorkflowRow) -> Task:
    """A task as callers get it."""
    return Task(
        workflow_id=row.workflow, ref=row.facts.ref, type=row.facts.type, mode=row.facts.mode, state=TaskState(row.state),
        attempt=row.attempt, not_before=moment_or_none(row.not_before) if row.state == "SCHEDULED" else None,
        expires=moment_or_none(row.expires) if row.state in ("SCHEDULED", "IN_PROGRESS") else None,
        changed=moment(row.changed), worker=row.worker,
        reason=task_reason(row, owner), input=task_input(transaction, row, owner),
        output=loaded(transaction.payload(row.workflow, row.run, row.no, "output")), spawned_by=spawner(row, owner),
    )


def spawner(row: TaskRow, owner: WorkflowRow) -> str | None:
    """The reference of the task whose result added this one; None for a task of the definition."""
    spawned = owner.prepared.spawned.get(row.no)
    return None if spawned is None else owner.prepared.facts[spawned.by].ref


def lease(transaction: Transaction, row: TaskRow) -> Lease:
    """The lease on a task that was handed out."""
    facts, output = row.facts, None
    if row.handouts > 1:
        output = loaded(transaction.payload(row.workflow, row.run, row.no, "output"))
    return Lease(row.workflow, facts.ref, facts.type, row.attempt, row.run, row.handouts, row.worker, moment(row.expires),
                 task_input(transaction, row, row.wf), row.no, output)


def delivery(row: DeliveryRow) -> Delivery:
    """An outbox entry as callers get it."""
    return Delivery(
        id=delivery_id(row.workflow, row.run, row.name), workflow_id=row.workflow, run=row.run, topic=row.topic,
        state=DeliveryState(row.state), attempt=row.attempt, sends=row.sends,
        due=moment_or_none(row.due) if row.state == "PENDING" else None, proof=row.proof, error=row.error,
        version=row.version or None, status=row.status or None,
    )


def late_result(record: LateRecord, row: WorkflowRow) -> LateResult:
    """A late result as callers get it."""
    facts = row.prepared.facts
    return LateResult(
        workflow_id=record.workflow, task=facts[record.no].ref if record.no < len(facts) else str(record.no), run=record.run,
        attempt=record.attempt, handouts=record.handouts, worker=record.worker, at=moment(record.at), event=record.what,
        reason=record.reason, size=record.size, output=loaded(record.text))


def delivery_subject(text: object) -> Subject:
    """The delivery that an id names. Raises InvalidInput."""
    head, hash_sign, rest = text.rpartition("#") if isinstance(text, str) and text.isprintable() else ("", "", "")
    run, colon, name = rest.partition(":")
    try:
        whole = bool(head and hash_sign and colon and entry_of(name)[0]) and run.isascii() and run.isdigit() and len(run) < 10
    except ValueError:
        whole = False
    if not whole:
        raise InvalidInput(
            f"delivery {quoted(text)}", hint="kernel deliveries shows the ids",
            why="an id of a delivery reads WORKFLOW#RUN:TOPIC, of a notice WORKFLOW#RUN:notify@VERSION.STATUS")
    return Subject(head, topic=name, run=int(run))


def history_row(record: HistoryRecord) -> HistoryRow:
    """A line of history as callers get it."""
    return HistoryRow(
        seq=record.seq, version=record.version, run=record.run, at=moment(record.at), kind=record.kind,
        workflow_id=record.workflow, subject=record.subject, event=record.event, source=record.source,
        target=record.target, attempt=record.attempt, count=record.rows, by=record.by, actor=record.actor,
        reason=record.reason, command_id=record.command_id,
    )


def node(transaction: Transaction, workflow_id: str, run: int, version: int) -> Node:
    """A workflow with everything below it; built from the leaves up, so that depth costs no recursion."""
    rows = transaction.below(workflow_id, run)
    children: dict[str, list[Node]] = {}
    found: Node | None = None
    for row in sorted(rows, key=lambda r: (-r.depth, r.parent_no, r.slot)):  # siblings by task and attempt
        tasks = tuple(task(transaction, t, row) for t in transaction.tasks(row.id, run))
        found = Node(workflow(transaction, row, version), tasks, tuple(children.get(row.id, ())))
        children.setdefault(row.parent, []).append(found)
    if found is None:
        raise not_found(Subject(workflow_id))
    return found


def ref_of(child_id: str) -> str:
    """The reference of the task that started a sub-workflow."""
    return child_id.rpartition("/")[2].partition("~")[0]


def report(transaction: Transaction) -> Report:
    """The audit of a store."""
    findings = tuple(Finding(v.invariant, v.workflow, v.run, v.subject, v.text) for v in transaction.violations())
    return Report(findings, *transaction.sizes())
