"""From BEGIN to COMMIT, or to ROLLBACK: the status of COMMIT is checked, and errors of the driver become ours."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus

from kernel.errors import Conflict, KernelError, StoreUnavailable
from kernel.stores.known import UNEXPECTED, unknown
from kernel.stores.postgres_errors import ours, rolled_back, told
from kernel.stores.postgres_transaction import COMMITTED, PostgresTransaction

if TYPE_CHECKING:
    from kernel.stores.postgres import PostgresStore

OPEN = (int(TransactionStatus.INTRANS), int(TransactionStatus.INERROR))
"""How a connection stands whose transaction is not ended."""


class PostgresSpan:
    """One transaction as a context: commits on leaving, undoes everything when an exception leaves."""

    __slots__ = ("store", "transaction", "write")

    def __init__(self, store: PostgresStore, write: bool) -> None:
        self.store, self.write = store, write

    def __enter__(self) -> PostgresTransaction:
        link = self.store.take()
        try:
            self.transaction = PostgresTransaction(self.store, link, self.write)
        except BaseException:
            self.store.put_back(link)
            raise
        return self.transaction

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Commit or undo, and let go of everything; an error of the driver leaves as one of ours."""
        try:
            if error is None and self.write and self.transaction.wrote:
                self._commit()
            elif self.transaction.guessed:
                self._look_again(error)
        except psycopg.Error as foreign:
            raise ours(foreign, self._doing, self.store.place) from foreign
        finally:
            try:
                self._undo()
            finally:
                self.store.put_back(self.transaction.link)
        if isinstance(error, psycopg.Error):
            raise ours(error, self._doing, self.store.place) from error

    @property
    def _doing(self) -> str:
        return "writing" if self.write else "reading"

    def _undo(self) -> None:
        """End what was not committed. A connection that cannot be rolled back is closed, which undoes as well."""
        link = self.transaction.link
        if link.status in OPEN:
            with suppress(psycopg.Error):
                link.ask([("ROLLBACK", ())])

    def _look_again(self, error: BaseException | None) -> None:
        """Who decided on what is remembered, and writes nothing, was not told that it is so: then that decides nothing."""
        doubtful = isinstance(error, (KernelError, *UNEXPECTED)) and not isinstance(error, Conflict | StoreUnavailable)
        if error is None or doubtful:
            self.transaction.doubt()

    def _commit(self) -> None:
        """COMMIT, and see that it was one. When the connection breaks on the way nobody knows yet whether it happened; and not
        whether it stays so, when a standby that it should have waited for may not have it.
        """
        store, transaction = self.store, self.transaction
        try:
            status = transaction.commit()
        except psycopg.Error as error:
            if transaction.may_stand(error):
                transaction.link.close()
                raise unknown(store.place, transaction.command_id, transaction.workflow_id, told(error)) from error
            raise
        if status != COMMITTED:
            rolled_back(store.place)
        for root, left in transaction.left.items():
            store.lately.keep(root, left)
        if hurried := transaction.hurried or transaction.link.hurried:
            transaction.link.close()
            raise unknown(store.place, transaction.command_id, transaction.workflow_id, hurried)
