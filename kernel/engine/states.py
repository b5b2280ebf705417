"""The states of the lifecycles as enums, for callers. The tables own them; a test holds both equal."""

from __future__ import annotations

from enum import StrEnum


class WorkflowState(StrEnum):
    """Live: RUNNING, PAUSED; terminal: the others."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    TERMINATED = "TERMINATED"


class TaskState(StrEnum):
    """Open: PENDING, SCHEDULED, IN_PROGRESS; closed: the others."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    FAILED_WITH_TERMINAL_ERROR = "FAILED_WITH_TERMINAL_ERROR"
    TIMED_OUT = "TIMED_OUT"
    CANCELED = "CANCELED"


class DeliveryState(StrEnum):
    """Open: PENDING, LEASED; closed: DELIVERED, DEAD."""

    PENDING = "PENDING"
    LEASED = "LEASED"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"
