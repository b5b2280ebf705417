"""From BEGIN to COMMIT, or to ROLLBACK: the schema is checked, and errors of the driver become errors of our tree."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

import apsw

from kernel.engine.reading import damaged
from kernel.errors import (
    Conflict,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    quoted,
)
from kernel.stores.known import UNEXPECTED, outlived, unknown
from kernel.stores.sqlite_transaction import SqliteTransaction
from kernel.stores.statements import migrations

if TYPE_CHECKING:
    from kernel.stores.sqlite import SqliteStore

MEANINGS: tuple[tuple[type[apsw.Error], type[StoreError], str], ...] = (
    (apsw.FullError, StoreFull, "free some space on the disk; reads still work"),
    (apsw.ReadOnlyError, StoreReadOnly, "the file or its folder cannot be written by this user"),
    (apsw.NotADBError, StoreCorrupt, "this file is not a SQLite database; name another file"),
    (apsw.CorruptError, StoreCorrupt, "restore a backup; keep the damaged file for analysis"),
    (apsw.SQLError, StoreCorrupt, "its tables are not those that this program makes; restore a backup"),
    (apsw.CantOpenError, StoreUnavailable, "does the folder exist, and may this user open the file?"),
    (apsw.Error, StoreUnavailable, "look at the disk and its file system"),
)
FOREIGN = (apsw.Error, UnicodeDecodeError)
"""What the driver raises."""


class Span:
    """One transaction as a context: commits on leaving, undoes everything when an exception leaves."""

    __slots__ = ("connection", "store", "transaction", "write")

    def __init__(self, store: SqliteStore, write: bool) -> None:
        self.store, self.write = store, write

    def __enter__(self) -> SqliteTransaction:
        store = self.store
        store.check_usable()
        try:
            if self.write and not store.writer.acquire(timeout=store.patience):
                raise busy(store)
            self.connection = store.take()
        except BaseException as error:
            self._release()
            raise_as_ours(store, error, self._doing)
            raise
        try:
            self.transaction = SqliteTransaction(store, self.connection)
            if self.write:
                self._begin()
            else:
                self.connection.execute("BEGIN")
        except BaseException as error:
            self._leave(error)
            raise
        return self.transaction

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave(error)

    @property
    def _doing(self) -> str:
        return "writing" if self.write else "reading"

    def _begin(self) -> None:
        """Lock. A process that outlived a migration must not write by the old rules."""
        ((version,),) = self.connection.execute("BEGIN IMMEDIATE; PRAGMA user_version").fetchall()
        if version != migrations()[-1][0]:
            raise outlived(self.store.path, version)

    def _leave(self, error: BaseException | None) -> None:
        """Commit or undo, and let go of everything; an error of the driver leaves as one of ours."""
        try:
            try:
                if error is not None:
                    self._undo(error)
                elif self.write and self.transaction.wrote:
                    self._commit()
                else:
                    self._end()
            finally:
                try:
                    self.store.put_back(self.connection)
                finally:
                    self._release()
        except FOREIGN as foreign:
            raise_as_ours(self.store, foreign, self._doing)
        if error is not None:
            raise_as_ours(self.store, error, self._doing)

    def _end(self) -> None:
        """Nothing was written; what was read is true, if nobody else wrote meanwhile where that cannot be locked out."""
        self.connection.execute("ROLLBACK")
        if self.store.seal_broken():
            raise Conflict(f"reading {quoted(self.store.path)}", why="somebody wrote it meanwhile", hint="try again")

    def _release(self) -> None:
        if self.write:
            with suppress(RuntimeError):  # who was interrupted cannot tell whether it has the lock; the lock can
                self.store.writer.release()

    def _undo(self, error: BaseException) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        if isinstance(error, UNEXPECTED) and (found := damage(self.connection)):
            raise damaged(quoted(self.store.path), found) from error

    def _commit(self) -> None:
        """COMMIT. When it fails otherwise than by a lock or a full disk, nobody knows yet whether it happened."""
        connection, transaction = self.connection, self.transaction
        try:
            connection.execute("COMMIT")
        except (apsw.BusyError, apsw.FullError):  # nothing was applied: SQLite had no lock, or no room for all of it
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        except apsw.Error as error:
            connection.close(True)
            # what the log holds of it may be found by a later process, until another commit takes its place
            raise unknown(self.store.path, transaction.command_id, transaction.workflow_id, str(error)) from error


def busy(store: SqliteStore) -> Conflict:
    """Others were writing for too long."""
    return Conflict(f"writing {quoted(store.path)}", stands=f"others were writing for more than {store.patience} s",
                    why="nothing was applied", hint="try again")


def damage(connection: apsw.Connection) -> str:
    """The first thing that SQLite itself finds wrong with the file; empty when it finds nothing."""
    ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    return "" if found == "ok" else str(found)


def raise_as_ours(store: SqliteStore, error: BaseException, doing: str) -> None:
    """Raise an error of the driver as one of our tree; any other is let be."""
    if not isinstance(error, FOREIGN):
        return
    if isinstance(error, apsw.BusyError):
        raise busy(store) from error
    if isinstance(error, UnicodeDecodeError):
        raise damaged(quoted(store.path), "a text in it is not UTF-8") from error
    kind, hint = next((kind, hint) for of, kind, hint in MEANINGS if isinstance(error, of))
    raise kind(f"{doing} {quoted(store.path)}", why=str(error), stands="nothing was applied", hint=hint) from error
