"""The state invariants of the specification evaluated on whole trees in memory: the audit of the memory store, and the judge
of every other store's audit.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from kernel.core.archive import Hearing
from kernel.core.nobody import NOBODY
from kernel.core.outbox import DEAF, hearing_of
from kernel.core.program import Counter, standard_program
from kernel.core.records import DeliveryRow, TaskRow, TreeRow, WorkflowRow, child_id, root_of
from kernel.core.working_set import in_scope
from kernel.engine.ports import HistoryRecord, Violation
from kernel.spec import SPEC
from kernel.spec.evaluate import Function, function
from kernel.spec.language import NEVER, Nature, Property
from kernel.spec.vocabulary import ABSENT, LIVE


class Whole:
    """All rows of a store, linked."""

    def __init__(
        self, workflows: list[WorkflowRow], tasks: list[TaskRow], deliveries: list[DeliveryRow],
        archiving: Sequence[tuple[int, Hearing | None]] = (),
    ) -> None:
        """`archiving` is what the store itself says of archives, from when on, in order."""
        self.archiving = archiving
        self.workflows = {(w.id, w.run): w for w in workflows}
        self.runs: dict[str, list[WorkflowRow]] = {}
        for workflow in workflows:
            self.runs.setdefault(workflow.id, []).append(workflow)
        self.tasks = {(t.workflow, t.run, t.no): t for t in tasks}
        self.outbox = {(d.workflow, d.run, d.name): d for d in deliveries}
        self.own: dict[tuple[str, int], list[TaskRow]] = {key: [] for key in self.workflows}
        for workflow in workflows:
            workflow.view = Links(self, workflow.until)
        for task in tasks:
            owner = self.workflows.get((task.workflow, task.run))
            if owner is not None:
                task.wf, task.view = owner, owner.view
                self.own[task.workflow, task.run].append(task)

    def deliveries(self) -> Iterator[DeliveryRow]:
        """Every delivery that there is or could be, each with its workflow and the policy that held when that ended."""
        expected = {(w.id, w.run, topic): None for w in self.workflows.values() for topic in w.prepared.topics}
        for key in {**expected, **self.outbox}:
            owner = self.workflows.get(key[:2])
            if owner is not None:
                row = self.outbox.get(key) or DeliveryRow(*key, ABSENT, 0, 0, 0, NEVER, "", "", 0, 0, 0)
                then = [hearing for since, hearing in self.archiving if since <= owner.changed]
                asked = row.topic in owner.prepared.topics or (row.version > 0 and bool(owner.prepared.notify))
                row.of = owner
                row.hearing = hearing_of(owner.prepared, row.topic, then[-1] if then else None) if asked else DEAF
                yield row


class Links:
    """Finds the linked rows as they stand in one run: the last one that a row is part of, NEVER for the present one."""

    def __init__(self, whole: Whole, run: int) -> None:
        self.whole, self.run = whole, run

    def task(self, workflow_id: str, no: int) -> TaskRow:
        """A task."""
        return self.whole.tasks[workflow_id, self.workflow(workflow_id).run, no]

    def workflow(self, workflow_id: str) -> Any:
        """A workflow."""
        found = (w for w in self.whole.runs.get(workflow_id, ()) if w.run <= self.run <= w.until)
        return next(found, NOBODY)

    def child(self, task: TaskRow) -> Any:
        """The sub-workflow of the task's present attempt."""
        found = self.workflow(child_id(task))
        return found if found is NOBODY or (found.parent_no, found.slot) == (task.no, task.attempt) else NOBODY

    def behind(self, row: WorkflowRow, link: str) -> Iterable[Any]:
        """The rows behind a set link of a workflow."""
        if link == "tasks":
            return self.whole.own[row.id, row.run]
        return [w for w in self.whole.workflows.values() if w.run <= self.run <= w.until and in_scope(link, row.id, w.id)]


@cache
def _properties() -> tuple[tuple[Property, Function], ...]:
    """The properties that can be read from one state."""
    return tuple((p, function(p.body, {})) for p in SPEC.properties if p.nature in (Nature.STATE, Nature.LIVENESS))


@cache
def _counters() -> tuple[tuple[Counter, Function], ...]:
    return tuple((c, function(c.body, {})) for c in standard_program().counters)


def violations(
    trees: Iterable[TreeRow], workflows: list[WorkflowRow], tasks: list[TaskRow], deliveries: list[DeliveryRow],
    archiving: Sequence[tuple[int, Hearing | None]] = (),
) -> Iterator[Violation]:
    """Every row on which a state invariant does not hold, and every counter that is not what it counts."""
    whole = Whole(workflows, tasks, deliveries, archiving)
    rows: dict[str, list[Any]] = {"workflow": workflows, "task": tasks, "delivery": deliveries}
    for kind, found in rows.items():
        yield from _damage(kind, found, whole)
    yield from _missing(trees, whole)
    rows["delivery"] = list(whole.deliveries())
    rows["task"] = [row for row in tasks if (row.workflow, row.run) in whole.workflows]
    for prop, holds in _properties():
        for row in rows[prop.on]:
            try:
                broken = not holds(row, {})
            except (AttributeError, KeyError):
                broken = True  # a linked row is missing
            if broken:
                yield Violation(prop.id, *_place(row), prop.text)
    for row in workflows:
        if row.state in LIVE:
            yield from recount(row, whole)


def notices(
    workflows: Iterable[WorkflowRow], deliveries: Iterable[DeliveryRow], lines: Iterable[HistoryRecord]
) -> Iterator[Violation]:
    """Every change of status in the history that was subscribed to and has no notice, and every notice of no such change."""
    subscribed = {(w.id, w.run): w.prepared.notify for w in workflows}
    there = {(d.workflow, d.run, d.version, d.status) for d in deliveries if d.version}
    asked = {(line.workflow, line.run, line.version, line.target) for line in lines
             if line.kind == "workflow" and line.source != line.target
             and line.target in subscribed.get((line.workflow, line.run), ())}
    for workflow, run, version, status in sorted(asked - there):
        yield Violation("INV-03", workflow, run, "", f"no notice that it came to {status} with version {version}")
    for workflow, run, version, status in sorted(there - asked):
        text = f"a notice of {status} with version {version}, of which that is not told"
        yield Violation("INV-03", workflow, run, "", text)


def _damage(kind: str, rows: list[Any], whole: Whole) -> Iterator[Violation]:
    """Rows that no command could have left: in no state of their kind, or of a workflow that is gone."""
    for row in rows:
        if row.state not in SPEC.kinds[kind].states:
            yield Violation("STORE", *_place(row), f"unknown state {row.state}")
        if kind != "workflow" and (row.workflow, row.run) not in whole.workflows:
            yield Violation("STORE", *_place(row), f"a {kind} of a workflow that does not exist")


def _missing(trees: Iterable[TreeRow], whole: Whole) -> Iterator[Violation]:
    """Workflows that lack tasks of their definition, and trees that do not know how many they have."""
    there: Counts[str] = Counts()
    for (workflow_id, run), own in whole.own.items():
        if whole.workflows[workflow_id, run].until == NEVER:
            there[root_of(workflow_id)] += len(own)
        wanted = len(whole.workflows[workflow_id, run].prepared.registered.facts)
        if (found := sum(1 for task in own if task.no < wanted)) != wanted:
            yield Violation("STORE", workflow_id, run, "", f"{found} of the {wanted} tasks of its definition are there")
    for tree in trees:
        if (found := there[tree.root]) != tree.tasks:
            yield Violation("STORE", tree.root, tree.run, "", f"its tree has {found} tasks, and counts {tree.tasks}")


def _place(row: Any) -> tuple[str, int, str]:
    if isinstance(row, WorkflowRow):
        return row.id, row.run, ""
    return row.workflow, row.run, row.ref if isinstance(row, TaskRow) else row.name


def recount(row: WorkflowRow, whole: Whole) -> Iterator[Violation]:
    """Counters of a live workflow and of its tasks against a recount."""
    own = whole.own[row.id, row.run]
    for counter, counts in _counters():
        if counter.owner == "workflow":
            real = sum(1 for t in own if counts(t, {}))
            if row.counts[counter.place] != real:
                yield Violation("COUNTER", row.id, row.run, "", f"{counter.name} is {row.counts[counter.place]}, not {real}")
            continue
        before = row.prepared.definition.predecessors
        by_no = {t.no: t for t in own}
        for task in own:
            real = sum(1 for no in before[task.no] if no in by_no and counts(by_no[no], {}))
            if task.counts[counter.place] != real:
                yield Violation(
                    "COUNTER", row.id, row.run, task.ref, f"{counter.name} is {task.counts[counter.place]}, not {real}")
