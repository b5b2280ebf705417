"""The outbox of the memory store: what a cascade tells, what comes before a notice, and the order of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.core.outbox import Swept, cause_of, emitted, noticed
from kernel.core.plan import Cascade, Plan
from kernel.core.program import standard_program
from kernel.core.records import Change, DeliveryRow, entry_of
from kernel.stores.memory_snapshot import MemorySnapshot

if TYPE_CHECKING:
    from kernel.stores.memory import MemoryStore

DeliveryKey = tuple[str, int, str]


def in_order(key: DeliveryKey) -> tuple[str, int, str, int, str]:
    """The place of an entry among all: by workflow, run and topic, and those of a topic by version and status."""
    return (*key[:2], *entry_of(key[2]))


def told(store: MemoryStore, change: Change, cascade: Cascade, plan: Plan) -> list[DeliveryRow]:
    """What a workflow tells that a cascade has just moved, by name."""
    run = change.workflow, plan.tree.run
    workflow = store.workflows[run]
    given = standard_program(), Swept(workflow.state), workflow.prepared, run, plan.now, store.policy
    rows = list[DeliveryRow]()
    if "outbox" in cascade.emits:
        rows += emitted(*given, MemorySnapshot(store, plan.tree.root).archiving(plan.now))
    if "notices" in cascade.emits:
        rows += noticed(*given, plan.tree.version, cause_of(change, plan.command, plan.now))
    return sorted(rows, key=lambda row: row.name)


def waits(store: MemoryStore, row: DeliveryRow) -> bool:
    """Whether an earlier notice of its workflow is open."""
    return bool(row.version and any(MemorySnapshot(store, row.workflow).earlier(row)))
