"""What tasks and workflows gave, as expressions and readers see it: made of what is stored, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from kernel.core.checks import LIMITS, canonical
from kernel.core.definitions import TaskKind, WorkflowDef
from kernel.core.structure import Definition

_FORKS = (TaskKind.FORK, TaskKind.DYNAMIC)  # what a join comes after without joining it
GAVE = ("COMPLETED", "COMPLETED_WITH_ERRORS")
"""The states of a task that was done; a SKIPPED one gave nothing."""


@frozen
class Outputs:
    """The outputs of the tasks of one workflow; `stored` gives the JSON text that is kept for a position.

    A join keeps none: its output is that of the tasks that it joins, by reference. Each is made once, however many
    joins lead to it, and joins that lead deeper than JSON may be nested give null.
    """

    definition: Definition
    stored: Callable[[int], str | None]
    made: dict[int, Any] = field(factory=dict)

    def task(self, no: int, depth: int = 0) -> Any:
        """The output of a task; None when it gave none."""
        if no not in self.made:
            self.made[no] = self._make(no, depth)
        return self.made[no]

    def _make(self, no: int, depth: int) -> Any:
        tasks = self.definition.source.tasks
        if tasks[no].kind != TaskKind.JOIN:
            text = self.stored(no)
            return None if text is None else json.loads(text)
        if depth == LIMITS.depth:
            return None
        joined = [other for other in self.definition.predecessors[no] if tasks[other].kind not in _FORKS]
        return {tasks[other].ref: self.task(other, depth + 1) for other in joined}

    def workflow(self, state: Callable[[int], str]) -> Any:
        """The output of a workflow that has none of its own: that of the last task, as declared, that was done."""
        last = next((no for no in reversed(range(len(self.definition.predecessors))) if state(no) in GAVE), None)
        return None if last is None else self.task(last)


def with_defaults(source: WorkflowDef, text: str) -> str:
    """The input of a workflow, JSON text, with the defaults of its definition for the keys that it lacks."""
    return canonical({**source.defaults, **json.loads(text)}) if source.defaults else text
