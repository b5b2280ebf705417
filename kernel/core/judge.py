"""Whether a task can be prepared: its input resolved, its sub-workflow known, the limits of the tree kept.

Progress never raises: what cannot be prepared is judged unsound, and the tables REJECT it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kernel.core.checks import check_json
from kernel.core.records import OWN, Prepared, TaskRow, child_id
from kernel.core.template import resolve
from kernel.errors import KernelError, quoted

if TYPE_CHECKING:
    from kernel.core.working_set import WorkingSet

DEPTH_MAX = 20
"""Levels of sub-workflows, the root included."""
TREE_TASKS_MAX = 1_000_000
"""Tasks of one tree."""
ID_MAX = 2_000
"""Characters of a sub-workflow's id, which is a path."""


@frozen
class Judged:
    """The verdict; `input` is the resolved input as JSON text where it differs from the definition's."""

    sound: int
    why: str = ""
    input: str | None = None
    child: Prepared | None = None
    tasks: int = 0
    """Of a sub-workflow: how many tasks the tree had when it was judged."""


@frozen
class Scope:
    """Where the expressions of a task's input are read from."""

    view: WorkingSet
    task: TaskRow

    def workflow_id(self) -> str:
        """The id of its workflow."""
        return self.task.workflow

    def task_id(self) -> str:
        """The id of the task itself: workflow and reference."""
        return f"{self.task.workflow}/{self.task.ref}"

    def workflow_input(self) -> Any:
        """The input of its workflow."""
        return json.loads(self.view.payload(self.task.workflow, OWN, "input") or "{}")

    def output(self, ref: str) -> Any:
        """The output of another task of its workflow."""
        no = self.task.wf.prepared.definition.index[ref]
        return json.loads(self.view.payload(self.task.workflow, no, "output") or "{}")


def _limits(view: WorkingSet, task: TaskRow, child: Prepared, name: str) -> str:
    """Which limit the sub-workflow would pass; empty when it passes none."""
    if view.child(task) is not None:
        return f"workflow {quoted(child_id(task))} is there already"
    if task.wf.depth + 1 >= DEPTH_MAX:
        return f"sub-workflows nest deeper than {DEPTH_MAX} levels"
    if view.tree.tasks + len(child.facts) > TREE_TASKS_MAX:
        return f"the tree would have more than {TREE_TASKS_MAX} tasks"
    if len(child_id(task)) > ID_MAX:
        return f"the id of the sub-workflow would be longer than {ID_MAX} characters"
    above = task.wf
    while True:
        if above.prepared.digest == child.digest:
            return f"recursion: workflow {quoted(above.id)} above is {quoted(name)} too"
        if not above.parent:
            return ""
        above = above.up.wf


def _judge_child(view: WorkingSet, task: TaskRow, text: str) -> Judged:
    definition = task.wf.prepared.definition.source.tasks[task.no]
    name = resolve(definition.workflow, Scope(view, task))
    if not isinstance(name, str):
        return Judged(0, f"the name of its sub-workflow is {quoted(name)}, not a text")
    child = view.snapshot.definition(name, definition.workflow_version)
    if child is None:
        version = "" if definition.workflow_version is None else f" version {definition.workflow_version}"
        return Judged(0, f"no definition {quoted(name)}{version} is registered")
    limit = _limits(view, task, child, name)
    return Judged(0, limit) if limit else Judged(1, "", text, child, view.tree.tasks)


def judge(view: WorkingSet, task: TaskRow) -> Judged:
    """Whether a task that has something to judge can be prepared as things stand in the view."""
    try:
        source = task.wf.prepared.definition.source.tasks[task.no]
        value = resolve(source.input, Scope(view, task))
        text = check_json(value, what=f"the input of task {quoted(task.ref)}")
        if task.facts.mode == "WORKFLOW":
            return _judge_child(view, task, text)
        return Judged(1, "", text)
    except KernelError as error:
        return Judged(0, error.why or error.asked)
