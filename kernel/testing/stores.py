"""Where the stateful tests get stores from: one small protocol, and the stores that come with the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from kernel.core.records import MICROSECONDS, Policy
from kernel.engine.ports import Store
from kernel.stores.memory import MemoryStore
from kernel.stores.sqlite import SqliteStore

POLICY = Policy(sends=3, lease=60 * MICROSECONDS)
"""Few attempts, so that deliveries die within a short test."""


class Stores(Protocol):
    """Makes the stores of a test run."""

    name: str
    """What the command line calls such a store."""

    def open(self) -> Store:
        """A new, empty store."""

    def reopen(self, store: Store) -> Store:
        """What a new process finds after the one that had `store` open was killed."""

    def beside(self, store: Store) -> Store:
        """Another way to the same data, as another process has it; whoever asked for it closes it."""

    def remove(self, store: Store) -> None:
        """Let go of a store and of what it kept."""


class MemoryStores:
    """Memory stores. The store outlives the kernel that crashes, as a server would."""

    name = "memory"

    def open(self) -> Store:
        """A new, empty store."""
        return MemoryStore(policy=POLICY)

    def reopen(self, store: Store) -> Store:
        """The same store: it has no process of its own."""
        return store

    def beside(self, store: Store) -> Store:
        """The same store: only its own process can use it."""
        return store

    def remove(self, store: Store) -> None:
        """Nothing is kept."""
        store.close()


class SqliteStores:
    """SQLite stores: files in one folder."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = 0

    def open(self) -> Store:
        """A new file."""
        self.made += 1
        return SqliteStore(str(self.folder / f"{self.made}.db"), policy=POLICY)

    def reopen(self, store: Store) -> Store:
        """The same file through new connections."""
        store.close()
        return self.beside(store)

    def beside(self, store: Store) -> Store:
        """The same file through connections of its own."""
        return SqliteStore(_path(store), policy=POLICY)

    def remove(self, store: Store) -> None:
        """Remove the file and what SQLite keeps beside it."""
        store.close()
        for ending in ("", "-wal", "-shm"):
            Path(_path(store) + ending).unlink(missing_ok=True)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A temporary folder, in memory where the system has such a file system: a crash of a process loses nothing there."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is made for us alone
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def _path(store: Store) -> str:
    if not isinstance(store, SqliteStore):
        raise TypeError(f"{type(store).__name__} is not a store of this kind")
    return store.path
