"""What a definition chooses from: kinds of task, what follows when a clock runs out, how retries wait."""

from __future__ import annotations

from enum import StrEnum


class TaskKind(StrEnum):
    """What moves a task: a worker, a signal, a child workflow, or progress alone (all others)."""

    WORKER = "worker"
    WAIT = "wait"
    WORKFLOW = "workflow"
    FORK = "fork"
    JOIN = "join"
    SWITCH = "switch"
    SET = "set"
    NOOP = "noop"
    DYNAMIC = "dynamic"
    TERMINATE = "terminate"


class Mode(StrEnum):
    """The kinds as the task lifecycle tells them apart."""

    WORKER = "WORKER"
    WAIT = "WAIT"
    WORKFLOW = "WORKFLOW"
    CONTROL = "CONTROL"


class ExpiryPolicy(StrEnum):
    """What follows when a clock of a task runs out: another attempt, the workflow's end, or a record only."""

    RETRY = "RETRY"
    TIME_OUT_WF = "TIME_OUT_WF"
    ALERT_ONLY = "ALERT_ONLY"


class RetryLogic(StrEnum):
    """How the delays of retries grow: not at all, by as much each time, or twofold each time."""

    FIXED = "FIXED"
    LINEAR_BACKOFF = "LINEAR_BACKOFF"
    EXPONENTIAL_BACKOFF = "EXPONENTIAL_BACKOFF"


class TimeoutPolicy(StrEnum):
    """What follows when the deadline of a workflow passes: it times out, or that is recorded only."""

    TIME_OUT_WF = "TIME_OUT_WF"
    ALERT_ONLY = "ALERT_ONLY"
