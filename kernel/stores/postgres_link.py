"""One connection to PostgreSQL: statements that are prepared once, and as many of them in one round trip as are known.

Parameters are bound, never part of the text. The driver's own cursors take several times as long for a statement, a round trip
for each, and forget at every ROLLBACK what they prepared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from select import POLLIN, POLLOUT, poll
from typing import Any

import psycopg
from psycopg.abc import QueryNoTemplate
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

Asked = tuple[str, Sequence[Any]]
"""A statement, with its parameters as $1, $2 ..., and their values."""
Prepared = tuple[str, tuple[int, ...]]
"""A statement and the types of its parameters."""
TEXTS = [PyFormat.TEXT] * 256
"""The format of each parameter."""
FAILED = int(ExecStatus.FATAL_ERROR)
"""The status of a result that is an error."""
FORGOTTEN = "26000"
"""The code of an error: the server does not know a statement that was prepared."""
STANDBY = "SyncRepWaitForLSN"
"""Where the server warns that a COMMIT does not wait for its standby any longer; it has no code for that."""


class Link:
    """A connection of the driver's, and what it prepared. Used by one thread at a time."""

    __slots__ = ("_answer", "_either", "_fresh", "_known", "_numbers", "_sent", "_values", "connection", "hurried")

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        # One type for all numbers and one for all texts: otherwise a statement is prepared anew for each mixture of them.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_dumper(str, StrDumper)
        self.connection, self._values = connection, Transformer(connection)
        self._known: dict[Prepared, bytes] = {}
        self._sent: list[Prepared | None] = []
        """What went through a pipeline, and of each statement that was to be prepared first, which one; nothing else did."""
        self._numbers = count()
        self._answer, self._either = poll(), poll()
        self._answer.register(connection.pgconn.socket, POLLIN)
        self._either.register(connection.pgconn.socket, POLLIN | POLLOUT)
        self.hurried = ""
        """What the server said when a COMMIT was not to wait for its standby any longer; the COMMIT itself ends well then."""
        connection.add_notice_handler(self._warned)

    def _warned(self, warning: psycopg.errors.Diagnostic) -> None:
        if warning.source_function == STANDBY:
            self.hurried = warning.message_primary or "it does not wait for its standby"

    @property
    def closed(self) -> bool:
        """Whether it was closed, or broke."""
        return self.connection.closed

    @property
    def status(self) -> int:
        """How the transaction stands: a TransactionStatus."""
        return self.connection.pgconn.transaction_status

    def close(self) -> None:
        """Close it, whatever state it is in."""
        self.connection.close()

    def broke(self) -> bool:
        """Whether the server ended it while nobody used it: then there is a last word of its, and the end behind it."""
        try:
            if not self.closed:
                self.connection.pgconn.consume_input()
                self.connection.pgconn.consume_input()
        except psycopg.OperationalError:
            self.close()
        return self.closed

    def execute(self, query: QueryNoTemplate, values: Sequence[Any] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
        """A statement that is needed once, the driver's way."""
        return self.connection.execute(query, values)

    def ask(self, asked: Sequence[Asked]) -> list[PGresult]:
        """Send statements at once and wait for their results, one for each: the first that fails is the last.

        Raises psycopg.Error when the connection breaks. It is closed then, as it is by whatever else ends the waiting.
        """
        self.send(asked)
        return self.receive()

    def send(self, asked: Sequence[Asked]) -> None:
        """Send statements at once; who calls `receive` gets their results."""
        try:
            if len(asked) > 1 or not self._send_alone(*asked[0]):
                self._send_all(asked)
        except BaseException:
            self.close()
            raise

    def _send_alone(self, text: str, values: Sequence[Any]) -> bool:
        """Send a statement, if it was prepared. With no other it needs no pipeline, which takes longer than all else here."""
        bound = self._values.dump_sequence(values, TEXTS[:len(values)])
        name = self._known.get((text, self._values.types or ()))
        if name is not None:
            self.connection.pgconn.send_query_prepared(name, bound)
            self._sent = []
        return name is not None

    def _send_all(self, asked: Sequence[Asked]) -> None:
        """Send statements through a pipeline, those that are new to be prepared first."""
        pgconn, sent, fresh = self.connection.pgconn, list[Prepared | None](), dict[Prepared, bytes]()
        pgconn.enter_pipeline_mode()
        for text, values in asked:
            bound = self._values.dump_sequence(values, TEXTS[:len(values)])
            statement = text, self._values.types or ()
            name = self._known.get(statement) or fresh.get(statement)
            if name is None:
                name = fresh[statement] = f"k{next(self._numbers)}".encode()
                pgconn.send_prepare(name, text.encode(), statement[1])
                sent.append(statement)
            pgconn.send_query_prepared(name, bound)
            sent.append(None)
        pgconn.pipeline_sync()
        self._sent, self._fresh = sent, fresh

    def receive(self) -> list[PGresult]:
        """The results of what was sent, one for each statement: the first that fails is the last."""
        pgconn = self.connection.pgconn
        try:
            while pgconn.flush():  # there is more than the socket takes: the server may want to be heard first
                if self._either.poll()[0][1] & ~POLLOUT:
                    pgconn.consume_input()
            if self._sent:
                found = self._results(self._sent, self._fresh)
                if not self.closed:
                    pgconn.exit_pipeline_mode()
            else:
                found = self._result()
            last = found[-1]
            if last.status == FAILED and last.error_field(DiagnosticField.SQLSTATE) == FORGOTTEN.encode():
                self.close()  # there was a DISCARD: another connection prepares everything anew
        except BaseException:
            self.close()
            raise
        return found

    def _result(self) -> list[PGresult]:
        """What comes back of one statement; and what fails when it is committed, if that does."""
        pgconn, found = self.connection.pgconn, list[PGresult]()
        while not pgconn.is_busy() or self._hear(bool(found) and found[-1].status == FAILED):
            result = pgconn.get_result()
            if result is None:
                break
            found.append(result)
        if not found:
            raise psycopg.OperationalError(pgconn.get_error_message())
        return found

    def _results(self, sent: list[Prepared | None], fresh: dict[Prepared, bytes]) -> list[PGresult]:
        """What comes back through a pipeline, without what says that a statement was prepared."""
        pgconn, found, failed = self.connection.pgconn, list[PGresult](), False
        is_busy, take = pgconn.is_busy, pgconn.get_result
        for statement in sent:
            if is_busy() and not self._hear(failed):
                return found
            result = take()
            if result is None:
                raise psycopg.OperationalError(pgconn.get_error_message())
            take()  # nothing: the end of what belongs to this statement
            if failed:
                continue
            failed = result.status == FAILED
            if statement is None or failed:
                found.append(result)
            else:
                self._known[statement] = fresh[statement]
        if is_busy() and not self._hear(failed):
            return found
        result = take()  # the end of all: where no COMMIT was sent, that is when it happens
        if result is not None and result.status == FAILED:
            found.append(result)
            take()
            if is_busy() and not self._hear(True):
                return found
            take()
        return found

    def _hear(self, failed: bool) -> bool:
        """Wait for the next result; false when the server said what failed, and then nothing more."""
        pgconn = self.connection.pgconn
        while pgconn.is_busy():
            self._answer.poll()
            try:
                pgconn.consume_input()
            except psycopg.OperationalError:
                if not failed:
                    raise
                self.close()
                return False
        return True

    def rows(self, result: PGresult) -> list[tuple[Any, ...]]:
        """The rows of a result."""
        self._values.set_pgresult(result)
        return self._values.load_rows(0, result.ntuples, tuple)
