"""What callers give, checked at the door: each check gives the value back or raises InvalidInput, before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from kernel.core.archive import ArchivePolicy
from kernel.core.checks import LIMITS, check_json, check_name
from kernel.core.definitions import WorkflowDef
from kernel.engine.entities import Lease
from kernel.engine.zones import offsets
from kernel.errors import InvalidDefinition, InvalidInput, quoted

LONGEST_ID = 4_000
"""Characters; ids of sub-workflows are paths of names."""
LONGEST_NAME = 200
LONGEST_REASON = 2_000
MOST = 1_000_000
"""Rows that one call gives."""
LARGEST = 2**62
"""Of any whole number: more fits in no store."""


def whole(value: object, what: str, least: int = 0, most: int = LARGEST) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(f"{what} {quoted(value)}", why=f"it is not a whole number from {least:,} to {most:,}")
    return value


def limit(value: object) -> int:
    """How many rows are asked for."""
    return whole(value, "the limit", 1, MOST)


def number(value: object, what: str) -> int | None:
    """A run or a version: counted from 1; None where none is asked for."""
    return None if value is None else whole(value, what, 1)


def text(value: object, what: str, longest: int) -> str:
    """Text that is written down: printable (line breaks and tabs too), bounded."""
    if not isinstance(value, str) or len(value) > longest or not (
            value.isprintable() or all(c.isprintable() or c in "\n\t" for c in value)):
        raise InvalidInput(f"{what} {quoted(value)}", why=f"it is not a printable text of at most {longest:,} characters")
    return value


def name(value: object, what: str) -> str:
    """The id or name of something that may exist."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
        raise InvalidInput(f"{what} {quoted(value)}", why=f"it is not a printable text of 1 to {LONGEST_ID:,} characters")
    return value


def workflow(value: object) -> str:
    """The id of a workflow that may exist."""
    return name(value, "the workflow id")


def new_id(value: object) -> str:
    """The id of a workflow that is to start."""
    return check_name(value, what="the workflow id", error=InvalidInput)


def state(value: object, states: type[StrEnum]) -> str | None:
    """A state to look for; None for all of them."""
    if value is not None and (not isinstance(value, str) or value not in {str(each) for each in states}):
        raise InvalidInput(f"the state {quoted(value)}", why="there is no such state", allowed=tuple(states))
    return value


def seconds(value: object, what: str) -> float:
    """A duration in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LIMITS.seconds:
        raise InvalidInput(f"{what} {quoted(value)}", why=f"it is no number of seconds from 0 to {LIMITS.seconds:,.0f}")
    return float(value)


def output(value: Any) -> str | None:
    """What a task gave, as JSON text; None for nothing."""
    return None if value is None else check_json(value, what="the output of a task")


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "an array"
    return f"a value of type {type(value).__name__}"


def workflow_input(value: object) -> str:
    """What a workflow is started with, as JSON text."""
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInput("the input of a workflow", why=f"it is {kind_of(value)}, not an object with keys",
                           hint='an object reads {"sku": 7}')
    return check_json(dict(value), what="the input of the workflow") if value else "{}"


def lease(value: object) -> Lease:
    """A lease, as `poll` gave it."""
    if not isinstance(value, Lease):
        raise InvalidInput(f"the lease {quoted(value)}", why="it is no lease", hint="poll gives leases")
    workflow(value.workflow_id)
    whole(value.position, "the lease's position")
    whole(value.run, "the lease's run")
    whole(value.handouts, "the lease's handouts")
    text(value.worker, "the worker", LONGEST_NAME)
    return value


def archive(value: object) -> ArchivePolicy | None:
    """An archive policy, or none. Raises InvalidDefinition for a zone that this system does not know."""
    if not isinstance(value, ArchivePolicy | None):
        raise InvalidInput(f"the archive policy {quoted(value)}", why="it is no ArchivePolicy", hint="make one, or give None")
    if value is not None and value.daily_at is not None:
        offsets(value.zone)
    return value


def definition(value: object) -> WorkflowDef:
    """A definition to be registered."""
    if not isinstance(value, WorkflowDef):
        raise InvalidInput(f"the definition {quoted(value)}", why="it is no WorkflowDef",
                           hint="make one, or read some with load_definitions")
    return value


def other_workflows(definition: WorkflowDef) -> None:
    """See that no task starts the very workflow that it belongs to. Raises InvalidDefinition."""
    for task in definition.tasks:
        if task.workflow == definition.name and task.workflow_version in (None, definition.version):
            raise InvalidDefinition(
                f"registering {quoted(definition.name)} version {definition.version}",
                why=f"task {quoted(task.ref)} starts the workflow that it belongs to: an endless recursion",
                hint="name another definition")
