"""What `kernel run` reads: definition files, the cases that go with them, and the children that they name."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

import kernel
from kernel.cli.common import ARCHIVE
from kernel.core.definitions import WorkflowDef
from kernel.core.structure import flatten
from kernel.errors import InvalidDefinition, InvalidInput, NotFound, quoted
from kernel.spec.vocabulary import ENDED

task_defs_option = click.option(
    "--task-defs", metavar="FILE", help="Conductor's task definitions, for tasks that have none embedded.")


@attrs.frozen
class Outcome:
    """What a worker makes of one attempt: its output, or why it failed."""

    output: Any = None
    failure: str | None = None
    retryable: bool = True


@attrs.frozen
class Case:
    """What a file of --cases says about one definition file; all of it optional."""

    input: Mapping[str, Any] | None = None
    start: str | None = None
    companions: tuple[str, ...] = ()
    handlers: Mapping[str, tuple[Outcome, ...]] = attrs.field(factory=dict)
    expect: str | None = None


@attrs.frozen
class Job:
    """One file made ready: what to register, what of it to start, and what to tell about it."""

    file: Path
    definitions: tuple[WorkflowDef, ...]
    start: tuple[WorkflowDef, ...]
    case: Case
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def types(self) -> list[str]:
        """The task types that need a worker."""
        plain = (each for definition in self.definitions for each in flatten(definition))
        return sorted({task.type for each in plain for task in each.tasks if task.mode == "WORKER"})


@attrs.frozen
class Reading:
    """How definition files are read: the topics that hear of the ends, the file of task definitions, if any, and the
    statuses that notices tell of.
    """

    topics: Sequence[str] = (ARCHIVE,)
    task_defs: str | None = None
    notify: Sequence[str] = ()


def load(path: str | Path, how: Reading) -> tuple[list[WorkflowDef], list[str]]:
    """The definitions of a file, and what in it has no effect. Raises InvalidDefinition."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", kernel.DefinitionWarning)
        found = kernel.load_definitions(path, topics=how.topics, notify=how.notify, task_defs=how.task_defs)
    return found, [str(w.message) for w in caught]


def prepare(path: Path, given: Sequence[Path], case: Case, how: Reading | None = None) -> Job:
    """Read a file and find the children that it names. Raises InvalidDefinition, InvalidInput or NotFound."""
    how = how or Reading()
    own, told = load(path, how)
    start = _named(own, case.start, path) if case.start else _tops(own)
    for name in case.companions:
        found, more = load(path.parent / name, how)
        told += more
        own += [d for d in found if _key(d) not in {_key(known) for known in own}]
    whole = family(own, case.input, [path, *given], how)
    names = {d.name for d in whole.definitions}
    here = tuple(
        each if each.failure_workflow in {None, *names} else attrs.evolve(each, failure_workflow=None)
        for each in whole.definitions)
    return Job(path, here, start, case, whole.notes, (*told, *whole.warnings))


@attrs.frozen
class Family:
    """Definitions with the children that they name, where those were found, and what of those has no effect."""

    definitions: tuple[WorkflowDef, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def family(
    own: Iterable[WorkflowDef], given: Any, files: Sequence[Path], how: Reading, *, registered: Collection[str] = ()
) -> Family:
    """Find the children that definitions name: in `files`, then in the folder of the first; `given` is the input."""
    definitions, notes, told = {_key(d): d for d in own}, [], list[str]()
    folder = files[0].parent if files else Path()
    places = [*files, *sorted(folder.glob("*.json"))] if files else []
    looked: set[str] = set(registered)
    while wanted := sorted(_started(definitions.values(), given) - {n for n, _ in definitions} - looked):
        looked.update(wanted)
        for name in wanted:
            where = _find(name, places, how)
            if where is not None:
                definitions |= {_key(d): d for d in where[1]}
                told += where[2]
                notes.append(f"child {quoted(name)} is taken from {quoted(where[0].name)}")
            elif name in {d.failure_workflow for d in definitions.values()}:
                notes.append(f"no file given or in {quoted(str(folder))} defines the failure workflow {quoted(name)}: "
                             "it cannot start")
            elif name in _children(definitions.values(), None):
                notes.append(f"no file given or in {quoted(str(folder))} defines the child {quoted(name)}: "
                             "the task that starts it will be rejected")
    return Family(tuple(definitions.values()), tuple(notes), tuple(told))


def _key(definition: WorkflowDef) -> tuple[str, int]:
    return definition.name, definition.version


def _named(definitions: Iterable[WorkflowDef], name: str, path: Path) -> tuple[WorkflowDef, ...]:
    found = [d for d in definitions if d.name == name]
    if not found:
        why = "the case starts it, and the file does not define it"
        raise NotFound(f"definition {quoted(name)} in {quoted(str(path))}", why=why)
    return (max(found, key=lambda d: d.version),)


def _tops(definitions: Sequence[WorkflowDef]) -> tuple[WorkflowDef, ...]:
    """The definitions that no other one of the same file starts; the first, when each is started by another."""
    children = {name: _children([d], None) for name, d in ((d.name, d) for d in definitions)}
    tops = [d for d in definitions if not any(d.name in names for other, names in children.items() if other != d.name)]
    newest = {d.name: d for d in sorted(tops, key=lambda d: d.version)}
    return tuple(newest.values()) or tuple(definitions[:1])


def _started(definitions: Collection[WorkflowDef], given: Any) -> set[str]:
    """The names of all that definitions start: children, and failure workflows."""
    return _children(definitions, given) | {d.failure_workflow for d in definitions if d.failure_workflow}


def _children(definitions: Iterable[WorkflowDef], given: Any) -> set[str]:
    """The names of the children that definitions start. Where one is computed, every text of the input may be it."""
    names = {t.workflow for d in definitions for each in flatten(d) for t in each.tasks if isinstance(t.workflow, str)}
    plain = {name for name in names if "${" not in name and "#" not in name}
    return plain | (set(_texts(given)) if any("${" in name for name in names) else set())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _find(name: str, files: Iterable[Path], how: Reading) -> tuple[Path, list[WorkflowDef], list[str]] | None:
    """The first file that defines a name, with what of it has that name; files that cannot be read are passed over."""
    for path in files:
        if not path.is_file():
            continue
        try:
            found, told = load(path, how)
        except InvalidDefinition:
            continue
        named = [d for d in found if d.name == name]
        if named:
            return path, named, told
    return None


# ---- cases


def read_cases(path: str | None) -> dict[str, Case]:
    """The cases of a file by the name of the definition file that each is about. Raises InvalidInput."""
    if path is None:
        return {}
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(path, f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, dict):
        raise _bad(path, "it has no object 'cases'")
    return {name: _case(value, f"{path}, case {quoted(name)}") for name, value in cases.items()}


def _bad(where: str, why: str) -> InvalidInput:
    form = '{"cases": {"FILE.json": {"input": {}, "with": [], "handlers": {}, "expect": "COMPLETED"}}}'
    return InvalidInput(f"the cases {quoted(where)}", why=why, hint=f"a file of cases reads {form}")


def _case(value: Any, where: str) -> Case:
    known = {"input": dict, "start": str, "with": list, "handlers": dict, "expect": str}
    words = {dict: "an object", str: "text", list: "a list"}
    if not isinstance(value, dict):
        raise _bad(where, "it is not an object")
    for key, each in value.items():
        if key not in known:
            raise _bad(where, f"it has the key {quoted(key)}, and may have {', '.join(known)}")
        if not isinstance(each, known[key]):
            raise _bad(where, f"its {quoted(key)} is not {words[known[key]]}")
    if value.get("expect", "COMPLETED") not in ENDED:
        raise _bad(where, f"it expects {quoted(value['expect'])}, not one of {', '.join(ENDED)}")
    companions = value.get("with", [])
    if not all(isinstance(name, str) and name == Path(name).name for name in companions):
        raise _bad(where, "its 'with' must hold names of files in the same folder")
    scripts = value.get("handlers", {}).items()
    handlers = {type_: _outcomes(each, f"{where}, handler {quoted(type_)}") for type_, each in scripts}
    return Case(value.get("input"), value.get("start"), tuple(companions), handlers, value.get("expect"))


def _outcomes(value: Any, where: str) -> tuple[Outcome, ...]:
    if not isinstance(value, list) or not value:
        raise _bad(where, "it must be a list of outcomes, one for each attempt")
    return tuple(_outcome(each, where) for each in value)


def _outcome(value: Any, where: str) -> Outcome:
    match value:
        case {"complete": output, **rest} if not rest:
            return Outcome(output)
        case {"fail": str(reason), **rest} if not rest:
            return Outcome(failure=reason)
        case {"fail_terminally": str(reason), **rest} if not rest:
            return Outcome(failure=reason, retryable=False)
    raise _bad(where, 'an outcome is {"complete": output}, {"fail": reason} or {"fail_terminally": reason}')
