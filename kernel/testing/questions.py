"""Every question that can be asked of a store, with answers as plain values that can be compared."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from kernel.core.facts import Prepared
from kernel.core.plan import Subject
from kernel.core.records import OWN, DeliveryRow, TaskRow, TreeRow, WorkflowRow, root_of
from kernel.engine.ports import Transaction
from kernel.spec.language import NEVER
from kernel.testing.lockstep import LIMIT, placed

NOT_KEPT = {"prepared", "facts", "hearing", "until"}
"""What a row gets from its definition, and what only an audit asks for."""
START = ("", 0, "")
"""Before the first delivery."""


def _kept(field: attrs.Attribute[Any], _: object) -> bool:
    return bool(field.repr) and field.name not in NOT_KEPT


def plain(answer: Any) -> Any:
    """An answer as values that can be compared: a row as its columns, a definition as its digest."""
    if isinstance(answer, list | tuple) and type(answer) in (list, tuple):
        return [plain(each) for each in answer]
    if isinstance(answer, TreeRow | WorkflowRow | TaskRow | DeliveryRow):
        columns = attrs.asdict(answer, recurse=False, filter=_kept)
        return {name: min(value, NEVER) if isinstance(value, int) else value for name, value in columns.items()}
    return answer.digest if isinstance(answer, Prepared) else answer


def _unordered(rows: Iterable[Any]) -> list[Any]:
    """Rows whose order is not promised."""
    return sorted((plain(row) for row in rows), key=repr)


def _since(t: Transaction, tasks: Iterable[Subject]) -> Iterator[int]:
    """Since when tasks may be handed out."""
    for subject in tasks:
        tree = t.tree(root_of(subject.workflow))
        row = None if tree is None or subject.no is None else t.task(subject.workflow, tree.run, subject.no)
        if row is not None:
            yield row.not_before


def answers(t: Transaction, chance: random.Random, now: int) -> Iterator[tuple[str, Any]]:
    """Every method that reads, about rows that are there and about some that are not; each question with its answer."""
    workflows = t.find(None, None, "", LIMIT)
    yield "find", plain(workflows)
    ids = [w.id for w in workflows]
    for state in (None, "RUNNING", "PAUSED", "COMPLETED", "TERMINATED"):
        for name in (None, "leaf", "tower", "nothing"):
            after = chance.choice([*ids, "", "w1~"])
            yield f"find {state} {name} {after}", plain(t.find(state, name, after, chance.choice((1, 3, LIMIT))))
    for type in ("pick", "pack", "nothing"):
        found = t.pollable(type, now, LIMIT)
        yield f"pollable {type}", sorted(found, key=placed)
        yield f"pollable {type}, in turn", list(_since(t, found))
    for topics in (("archive",), ("mail", "archive"), ("notify", "archive"), ()):
        found = t.claimable(topics, now, LIMIT)
        yield f"claimable {topics}", sorted(found, key=placed)
        yield f"claimable {topics}, in turn", [
            row.due for s in found if (row := t.delivery(s.workflow, s.run, s.topic or "")) is not None]
    timers = t.timers(now + 40_000_000, LIMIT)
    yield "timers", sorted((timer.command, placed(timer.subject)) for timer in timers)
    yield "backlog", t.backlog(now)
    yield "names", t.names()
    for before in (now, now - 20_000_000, 0):
        yield f"has_records {before}", t.has_records(before)
        yield f"purgeable {before}", t.purgeable(before, chance.choice([*ids, ""]), chance.choice((1, LIMIT)))
    for after in ("", chance.choice([*ids, "w1~"])):
        yield f"roots {after}", t.roots(after, chance.choice((1, 3, LIMIT)))
    for workflow in [*ids, "nobody"]:
        yield f"late {workflow}", t.late(workflow)
    yield "sizes", t.sizes()
    yield "policies", t.archive_policies()
    yield "violations", sorted(t.violations())
    for name, version in (("leaf", None), ("leaf", 1), ("leaf", 9), ("nobody", None)):
        yield f"definition {name} {version}", plain(t.definition(name, version))
    for id in [*chance.sample(ids, min(len(ids), 4)), "nobody", "nobody/child"]:
        yield from _of_workflow(t, chance, id)
    for state, behind in ((None, START), ("PENDING", ("w1", 1, "archive")), ("DEAD", START), (None, ("w2", 0, ""))):
        yield f"deliveries {state}", plain(t.deliveries(state, None, behind, chance.choice((1, LIMIT))))


def _of_workflow(t: Transaction, chance: random.Random, id: str) -> Iterator[tuple[str, Any]]:
    """What can be asked about one workflow."""
    root, run = root_of(id), chance.choice((1, 1, 1, 2))
    yield f"tree {id}", plain(t.tree(root))
    yield f"tombstone {id}", t.tombstone(root)
    yield f"workflow {id}", plain(t.workflow(id, run))
    yield f"below {id}", plain(t.below(id, run))
    tasks = list(t.tasks(id, run))
    yield f"tasks {id}", plain(tasks)
    yield f"tasks behind {id}", plain(list(t.tasks(id, run, chance.randrange(-1, 3), chance.randrange(1, 3))))
    yield f"task {id}", [plain(t.task(id, run, no)) for no in range(-1, 4)]
    for no, what in ((OWN, "input"), (0, "input"), (0, "output"), (1, "output"), (99, "input")):
        yield f"payload {id} {no} {what}", t.payload(id, run, no, what)
    for only, of in ((None, None), (id, None), (id, 1), (None, 2)):
        lines = t.history(root, only, of, chance.randrange(4), chance.choice((1, 5, LIMIT)))
        yield f"history {id} {only}", lines
        for line in lines[:2]:
            yield f"lines of {line.command_id}", t.lines_of(root, line.command_id)
    yield f"deliveries {id}", plain(t.deliveries(None, id, START, LIMIT))
    yield f"delivery {id}", [plain(t.delivery(id, run, topic)) for topic in ("archive", "mail", "")]
    yield f"recorded {id}", [t.recorded(root, f"c{n}") for n in range(12)]
    yield from _of_snapshot(t, id, [task.no for task in tasks])


def _of_snapshot(t: Transaction, id: str, nos: list[int]) -> Iterator[tuple[str, Any]]:
    """What a decision can ask, from three kinds of subject."""
    for subject in (Subject(id), Subject(id, 0), Subject(id, topic="archive", run=1)):
        s = t.snapshot(subject)
        yield f"snapshot {subject} tree", plain(s.tree())
        yield f"snapshot {subject} task", [plain(s.task(id, no)) for no in (0, 1, 99)]
        yield f"snapshot {subject} workflow", [plain(s.workflow(id)), plain(s.workflow(root_of(id))), plain(s.workflow("?"))]
        yield f"snapshot {subject} tasks", _unordered(s.tasks(id, nos))
        yield f"snapshot {subject} ready", _unordered(s.ready(id))
        yield f"snapshot {subject} paused_by", _unordered(s.paused_by(id))
        yield f"snapshot {subject} delivery", plain(s.delivery(id, 1, "archive"))
        yield f"snapshot {subject} payload", [s.payload(id, no, "input") for no in (OWN, 0, 99)]
        yield f"snapshot {subject} definition", plain(s.definition("leaf", None))
        yield f"snapshot {subject} policy", s.policy
