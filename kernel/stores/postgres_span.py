"""From BEGIN to COMMIT, or to ROLLBACK: the status of COMMIT is checked, and errors of the driver become ours."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

import psycopg
from psycopg import pq

from kernel.stores.known import unknown
from kernel.stores.postgres_errors import is_undecided, ours, rolled_back, told
from kernel.stores.postgres_transaction import PostgresTransaction

if TYPE_CHECKING:
    from kernel.stores.postgres import PostgresStore

BEGIN = {True: "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE", False: "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"}
"""A writer locks and then reads what is there; a reader sees one state of everything."""


class PostgresSpan:
    """One transaction as a context: commits on leaving, undoes everything when an exception leaves."""

    __slots__ = ("connection", "store", "transaction", "write")

    def __init__(self, store: PostgresStore, write: bool) -> None:
        self.store, self.write = store, write

    def __enter__(self) -> PostgresTransaction:
        self.connection = self.store.take()
        try:
            self._begin()
            self.transaction = PostgresTransaction(self.store, self.connection, self.write)
        except BaseException as error:
            self._leave(error)
            raise
        return self.transaction

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave(error)

    def _begin(self) -> None:
        try:
            self.connection.execute(BEGIN[self.write])
        except psycopg.OperationalError:
            if not self.connection.closed:
                raise
            self.connection = self.store.renewed(self.connection)  # it broke while nobody used it: nothing is lost
            self.connection.execute(BEGIN[self.write])

    def _leave(self, error: BaseException | None) -> None:
        """Commit or undo, and let go of everything; an error of the driver leaves as one of ours."""
        try:
            if error is None and self.write and self.transaction.wrote:
                self._commit()
            else:
                self._undo()
        except psycopg.Error as foreign:
            raise ours(foreign, self._doing, self.store.place) from foreign
        finally:
            self.store.put_back(self.connection)
        if isinstance(error, psycopg.Error):
            raise ours(error, self._doing, self.store.place) from error

    @property
    def _doing(self) -> str:
        return "writing" if self.write else "reading"

    def _undo(self) -> None:
        """A connection that cannot be rolled back is closed, which undoes as well."""
        if self.connection.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            return
        try:
            self.connection.execute("ROLLBACK")
        except psycopg.Error:
            self.connection.close()

    def _commit(self) -> None:
        """COMMIT, and see that it was one. When the connection breaks on the way nobody knows yet whether it happened."""
        store, transaction = self.store, self.transaction
        try:
            status = self.connection.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            self.connection.close()
            if is_undecided(error):
                raise unknown(store.place, transaction.command_id, transaction.workflow_id, told(error)) from error
            raise
        if status != "COMMIT":
            rolled_back(store.place)
