"""Definitions: what a user declares, checked once, when it is made.

A WorkflowDef is a name, a version and tasks; a TaskDef says after which tasks it comes. Both are plain values: making
one that could not run raises InvalidDefinition, so nobody has to ask again. `compile_definition` gives the positions
that decisions work on (structure.py); `to_content` and `from_content` JSON and back (content.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs
from attrs import field

from kernel.core import checks
from kernel.core.archive import ARCHIVE, COMPENSATION, NOTIFY, ArchivePolicy
from kernel.core.checks import LIMITS, check_json, check_name
from kernel.core.kinds import ExpiryPolicy, Mode, RetryLogic, TaskKind, TimeoutPolicy
from kernel.core.links import Links
from kernel.core.moments import duration, moment
from kernel.core.order import check_reads, in_order
from kernel.core.template import is_templated
from kernel.errors import InvalidDefinition, InvalidInput, quoted
from kernel.spec.vocabulary import STATUSES

__all__ = [
    "LIMITS", "ExpiryPolicy", "Links", "Mode", "RetryLogic", "TaskDef", "TaskKind", "TimeoutPolicy", "WorkflowDef",
    "check_json", "check_name",
]

_MODES = {TaskKind.WORKER: Mode.WORKER, TaskKind.WAIT: Mode.WAIT, TaskKind.WORKFLOW: Mode.WORKFLOW}
_ENDS = ("COMPLETED", "FAILED", "TERMINATED")
_DEFAULT = "None stands for every value that has no branch of its own"
_LONGEST_CHILD = (LIMITS.inline + 1) * (LIMITS.name + 1)  # a generated name: one part for each level


def _tuple(value: Any) -> Any:
    return value if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable) else tuple(value)


def _seconds(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) <= LIMITS.seconds else value


def _kind(value: Any) -> Any:
    return TaskKind(value) if isinstance(value, str) and value in set(TaskKind) else value


def _one_of(choices: type[StrEnum], value: Any) -> Any:
    return choices(value) if isinstance(value, str) and value in set(choices) else value


def _policy(value: Any) -> Any:
    return _one_of(ExpiryPolicy, value)


def _logic(value: Any) -> Any:
    return _one_of(RetryLogic, value)


def _late(value: Any) -> Any:
    return _one_of(TimeoutPolicy, value)


def _written(value: Any) -> Any:
    """A time as text: that of a datetime, which must say where it holds."""
    return value.isoformat() if isinstance(value, datetime) and value.tzinfo is not None else value


def _own(what: str, value: dict[str, Any]) -> dict[str, Any]:
    """A copy of a JSON object, which the caller cannot change behind the definition's back."""
    own: dict[str, Any] = json.loads(check_json(value, what=what, error=InvalidDefinition)) if value else {}
    return own


@attrs.frozen
class TaskDef:
    """One task of a definition. Durations are seconds.

    ref               unique in its definition; what `after` and expressions call it
    type              what a worker polls for; the reference when not given
    kind              what moves it; "workflow" as soon as `workflow` is given
    after             references of the tasks that must have closed before it starts
    input             JSON object; its strings may hold expressions (kernel.core.template)
    workflow          the child that it starts: a name, an expression that gives one, or an inline definition
    workflow_version  the child's version; None for the newest when it starts
    retries           attempts after the first, each `retry_delay` after the one before it
    retry_logic       how that delay grows: FIXED; LINEAR_BACKOFF: 1, 2, 3 times; EXPONENTIAL_BACKOFF: 1, 2, 4 times as long
    retry_delay_max   the longest such delay; `retry_jitter`: by chance, up to so much is added to each
    lease             how long a worker may stay silent; `poll_timeout`: how long to wait for a worker, None for ever
    attempt_timeout   how long one attempt may take; `total_timeout`: how long all of them may, with the waits between them
    on_expiry         what follows when one of these four runs out
    wait_for          of a wait task: after so long it completes without a signal; seconds, a text like "2 hours 5 minutes",
                      or an expression that gives one of these; `wait_until`: at that time, in ISO 8601 or by an expression
    optional          a bad end counts as COMPLETED_WITH_ERRORS
    permissive        after a bad end its successors still run; the workflow fails when every task is closed
    on                of a switch: the text, or an expression, whose value chooses a branch
    when              (switch, value): it stands in this branch of the switch, and is skipped when another one is chosen;
                      value None: in the default branch, for values that have none of their own
    asks              of a terminate task: how the workflow ends (COMPLETED, FAILED or TERMINATED); its input may hold the
                      reason as "reason" and the workflow's output as "output"

    The input of a set task becomes variables of the workflow, `${workflow.variables.x}`. The input of a dynamic fork holds
    the tasks that it makes when it is passed, as "tasks", and what each of them gets besides its own input, by reference,
    as "inputs" (kernel.core.dynamic). What comes after the fork waits for all of them.
    """

    ref: str
    type: str = field(kw_only=True, default=attrs.Factory(lambda self: self.ref, takes_self=True))
    kind: TaskKind = field(kw_only=True, default=TaskKind.WORKER, converter=_kind)
    after: tuple[str, ...] = field(kw_only=True, default=(), converter=_tuple)
    input: dict[str, Any] = field(kw_only=True, factory=dict)
    workflow: str | WorkflowDef | None = field(kw_only=True, default=None)
    workflow_version: int | None = field(kw_only=True, default=None)
    retries: int = field(kw_only=True, default=0)
    retry_delay: float = field(kw_only=True, default=0.0, converter=_seconds)
    retry_logic: RetryLogic = field(kw_only=True, default=RetryLogic.FIXED, converter=_logic)
    retry_delay_max: float | None = field(kw_only=True, default=None, converter=_seconds)
    retry_jitter: float = field(kw_only=True, default=0.0, converter=_seconds)
    lease: float = field(kw_only=True, default=60.0, converter=_seconds)
    poll_timeout: float | None = field(kw_only=True, default=None, converter=_seconds)
    attempt_timeout: float | None = field(kw_only=True, default=None, converter=_seconds)
    total_timeout: float | None = field(kw_only=True, default=None, converter=_seconds)
    wait_for: float | str | None = field(kw_only=True, default=None, converter=_seconds)
    wait_until: str | datetime | None = field(kw_only=True, default=None, converter=_written)
    optional: bool = field(kw_only=True, default=False)
    permissive: bool = field(kw_only=True, default=False)
    on_expiry: ExpiryPolicy = field(kw_only=True, default=ExpiryPolicy.RETRY, converter=_policy)
    on: str | None = field(kw_only=True, default=None)
    when: tuple[str, str | None] | None = field(kw_only=True, default=None, converter=_tuple)
    asks: str | None = field(kw_only=True, default=None)

    def __attrs_post_init__(self) -> None:
        if self.kind == TaskKind.WORKER and self.workflow is not None:
            object.__setattr__(self, "kind", TaskKind.WORKFLOW)
        _check_task(self)
        object.__setattr__(self, "input", _own(f"task {quoted(self.ref)}, field 'input'", self.input))

    @property
    def mode(self) -> Mode:
        """The kind as the task lifecycle sees it: all that progress alone moves is CONTROL."""
        return _MODES.get(self.kind, Mode.CONTROL)


@attrs.frozen
class WorkflowDef:
    """A named and versioned set of tasks, with the topics to which its ends are delivered.

    `timeout` is in seconds, None for none; with `on_timeout` ALERT_ONLY it is only recorded that it passed.
    `restartable` says whether a COMPLETED one may be restarted. `defaults` are
    keys of the input for those who start it without them. `output` may hold expressions, which are read when it COMPLETES;
    without one the output is that of its last task that was done. `variables` are what `${workflow.variables.x}` reads
    before a set task sets it. `within` is set by `flatten` alone: the name of the definition in which this one was written
    inline.
    `archive` says which runs topic "archive" hears of, and when; without it, of all of them, at once. With it, "archive" is
    one of the topics. `failure_workflow` names the definition that is started once for each run that ends FAILED, TIMED_OUT
    or TERMINATED on its own account, with the run's input and what became of it; `failure_on_terminate=False` leaves
    TERMINATED runs out. `notify` names statuses, as "PAUSED" or "COMPLETED": topic "notify" is told each time that one of its
    workflows comes to one of them, in order.
    """

    name: str
    version: int = field(kw_only=True, default=1)
    tasks: tuple[TaskDef, ...] = field(kw_only=True, converter=_tuple)
    topics: tuple[str, ...] = field(kw_only=True, default=(), converter=_tuple)
    notify: tuple[str, ...] = field(kw_only=True, default=(), converter=_tuple)
    archive: ArchivePolicy | None = field(kw_only=True, default=None)
    timeout: float | None = field(kw_only=True, default=None, converter=_seconds)
    on_timeout: TimeoutPolicy = field(kw_only=True, default=TimeoutPolicy.TIME_OUT_WF, converter=_late)
    restartable: bool = field(kw_only=True, default=True)
    defaults: dict[str, Any] = field(kw_only=True, factory=dict)
    output: dict[str, Any] = field(kw_only=True, factory=dict)
    variables: dict[str, Any] = field(kw_only=True, factory=dict)
    failure_workflow: str | None = field(kw_only=True, default=None)
    failure_on_terminate: bool = field(kw_only=True, default=True)
    within: str | None = field(kw_only=True, default=None)

    def __attrs_post_init__(self) -> None:
        _check_workflow(self)
        for name in ("defaults", "output", "variables"):
            object.__setattr__(self, name, _own(f"{_place(self)}, field {quoted(name)}", getattr(self, name)))
        if self.archive is not None and ARCHIVE not in self.topics:
            object.__setattr__(self, "topics", (ARCHIVE, *self.topics))
        _check_size(self)
        place, refs = _place(self), [task.ref for task in self.tasks]
        links = Links.of(self)
        order = in_order(place, refs, links.predecessors)
        check_reads(place, refs, links.predecessors, order, links.references)
        check_reads(place, refs, links.predecessors, order, links.switches, field="when")


def _check_task(task: TaskDef) -> None:
    check_name(task.ref, what="task reference")
    place = f"task {quoted(task.ref)}"
    check_name(task.type, what=f"{place}, field 'type': name")
    checks.choice(place, "kind", task.kind, TaskKind)
    checks.names(place, "after", task.after)
    if task.kind == TaskKind.JOIN and not task.after:
        checks.refuse(place, "after", "a join waits for the tasks named there, and none is", "name at least one")
    if not isinstance(task.input, dict):
        checks.refuse(place, "input", f"it must be an object, not {checks.shown(task.input)}", "give a dict")
    _check_child(place, task)
    _check_clocks(place, task)
    checks.flag(place, "optional", task.optional)
    checks.flag(place, "permissive", task.permissive)
    _check_branch(place, task)
    if task.kind == TaskKind.TERMINATE:
        checks.choice(place, "asks", task.asks, _ENDS)
    elif task.asks is not None:
        checks.refuse(place, "asks", f"only a terminate task asks for an end, not a {task.kind} task", "leave it out")


def _check_clocks(place: str, task: TaskDef) -> None:
    checks.whole(place, "retries", task.retries, least=0)
    checks.seconds(place, "retry_delay", task.retry_delay, least=0.0)
    checks.choice(place, "retry_logic", task.retry_logic, RetryLogic)
    checks.seconds(place, "retry_jitter", task.retry_jitter, least=0.0)
    checks.seconds(place, "lease", task.lease, least=LIMITS.tick)
    limits = {"retry_delay_max": task.retry_delay_max, "poll_timeout": task.poll_timeout,
              "attempt_timeout": task.attempt_timeout, "total_timeout": task.total_timeout}
    for name, most in limits.items():
        if most is not None:
            checks.seconds(place, name, most, least=LIMITS.tick)
    checks.choice(place, "on_expiry", task.on_expiry, ExpiryPolicy)
    for name, value, read in (("wait_for", task.wait_for, duration), ("wait_until", task.wait_until, moment)):
        if value is None:
            continue
        if task.kind != TaskKind.WAIT:
            checks.refuse(place, name, f"only a wait task waits, not a {task.kind} task", "leave it out")
        if isinstance(value, str) and is_templated(value):
            continue
        try:
            read(value)
        except InvalidInput as error:
            checks.refuse(place, name, f"{checks.shown(value)}: {error.why}", error.hint)


def _check_branch(place: str, task: TaskDef) -> None:
    if (task.kind == TaskKind.SWITCH) != (task.on is not None):
        why = f"a switch needs it to choose a branch and no other kind can have it; this is a {task.kind} task"
        checks.refuse(place, "on", why, 'give a switch on="${workflow.input.x}"')
    on: object = task.on
    when: object = task.when
    if on is not None and not isinstance(on, str):
        checks.refuse(place, "on", f"it must be a text, not {checks.shown(on)}", 'give on="${workflow.input.x}"')
    check_json(on, what=f"{place}, field 'on'", error=InvalidDefinition)
    if when is not None:
        if not isinstance(when, tuple) or len(when) != 2:
            checks.refuse(place, "when", f"it must be a pair (switch, value), not {checks.shown(when)}", _DEFAULT)
        switch, value = when
        check_name(switch, what=f"{place}, field 'when': name")
        if value is not None and (not isinstance(value, str) or len(value) > LIMITS.name or not value.isprintable()):
            why = f"the value must be a printable text of at most {LIMITS.name} characters, not {checks.shown(value)}"
            checks.refuse(place, "when", why, _DEFAULT)


def _check_child(place: str, task: TaskDef) -> None:
    child, version = task.workflow, task.workflow_version
    if (task.kind == TaskKind.WORKFLOW) != (child is not None):
        checks.refuse(
            place, "workflow", f"a workflow task needs one and no other kind can have one; this is a {task.kind} task",
            "give workflow= and leave kind= out",
        )
    if isinstance(child, str):
        if len(child) > _LONGEST_CHILD:
            checks.refuse(place, "workflow", f"it has {len(child):,} characters; {_LONGEST_CHILD:,} are allowed")
        for part in () if "${" in child else child.split("#"):
            check_name(part, what=f"{place}, field 'workflow': name")
    elif child is not None and not isinstance(child, WorkflowDef):
        checks.refuse(place, "workflow", f"it must be a name or a WorkflowDef, not {checks.shown(child)}")
    if version is not None:
        checks.whole(place, "workflow_version", version, least=1)
        if not isinstance(child, str):
            why = "only a child given by name has versions to choose from"
            checks.refuse(place, "workflow_version", why, "leave it out")


def _check_workflow(definition: WorkflowDef) -> None:
    if definition.within is None:
        check_name(definition.name, what="definition name")
    else:
        _check_generated(definition.name, definition.within)
    place = _place(definition)
    checks.whole(place, "version", definition.version, least=1)
    checks.names(place, "topics", definition.topics)
    archive: object = definition.archive
    if not isinstance(archive, ArchivePolicy | None):
        checks.refuse(place, "archive", f"{checks.shown(archive)} is no ArchivePolicy", "give one, or leave it out")
    if definition.timeout is not None:
        checks.seconds(place, "timeout", definition.timeout, least=LIMITS.tick)
    checks.choice(place, "on_timeout", definition.on_timeout, TimeoutPolicy)
    checks.flag(place, "restartable", definition.restartable)
    for name, given in (("defaults", definition.defaults), ("output", definition.output), ("variables", definition.variables)):
        if not isinstance(given, dict):
            checks.refuse(place, name, f"it must be an object, not {checks.shown(given)}", "give a dict")
    checks.flag(place, "failure_on_terminate", definition.failure_on_terminate)
    if definition.failure_workflow is not None:
        check_name(definition.failure_workflow, what=f"{place}, field 'failure_workflow': name")
        if definition.failure_workflow == definition.name:
            checks.refuse(place, "failure_workflow", "it names its own definition, and would start itself again and again",
                          "name another definition")
    checks.names(place, "notify", definition.notify)
    for status in definition.notify:
        checks.choice(place, "notify", status, STATUSES)
    if marked := [topic for topic in definition.topics if "@" in topic]:
        why = f"{quoted(marked[0])} holds '@', with which deliveries of notices are named"
        checks.refuse(place, "topics", why, "use letters, digits, '-', '_', '.' and ':'")
    if NOTIFY in definition.topics:
        checks.refuse(place, "topics", f"{quoted(NOTIFY)} is the topic of changes of status", "name the statuses in notify")
    if COMPENSATION in definition.topics:
        checks.refuse(place, "topics", f"{quoted(COMPENSATION)} is the topic of failure workflows", "give failure_workflow")
    tasks: object = definition.tasks
    odd = [each for each in tasks if not isinstance(each, TaskDef)] if isinstance(tasks, tuple) else [tasks]
    if odd:
        checks.refuse(place, "tasks", f"it must be a list of TaskDef, and {checks.shown(odd[0])} is none")
    if not definition.tasks:
        checks.refuse(place, "tasks", "there are none", "give at least one")


def _check_generated(name: object, within: object) -> None:
    if not isinstance(name, str) or not isinstance(within, str) or not name.startswith(f"{within}#"):
        place = f"definition {checks.shown(name)}"
        checks.refuse(place, "within", f"the name must be {checks.shown(within)}, a '#' and the reference of a task")
    for part in name.split("#"):
        check_name(part, what="definition name")


def _check_size(definition: WorkflowDef) -> None:
    """Counts level by level, so that a definition used inline in many places is refused before it is written out."""
    total, level = 0, [definition]
    for _ in range(LIMITS.inline + 1):
        total += sum(len(each.tasks) for each in level)
        if total > LIMITS.tasks:
            checks.refuse(
                _place(definition), "tasks", f"there are at least {total:,}; at most {LIMITS.tasks:,} are allowed",
                "let tasks start children by name, each with a part of the work",
            )
        level = [task.workflow for each in level for task in each.tasks if isinstance(task.workflow, WorkflowDef)]
    if level:
        checks.refuse(
            _place(definition), "tasks", f"inline definitions are nested more than {LIMITS.inline} levels deep",
            "register the inner ones under names of their own",
        )


def _place(definition: WorkflowDef) -> str:
    return f"definition {quoted(definition.name)}"
