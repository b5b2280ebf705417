"""The SQLite store: one file, several threads and processes.

WAL, synchronous FULL, BEGIN IMMEDIATE, set and read back. The driver is apsw, because the SQLite in common Python builds
(3.7.0 to 3.51.2) has the WAL-reset corruption bug. SQLite's own busy handler lets a process starve; ours waits with jitter,
up to a deadline, then answers Conflict.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from kernel.core.records import Policy
from kernel.errors import SchemaMismatch, StoreReadOnly, UnsafeStore, quoted
from kernel.stores.sql_store import SqlStore
from kernel.stores.sqlite_file import Seal, check_version, create, located, seal_of, sealed_name
from kernel.stores.sqlite_span import Span, raise_as_ours
from kernel.stores.statements import migrations

APPLICATION = 0x4B524E4C
"""Marks a file as ours: the letters KRNL."""
PRAGMAS = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("temp_store", "MEMORY", 2),
    ("cache_size", "-32000", -32000),
    ("wal_autocheckpoint", "3000", 3000),
)
"""The log is copied into the file at every 3,000 pages: what ends 100,000 tasks writes 2,600, and need not wait for that."""
WAITS = (0.0005, 0.02)
"""Seconds: the shortest and the longest pause of the busy handler."""


class SqliteStore(SqlStore[apsw.Connection]):
    """Keeps trees in one SQLite file of mode 0600. Survives the death of the process and, as far as the disk keeps its
    promises, a power cut.
    """

    name = "sqlite"
    durability = "a crash of the process, and a power cut where the disk does what fsync says"

    def __init__(self, path: str, *, policy: Policy | None = None, patience: float = 10.0) -> None:
        """`path` may end in `?mode=ro`; `patience` is how long a commit waits for others, in seconds.

        Raises StoreUnavailable, StoreCorrupt, StoreReadOnly, SchemaMismatch or UnsafeStore.
        """
        self.path, self.read_only = located(path)
        super().__init__(policy)
        self.place = self.path
        self.patience = patience
        self.writer = threading.RLock()
        self._seal: Seal | None = None
        check_version()
        if not self.read_only:
            create(self.path)
        try:
            self._open()
            with self.transaction(write=False) as transaction:
                self.id = transaction.store_id()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            self._idle.append(self._connect())
            self._migrate(self._idle[0])
        except (apsw.Error, UnicodeDecodeError) as error:
            raise_as_ours(self, error, "opening")
            raise

    # ---- connections ---------------------------------------------------------------------------------------------------
    def _connect(self) -> apsw.Connection:
        name, flags = self.path, apsw.SQLITE_OPEN_READONLY if self.read_only else apsw.SQLITE_OPEN_READWRITE
        self._seal = seal_of(self.path) if self.read_only else None
        if self._seal is not None:
            name, flags = sealed_name(self.path), flags | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(name, flags=flags | apsw.SQLITE_OPEN_NOFOLLOW, statementcachesize=200)
        deadline = [0.0]

        def wait(tries: int) -> bool:
            """Wait for the lock: a little longer each time, by chance, until the deadline."""
            if tries == 0:
                deadline[0] = time.monotonic() + self.patience
            if time.monotonic() >= deadline[0]:
                return False
            time.sleep(min(WAITS[1], WAITS[0] * 2 ** min(tries, 10)) * random.uniform(0.3, 1.0))
            return True

        connection.set_busy_handler(wait)
        try:
            self._check_ours(connection)
            self._set_up(connection)
        except BaseException:
            connection.close(True)
            raise
        return connection

    def _set_up(self, connection: apsw.Connection) -> None:
        # Otherwise SQLite prepares a statement anew with every new value that a partial index might depend on: 8 times slower.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        for name, value, wanted in PRAGMAS:
            if self.read_only and name == "journal_mode":
                continue
            got = connection.pragma(name, value) if name == "journal_mode" else _set(connection, name, value)
            if got != wanted:
                raise UnsafeStore(
                    f"opening {quoted(self.path)}", why=f"PRAGMA {name} is {got!r}, not {wanted!r}",
                    hint="the file must be on a local disk that supports shared memory; network disks do not")

    def _check_ours(self, connection: apsw.Connection) -> None:
        """Refuse the file of another program before anything is set in it. Who sees tables of ours sees the mark, too."""
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        mark = connection.pragma("application_id")
        if mark != APPLICATION and (tables or mark):
            raise SchemaMismatch(f"opening {quoted(self.path)}", why="it is a SQLite database of another program",
                                 hint="name another file")

    def _migrate(self, connection: apsw.Connection) -> None:
        """Bring the schema up to date, each step and its record in one transaction."""
        known = migrations()
        version = connection.pragma("user_version")
        if version > known[-1][0]:
            raise SchemaMismatch(
                f"opening {quoted(self.path)}", stands=f"its schema is number {version}; this program knows {known[-1][0]}",
                why="a newer version of the program made it", hint="upgrade lifecycle-kernel")
        for number, name, script in known:
            if number <= version:
                continue
            if self.read_only:
                raise SchemaMismatch(
                    f"opening {quoted(self.path)} read-only", stands=f"its schema is number {version}",
                    why=f"migration {number} is missing", hint="open it once for writing")
            with self._exclusively(connection):
                if connection.pragma("user_version") < number:
                    connection.execute(script)
                    connection.execute("INSERT INTO migration (no, name, at) VALUES (?, ?, ?)",
                                       (number, name, time.time_ns() // 1000))
                    connection.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('store', ?)",
                                       (secrets.token_hex(8),))
                    connection.pragma("application_id", APPLICATION)
                    connection.pragma("user_version", number)

    @contextmanager
    def _exclusively(self, connection: apsw.Connection) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def transaction(self, *, write: bool) -> Span:
        """Begin; commit on leaving, undo when an exception leaves."""
        if write and self.read_only:
            raise StoreReadOnly(f"writing {quoted(self.path)}", why="it was opened read-only",
                                hint="open it without ?mode=ro")
        return Span(self, write)

    def take(self) -> apsw.Connection:
        """A connection that nobody else uses, until it is put back."""
        if self.seal_broken():
            self._drop_idle()
        return super().take()

    def seal_broken(self) -> bool:
        """Whether somebody wrote a file that was taken for one that nobody can write."""
        return self._seal is not None and seal_of(self.path) != self._seal

    def _is_clean(self, connection: apsw.Connection) -> bool:
        try:
            return not connection.in_transaction
        except apsw.ConnectionClosedError:
            return False

    def _drop(self, connection: apsw.Connection) -> None:
        connection.close(True)


def _set(connection: apsw.Connection, name: str, value: str) -> object:
    connection.pragma(name, value)
    return connection.pragma(name)
