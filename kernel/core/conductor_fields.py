"""What becomes of every task type and every field of Conductor's two schemas, workflow and task definition: one table.

A field that is null, empty, false or 0 says nothing, whatever the table has for it. What is in no schema is warned of.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import attrs

from kernel.core.definitions import TaskKind

KINDS = {
    "SIMPLE": TaskKind.WORKER, "FORK_JOIN": TaskKind.FORK, "FORK_JOIN_DYNAMIC": TaskKind.DYNAMIC, "JOIN": TaskKind.JOIN,
    "SUB_WORKFLOW": TaskKind.WORKFLOW, "WAIT": TaskKind.WAIT, "HUMAN": TaskKind.WAIT,
    "SWITCH": TaskKind.SWITCH, "DECISION": TaskKind.SWITCH,
    "SET_VARIABLE": TaskKind.SET, "NOOP": TaskKind.NOOP, "TERMINATE": TaskKind.TERMINATE,
}


class Use(StrEnum):
    """What becomes of a field."""

    SUPPORTED = "supported"
    HARMLESS = "harmless"  # it describes and changes nothing
    WARNED = "warned of"  # it is not done, and a warning says so
    REFUSED = "refused"  # it is not done, and without it the definition would mean something else


@attrs.frozen
class Rule:
    """What becomes of a field. `kinds` are the JSON types that a supported one may have, `only` the task types that it
    belongs to; on any other task it is used as `elsewhere` says. `says` is what a message tells about it.
    """

    use: Use
    says: str = ""
    kinds: tuple[type, ...] = ()
    only: tuple[str, ...] = ()
    elsewhere: Use = Use.WARNED


def _supported(*kinds: type) -> Rule:
    return Rule(Use.SUPPORTED, kinds=kinds)


def _warned(says: str) -> Rule:
    return Rule(Use.WARNED, says)


def _only(only: tuple[str, ...], kind: type, says: str, elsewhere: Use = Use.WARNED) -> Rule:
    return Rule(Use.SUPPORTED, says, (kind,), only, elsewhere)


TEXT, WHOLE, FLAG, LIST, OBJECT = (_supported(kind) for kind in (str, int, bool, list, dict))
HARMLESS = Rule(Use.HARMLESS)
_DESCRIBES = ("description", "ownerEmail", "ownerApp", "createTime", "updateTime", "createdBy", "updatedBy")
_UNCHECKED = _warned("nothing is checked against it")
_NOT_EVALUATED = _warned("nothing is evaluated")
_NOT_CACHED = _warned("no result is kept for others")
_NO_EVENT = _warned("no event is published")
_LOST_TASKS = Rule(Use.REFUSED, "the tasks in it would never run")
_SWITCHES = ("SWITCH", "DECISION")
_FAIL = (  # by somebody outside, or because an input cannot be resolved
    "SIMPLE", "SUB_WORKFLOW", "WAIT", "HUMAN", *_SWITCHES, "SET_VARIABLE", "TERMINATE", "FORK_JOIN_DYNAMIC")

FIELDS: Mapping[str, Mapping[str, Rule]] = {
    "workflow": {
        **dict.fromkeys((*_DESCRIBES, "inputParameters", "metadata", "enforceSchema"), HARMLESS),
        "name": TEXT,
        "version": WHOLE,
        "tasks": LIST,
        "restartable": FLAG,
        "schemaVersion": WHOLE,
        "timeoutPolicy": TEXT,
        "timeoutSeconds": WHOLE,
        "outputParameters": OBJECT,
        "failureWorkflow": TEXT,
        "inputTemplate": OBJECT,
        "variables": OBJECT,
        "workflowStatusListenerEnabled": _warned("no listener is called; name topics for the definition instead"),
        "workflowStatusListenerSink": _warned("no listener is called; name topics for the definition instead"),
        "rateLimitConfig": _warned("any number of its workflows may run at a time"),
        "cacheConfig": _NOT_CACHED,
        "maskedFields": _warned("these fields are stored and shown like all others"),
        "inputSchema": _UNCHECKED,
        "outputSchema": _UNCHECKED,
    },
    "task": {
        "description": HARMLESS,
        "name": TEXT,
        "taskReferenceName": TEXT,
        "type": TEXT,
        "inputParameters": OBJECT,
        "forkTasks": _only(("FORK_JOIN",), list, "the tasks in it would never run", Use.REFUSED),
        "joinOn": _only(("JOIN",), list, "only a JOIN waits for the tasks that it names"),
        "subWorkflowParam": _only(("SUB_WORKFLOW",), dict, "only a SUB_WORKFLOW task starts a child"),
        "taskDefinition": _only(("SIMPLE",), dict, "only a SIMPLE task uses one"),
        "retryCount": _only(("SIMPLE", "SUB_WORKFLOW"), int, "a task without a worker or a child is not retried"),
        "optional": _only(_FAIL, bool, "such a task cannot fail; a failed branch fails the workflow"),
        "permissive": _only(_FAIL, bool, "such a task cannot fail; a failed branch fails the workflow"),
        "startDelay": _warned("the task starts without delay"),
        "asyncComplete": _warned("the task completes when its worker says so"),
        "rateLimited": _warned("any number of such tasks may run at a time"),
        "cacheConfig": _NOT_CACHED,
        "sink": _NO_EVENT,
        "onStateChange": _NO_EVENT,
        "joinStatus": _warned("a JOIN completes when all its tasks have closed well"),
        "defaultExclusiveJoinTask": _warned("there is no EXCLUSIVE_JOIN"),
        "dynamicTaskNameParam": _warned("the type of a task is fixed in its definition"),
        "dynamicForkTasksParam": _only(("FORK_JOIN_DYNAMIC",), str, "no tasks are added at run time"),
        "dynamicForkTasksInputParamName": _only(("FORK_JOIN_DYNAMIC",), str, "no tasks are added at run time"),
        "evaluatorType": _only(("SWITCH",), str, "nothing is evaluated"),
        "expression": _only(("SWITCH",), str, "nothing is evaluated"),
        "caseValueParam": _only(("DECISION",), str, "nothing is evaluated"),
        **dict.fromkeys(("caseExpression", "scriptExpression", "loopCondition"), _NOT_EVALUATED),
        "decisionCases": _only(_SWITCHES, dict, "the tasks in it would never run", Use.REFUSED),
        "defaultCase": _only(_SWITCHES, list, "the tasks in it would never run", Use.REFUSED),
        "loopOver": _LOST_TASKS,
    },
    "taskDefinition": {
        **dict.fromkeys((*_DESCRIBES, "name", "inputKeys", "outputKeys", "enforceSchema"), HARMLESS),
        "rateLimitFrequencyInSeconds": HARMLESS,  # without a rateLimitPerFrequency
        "retryCount": WHOLE,
        "retryDelaySeconds": WHOLE,
        "retryLogic": TEXT,
        "backoffScaleFactor": WHOLE,
        "backoffJitterMs": WHOLE,
        "maxRetryDelaySeconds": WHOLE,
        "responseTimeoutSeconds": WHOLE,
        "pollTimeoutSeconds": WHOLE,
        "timeoutPolicy": TEXT,
        "timeoutSeconds": WHOLE,
        "totalTimeoutSeconds": WHOLE,
        "concurrentExecLimit": _warned("any number of such tasks may run at a time"),
        "rateLimitPerFrequency": _warned("any number of such tasks may run at a time"),
        "isolationGroupId": _warned("every worker of the type can get the task"),
        "executionNameSpace": _warned("every worker of the type can get the task"),
        "baseType": _warned("the task has no other type than its own"),
        "inputTemplate": OBJECT,
        "inputSchema": _UNCHECKED,
        "outputSchema": _UNCHECKED,
    },
    "subWorkflowParam": {
        "name": TEXT,
        "version": WHOLE,
        "workflowDefinition": _supported(dict, str),
        "taskToDomain": _warned("every worker of the type can get the child's tasks"),
        "idempotencyKey": _warned("each attempt starts a child of its own"),
        "idempotencyStrategy": _warned("each attempt starts a child of its own"),
        "priority": _warned("no workflow comes before others"),
    },
}
