"""The parts of a definition in Conductor's JSON, one by one: what a task says, and why it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from kernel.core import checks
from kernel.core.conductor_fields import KINDS
from kernel.core.definitions import TaskDef, TaskKind
from kernel.errors import InvalidDefinition, quoted

_SHOWN = 5  # tasks that one message names
_ENDS = ("COMPLETED", "FAILED", "TERMINATED")
_JSON_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


@attrs.frozen
class Item:
    """A task as the file has it, or a definition (with no reference): `given` holds its supported fields."""

    place: str
    ref: str = ""
    type: str = ""
    given: dict[str, Any] = attrs.field(factory=dict)

    @property
    def kind(self) -> TaskKind:
        """What moves the task."""
        return KINDS[self.type]

    @property
    def where(self) -> str:
        """The task, or the definition, as messages name it."""
        return f"{self.place}, task {quoted(self.ref)}" if self.ref else self.place


def check_kind(where: str, name: str, value: object, kinds: Sequence[type]) -> None:
    """Refuses a field that is of none of the JSON types that it may be of."""
    if not isinstance(value, tuple(kinds)) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(_JSON_NAMES[kind] for kind in kinds)
        checks.refuse(where, name, f"it must be {wanted}, not {checks.shown(value)}")
    if int in kinds:
        checks.whole(where, name, value, least=0)


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def about(refs: Sequence[str]) -> str:
    """The tasks that a warning is about."""
    return f", {'task' if len(refs) == 1 else 'tasks'} {_listed(refs)}" if refs else ""


def refuse_foreign(contents: object, place: str) -> None:
    """Refuses the task types that cannot run, all of them at once, wherever they stand in the definition."""
    foreign = list(_foreign(contents))
    if foreign:
        (ref, type_, script), *others = foreign
        names = [f"{other} ({kind}{of})" for other, kind, of in others]
        raise InvalidDefinition(
            f"{place}, task {ref} cannot be read", allowed=tuple(KINDS),
            why=f"its type {type_}{script} is not supported{f'; nor are those of {_listed(names)}' if names else ''}",
            hint="let a worker compute the value, and choose the branch by it" if script
            else "put a SIMPLE task in its place whose worker does the same",
        )


def _foreign(contents: object) -> Iterator[tuple[str, str, str]]:
    """Reference, type and script of each task that is of no supported type, in the order of the file; iterative."""
    waiting = [contents]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif isinstance(item, dict):
            type_, branched = item.get("type") or "SIMPLE", item.get("decisionCases")
            if isinstance(type_, str) and (type_ not in KINDS or _script(type_, item)):
                yield checks.shown(item.get("taskReferenceName")), quoted(type_), _script(type_, item)
            inner = [*branched.values()] if isinstance(branched, dict) else []
            waiting.extend(reversed([item.get("forkTasks"), inner, item.get("defaultCase"), item.get("loopOver")]))


def _script(type_: str, item: dict[str, Any]) -> str:
    """The script of a switch, which would need an engine; empty where there is none."""
    evaluator, expression = item.get("evaluatorType") or "value-param", item.get("caseExpression")
    if type_ == "SWITCH" and isinstance(evaluator, str) and evaluator != "value-param":
        return f" with evaluatorType {quoted(evaluator)}"
    if type_ == "DECISION" and expression:
        return " with a caseExpression"
    return ""


def out_of_order(item: Item, why: str) -> InvalidDefinition:
    """The complaint about a fork or join that does not stand beside its other half."""
    return InvalidDefinition(
        f"{item.where} cannot be read", why=why, hint="let the JOIN stand right behind its FORK_JOIN, in the same list"
    )


def branches(fork: Item) -> list[object]:
    """The branches of a fork; those of a dynamic one are made when it is passed."""
    if fork.kind is TaskKind.DYNAMIC:
        return []
    if not fork.given.get("forkTasks"):
        checks.refuse(fork.where, "forkTasks", "it is missing or empty")
    return list(fork.given["forkTasks"])


def cases(switch: Item) -> Iterator[tuple[str | None, object]]:
    """The branches of a switch that hold tasks; for a value whose branch is empty Conductor takes the default one."""
    for case, contents in (*switch.given.get("decisionCases", {}).items(), (None, switch.given.get("defaultCase"))):
        if contents not in (None, []):
            yield case, contents


def value_of(switch: Item) -> str:
    """What a switch chooses by: the input that it names."""
    field = "expression" if switch.type == "SWITCH" else "caseValueParam"
    given, name = switch.given.get("inputParameters", {}), switch.given.get(field)
    if not name:
        checks.refuse(switch.where, field, "it is missing, and names the input whose value chooses the branch")
    if name not in given:
        why = f"it names {quoted(name)}, which inputParameters do not hold"
        checks.refuse(switch.where, field, why, checks.nearest(name, given))
    value = given[name]
    if isinstance(value, dict | list):
        checks.refuse(switch.where, f"inputParameters.{name}", f"no branch can be chosen by {checks.shown(value)}")
    return value if isinstance(value, str) else checks.canonical(value)


def end_of(terminate: Item) -> dict[str, Any]:
    """How a TERMINATE task ends its workflow, and what it leaves."""
    given = terminate.given.get("inputParameters", {})
    checks.choice(terminate.where, "inputParameters.terminationStatus", given.get("terminationStatus"), _ENDS)
    names = {"terminationReason": "reason", "workflowOutput": "output"}
    left = {ours: given[name] for name, ours in names.items() if given.get(name) is not None}
    return {"asks": given["terminationStatus"], "input": left}


def made_of(fork: Item) -> dict[str, Any]:
    """What a dynamic fork makes its tasks of: the inputs that it names."""
    given, found = fork.given.get("inputParameters", {}), {}
    for field, ours in (("dynamicForkTasksParam", "tasks"), ("dynamicForkTasksInputParamName", "inputs")):
        name = fork.given.get(field)
        if not name:
            checks.refuse(fork.where, field, "it is missing, and names the input that holds the tasks or their inputs")
        if name not in given:
            why = f"it names {quoted(name)}, which inputParameters do not hold"
            checks.refuse(fork.where, field, why, checks.nearest(name, given))
        found[ours] = given[name]
    return found


def tasks_defined(content: object, file: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """The task definitions of a file by name, each with its place."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for each in content if isinstance(content, list | tuple) else [content]:
        if not isinstance(each, dict):
            raise InvalidDefinition(f"{file}: a task definition must be an object, not {checks.shown(each)}")
        name = each.get("name")
        place = f"{file}, task definition {checks.shown(name)}"
        if not isinstance(name, str) or not name:
            checks.refuse(place, "name", "it is missing, and says which tasks it is for")
        if found.setdefault(name, (place, each))[1] is not each:
            raise InvalidDefinition(f"{file} is not acceptable", why=f"it defines the task {quoted(name)} twice")
    return found


def joined(join: Item, forked: Sequence[TaskDef]) -> tuple[str, ...]:
    """The references that a JOIN names, each once; refuses one that stands in no branch of its fork."""
    inside = {task.ref: None for task in forked}
    names = join.given.get("joinOn", [])
    for name in names:
        if not isinstance(name, str) or name not in inside:
            hint = checks.nearest(name, inside) if isinstance(name, str) else ""
            checks.refuse(join.where, "joinOn", f"{checks.shown(name)} is not a task in a branch of its fork", hint)
    return tuple(dict.fromkeys(names))


def timer_of(wait: Item) -> dict[str, Any]:
    """How long, or until when, a WAIT waits by itself; a HUMAN task has no such inputs."""
    given = wait.given.get("inputParameters", {}) if wait.type == "WAIT" else {}
    names = {"duration": "wait_for", "until": "wait_until"}
    found = {ours: given[name] for name, ours in names.items() if given.get(name) not in (None, "")}
    if len(found) > 1:
        checks.refuse(wait.where, "inputParameters.until", "a WAIT ends after a duration or at a time",
                      "take one of the two out")
    return found
