"""Definitions compiled: positions instead of names, and a digest that identifies the content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import attrs
from attrs import field

from kernel.core import checks
from kernel.core.content import to_content
from kernel.core.definitions import TaskDef, TaskKind, WorkflowDef
from kernel.core.links import Links
from kernel.core.order import Positions, successors_of
from kernel.core.template import is_templated


@attrs.frozen
class Definition:
    """A definition compiled: tasks are positions in the order of their declaration.

    index         reference -> position
    predecessors  per task, the tasks that its `after` names; `successors` the same seen from the other end
    references    per task, the tasks that its expressions read
    templated     per task, whether its input or the name of its child holds expressions at all
    switches      per task, the switch in a branch of which it stands, and the number of the branch; () for none
    cases         switch -> the values that have a branch of their own, whose numbers are 2, 3, ...; 1 is the default
    digest        SHA-256 of the content, in hex: equal for equal definitions
    """

    source: WorkflowDef
    digest: str = field(kw_only=True)
    index: dict[str, int] = field(kw_only=True)
    predecessors: tuple[Positions, ...] = field(kw_only=True)
    successors: tuple[Positions, ...] = field(kw_only=True)
    references: tuple[Positions, ...] = field(kw_only=True)
    templated: tuple[bool, ...] = field(kw_only=True)
    switches: tuple[Positions, ...] = field(kw_only=True)
    cases: dict[int, tuple[str, ...]] = field(kw_only=True)


def compile_definition(definition: WorkflowDef) -> Definition:
    """The definition in the form that decisions work on."""
    links = Links.of(definition)
    cases, switches = _branches(definition, links)
    return Definition(
        definition,
        digest=hashlib.sha256(checks.canonical(to_content(definition)).encode()).hexdigest(),
        index=links.index,
        predecessors=links.predecessors,
        successors=successors_of(links.predecessors),
        references=links.references,
        templated=tuple(map(has_expressions, definition.tasks)),
        switches=switches,
        cases=cases,
    )


def has_expressions(task: TaskDef) -> bool:
    """Whether what a task takes in holds expressions."""
    return is_templated([task.input, task.workflow, task.wait_for, task.wait_until])


def _branches(definition: WorkflowDef, links: Links) -> tuple[dict[int, tuple[str, ...]], tuple[Positions, ...]]:
    """The cases of each switch, and where each task stands in one."""
    named: dict[int, set[str]] = {no: set() for no, task in enumerate(definition.tasks) if task.kind == TaskKind.SWITCH}
    values = [task.when[1] if task.when else None for task in definition.tasks]
    for switch, value in zip(links.switches, values, strict=True):
        if switch and value is not None:
            named[switch[0]].add(value)
    cases = {no: tuple(sorted(found)) for no, found in named.items()}
    switches = tuple(
        (*switch, 1 if value is None else 2 + cases[switch[0]].index(value)) if switch else ()
        for switch, value in zip(links.switches, values, strict=True)
    )
    return cases, switches


def inline(definition: WorkflowDef) -> Iterator[WorkflowDef]:
    """The definitions written inline in this one, each under its generated name, `outer#task`.

    They take the outer one's version, and its topics and archive policy when they have none.

    No name of a user's own holds a '#'.
    """
    for task in definition.tasks:
        if isinstance(task.workflow, WorkflowDef):
            yield attrs.evolve(
                task.workflow, name=f"{definition.name}#{task.ref}", within=definition.name, version=definition.version,
                topics=task.workflow.topics or definition.topics, archive=task.workflow.archive or definition.archive,
            )


def flatten(definition: WorkflowDef) -> list[WorkflowDef]:
    """The definition with names in the place of inline ones, followed by these, themselves flattened."""
    children = list(inline(definition))
    if not children:
        return [definition]
    tasks = tuple(
        attrs.evolve(task, workflow=f"{definition.name}#{task.ref}", workflow_version=definition.version)
        if isinstance(task.workflow, WorkflowDef) else task
        for task in definition.tasks
    )
    return [attrs.evolve(definition, tasks=tasks), *(plain for child in children for plain in flatten(child))]
