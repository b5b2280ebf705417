"""What the stores that speak SQL share: connections that nobody uses just now, and definitions that were read once."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from kernel.core.records import Policy, Prepared
from kernel.engine.reading import damaged
from kernel.stores.known import Known

if TYPE_CHECKING:
    from kernel.stores.sql_reader import SqlReader

Connection = TypeVar("Connection")


class SqlStore(Known, ABC, Generic[Connection]):
    """A store whose connections are of one driver; used by one process."""

    def __init__(self, policy: Policy | None) -> None:
        """`policy` says how deliveries are tried."""
        super().__init__()
        self.policy = policy or Policy()
        self._idle: list[Connection] = []
        self.latest: int | None = None
        """The latest time that this process has seen; None before it has looked for work."""

    # ---- connections ---------------------------------------------------------------------------------------------------
    @abstractmethod
    def _connect(self) -> Connection:
        """A new connection."""

    @abstractmethod
    def _is_clean(self, connection: Connection) -> bool:
        """Whether it is open, and no transaction is under way on it."""

    @abstractmethod
    def _drop(self, connection: Connection) -> None:
        """Close a connection, whatever state it is in."""

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of this process, for one transaction or one question about the engine."""
        connection = self.take()
        try:
            yield connection
        finally:
            self.put_back(connection)

    def take(self) -> Connection:
        """A connection that nobody else uses, until it is put back."""
        self.check_usable()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def put_back(self, connection: Connection) -> None:
        """Keep a clean connection for the next transaction; close any other."""
        if self._is_clean(connection) and not self.closed and os.getpid() == self._process:
            self._idle.append(connection)
        else:
            self._drop(connection)

    def close(self) -> None:
        """Close every connection that is not in use; those in use are closed when their transaction ends.

        After a fork they are the parent's, who goes on with them.
        """
        self.closed = True
        if os.getpid() == self._process:
            self._drop_idle()

    def _drop_idle(self) -> None:
        with suppress(IndexError):  # another thread may take the last one
            while True:
                self._drop(self._idle.pop())

    # ---- definitions, once read ------------------------------------------------------------------------------------------
    def prepared(self, reader: SqlReader, key: int) -> Prepared:
        """The definition of a key, ready to run; definitions never change, so each is read once."""
        found = self._prepared.get(key)
        if found is None:
            rows = reader.rows("definition_by_key", (key,))
            if not rows:
                raise damaged(f"definition number {key}", "it is gone")
            found = self.learn(key, rows[0][0], str(rows[0][1]))
        return found
