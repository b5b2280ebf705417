"""The audit of the SQLite store: every state invariant as one statement, and the counters of live workflows recounted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kernel.engine.ports import Violation
from kernel.errors import StoreCorrupt
from kernel.spec.vocabulary import LIVE
from kernel.stores.statements import statements
from kernel.stores.whole import Whole, recount

if TYPE_CHECKING:
    from kernel.stores.sqlite_reader import SqliteReader

AUDIT = "audit_"
BATCH = 200


def violations(transaction: SqliteReader) -> Iterator[Violation]:
    """Every row that breaks an invariant; damage of the file itself comes first."""
    connection = transaction.connection
    for (damage,) in connection.execute("PRAGMA quick_check(10)").fetchall():
        if damage != "ok":
            yield Violation("STORE", "", 0, "", str(damage))
    for table, rowid, target, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        yield Violation("STORE", "", 0, "", f"row {rowid} of {table} refers to a row of {target} that does not exist")
    for name, sql in statements().items():
        if name.startswith(AUDIT):
            invariant = name.removeprefix(AUDIT).partition("_")[0]
            found: list[Any] = connection.execute(sql).fetchall()
            for workflow, run, no, text in found:
                yield Violation(invariant, workflow, run, _ref(transaction, workflow, run, no), text)
    yield from _counters(transaction)


def _ref(transaction: SqliteReader, workflow: str, run: int, no: int | None) -> str:
    row = None if no is None else transaction.workflow(workflow, run)
    return "" if row is None or no is None or no >= len(row.prepared.facts) else row.prepared.facts[no].ref


def _counters(transaction: SqliteReader) -> Iterator[Violation]:
    """The counters of live workflows, a batch of workflows at a time."""
    for state in LIVE:
        after = ""
        while rows := transaction.workflow_rows("workflows_in_state", (state, after, BATCH)):
            for row in rows:
                try:
                    yield from recount(row, Whole([row], list(transaction.tasks(row.id, row.run)), []))
                except StoreCorrupt as error:
                    yield Violation("STORE", row.id, row.run, "", error.why)
            after = rows[-1].id
