"""The audit of a store that speaks SQL: each state invariant is a statement; the counters of live workflows are recounted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from kernel.core.checks import canonical
from kernel.core.outbox import Swept, emitted
from kernel.core.program import standard_program
from kernel.engine.ports import Violation
from kernel.errors import StoreCorrupt
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ENDED, LIVE
from kernel.stores.whole import Whole, recount

if TYPE_CHECKING:
    from kernel.stores.sql_reader import SqlReader

AUDIT = "audit_"
BATCH = 200


def violations(transaction: SqlReader) -> Iterator[Violation]:
    """Every row that breaks an invariant; damage of the tables themselves comes first."""
    yield from transaction.damage()
    values = {"told": canonical(_told(transaction)), "subscribed": canonical(_subscribed(transaction))}
    for name in transaction.sql:
        if name.startswith(AUDIT):
            invariant = name.removeprefix(AUDIT).partition("_")[0]
            for workflow, run, no, text in transaction.rows(name, values):
                yield Violation(invariant, workflow, run, _ref(transaction, workflow, run, no), text)
    yield from _counters(transaction)


def _told(transaction: SqlReader) -> list[tuple[int, str, str, int, int, int]]:
    """Who is to be told of which ends, under each archive policy of the store: definition, topic, state, from and until.

    Last comes whether the topic hears only of ends on the workflow's own account.
    """
    policies: list[tuple[int, Any]] = [(-NEVER, None), *transaction.archive_policies()]
    found: list[tuple[int, str, str, int, int, int]] = []
    keys, policy = transaction.rows("definitions"), transaction.store.policy
    for (since, _), (until, _) in pairwise([*policies, (NEVER, None)]):
        archiving = transaction.archiving(since)
        for (key,) in keys:
            prepared = transaction.prepared(key)
            for state in ENDED:
                rows = emitted(standard_program(), Swept(state, 1), prepared, ("", 1), since, policy, archiving)
                found += [(key, row.topic, state, since, until, row.own) for row in rows]
    return found


def _subscribed(transaction: SqlReader) -> list[tuple[int, str]]:
    """Which definitions ask for notices, of which statuses."""
    return [(key, status) for (key,) in transaction.rows("definitions") for status in transaction.prepared(key).notify]


def _ref(transaction: SqlReader, workflow: str, run: int, no: int | None) -> str:
    """The reference of a task; its position where its workflow is damaged, too."""
    try:
        row = None if no is None else transaction.workflow(workflow, run)
    except StoreCorrupt:
        return str(no)
    return "" if row is None or no is None or no >= len(row.prepared.facts) else row.prepared.facts[no].ref


def _counters(transaction: SqlReader) -> Iterator[Violation]:
    """The counters of live workflows, a batch of workflows at a time."""
    for state in LIVE:
        after = ""
        while rows := transaction.rows("workflows_in_state", (state, after, BATCH)):
            for values in rows:
                try:
                    row = transaction.workflow_of(values)
                    yield from recount(row, Whole([row], list(transaction.tasks(row.id, row.run)), []))
                except StoreCorrupt as error:
                    yield Violation("STORE", values[2], values[3], "", f"{error.asked}: {error.why}")
            after = rows[-1][2]
