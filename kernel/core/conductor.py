"""Conductor's workflow-definition JSON, read into WorkflowDef.

A sequence of tasks becomes `after`; a FORK_JOIN and the JOIN behind it become a fork, its branches and a join. What a
file says and this kernel does not do is refused, or warned of by name (kernel.core.conductor_fields). Task definitions
that Conductor keeps apart from workflows are not in such a file: a task without an embedded one has TaskDef's defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from kernel.core import checks
from kernel.core.conductor_fields import FIELDS, KINDS, Use
from kernel.core.definitions import ExpiryPolicy, TaskDef, TaskKind, WorkflowDef
from kernel.errors import InvalidDefinition, quoted

DEEPEST = 50  # forks and inline definitions in one another
_SHOWN = 5  # tasks that one message names
_LOGICS = ("FIXED", "LINEAR_BACKOFF", "EXPONENTIAL_BACKOFF")
_JSON_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


@attrs.frozen
class Parsed:
    """What a file holds: its definitions in their order, and a text for everything in it that has no effect."""

    definitions: tuple[WorkflowDef, ...]
    warnings: tuple[str, ...]


def parse(content: object, *, file: str, topics: Sequence[str] = ()) -> Parsed:
    """Read the content of a file: one definition or a list of them, each to be delivered to `topics`.

    Raises InvalidDefinition, which names the file, the definition and the task.
    """
    reader = _Reader(quoted(file))
    contents = content if isinstance(content, list) else [content]
    if not contents:
        raise InvalidDefinition(f"{reader.file} is not acceptable", why="it holds an empty list, and no definition")
    definitions: dict[tuple[str, int], WorkflowDef] = {}
    for each in contents:
        made = reader.definition(each, reader.file, topics, 0)
        if definitions.setdefault((made.name, made.version), made) is not made:
            why = f"it defines {quoted(made.name)} version {made.version} twice"
            hint = "give one of them another version"
            raise InvalidDefinition(f"{reader.file} is not acceptable", why=why, hint=hint)
    return Parsed(tuple(definitions.values()), reader.warnings())


@attrs.frozen
class _Item:
    """A task as the file has it, or a definition (with no reference): `given` holds its supported fields."""

    place: str
    ref: str = ""
    type: str = ""
    given: dict[str, Any] = attrs.field(factory=dict)

    @property
    def kind(self) -> TaskKind:
        return KINDS[self.type]

    @property
    def where(self) -> str:
        return f"{self.place}, task {quoted(self.ref)}" if self.ref else self.place


@attrs.frozen
class _Reader:
    """Reads one file. `file` is quoted; `notes` collects, per definition and text, the tasks that it is about."""

    file: str
    notes: dict[tuple[str, str], list[str]] = attrs.field(factory=dict)

    def definition(self, content: object, around: str, topics: Sequence[str], depth: int) -> WorkflowDef:
        if not isinstance(content, dict):
            raise InvalidDefinition(f"{around}: a definition must be an object, not {checks.shown(content)}")
        place = f"{around}, definition {checks.shown(content.get('name'))}"
        given = self.fields("workflow", content, _Item(place), required=("name", "tasks"))
        checks.choice(place, "schemaVersion", str(given.get("schemaVersion", 2)), ("2",))
        _refuse_foreign(given["tasks"], place)
        policy, seconds = given.get("timeoutPolicy", "ALERT_ONLY"), given.get("timeoutSeconds") or None
        checks.choice(place, "timeoutPolicy", policy, ("TIME_OUT_WF", "ALERT_ONLY"))
        if policy == "ALERT_ONLY" and seconds:
            self.note(_Item(place), "'timeoutSeconds' has no effect: with ALERT_ONLY nothing ends and nobody is told")
            seconds = None
        tasks, _ = self.sequence(given["tasks"], (), place, depth)
        try:
            return WorkflowDef(
                given["name"], version=given.get("version", 1), tasks=tasks, topics=topics, timeout=seconds,
                restartable=given.get("restartable", True),
            )
        except InvalidDefinition as error:
            raise checks.placed(error, around) from None

    def sequence(
        self, contents: object, after: tuple[str, ...], place: str, depth: int
    ) -> tuple[list[TaskDef], tuple[str, ...]]:
        """The tasks of a sequence that comes after `after`, and the references that what follows has to wait for."""
        if depth > DEEPEST:
            why = f"forks and inline definitions are nested more than {DEEPEST} levels deep"
            raise InvalidDefinition(f"{place} is not acceptable", why=why)
        if not isinstance(contents, list):
            raise InvalidDefinition(f"{place}: tasks must stand in a list, not in {checks.shown(contents)}")
        made: list[TaskDef] = []
        fork: _Item | None = None  # until its join: what stands in its branches is `forked`
        forked: list[TaskDef] = []
        for content in contents:
            item = self.item(content, place)
            if fork is None and item.kind is TaskKind.JOIN:
                raise _out_of_order(item, "this JOIN has no fork in front of it")
            if fork is not None and item.kind is not TaskKind.JOIN:
                raise _out_of_order(fork, f"the join of this FORK_JOIN is missing: {quoted(item.ref)} follows it")
            if fork is not None:
                after = _joined(item, forked) or after
            made.append(self.task(item, after, depth))
            after, fork = (item.ref,), None
            if item.kind is TaskKind.FORK:
                fork = item
                branches = [self.sequence(each, after, place, depth + 1) for each in _branches(item)]
                forked = [task for tasks, _ in branches for task in tasks]
                made.extend(forked)
                after = tuple(dict.fromkeys(ref for _, tails in branches for ref in tails))
        if fork is not None:
            raise _out_of_order(fork, "the join of this FORK_JOIN is missing: nothing follows it")
        return made, after

    def item(self, content: object, place: str) -> _Item:
        if not isinstance(content, dict):
            raise InvalidDefinition(f"{place}: a task must be an object, not {checks.shown(content)}")
        ref = content.get("taskReferenceName")
        item = _Item(place, ref if isinstance(ref, str) else "?", content.get("type") or "SIMPLE")
        return attrs.evolve(item, given=self.fields("task", content, item, required=("name", "taskReferenceName")))

    def task(self, item: _Item, after: tuple[str, ...], depth: int) -> TaskDef:
        names = {"name": "type", "inputParameters": "input", "optional": "optional", "permissive": "permissive"}
        options: dict[str, Any] = {ours: item.given[name] for name, ours in names.items() if name in item.given}
        if item.kind is TaskKind.WORKER:
            options |= self.worker_options(item)
        elif item.kind is TaskKind.WORKFLOW:
            options |= self.child_options(item, depth)
        elif item.kind is TaskKind.WAIT:
            _refuse_timer(item)
        try:
            return TaskDef(item.ref, kind=item.kind, after=after, **options)
        except InvalidDefinition as error:
            raise checks.placed(error, item.place) from None

    def worker_options(self, item: _Item) -> dict[str, Any]:
        """What an embedded task definition says; its own defaults are those of Conductor's schema."""
        options: dict[str, Any] = {}
        if (content := item.given.get("taskDefinition")) is not None:
            given = self.fields("taskDefinition", content, item)
            policy, logic = given.get("timeoutPolicy", "TIME_OUT_WF"), given.get("retryLogic", "FIXED")
            lease = given.get("responseTimeoutSeconds", 3600)
            checks.choice(item.where, "taskDefinition.timeoutPolicy", policy, ExpiryPolicy)
            checks.choice(item.where, "taskDefinition.retryLogic", logic, _LOGICS)
            checks.whole(item.where, "taskDefinition.responseTimeoutSeconds", lease, least=1)
            options = {
                "retries": given.get("retryCount", 3), "retry_delay": given.get("retryDelaySeconds", 60),
                "lease": lease, "poll_timeout": given.get("pollTimeoutSeconds") or None, "on_expiry": policy,
            }
            if logic != "FIXED" and options["retry_delay"]:
                text = "has no effect: every retry waits retryDelaySeconds"
                self.note(item, f"'taskDefinition.retryLogic' {logic} {text}")
            if policy != "RETRY":
                text = "also says what follows when responseTimeoutSeconds end; Conductor would retry then"
                self.note(item, f"'taskDefinition.timeoutPolicy' {policy} {text}")
        if "retryCount" in item.given:
            options["retries"] = item.given["retryCount"]
        return options

    def child_options(self, item: _Item, depth: int) -> dict[str, Any]:
        """The child that a SUB_WORKFLOW task starts: by name, or written inline."""
        param = item.given.get("subWorkflowParam")
        if param is None:
            checks.refuse(item.where, "subWorkflowParam", "it is missing, and says which workflow to start")
        given = self.fields("subWorkflowParam", param, item)
        retries = item.given.get("retryCount", 0)
        if retries:
            self.note(item, "'retryCount' starts a new child for each retry; Conductor would not retry")
        child = given.get("workflowDefinition")
        if isinstance(child, str):
            why = "a definition cannot be computed when the workflow runs"
            hint = "give the name of a definition; that may be an expression"
            checks.refuse(item.where, "subWorkflowParam.workflowDefinition", why, hint)
        if child is not None:
            return {"workflow": self.definition(child, item.where, (), depth + 1), "retries": retries}
        if not given.get("name"):
            checks.refuse(item.where, "subWorkflowParam", "it has neither a name nor a workflowDefinition")
        return {"workflow": given["name"], "workflow_version": given.get("version") or None, "retries": retries}

    def fields(
        self, level: str, content: dict[str, Any], item: _Item, *, required: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The supported fields that are given; warns of the others, or refuses them, as FIELDS says."""
        given: dict[str, Any] = {}
        prefix = "" if level in ("workflow", "task") else f"{level}."
        for name, value in content.items():
            field, rule = f"{prefix}{name}", FIELDS[level].get(name)
            if rule is None:
                if value not in (None, "", [], {}):
                    self.note(item, f"{quoted(field)} has no effect: there is no such field")
                continue
            use = rule.elsewhere if rule.only and item.type not in rule.only else rule.use
            if use is Use.SUPPORTED and value is not None:
                _check_kind(item.where, field, value, rule.kinds)
                given[name] = value
            elif use is Use.WARNED and value:
                self.note(item, f"{quoted(field)} has no effect: {rule.says}")
            elif use is Use.REFUSED and value:
                checks.refuse(item.where, field, f"{rule.says}: it belongs to another type of task than {item.type}")
        for name in required:
            if not given.get(name):
                checks.refuse(item.where, name, "it is missing or empty")
        return given

    def note(self, item: _Item, text: str) -> None:
        self.notes.setdefault((item.place, text), []).extend([quoted(item.ref)] if item.ref else [])

    def warnings(self) -> tuple[str, ...]:
        """The notes as texts, each with the tasks that it is about."""
        return tuple(f"{place}{_about(refs)}: {text}" for (place, text), refs in self.notes.items())


def _check_kind(where: str, name: str, value: object, kinds: Sequence[type]) -> None:
    if not isinstance(value, tuple(kinds)) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(_JSON_NAMES[kind] for kind in kinds)
        checks.refuse(where, name, f"it must be {wanted}, not {checks.shown(value)}")
    if int in kinds:
        checks.whole(where, name, value, least=0)


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _about(refs: Sequence[str]) -> str:
    return f", {'task' if len(refs) == 1 else 'tasks'} {_listed(refs)}" if refs else ""


def _refuse_foreign(contents: object, place: str) -> None:
    """Refuses the task types that cannot run, all of them at once, wherever they stand in the definition."""
    foreign = list(_foreign(contents))
    if foreign:
        (ref, type_), *others = foreign
        also = f"; nor are those of {_listed([f'{other} ({kind})' for other, kind in others])}" if others else ""
        raise InvalidDefinition(
            f"{place}, task {ref} cannot be read", why=f"its type {type_} is not supported{also}", allowed=tuple(KINDS),
            hint="put a SIMPLE task in its place whose worker does the same",
        )


def _foreign(contents: object) -> Iterator[tuple[str, str]]:
    """Reference and type of each task that is of no supported type, in the order of the file; iterative."""
    waiting = [contents]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif isinstance(item, dict):
            type_, cases = item.get("type") or "SIMPLE", item.get("decisionCases")
            if isinstance(type_, str) and type_ not in KINDS:
                yield checks.shown(item.get("taskReferenceName")), quoted(type_)
            inner = [*cases.values()] if isinstance(cases, dict) else []
            waiting.extend(reversed([item.get("forkTasks"), inner, item.get("defaultCase"), item.get("loopOver")]))


def _out_of_order(item: _Item, why: str) -> InvalidDefinition:
    return InvalidDefinition(
        f"{item.where} cannot be read", why=why, hint="let the JOIN stand right behind its FORK_JOIN, in the same list"
    )


def _branches(fork: _Item) -> list[object]:
    if not fork.given.get("forkTasks"):
        checks.refuse(fork.where, "forkTasks", "it is missing or empty")
    return list(fork.given["forkTasks"])


def _joined(join: _Item, forked: Sequence[TaskDef]) -> tuple[str, ...]:
    """The references that a JOIN names, each once; refuses one that stands in no branch of its fork."""
    inside = {task.ref: None for task in forked}
    names = join.given.get("joinOn", [])
    for name in names:
        if not isinstance(name, str) or name not in inside:
            hint = checks.nearest(name, inside) if isinstance(name, str) else ""
            checks.refuse(join.where, "joinOn", f"{checks.shown(name)} is not a task in a branch of its fork", hint)
    return tuple(dict.fromkeys(names))


def _refuse_timer(item: _Item) -> None:
    for name in ("duration", "until"):
        if item.given.get("inputParameters", {}).get(name) is not None:
            why = "a WAIT task ends by a signal, never by itself; this one would wait for ever"
            checks.refuse(item.where, f"inputParameters.{name}", why, "take it out and signal the task")
