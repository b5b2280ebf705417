"""Hears at once that there are tasks for workers: LISTEN, on a connection of its own. Nothing relies on it.

A notification that is lost, or comes for nothing, changes only when a worker looks next.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from kernel.errors import StoreError
from kernel.stores.postgres_link import Link

PAUSES = (0.1, 30.0)
"""Seconds: the shortest and the longest pause before another connection is made."""


class Bell:
    """A thread that listens while its context lasts."""

    def __init__(self, connect: Callable[[], Link], schema: str, heard: Callable[[str], None]) -> None:
        """`heard` gets the type of the tasks that there are now; an empty one after each connection that was made."""
        self.connect, self.schema, self.heard = connect, schema, heard
        self._pause = PAUSES[0]
        self._end, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"bell of {schema}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.close()
        self._thread.join()
        self._ended.close()

    def _run(self) -> None:
        with DefaultSelector() as waiting:
            waiting.register(self._ended, EVENT_READ)
            while True:
                try:
                    self._listen(waiting)
                    return
                except (psycopg.Error, StoreError):
                    if waiting.select(self._pause):
                        return
                    self._pause = min(PAUSES[1], 2 * self._pause)

    def _listen(self, waiting: DefaultSelector) -> None:
        """Until the end, or until the connection breaks."""
        link = self.connect()
        server = link.connection.pgconn
        waiting.register(number := server.socket, EVENT_READ)
        try:
            statement = sql.SQL("LISTEN {}").format(sql.Identifier(self.schema))
            link.execute(statement)
            self._pause = PAUSES[0]
            self.heard("")
            while self._ended not in [key.fileobj for key, _ in waiting.select()]:
                server.consume_input()
                while (told := server.notifies()) is not None:
                    self.heard(told.extra.decode())
        finally:
            waiting.unregister(number)
            link.close()
