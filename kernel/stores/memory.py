"""The memory store: dictionaries, one lock, an undo journal. Nothing survives the process; every other promise holds."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kernel.core.archive import ArchivePolicy, Hearing
from kernel.core.records import (
    DeliveryRow,
    Policy,
    Prepared,
    TaskRow,
    TreeRow,
    WorkflowRow,
)
from kernel.core.working_set import in_scope
from kernel.engine.ports import HistoryRecord, LateRecord, Recorded
from kernel.errors import StoreUnavailable
from kernel.stores.memory_transaction import DeliveryKey, MemoryTransaction


class MemoryStore:
    """Keeps trees in dictionaries. A writing transaction holds the lock; what it did is undone when it fails."""

    name = "memory"
    durability = "nothing survives the process"

    def __init__(self, *, policy: Policy | None = None) -> None:
        """An empty store; `policy` says how deliveries are tried."""
        self.policy = policy or Policy()
        self.id = secrets.token_hex(8)
        self.lock = threading.RLock()
        self.closed = False
        self.trees: dict[str, TreeRow] = {}
        self.workflows: dict[tuple[str, int], WorkflowRow] = {}
        self.tasks: dict[tuple[str, int], dict[int, TaskRow]] = {}
        self.open: dict[tuple[str, int, int], None] = {}
        self.outbox: dict[DeliveryKey, DeliveryRow] = {}
        self.payloads: dict[tuple[str, int, int, str], str] = {}
        self.lines: dict[str, list[HistoryRecord]] = {}
        self.records: dict[tuple[str, str], Recorded] = {}
        self.late: dict[tuple[str, int, int, int, str], LateRecord] = {}
        self.definitions: dict[tuple[str, int], Prepared] = {}
        self.archive: dict[int, tuple[ArchivePolicy | None, Hearing | None]] = {}
        """The store's own archive policies by the time from which each is in force."""

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[MemoryTransaction]:
        """Begin; commit on leaving, undo when an exception leaves."""
        if self.closed:
            raise StoreUnavailable("using the memory store", why="the kernel was closed: what it held is gone",
                                   hint="open another")
        with self.lock:
            transaction = MemoryTransaction(self)
            try:
                yield transaction
            except BaseException:
                transaction.undo()
                raise

    def find(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """The row of a workflow as part of a run, in which it may be kept from an earlier one."""
        row = self.workflows.get((workflow_id, run))
        if row is not None:
            return row
        for earlier in range(run - 1, 0, -1):
            row = self.workflows.get((workflow_id, earlier))
            if row is not None:
                return row if row.until >= run else None
        return None

    def own(self, workflow_id: str, run: int) -> dict[int, TaskRow]:
        """The tasks of a workflow as part of a run, by position."""
        found = self.tasks.get((workflow_id, run))
        if found is not None:
            return found
        row = self.find(workflow_id, run)
        return {} if row is None else self.tasks.get((workflow_id, row.run), {})

    def below(self, workflow_id: str, run: int) -> list[WorkflowRow]:
        """The rows of a workflow and of all its descendants as part of a run, by id."""
        rows = [w for (i, r), w in self.workflows.items() if r <= run <= w.until and in_scope("all_tasks", workflow_id, i)]
        return sorted(rows, key=lambda row: row.id)

    def close(self) -> None:
        """Answer no more; a transaction under way still ends."""
        self.closed = True
