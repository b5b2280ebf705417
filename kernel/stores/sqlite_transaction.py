"""What happens between BEGIN and COMMIT on a connection to a SQLite file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import apsw

from kernel.engine.ports import Violation
from kernel.stores.sql_transaction import SqlTransaction
from kernel.stores.statements import statements

if TYPE_CHECKING:
    from kernel.stores.sqlite import SqliteStore


class SqliteTransaction(SqlTransaction):
    """The statements as SQLite runs them."""

    __slots__ = ("connection", "cursor")

    def __init__(self, store: SqliteStore, connection: apsw.Connection) -> None:
        super().__init__(store, statements())
        self.connection, self.cursor = connection, connection.cursor()

    def rows(self, name: str, values: Any = ()) -> list[Any]:
        """The rows that a statement gives."""
        return self.cursor.execute(self.sql[name], values).fetchall()

    def _run(self, name: str, values: Any) -> None:
        self.wrote = True
        self.cursor.execute(self.sql[name], values)

    def _run_many(self, name: str, rows: Iterable[Any]) -> None:
        self.wrote = True
        self.cursor.executemany(self.sql[name], rows)

    def _changed(self) -> int:
        return self.connection.changes()

    def damage(self) -> Iterable[Violation]:
        """Damage of the file."""
        for (damage,) in self.connection.execute("PRAGMA quick_check(10)").fetchall():
            if damage != "ok":
                yield Violation("STORE", "", 0, "", str(damage))
