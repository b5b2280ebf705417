"""What a task that the caller names is linked to: the tasks above it, those after it, the root of its tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from kernel.core.records import TaskRow, WorkflowRow


@frozen
class Positions:
    """Tasks of several workflows, by position."""

    of: Mapping[str, frozenset[int]]

    def __contains__(self, row: TaskRow) -> bool:
        return row.no in self.of.get(row.workflow, ())


def path(task: TaskRow) -> Iterator[TaskRow]:
    """A task and the sub-workflow tasks that it is below, the next one first."""
    yield task
    while task.wf.parent:
        task = task.wf.up
        yield task


def behind(task: TaskRow, link: str) -> Positions | tuple[WorkflowRow, ...]:
    """The rows behind a link of a task that the caller names."""
    onward = list(path(task))
    if link == "tree":
        past = any(step.wf.slot != step.wf.up.attempt for step in onward[:-1])
        return () if past else (onward[-1].wf,)
    if link == "above":
        return Positions({step.workflow: frozenset((step.no,)) for step in onward[1:]})
    reach = {step.workflow: _after(step) for step in onward}
    if link == "reach":
        return Positions(reach)
    return Positions({step.workflow: _progeny(step, reach[step.workflow]) for step in onward})


def _after(task: TaskRow) -> frozenset[int]:
    """The positions of a task, of what it spawned, and of all that come after these in its workflow, however far."""
    prepared, spawned = task.wf.prepared, dict[int, list[int]]()
    for no, each in prepared.spawned.items():
        spawned.setdefault(each.by, []).append(no)
    successors, found, todo = prepared.definition.successors, {task.no}, [task.no]
    while todo:
        no = todo.pop()
        new = {*successors[no], *spawned.get(no, ())} - found
        found |= new
        todo += new
    return frozenset(found)


def _progeny(task: TaskRow, reach: frozenset[int]) -> frozenset[int]:
    """The positions of the tasks that were spawned by one of these."""
    return frozenset(no for no, spawned in task.wf.prepared.spawned.items() if spawned.by in reach)
