"""Workflow and task lifecycles that are formally specified, on your own database.

In a few lines:

    import kernel

    with kernel.open("sqlite:///orders.db") as k:
        k.register(kernel.WorkflowDef("order", tasks=[kernel.TaskDef("pick"), kernel.TaskDef("ship", after=["pick"])]))
        order = k.start("order", workflow_id="order-7")
        k.terminate(order.id, reason="customer withdrew")
"""

from __future__ import annotations

from kernel import spec
from kernel.core.archive import ArchivePolicy
from kernel.core.decide import Choice
from kernel.core.definitions import ExpiryPolicy, RetryLogic, TaskDef, TaskKind, TimeoutPolicy, WorkflowDef
from kernel.engine.attempt import Attempt, Done, NotRetryable, Postpone, TaskFailed
from kernel.engine.daemon import Daemon, Served
from kernel.engine.entities import (
    Applied,
    Backlog,
    Delivery,
    Expired,
    Finding,
    HistoryRow,
    Kept,
    LateResult,
    Lease,
    Node,
    NotApplied,
    Page,
    Purge,
    Purged,
    Report,
    Task,
    Verification,
    Workflow,
)
from kernel.engine.kernel import Kernel
from kernel.engine.loading import DefinitionWarning, load_definitions
from kernel.engine.relay import RelayOptions, Settled
from kernel.engine.sinks import Owes, Parcel, Sink
from kernel.engine.states import DeliveryState, TaskState, WorkflowState
from kernel.engine.timers import Ticked
from kernel.engine.worker import Notice, Worked, Worker
from kernel.errors import (
    CommitUnknown,
    Conflict,
    Fenced,
    GuardRefused,
    InvalidDefinition,
    InvalidInput,
    KernelError,
    NoSuchTransition,
    NotFound,
    Refused,
    SchemaMismatch,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    UnsafeStore,
)
from kernel.formal.told import Misstep
from kernel.sinks.callable import CallableSink
from kernel.sinks.directory import DirectoryArchive
from kernel.stores.opening import open

__version__ = "0.1.0"

__all__ = [
    "Applied", "ArchivePolicy", "Attempt", "Backlog", "CallableSink", "Choice", "CommitUnknown", "Conflict", "Daemon",
    "DefinitionWarning", "Delivery", "DeliveryState", "DirectoryArchive", "Done", "Expired", "ExpiryPolicy", "Fenced",
    "Finding", "GuardRefused", "HistoryRow", "InvalidDefinition", "InvalidInput", "Kept", "Kernel", "KernelError",
    "LateResult", "Lease", "Misstep", "NoSuchTransition", "Node", "NotApplied", "NotFound", "NotRetryable", "Notice", "Owes",
    "Page", "Parcel", "Postpone", "Purge", "Purged", "Refused", "RelayOptions", "Report", "RetryLogic", "SchemaMismatch",
    "Served", "Settled", "Sink", "StoreCorrupt", "StoreError", "StoreFull", "StoreReadOnly", "StoreUnavailable", "Task",
    "TaskDef", "TaskFailed", "TaskKind", "TaskState", "Ticked", "TimeoutPolicy", "UnsafeStore", "Verification", "Worked",
    "Worker", "Workflow", "WorkflowDef", "WorkflowState", "load_definitions", "open", "spec",
]
