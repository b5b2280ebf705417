"""The tasks that a dynamic fork makes when it is passed: read from its input, and checked like those of a definition."""

from __future__ import annotations

from typing import Any

import attrs

from kernel.core import checks
from kernel.core.conductor import parse_task
from kernel.core.content import task_from_content
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.template import escaped
from kernel.errors import InvalidInput, quoted

_CONDUCTORS = frozenset(("name", "taskReferenceName"))
"""The keys that tell a task as Conductor writes it from one of ours."""


def made_by(fork: TaskDef, given: dict[str, Any]) -> tuple[TaskDef, ...]:
    """The tasks of the input's "tasks", each with what the input's "inputs" has for its reference in its own input.

    A task is an object as `kernel.core.content` writes it, or as Conductor does. It comes after the fork, unless it says
    after which of the others. Raises a KernelError that says what is wrong, and with which task.
    """
    tasks, inputs = given.get("tasks"), given.get("inputs") or {}
    place = f"the tasks of dynamic fork {quoted(fork.ref)}"
    if not isinstance(tasks, list):
        raise InvalidInput(place, why=f"its input 'tasks' must be a list, not {checks.shown(tasks)}")
    if not isinstance(inputs, dict):
        raise InvalidInput(place, why=f"its input 'inputs' must be an object, not {checks.shown(inputs)}")
    return tuple(_with_input(_read(each, fork.ref, place), inputs, place) for each in tasks)


def _read(content: object, fork: str, place: str) -> TaskDef:
    if isinstance(content, dict) and not _CONDUCTORS.isdisjoint(content):
        task = parse_task(content, after=fork, place=place)
    else:
        task = task_from_content(content)
        task = task if task.after else attrs.evolve(task, after=(fork,))
    if isinstance(task.workflow, WorkflowDef):
        raise InvalidInput(f"{place}, task {quoted(task.ref)}", why="its sub-workflow is written inline",
                           hint="register that definition, and give its name")
    return task


def _with_input(task: TaskDef, inputs: dict[str, Any], place: str) -> TaskDef:
    """The task with its input; values, unlike templates of the task itself, stay as they are."""
    more = inputs.get(task.ref) or {}
    if not isinstance(more, dict):
        raise InvalidInput(f"{place}, task {quoted(task.ref)}", why=f"its input must be an object, not {checks.shown(more)}")
    return attrs.evolve(task, input={**task.input, **escaped(more)}) if more else task
