"""Conductor's workflow-definition JSON, read into WorkflowDef.

A sequence of tasks becomes `after`; a FORK_JOIN and the JOIN behind it become a fork, its branches and a join; the branches
of a SWITCH or DECISION become `when`. What a file says and this kernel does not do is refused, or warned of by name
(kernel.core.conductor_fields). Task definitions that Conductor keeps apart from workflows come from a second file; a task
with none, there or embedded, has TaskDef's defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from kernel.core import checks
from kernel.core.conductor_fields import FIELDS, Use
from kernel.core.conductor_items import (
    Item,
    about,
    branches,
    cases,
    check_kind,
    end_of,
    joined,
    made_of,
    out_of_order,
    refuse_foreign,
    tasks_defined,
    timer_of,
    value_of,
)
from kernel.core.definitions import ExpiryPolicy, RetryLogic, TaskDef, TaskKind, TimeoutPolicy, WorkflowDef
from kernel.errors import InvalidDefinition, quoted

DEEPEST = 50  # forks, switches and inline definitions in one another
_LIMITS = {"pollTimeoutSeconds": "poll_timeout", "timeoutSeconds": "attempt_timeout", "totalTimeoutSeconds": "total_timeout"}
Branch = tuple[str, str | None]


@attrs.frozen
class Parsed:
    """What a file holds: its definitions in their order, and a text for everything in it that has no effect."""

    definitions: tuple[WorkflowDef, ...]
    warnings: tuple[str, ...]


def parse(
    content: object, *, file: str, topics: Sequence[str] = (), task_defs: object = (), task_defs_file: str = ""
) -> Parsed:
    """Read the content of a file: one definition or a list of them, each to be delivered to `topics`.

    `task_defs` is the content of a file of task definitions, one or a list of them, for tasks that have none embedded.
    Raises InvalidDefinition, which names the file, the definition and the task.
    """
    reader = _Reader(quoted(file), tasks_defined(task_defs, quoted(task_defs_file)))
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


def parse_task(content: object, *, after: str, place: str) -> TaskDef:
    """Read a single task that comes after another one and is made at run time, when nobody hears a warning.

    Raises InvalidDefinition, also for what has no effect.
    """
    refuse_foreign([content], place)
    reader = _Reader("", {})
    (task, *others), _ = reader.sequence([content], (after,), place, 0)
    for text in (*reader.warnings(), *(f"it holds other tasks, {quoted(each.ref)} first" for each in others)):
        raise InvalidDefinition(f"{place}, task {quoted(task.ref)} is not acceptable", why=text)
    return task


@attrs.frozen
class _Reader:
    """Reads one file. `file` is quoted; `task_defs` are those of the second file, by name, each with its place; `notes`
    collects, per definition and text, the tasks that it is about.
    """

    file: str
    task_defs: Mapping[str, tuple[str, dict[str, Any]]]
    notes: dict[tuple[str, str], list[str]] = attrs.field(factory=dict)

    def definition(self, content: object, around: str, topics: Sequence[str], depth: int) -> WorkflowDef:
        if not isinstance(content, dict):
            raise InvalidDefinition(f"{around}: a definition must be an object, not {checks.shown(content)}")
        place = f"{around}, definition {checks.shown(content.get('name'))}"
        given = self.fields("workflow", content, Item(place), required=("name", "tasks"))
        checks.choice(place, "schemaVersion", str(given.get("schemaVersion", 2)), ("2",))
        refuse_foreign(given["tasks"], place)
        policy = given.get("timeoutPolicy", "ALERT_ONLY")
        checks.choice(place, "timeoutPolicy", policy, TimeoutPolicy)
        tasks, _ = self.sequence(given["tasks"], (), place, depth)
        names = {"outputParameters": "output", "inputTemplate": "defaults", "variables": "variables"}
        options = {ours: given[name] for name, ours in names.items() if name in given}
        if seconds := given.get("timeoutSeconds"):
            options |= {"timeout": seconds, "on_timeout": policy}
        try:
            return WorkflowDef(
                given["name"], version=given.get("version", 1), tasks=tasks, topics=topics,
                restartable=given.get("restartable", True), failure_workflow=given.get("failureWorkflow") or None, **options,
            )
        except InvalidDefinition as error:
            raise checks.placed(error, around) from None

    def sequence(
        self, contents: object, after: tuple[str, ...], place: str, depth: int, when: Branch | None = None
    ) -> tuple[list[TaskDef], tuple[str, ...]]:
        """The tasks of a sequence that comes after `after` and stands in the branch `when` of a switch, if any; and the
        references that what follows has to wait for.
        """
        if depth > DEEPEST:
            why = f"forks, switches and inline definitions are nested more than {DEEPEST} levels deep"
            raise InvalidDefinition(f"{place} is not acceptable", why=why)
        if not isinstance(contents, list):
            raise InvalidDefinition(f"{place}: tasks must stand in a list, not in {checks.shown(contents)}")
        made: list[TaskDef] = []
        fork: Item | None = None  # until its join: what stands in its branches is `forked`
        forked: list[TaskDef] = []
        for content in contents:
            item = self.item(content, place)
            if fork is None and item.kind is TaskKind.JOIN:
                raise out_of_order(item, "this JOIN has no fork in front of it")
            if fork is not None and item.kind is not TaskKind.JOIN:
                raise out_of_order(fork, f"the join of this FORK_JOIN is missing: {quoted(item.ref)} follows it")
            if fork is not None:
                after = joined(item, forked) or after
            made.append(self.task(item, after, when, depth))
            after, fork = (item.ref,), None
            if item.kind in (TaskKind.FORK, TaskKind.DYNAMIC):
                fork = item
                inner = [self.sequence(each, after, place, depth + 1, when) for each in branches(item)]
                forked = [task for tasks, _ in inner for task in tasks]
                made.extend(forked)
                after = tuple(dict.fromkeys(ref for _, tails in inner for ref in tails)) or after
            elif item.kind is TaskKind.SWITCH:
                for case, each in cases(item):
                    inside, tails = self.sequence(each, (item.ref,), place, depth + 1, (item.ref, case))
                    made.extend(inside)
                    after = (*after, *tails)
        if fork is not None:
            raise out_of_order(fork, "the join of this FORK_JOIN is missing: nothing follows it")
        return made, after

    def item(self, content: object, place: str) -> Item:
        if not isinstance(content, dict):
            raise InvalidDefinition(f"{place}: a task must be an object, not {checks.shown(content)}")
        ref = content.get("taskReferenceName")
        item = Item(place, ref if isinstance(ref, str) else "?", content.get("type") or "SIMPLE")
        return attrs.evolve(item, given=self.fields("task", content, item, required=("name", "taskReferenceName")))

    def task(self, item: Item, after: tuple[str, ...], when: Branch | None, depth: int) -> TaskDef:
        names = {"name": "type", "inputParameters": "input", "optional": "optional", "permissive": "permissive"}
        options: dict[str, Any] = {ours: item.given[name] for name, ours in names.items() if name in item.given}
        if item.kind is TaskKind.WORKER:
            options |= self.worker_options(item)
        elif item.kind is TaskKind.WORKFLOW:
            options |= self.child_options(item, depth)
        elif item.kind is TaskKind.WAIT:
            options |= timer_of(item)
        elif item.kind is TaskKind.SWITCH:
            options["on"] = value_of(item)
        elif item.kind is TaskKind.TERMINATE:
            options |= end_of(item)
        elif item.kind is TaskKind.DYNAMIC:
            options["input"] = made_of(item)
        if item.kind is not TaskKind.WORKER and item.given["name"] in self.task_defs:
            where, _ = self.task_defs[item.given["name"]]
            self.note(item, f"{where} has no effect: only a SIMPLE task uses one")
        try:
            return TaskDef(item.ref, kind=item.kind, after=after, when=when, **options)
        except InvalidDefinition as error:
            raise checks.placed(error, item.place) from None

    def worker_options(self, item: Item) -> dict[str, Any]:
        """What the task's definition says, the embedded one or else that of the second file."""
        options: dict[str, Any] = {}
        if (content := item.given.get("taskDefinition")) is not None:
            options = self.definition_options(item, content, "taskDefinition.")
        elif (known := self.task_defs.get(item.given["name"])) is not None:
            options = self.definition_options(Item(known[0]), known[1], "")
        if "retryCount" in item.given:
            options["retries"] = item.given["retryCount"]
        if template := options.pop("template", {}):
            options["input"] = {**template, **item.given.get("inputParameters", {})}
        return options

    def definition_options(self, item: Item, content: dict[str, Any], prefix: str) -> dict[str, Any]:
        """What a task definition says; its own defaults are those of Conductor's schema."""
        given = self.fields("taskDefinition", content, item)
        policy, logic = given.get("timeoutPolicy", "TIME_OUT_WF"), given.get("retryLogic", "FIXED")
        lease, delay = given.get("responseTimeoutSeconds", 3600), given.get("retryDelaySeconds", 60)
        scale = given.get("backoffScaleFactor", 1)
        checks.choice(item.where, f"{prefix}timeoutPolicy", policy, ExpiryPolicy)
        checks.choice(item.where, f"{prefix}retryLogic", logic, RetryLogic)
        checks.whole(item.where, f"{prefix}responseTimeoutSeconds", lease, least=1)
        checks.whole(item.where, f"{prefix}backoffScaleFactor", scale, least=1)
        limits = {ours: given[name] for name, ours in _LIMITS.items() if given.get(name)}
        if not limits:
            policy = ExpiryPolicy.RETRY  # it has nothing to say: a worker that stays silent is retried
        elif policy != "RETRY":
            text = "also says what follows when responseTimeoutSeconds end; Conductor would retry then"
            self.note(item, f"'{prefix}timeoutPolicy' {policy} {text}")
        return limits | {
            "retries": given.get("retryCount", 3), "lease": lease, "on_expiry": policy, "retry_logic": logic,
            "retry_delay": delay * scale if logic == "LINEAR_BACKOFF" else delay,
            "retry_delay_max": given.get("maxRetryDelaySeconds") or None,
            "retry_jitter": given.get("backoffJitterMs", 0) / 1000, "template": given.get("inputTemplate", {}),
        }

    def child_options(self, item: Item, depth: int) -> dict[str, Any]:
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
        self, level: str, content: dict[str, Any], item: Item, *, required: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The supported fields that are given; warns of the others, or refuses them, as FIELDS says."""
        given: dict[str, Any] = {}
        prefix = f"{level}." if item.ref and level != "task" else ""
        for name, value in content.items():
            field, rule = f"{prefix}{name}", FIELDS[level].get(name)
            if rule is None:
                if value not in (None, "", [], {}):
                    self.note(item, f"{quoted(field)} has no effect: there is no such field")
                continue
            use = rule.elsewhere if rule.only and item.type not in rule.only else rule.use
            if use is Use.SUPPORTED and value is not None:
                check_kind(item.where, field, value, rule.kinds)
                given[name] = value
            elif use is Use.WARNED and value:
                self.note(item, f"{quoted(field)} has no effect: {rule.says}")
            elif use is Use.REFUSED and value:
                checks.refuse(item.where, field, f"{rule.says}: it belongs to another type of task than {item.type}")
        for name in required:
            if not given.get(name):
                checks.refuse(item.where, name, "it is missing or empty")
        return given

    def note(self, item: Item, text: str) -> None:
        """Keep a text about a task, or about what has no tasks."""
        self.notes.setdefault((item.place, text), []).extend([quoted(item.ref)] if item.ref else [])

    def warnings(self) -> tuple[str, ...]:
        """The notes as texts, each with the tasks that it is about."""
        return tuple(f"{place}{about(refs)}: {text}" for (place, text), refs in self.notes.items())
