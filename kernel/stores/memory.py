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
from kernel.engine.ports import HistoryRecord, Recorded
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

    def close(self) -> None:
        """Answer no more; a transaction under way still ends."""
        self.closed = True
