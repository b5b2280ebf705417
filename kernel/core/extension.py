"""What a running workflow gets beyond its definition: the tasks that results of its tasks spawned.

Each takes the next free position. Its definition is kept as a payload of that position; `WorkflowRow.extension` names the
content of all of them together, so that a store can keep what it has compiled. Positions may have holes: a re-opening leaves
out what it does not keep.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from operator import attrgetter

from attrs import evolve, frozen

from kernel.core.checks import LIMITS, canonical, refuse, shown
from kernel.core.content import task_content, task_from_content
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.facts import Prepared, Spawned, facts_of
from kernel.core.links import read_by, references_of
from kernel.core.order import Positions, check_reads, in_order, positions, successors_of
from kernel.core.records import Payload
from kernel.core.structure import has_expressions
from kernel.errors import quoted

WHAT = "definition"
"""The payload that a spawned task has and no other."""
WAITING = frozenset(("PENDING", "SKIPPED"))
"""Where tasks stand that can be made to wait: what was skipped waits when it starts again."""
HOLE = TaskDef("gone")
"""In a position that no task has."""


@frozen
class Spawn:
    """Tasks to be added to a running workflow; those named in `before` wait for all of them, too."""

    tasks: tuple[TaskDef, ...]
    before: tuple[str, ...] = ()


def payload_of(workflow_id: str, spawned: Spawned) -> Payload:
    """What is kept of a spawned task."""
    content = {"by": spawned.by, "before": list(spawned.before), "task": task_content(spawned.task)}
    return Payload(workflow_id, spawned.no, WHAT, canonical(content))


def spawned_from(no: int, text: str) -> Spawned:
    """The task that was kept as this text. Raises InvalidDefinition, ValueError, LookupError or TypeError for any other."""
    content = json.loads(text)
    return Spawned(no, content["by"], tuple(content["before"]), task_from_content(content["task"]))


def named(extension: str, payloads: Sequence[Payload]) -> str:
    """The name of what was there before and these; nothing has the empty name."""
    if not payloads:
        return extension
    text = canonical([extension, *([p.no, p.text] for p in payloads)])
    return hashlib.sha256(text.encode()).hexdigest()


def without(prepared: Prepared, gone: Set[int]) -> Prepared:
    """What is left of a definition when the tasks in these positions, all of them spawned, are there no more."""
    return extended(prepared.registered, (spawned for no, spawned in sorted(prepared.spawned.items()) if no not in gone))


def extended(base: Prepared, spawned: Iterable[Spawned]) -> Prepared:
    """A definition with these tasks, too, whatever order they come in; they were checked when they were spawned."""
    more = {each.no: each for each in sorted(spawned, key=attrgetter("no"))}  # who waits is there before who comes later
    if not more:
        return base
    definition, new = base.definition, max(more) + 1 - len(base.facts)
    tasks, cases = [*definition.source.tasks, *[HOLE] * new], {**definition.cases, **dict.fromkeys(more, ())}
    facts, templated = [*base.facts, *[evolve(facts_of(HOLE), added=1)] * new], [*definition.templated, *[False] * new]
    predecessors, index = [*definition.predecessors, *[()] * new], {**definition.index}
    references = [*definition.references, *[()] * new]
    for no, each in more.items():
        tasks[no], facts[no], index[each.task.ref] = each.task, evolve(facts_of(each.task), added=1), no
        templated[no] = has_expressions(each.task)
    there = {*range(len(base.registered.facts)), *base.spawned, *more}
    for no, each in more.items():
        predecessors[no] = _meant(each, each.task.after, index, more)
        references[no] = _meant(each, read_by(each.task), index, more)
        for late in there & {*each.before}:
            predecessors[late] = (*predecessors[late], no)
    return evolve(base, base=base.registered, facts=tuple(facts), spawned={**base.spawned, **more}, definition=evolve(
        definition, source=_with(definition.source, tasks), index=index, predecessors=tuple(predecessors),
        successors=successors_of(predecessors), references=tuple(references), templated=tuple(templated),
        switches=(*definition.switches, *[()] * new), cases=cases))


def _meant(spawned: Spawned, refs: Iterable[str], index: Mapping[str, int], more: Mapping[int, Spawned]) -> Positions:
    """The tasks that a spawned one names, as far as they are there: those before it, and those that were spawned with it.

    One that was spawned later, under the name of a task that stayed behind with an earlier run, is another.
    """
    found = dict.fromkeys(index[ref] for ref in refs if ref in index)
    return tuple(no for no in found if no < spawned.no or more[no].by == spawned.by)


def _with(source: WorkflowDef, tasks: Sequence[TaskDef]) -> WorkflowDef:
    """The same definition with other tasks, as they stand."""
    changed = copy.copy(source)
    object.__setattr__(changed, "tasks", tuple(tasks))
    return changed


def added(base: Prepared, by: int, spawn: Spawn) -> tuple[Spawned, ...]:
    """The tasks of a spawn in their positions. Raises InvalidDefinition for what could not run in this workflow."""
    definition = base.definition
    place = f"what task {quoted(base.facts[by].ref)} spawns"
    for task in spawn.tasks:
        if task.when is not None:
            refuse(f"{place}, task {quoted(task.ref)}", "when", "a spawned task stands in no branch", "leave it out")
        if isinstance(task.workflow, WorkflowDef):
            refuse(f"{place}, task {quoted(task.ref)}", "workflow", "a spawned task names its sub-workflow",
                   "register the definition, and give its name")
    first = len(base.facts)
    if first + len(spawn.tasks) > LIMITS.tasks:
        refuse(place, "tasks", f"the workflow would have more than {LIMITS.tasks:,}")
    refs = [facts.ref if definition.index.get(facts.ref) == no else f"#{no}" for no, facts in enumerate(base.facts)]
    index = {ref: no for no, ref in enumerate(refs)}
    for task in spawn.tasks:
        if task.ref in index:
            refuse(f"{place}, task {quoted(task.ref)}", "ref", "the workflow has another task of the same reference",
                   "give each a reference of its own")
        index[task.ref] = len(refs)
        refs.append(task.ref)
    before = positions(place, "before", spawn.before, {ref: no for ref, no in index.items() if no < first})
    found = tuple(Spawned(first + n, by, before, task) for n, task in enumerate(spawn.tasks))
    for task in spawn.tasks:
        positions(f"{place}, task {quoted(task.ref)}", "after", task.after, index)
        references_of(f"{place}, task {quoted(task.ref)}", task, index)
    changed = extended(base, found).definition
    order = in_order(place, refs, changed.predecessors)
    reads = [()] * first
    check_reads(place, refs, changed.predecessors, order, [*reads, *changed.references[first:]])
    return found


def spawn_of(tasks: object, before: object) -> Spawn | None:
    """What a caller asks to be spawned; None for nothing. Raises InvalidDefinition."""
    if tasks == () and before == ():
        return None
    place = "what is to be spawned"
    if isinstance(tasks, str) or not isinstance(tasks, Sequence) or not all(isinstance(task, TaskDef) for task in tasks):
        refuse(place, "spawn", f"it must be a list of TaskDef, not {shown(tasks)}")
    if isinstance(before, str) or not isinstance(before, Sequence) or not all(isinstance(ref, str) for ref in before):
        refuse(place, "before", f"it must be a list of references, not {shown(before)}")
    if before and not tasks:
        refuse(place, "before", "nothing is spawned that could be waited for")
    return Spawn(tuple(tasks), tuple(before)) if tasks else None
