"""Templates: JSON with `${...}` expressions in its strings, resolved when a task is prepared.

    ${workflow.input.a.b[0]}     from the workflow's input
    ${workflow.variables.x}      from what set tasks have set so far
    ${workflow.id}               also workflowId, parentWorkflowId, workflowType (the definition's name), version
    ${ref.output.y}              from the output of the task `ref`; ${ref.output['a b']} for any name
    ${ref.input.y}               from its input; also ${ref.status}, ${ref.taskId}
    ${CPEWF_TASK_ID}             the id of the task itself
    $${                          a literal ${

A string that is one expression becomes the value, whatever its JSON type. An expression inside a longer string is
written into it: a string as it is, anything else as JSON. A path that leads nowhere gives null. Keys of objects are no
templates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

import attrs

from kernel.errors import InvalidDefinition, InvalidInput, quoted

SUPPORTED = (
    "${workflow.input.<path>}", "${workflow.variables.<path>}", "${<task>.output.<path>}", "${<task>.input.<path>}",
    "${<task>.status}", "${<task>.taskId}", "${workflow.id}", "${workflow.workflowId}", "${workflow.parentWorkflowId}",
    "${workflow.workflowType}", "${workflow.version}", "${CPEWF_TASK_ID}",
)
LONGEST_TEXT = 1024 * 1024  # characters that the expressions inside longer strings may add up to
LONGEST_KEPT = 1_000  # characters of a string whose expressions are remembered

# No part of these matches can be read in two ways, so that the time is linear in the length of the text.
_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_TASK = re.compile(r"(?!workflow\.)(.+?)\.(?:(output|input)(?=[.\[]|\Z)|(?:status|taskId)\Z)", re.DOTALL)
_OWN = re.compile(r"workflow\.(input|variables)(?=[.\[]|\Z)")
_STEP = re.compile(r"""\.([^.\[\]*()]+)|\[([0-9]{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]""")


class Source(StrEnum):
    """What an expression reads of a workflow or of a task."""

    INPUT = "input"
    VARIABLES = "variables"
    WORKFLOW_ID = "workflowId"
    PARENT_ID = "parentWorkflowId"
    TYPE = "workflowType"
    VERSION = "version"
    OUTPUT = "output"
    STATUS = "status"
    TASK_ID = "taskId"


_FACTS = {
    "workflow.id": Source.WORKFLOW_ID, "CPEWF_TASK_ID": Source.TASK_ID,
    **{f"workflow.{each}": each for each in (Source.WORKFLOW_ID, Source.PARENT_ID, Source.TYPE, Source.VERSION)},
}


@attrs.frozen
class Expression:
    """One parsed `${...}`. `ref` names the task that it reads, None the workflow; `path` holds keys and list indexes."""

    source: Source
    ref: str | None = None
    path: tuple[str | int, ...] = ()


class Scope(Protocol):
    """What expressions read from. Each method is called only for an expression that needs it."""

    def of_workflow(self, source: Source) -> object:
        """What is asked of the workflow, a JSON value; its TASK_ID is that of the task that is being prepared."""

    def of_task(self, ref: str, source: Source) -> object:
        """What is asked of the task `ref`, a JSON value; None when it has none."""


def is_templated(template: object) -> bool:
    """Whether resolving the template could change it."""
    return any("${" in text for text in _strings(template))


def expressions(template: object) -> list[Expression]:
    """Every expression of the template. Raises InvalidDefinition for one that is malformed or reads what none can."""
    templates = (text for text in _strings(template) if "${" in text)
    return [part for text in templates for part in _parts(text) if isinstance(part, Expression)]


def escaped(value: Any) -> Any:
    """The template that resolves to a JSON value of bounded depth as it is, whatever its strings look like."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, list) else value


def resolve(template: object, scope: Scope) -> object:
    """The template with its expressions replaced by what they stand for in `scope`.

    The template is a JSON value of bounded depth whose expressions have been checked (`expressions`); values that are
    put in whole are shared, not copied, and each is asked for once, however many expressions read of it. Raises InvalidInput
    when the text written into strings would be too long.
    """
    return _Resolver(scope).value(template)


@attrs.define
class _Resolver:
    scope: Scope
    room: int = LONGEST_TEXT
    found: dict[tuple[str | None, Source], object] = attrs.Factory(dict)

    def value(self, template: object) -> object:
        if isinstance(template, str):
            return self.text(template) if "${" in template else template
        if isinstance(template, dict):
            return {key: self.value(item) for key, item in template.items()}
        if isinstance(template, list):
            return [self.value(item) for item in template]
        return template

    def text(self, text: str) -> object:
        parts = _remembered(text) if len(text) <= LONGEST_KEPT else tuple(_parts(text))
        if len(parts) == 1 and isinstance(parts[0], Expression):
            return self.read(parts[0])
        return "".join(part if isinstance(part, str) else self.written(self.read(part)) for part in parts)

    def read(self, expression: Expression) -> object:
        place = ref, source = expression.ref, expression.source
        if place not in self.found:
            self.found[place] = self.scope.of_workflow(source) if ref is None else self.scope.of_task(ref, source)
        found = self.found[place]
        for step in expression.path:
            if isinstance(step, str):
                found = found.get(step) if isinstance(found, dict) else None
            else:
                found = found[step] if isinstance(found, list) and step < len(found) else None
        return found

    def written(self, value: object) -> str:
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        self.room -= len(text)
        if self.room < 0:
            raise InvalidInput(
                "the task's input cannot be prepared",
                why=f"the values written into its strings are longer than {LONGEST_TEXT:,} characters together",
                hint="pass a large value whole, as the only expression of its string",
            )
        return text


def _strings(template: object) -> Iterator[str]:
    """Every string of a JSON value except the keys, in no promised order; iterative, so that depth cannot hurt."""
    waiting = [template]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


@lru_cache(maxsize=1_000)
def _remembered(text: str) -> tuple[str | Expression, ...]:
    """The parts of a string that is not long: the same few of a definition are asked for by each of its workflows."""
    return tuple(_parts(text))


def _parts(text: str) -> Iterator[str | Expression]:
    """The literal stretches and the expressions of a string, from left to right."""
    end = 0
    for token in _TOKEN.finditer(text):
        if token.start() > end:
            yield text[end : token.start()]
        end = token.end()
        if token[0] == "$${":
            yield "${"
        elif token[1] is None:
            start = text[token.start() :]
            raise _refused(start, "its closing brace is missing", "close it, or write $${ for a literal ${")
        else:
            yield _parse(token[1])
    if end < len(text):
        yield text[end:]


def _parse(body: str) -> Expression:
    body = body.strip()
    if body in _FACTS:
        return Expression(_FACTS[body])
    if found := _OWN.match(body):
        return Expression(Source(found[1]), path=_path(body, found.end()))
    if found := _TASK.match(body):
        return Expression(Source(found[2] or body[found.end(1) + 1:]), found[1], _path(body, found.end()))
    raise _refused("${" + body + "}", "it reads something that expressions cannot read", "write $${ for a literal ${")


def _path(body: str, position: int) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    while position < len(body):
        step = _STEP.match(body, position)
        if step is None:
            raise _refused(
                "${" + body + "}", f"its part {quoted(body[position:])} is neither .name nor ['name'] nor [index]",
                "name every step of the path; wildcards, filters and functions are not supported",
            )
        steps.append(step[step.lastindex or 0] if step[2] is None else int(step[2]))
        position = step.end()
    return tuple(steps)


def _refused(expression: str, why: str, hint: str) -> InvalidDefinition:
    asked = f"the expression {quoted(expression)} is not acceptable"
    return InvalidDefinition(asked, why=why, allowed=SUPPORTED, hint=hint)
