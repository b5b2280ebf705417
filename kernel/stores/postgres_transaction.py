"""What happens between BEGIN and COMMIT on a connection to PostgreSQL: what is locked, and that each row was the one meant.

READ COMMITTED: lock, then read. A statement that waited for a lock sees what was committed meanwhile; the row of the tree is
the lock of all that is in it. What a command locks stands in its row of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import psycopg

from kernel.core.archive import ArchivePolicy
from kernel.core.plan import Command, Plan, Subject, Tally
from kernel.core.records import Prepared, TaskRow, WorkflowRow, entry_of, root_of
from kernel.core.structure import Definition
from kernel.engine.ports import Recorded
from kernel.spec.language import Lock
from kernel.stores.postgres_errors import changed_meanwhile
from kernel.stores.sql_snapshot import SqlSnapshot
from kernel.stores.sql_transaction import SqlTransaction, columns, maybe
from kernel.stores.statements import Dialect, statements

if TYPE_CHECKING:
    from kernel.stores.postgres import PostgresStore

ONE_ROW = frozenset((
    "update_tree", "update_workflow", "update_workflow_in_place", "update_task", "update_delivery", "insert_definition"))
"""Statements that write exactly one row, or the decision was on another one."""


class PostgresTransaction(SqlTransaction):
    """The statements as PostgreSQL runs them."""

    def __init__(self, store: PostgresStore, connection: psycopg.Connection[Any], write: bool) -> None:
        super().__init__(store, statements(Dialect.POSTGRES))
        self.place, self.connection, self.cursor, self.writes = store.place, connection, connection.cursor(), write
        self.subject = "subject_held" if write else "subject"
        self.held: set[str] = set()
        """The trees that this transaction has locked."""
        self.leases: dict[tuple[int, int], tuple[str, int, int | None]] = {}
        """Of each task that was read to be written: its state, hand-outs and end of lease."""
        self.led = False
        """A lock was chosen: what is read from now on is under it."""

    # ---- the driver --------------------------------------------------------------------------------------------------------
    def rows(self, name: str, values: Any = ()) -> list[Any]:
        """The rows that a statement gives."""
        return self.cursor.execute(self.sql[name], values).fetchall()

    def _run(self, name: str, values: Any) -> None:
        self.wrote = True
        self.cursor.execute(self.sql[name], values)
        if name in ONE_ROW and self.cursor.rowcount != 1:
            changed_meanwhile(self.place)

    def _run_many(self, name: str, rows: Iterable[Any]) -> None:
        """One statement: it takes the rows as columns."""
        columns = list(map(list, zip(*rows, strict=True)))
        if columns:
            self._run(name, columns)

    def _changed(self) -> int:
        return self.cursor.rowcount

    # ---- locks -------------------------------------------------------------------------------------------------------------
    def hold(self, name: str) -> None:
        """Lock a tree, alone, or the name of one that is not there; waits for whoever has it."""
        self.led = True
        if name not in self.held:
            self.rows("hold", (name,))
            self.held.add(name)

    def _lead(self, root: str, command_id: str = "") -> None:
        """What a writing transaction asks for first names the tree that it is about. A poll is about none, but has an id."""
        if self.writes and not self.led:
            self.hold(root or f" {command_id}")
            self.led = bool(root)

    def snapshot(self, subject: Subject, lock: Lock = Lock.TREE) -> SqlSnapshot:
        """The rows of the subject's tree, once the lock is there that the command needs: the tree's, or one row's."""
        if self.writes:
            self.led = True
            if lock is not Lock.TREE and subject.topic is not None:
                self.rows("hold_delivery", (subject.workflow, subject.run, *entry_of(subject.topic)))
            elif lock is Lock.ROW:
                self.rows("hold_task", (subject.workflow, subject.no))
            else:
                self.hold(root_of(subject.workflow))
        return super().snapshot(subject)

    def recorded(self, root: str, command_id: str) -> Recorded | None:
        """What is kept of a command; waits for a twin that is under way."""
        self._lead(root, command_id)
        return super().recorded(root, command_id)

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run."""
        self._lead(root_of(workflow_id))
        return super().workflow(workflow_id, run)

    def pollable(self, type: str, now: int, limit: int) -> list[Subject]:
        """Tasks of a type that could be handed out. A writing transaction gets those in trees that nobody else holds; only
        when there is no other work it waits for one tree.
        """
        if not self.writes:
            return super().pollable(type, now, limit)
        self.led = True
        roots = {root for (root,) in self._due("hold_pollable", now, limit, type=type)}
        if not roots and (others := super().pollable(type, now, 1)):
            self.hold(root := root_of(others[0].workflow))
            roots = {root}
        self.held |= roots
        found = self._due("pollable_held", now, limit, type=type, roots=sorted(roots)) if roots else []
        return [Subject(workflow, no) for workflow, no in found]

    # ---- writing -----------------------------------------------------------------------------------------------------------
    def _task(self, workflow_id: str, run: int, prepared: Prepared, row: tuple[Any, ...]) -> TaskRow:
        task = super()._task(workflow_id, run, prepared, row)
        if self.writes:
            self.leases[self.keys[workflow_id, run], task.no] = task.state, task.handouts, maybe(task.expires)
        return task

    def write(self, plan: Plan) -> Tally:
        """Write everything that a plan holds. One that locked a row only is given its place in the history of the tree now."""
        if plan.changes and plan.tree.root not in self.held:
            self.hold(plan.tree.root)
            tree = self.tree(plan.tree.root)
            if tree is None:
                changed_meanwhile(self.place)
            plan.tree, plan.now = tree, max(plan.now, tree.clock)
        return super().write(plan)

    def _update_task(self, t: TaskRow, key: int, command: Command) -> None:
        """Only while the lease is the one that was read. Who presents the lease may end it, however often it was renewed."""
        read = self.leases.get((key, t.no))
        state, handouts, expires = read or ("", 0, None)
        self._run("update_task", (*columns(t), key, t.no, read is None, state, handouts, "handouts" in command.given, expires))
        self.leases[key, t.no] = t.state, t.handouts, maybe(t.expires)

    def register(self, definition: Definition, at: int) -> None:
        """Keep a definition; one process at a time."""
        self.cursor.execute(self.sql["hold_definitions"])
        super().register(definition, at)

    def set_archive_policy(self, policy: ArchivePolicy | None, since: int) -> None:
        """A policy for every definition, from a time on that no commit under way can be of: this waits for all of them."""
        self.rows("hold_alone")
        super().set_archive_policy(policy, since)
