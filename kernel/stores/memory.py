"""The memory store: dictionaries, one lock, an undo journal. Nothing survives the process; every other promise holds."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kernel.core.archive import ArchivePolicy, Hearing
from kernel.core.plan import Tombstone
from kernel.core.records import (
    DeliveryRow,
    Policy,
    Prepared,
    TaskRow,
    TreeRow,
    WorkflowRow,
    root_of,
)
from kernel.core.working_set import in_scope
from kernel.engine.ports import HistoryRecord, LateRecord, Recorded, Violation
from kernel.errors import StoreUnavailable
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ENDED
from kernel.stores.memory_outbox import DeliveryKey
from kernel.stores.memory_transaction import MemoryTransaction
from kernel.stores.whole import notices, violations


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
        self.tombstones: dict[str, Tombstone] = {}
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

    def belongings(self, root: str) -> list[tuple[dict[Any, Any], Any]]:
        """Everything of a tree, of all its runs: the dictionaries, and the keys in them."""
        tables: list[tuple[dict[Any, Any], Iterable[Any]]] = [
            (table, [key for key in table if root_of(key[0]) == root])
            for table in (self.outbox, self.payloads, self.open, self.tasks, self.workflows, self.late)]
        tables += [(self.records, [key for key in self.records if key[0] == root]), (self.lines, [root]), (self.trees, [root])]
        return [(table, key) for table, keys in tables for key in keys]

    def purgeable(self, before: int, after: str) -> list[str]:
        """The ids of roots that ended at this time or earlier, behind the id `after`, in order."""
        return sorted(row.id for row in self.workflows.values() if row.until == NEVER and not row.parent
                      and row.state in ENDED and row.changed <= before and row.id > after)

    def violations(self) -> Iterator[Violation]:
        """Every row that breaks a state invariant."""
        workflows = [row.copy() for row in self.workflows.values()]
        tasks = [row.copy() for rows in self.tasks.values() for row in rows.values()]
        archiving = [(since, hearing) for since, (_, hearing) in sorted(self.archive.items())]
        outbox = [row.copy() for row in self.outbox.values()]
        yield from violations(self.trees.values(), workflows, tasks, outbox, archiving)
        yield from notices(workflows, outbox, (line for lines in self.lines.values() for line in lines))
        for root, grave in self.tombstones.items():
            if root in self.trees or root in self.lines:
                yield Violation("INV-05", root, grave.run, "", "it was purged, and is still there")
        for workflow in workflows:
            if root_of(workflow.id) not in self.trees:
                yield Violation("STORE", workflow.id, workflow.run, "", "its tree is gone")

    def close(self) -> None:
        """Answer no more; a transaction under way still ends."""
        self.closed = True
