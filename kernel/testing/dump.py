"""Everything that a store keeps of its trees, as plain values that can be compared: what the checks look at."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, NamedTuple

from kernel.core.records import OWN, Prepared, WorkflowRow, root_of
from kernel.core.structure import Definition
from kernel.engine.ports import HistoryRecord, Store, Transaction
from kernel.errors import quoted
from kernel.spec.language import NEVER


class WorkflowFacts(NamedTuple):
    """One workflow; times in microseconds."""

    state: str
    run: int
    parent: str
    parent_no: int
    slot: int
    depth: int
    started: int
    changed: int
    deadline: int
    paused_by: str
    paused_at: int
    reason: str


class TaskFacts(NamedTuple):
    """One task; times in microseconds."""

    state: str
    attempt: int
    handouts: int
    not_before: int
    expires: int
    attempt_ends: int
    total_ends: int
    wakes: int
    signalled: int
    changed: int
    worker: str
    reason: str


class DeliveryFacts(NamedTuple):
    """One entry of the outbox; times in microseconds."""

    state: str
    run: int
    attempt: int
    claims: int
    due: int
    expires: int
    proof: str
    error: str
    changed: int
    sends: int


_workflow = attrgetter(*WorkflowFacts._fields)
_task = attrgetter(*TaskFacts._fields)
_delivery = attrgetter(*DeliveryFacts._fields)


class TreeDump(NamedTuple):
    """One tree in its present run: tasks by (workflow, position); deliveries of every run by (workflow, run, name)."""

    run: int
    version: int
    clock: int
    workflows: dict[str, WorkflowFacts]
    tasks: dict[tuple[str, int], TaskFacts]
    deliveries: dict[tuple[str, int, str], DeliveryFacts]

    @property
    def lifecycles(self) -> tuple[Any, ...]:
        """What no delivery may touch: the workflows and their tasks."""
        return self.run, self.version, self.workflows, self.tasks


Dump = dict[str, TreeDump]
"""Every tree, by the id of its root."""
EVERYTHING = 1_000_000


class Definitions(dict[str, Definition]):
    """What each workflow runs with: the definition that it started with, and the tasks that were spawned since."""

    def __init__(self) -> None:
        super().__init__()
        self.of_run: dict[tuple[str, int], Prepared] = {}

    def learn(self, row: WorkflowRow) -> None:
        """Remember what a workflow runs with now."""
        self[row.id] = row.prepared.definition
        self.of_run[row.id, row.run] = row.prepared

    def prepared(self, workflow_id: str, run: int) -> Prepared:
        """What a workflow ran with in a run. Raises KeyError."""
        return self.of_run[workflow_id, run]


def _bounded(values: tuple[Any, ...]) -> Iterable[Any]:
    """The values; all times from NEVER on are one."""
    return (min(value, NEVER) if isinstance(value, int) else value for value in values)


def _tree(transaction: Transaction, root: str, definitions: Definitions) -> TreeDump | None:
    tree = transaction.tree(root)
    if tree is None:
        return None
    workflows: dict[str, WorkflowFacts] = {}
    tasks: dict[tuple[str, int], TaskFacts] = {}
    for run in range(1, tree.run):
        for row in transaction.below(root, run):
            definitions.learn(row)
    for row in transaction.below(root, tree.run):
        definitions.learn(row)
        workflows[row.id] = WorkflowFacts._make(_bounded(_workflow(row)))
        for task in transaction.tasks(row.id, tree.run):
            tasks[row.id, task.no] = TaskFacts._make(_bounded(_task(task)))
    return TreeDump(tree.run, tree.version, tree.clock, workflows, tasks, {})


def dumped(store: Store, roots: Iterable[str], definitions: Definitions) -> Dump:
    """The trees of these roots, as far as they exist, in one transaction."""
    with store.transaction(write=False) as transaction:
        read = {root: _tree(transaction, root, definitions) for root in roots}
        found = {root: tree for root, tree in read.items() if tree is not None}
        for row in transaction.deliveries(None, None, ("", 0, ""), EVERYTHING):
            if (tree := found.get(root_of(row.workflow))) is not None:
                tree.deliveries[row.workflow, row.run, row.name] = DeliveryFacts._make(_bounded(_delivery(row)))
    return found


class Everything(NamedTuple):
    """A dump with the payloads and the whole history: two of them are equal only when nothing at all has changed."""

    trees: Dump
    payloads: dict[tuple[str, int, str], str | None]
    lines: dict[str, list[HistoryRecord]]


def everything(store: Store, roots: Iterable[str], definitions: Definitions) -> Everything:
    """All that a store keeps of these trees."""
    trees = dumped(store, roots, definitions)
    payloads: dict[tuple[str, int, str], str | None] = {}
    lines: dict[str, list[HistoryRecord]] = {}
    with store.transaction(write=False) as transaction:
        for root, tree in trees.items():
            lines[root] = transaction.history(root, None, None, 0, EVERYTHING)
            for workflow in tree.workflows:
                payloads[workflow, OWN, "input"] = transaction.payload(workflow, tree.run, OWN, "input")
            for workflow, no in tree.tasks:
                for what in ("input", "output", "definition"):
                    payloads[workflow, no, what] = transaction.payload(workflow, tree.run, no, what)
    return Everything(trees, payloads, lines)


def difference(before: Any, after: Any, place: str = "") -> str:
    """Where two dumps differ first, in words; empty when they are equal."""
    if before == after:
        return ""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            if key not in before:
                return f"{place}{quoted(key)} is new"
            if key not in after:
                return f"{place}{quoted(key)} is gone"
            if before[key] != after[key]:
                return difference(before[key], after[key], f"{place}{quoted(key)} ")
    if isinstance(before, tuple) and hasattr(before, "_fields") and type(before) is type(after):
        for name, old, new in zip(before._fields, before, after, strict=True):
            if old != new:
                return difference(old, new, f"{place}{name} ")
    return f"{place}was {quoted(before)}, is {quoted(after)}"


