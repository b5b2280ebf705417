"""Definitions as plain data, and back: what a store keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from kernel.core import checks
from kernel.core.archive import ArchivePolicy
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.errors import InvalidDefinition


def to_content(definition: WorkflowDef | ArchivePolicy) -> dict[str, Any]:
    """The definition, or an archive policy, as a JSON object.

    What has its default value is left out, so defaults are part of the format.
    """
    content: dict[str, Any] = _converter().unstructure(definition)
    return content


def from_content(content: object) -> WorkflowDef:
    """The definition that `to_content` wrote. Raises InvalidDefinition for anything else, an unknown key included."""
    try:
        return _converter().structure(content, WorkflowDef)
    except RecursionError:
        raise InvalidDefinition("a definition is not acceptable", why="it is nested too deep") from None


def policy_from_content(content: object) -> ArchivePolicy:
    """The archive policy that `to_content` wrote. Raises InvalidDefinition for anything else."""
    return _converter().structure(content, ArchivePolicy)


def task_content(task: TaskDef) -> dict[str, Any]:
    """One task as a JSON object."""
    content: dict[str, Any] = _converter().unstructure(task)
    return content


def task_from_content(content: object) -> TaskDef:
    """The task that `task_content` wrote. Raises InvalidDefinition for anything else."""
    try:
        return _converter().structure(content, TaskDef)
    except RecursionError:
        raise InvalidDefinition("a task is not acceptable", why="it is nested too deep") from None


@cache
def _converter() -> Converter:
    converter = Converter(omit_if_default=True, unstruct_collection_overrides={tuple: list})
    def tasks(given: object, _: Any) -> object:
        return [converter.structure(each, TaskDef) for each in given] if isinstance(given, list) else given

    def child(given: object, _: Any) -> object:
        return converter.structure(given, WorkflowDef) if isinstance(given, dict) else given

    def archive(given: object, _: Any) -> object:
        return converter.structure(given, ArchivePolicy) if isinstance(given, dict) else given

    converter.register_structure_hook(ArchivePolicy, _reader(converter, ArchivePolicy))
    converter.register_structure_hook(TaskDef, _reader(converter, TaskDef, workflow=child))
    converter.register_structure_hook(WorkflowDef, _reader(converter, WorkflowDef, tasks=tasks, archive=archive))
    return converter


def _reader(converter: Converter, kind: type[Any], **hooks: Callable[[object, Any], object]) -> Callable[..., Any]:
    """Reads an object into `kind`. Its keys must be fields; values go in as they are, for the class to check."""
    fields = attrs.fields_dict(kind)
    given: dict[str, Any] = {name: override(struct_hook=hooks.get(name, lambda value, _: value)) for name in fields}
    build = make_dict_structure_fn(kind, converter, _cattrs_detailed_validation=False, **given)

    def read(content: object, _: Any) -> Any:
        if not isinstance(content, dict):
            raise InvalidDefinition(f"a {kind.__name__} must be an object, not {checks.shown(content)}")
        place = f"a {kind.__name__} ({checks.shown(content.get('ref', content.get('name')))})"
        for key in content.keys() - fields.keys():
            checks.refuse(place, str(key), "there is no such field", checks.nearest(str(key), fields))
        for name, each in fields.items():
            if each.default is attrs.NOTHING and name not in content:
                checks.refuse(place, name, "it is missing")
        return build(content, kind)

    return read
