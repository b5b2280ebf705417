"""The table of Conductor's fields: complete against the schemas, and obeyed by the reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernel.core.conductor import parse
from kernel.core.conductor_fields import FIELDS, KINDS, Rule, Use
from kernel.errors import InvalidDefinition

FOLDER = Path(__file__).parent.parent / "data" / "conductor"
WORKFLOW_SCHEMA = json.loads((FOLDER / "WorkflowDef.schema.json").read_text(encoding="utf-8"))
TASK_SCHEMA = json.loads((FOLDER / "TaskDef.schema.json").read_text(encoding="utf-8"))
PARTS = WORKFLOW_SCHEMA["definitions"]
SCHEMAS = {
    "workflow": WORKFLOW_SCHEMA["properties"],
    "task": PARTS["WorkflowTask"]["properties"],
    "taskDefinition": PARTS["TaskDef"]["properties"] | TASK_SCHEMA["properties"],
    "subWorkflowParam": PARTS["SubWorkflowParams"]["properties"],
}
NEWER = {"backoffJitterMs": "integer", "maxRetryDelaySeconds": "integer"}
JSON_TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
VALUES: dict[str, Any] = {"string": "x", "integer": 5, "boolean": True, "array": ["x"], "object": {"x": 1}}
RULES = [(level, field, rule) for level, fields in FIELDS.items() for field, rule in fields.items()]


def kind_of(level: str, field: str) -> str:
    """The JSON type that the schema gives a field; an object where it is described elsewhere or is one of several."""
    return NEWER.get(field) or str(SCHEMAS[level][field].get("type", "object"))


def file_with(level: str, field: str, value: object, type_: str) -> dict[str, Any]:
    """A file that could be read, but for this field in this part of it."""
    task: dict[str, Any] = {"name": "a", "taskReferenceName": "a", "type": type_}
    if type_ == "SUB_WORKFLOW":
        task["subWorkflowParam"] = {"name": "child"}
    workflow: dict[str, Any] = {"name": "order", "tasks": [task]}
    if level == "workflow":
        workflow[field] = value
    elif level == "task":
        task[field] = value
    else:
        task.setdefault(level, {"timeoutPolicy": "RETRY"})[field] = value
    return workflow


def type_for(level: str, rule: Rule) -> str:
    """A task type that has such a part and is not the one that the field belongs to, if there is one."""
    if level == "subWorkflowParam":
        return "SUB_WORKFLOW"
    return next((type_ for type_ in ("SIMPLE", "WAIT") if type_ not in rule.only), "SIMPLE")


@pytest.mark.parametrize("level", FIELDS)
def test_the_table_has_every_field_of_the_schemas(level: str) -> None:
    """And no other, but for the dates and owners that Conductor writes into every definition, and what is newer than they."""
    origin = {"ownerApp", "createTime", "updateTime", "createdBy", "updatedBy", "ownerEmail", "description"}
    origin |= NEWER.keys() if level == "taskDefinition" else set()
    assert SCHEMAS[level].keys() <= FIELDS[level].keys()
    assert FIELDS[level].keys() - SCHEMAS[level].keys() <= origin


@pytest.mark.parametrize(("level", "field", "rule"), [each for each in RULES if each[2].use is Use.SUPPORTED])
def test_supported_fields_have_the_type_of_the_schema(level: str, field: str, rule: Rule) -> None:
    """Another type is refused by the field's name, so nothing is read as what it is not."""
    assert JSON_TYPES[kind_of(level, field)] in rule.kinds
    type_ = next(iter(rule.only), type_for(level, rule))
    wrong: object = 5 if int not in rule.kinds else "five"
    with pytest.raises(InvalidDefinition) as caught:
        parse(file_with(level, field, wrong, type_), file="f.json")
    name = field if level in ("workflow", "task") else f"{level}.{field}"
    assert f"field '{name}'" in caught.value.asked


@pytest.mark.parametrize(("level", "field", "rule"), [each for each in RULES if each[2].use is Use.WARNED])
def test_fields_without_effect_are_warned_of_by_name(level: str, field: str, rule: Rule) -> None:
    """One warning, which says what does not happen; none where the field says nothing."""
    value = VALUES[kind_of(level, field)]
    (warning,) = parse(file_with(level, field, value, type_for(level, rule)), file="f.json").warnings
    assert f"{field}' has no effect: {rule.says}" in warning
    assert parse(file_with(level, field, type(value)(), type_for(level, rule)), file="f.json").warnings == ()


@pytest.mark.parametrize(("level", "field", "rule"), [each for each in RULES if each[2].use is Use.REFUSED])
def test_fields_that_change_the_meaning_are_refused_by_name(level: str, field: str, rule: Rule) -> None:
    """Unless they are empty."""
    value = VALUES[kind_of(level, field)]
    with pytest.raises(InvalidDefinition, match=f"field '{field}'"):
        parse(file_with(level, field, value, type_for(level, rule)), file="f.json")
    assert parse(file_with(level, field, type(value)(), type_for(level, rule)), file="f.json").warnings == ()


@pytest.mark.parametrize(("level", "field", "rule"), [each for each in RULES if each[2].only])
def test_fields_of_one_task_type_are_not_lost_on_another(level: str, field: str, rule: Rule) -> None:
    """They are warned of there, or refused, by name."""
    content = file_with(level, field, VALUES[kind_of(level, field)], type_for(level, rule))
    if set(rule.only) >= {"SIMPLE", "WAIT"}:  # such a field is of no use in a fork and its join only
        fork = {**content["tasks"][0], "type": "FORK_JOIN", "forkTasks": [[{"name": "b", "taskReferenceName": "b"}]]}
        content["tasks"] = [fork, {"name": "j", "taskReferenceName": "j", "type": "JOIN"}]
    if rule.elsewhere is Use.REFUSED:
        with pytest.raises(InvalidDefinition, match=f"field '{field}'"):
            parse(content, file="f.json")
    else:
        (warning,) = parse(content, file="f.json").warnings
        assert f"'{field}' has no effect: {rule.says}" in warning


@pytest.mark.parametrize(("level", "field", "rule"), [each for each in RULES if each[2].use is Use.HARMLESS])
def test_fields_that_only_describe_change_nothing(level: str, field: str, rule: Rule) -> None:
    """With the field or without it, the definitions are the same, and there is no warning."""
    types = {kind_of(level, field)} if field in SCHEMAS[level] else {"string"}
    plain, described = (
        parse(file_with(level, field, value, type_for(level, rule)), file="f.json")
        for value in (None, VALUES[types.pop()])
    )
    assert plain == described
    assert described.warnings == ()


def test_every_message_says_something() -> None:
    """A field that is not simply read or passed over has a reason."""
    for _, field, rule in RULES:
        plain = rule.use is Use.HARMLESS or (rule.use is Use.SUPPORTED and not rule.only)
        assert plain != bool(rule.says), field
        assert set(rule.only) <= set(KINDS)
