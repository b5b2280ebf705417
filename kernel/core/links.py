"""Who names whom in a definition: the tasks that tasks wait for, read, and stand in a branch of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from kernel.core import checks
from kernel.core.kinds import TaskKind
from kernel.core.order import Positions, index_of, positions
from kernel.core.template import expressions
from kernel.errors import InvalidDefinition, quoted

if TYPE_CHECKING:
    from kernel.core.definitions import TaskDef, WorkflowDef


@attrs.frozen
class Links:
    """Who names whom, by position: `predecessors` from `after`, `references` from expressions, `switches` from `when`."""

    index: dict[str, int]
    predecessors: tuple[Positions, ...]
    references: tuple[Positions, ...]
    switches: tuple[Positions, ...]

    @classmethod
    def of(cls, definition: WorkflowDef) -> Links:
        """The links of a definition. Raises InvalidDefinition where a name is unknown, or tasks wait for each other."""
        place = f"definition {quoted(definition.name)}"
        index = index_of(place, [task.ref for task in definition.tasks])
        positions(place, "output", _read(place, "output", definition.output), index)
        tasks = [(f"{place}, task {quoted(task.ref)}", task) for task in definition.tasks]
        return cls(
            index,
            tuple(positions(place, "after", task.after, index) for place, task in tasks),
            tuple(references_of(place, task, index) for place, task in tasks),
            tuple(_switch(place, task, definition, index) for place, task in tasks),
        )


def references_of(place: str, task: TaskDef, index: dict[str, int]) -> Positions:
    """The tasks that the expressions of a task read. Raises InvalidDefinition for one that there is not."""
    found: list[int] = []
    for name, template in _templates(task):
        found.extend(positions(place, name, _read(place, name, template), index))
    return tuple(dict.fromkeys(found))


def read_by(task: TaskDef) -> list[str]:
    """The tasks that the expressions of a task read, once they are known to be in order."""
    return [ref for name, template in _templates(task) for ref in _read("a task", name, template)]


def _templates(task: TaskDef) -> tuple[tuple[str, object], ...]:
    return (("input", task.input), ("workflow", task.workflow), ("on", task.on), ("wait_for", task.wait_for),
            ("wait_until", task.wait_until))


def _read(place: str, name: str, template: object) -> list[str]:
    """The tasks that the expressions of a field read."""
    try:
        return [each.ref for each in expressions(template) if each.ref is not None]
    except InvalidDefinition as error:
        raise checks.placed(error, f"{place}, field {quoted(name)}") from None


def _switch(place: str, task: TaskDef, definition: WorkflowDef, index: dict[str, int]) -> Positions:
    """The position of the switch in a branch of which the task stands; none for a task in no branch."""
    if task.when is None:
        return ()
    (position,) = positions(place, "when", task.when[:1], index)
    kind = definition.tasks[position].kind
    if kind != TaskKind.SWITCH:
        checks.refuse(place, "when", f"{quoted(task.when[0])} is a {kind} task, and only a switch has branches")
    return (position,)
