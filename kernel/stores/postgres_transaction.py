"""What happens between BEGIN and COMMIT on a connection to PostgreSQL: what is locked, and that each row was the one meant.

READ COMMITTED: lock, then read. A statement that waited for a lock sees what was committed meanwhile; the row of the tree is
the lock of all that is in it. What a command locks stands in its row of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import psycopg

from kernel.core.archive import ArchivePolicy
from kernel.core.checks import canonical
from kernel.core.plan import Plan, Subject, Tally
from kernel.core.program import standard_program
from kernel.core.records import Prepared, TaskRow, WorkflowRow, entry_of, root_of
from kernel.core.structure import Definition
from kernel.engine.ports import Recorded
from kernel.spec.language import Lock
from kernel.stores.known import outlived
from kernel.stores.postgres_errors import changed_meanwhile
from kernel.stores.sql_snapshot import SqlSnapshot
from kernel.stores.sql_transaction import SqlTransaction, columns, maybe
from kernel.stores.statements import Dialect, migrations, statements

if TYPE_CHECKING:
    from kernel.stores.postgres import PostgresStore

ONE_ROW = frozenset((
    "update_tree", "update_delivery", "insert_definition"))
"""Statements that write exactly one row, or the decision was on another one."""
COUNTERS = {kind: tuple(counter.name for counter in standard_program().counters_of(kind)) for kind in ("workflow", "task")}
WORKFLOW = ("key", "state", "deadline", "changed", "paused_by", "paused_at", "reason", "extension", *COUNTERS["workflow"])
TASK = ("workflow", "no", "queue", "due", "state", "attempt", "handouts", "not_before", "expires", "attempt_ends", "total_ends",
        "wakes", "signalled", "changed", "worker", "reason", *COUNTERS["task"], "was", "had", "ended", "presented")
HISTORY = ("root", "seq", "version", "run", "at", "kind", "workflow", "subject", "event", "source", "target", "attempt",
           "count", "by", "actor", "reason", "command")


class PostgresTransaction(SqlTransaction):
    """The statements as PostgreSQL runs them."""

    def __init__(self, store: PostgresStore, connection: psycopg.Connection[Any], write: bool) -> None:
        super().__init__(store, statements(Dialect.POSTGRES))
        self.place, self.connection, self.cursor, self.writes = store.place, connection, connection.cursor(), write
        self.subject = "subject_held" if write else "subject"
        self.held: set[str] = set()
        """The trees that this transaction has locked."""
        self.leases: dict[tuple[int, int], tuple[str | None, int | None, int | None]] = {}
        """Of each task that was read to be written: its state, hand-outs and end of lease."""
        self.led = self.entered = False
        """A lock was chosen: what is read from now on is under it. And: migrations are held off."""
        self.due: tuple[list[dict[str, Any]], list[dict[str, Any]]] = [], []
        """Workflows and tasks that the next lines of history tell of."""

    # ---- the driver --------------------------------------------------------------------------------------------------------
    def rows(self, name: str, values: Any = ()) -> list[Any]:
        """The rows that a statement gives."""
        return self.cursor.execute(self.sql[name], values).fetchall()

    def _run(self, name: str, values: Any) -> None:
        self.wrote = True
        if not self.entered:
            self.enter()
        self.cursor.execute(self.sql[name], values)
        if name in ONE_ROW and self.cursor.rowcount != 1:
            changed_meanwhile(self.place)

    def _run_many(self, name: str, rows: Iterable[Any]) -> None:
        """One statement. It takes rows as columns; lines of history, with the rows that they tell of, as JSON."""
        if name != "insert_history":
            self._run(name, list(map(list, zip(*rows, strict=True))))
            return
        lines = [dict(zip(HISTORY, row, strict=True)) for row in rows]
        (workflows, tasks), self.due = self.due, ([], [])
        if workflows or tasks or lines:
            ((done,),) = self.rows("put_rows", (canonical(workflows), canonical(tasks), canonical(lines)))
            if not done:
                changed_meanwhile(self.place)

    def _changed(self) -> int:
        return self.cursor.rowcount

    # ---- locks -------------------------------------------------------------------------------------------------------------
    def hold(self, name: str) -> None:
        """Lock a tree, alone, or the name of one that is not there; waits for whoever has it."""
        self.led = True
        if name not in self.held:
            self.enter("hold", (name,))
            self.held.add(name)

    def enter(self, name: str = "enter", values: tuple[str, ...] = ()) -> None:
        """Hold off migrations, and lock what the statement locks. A process that outlived a migration must not write."""
        ((version,),) = self.rows(name, values)
        if version != migrations(Dialect.POSTGRES)[-1][0]:
            raise outlived(self.place, version)
        self.entered = True

    def _lead(self, root: str, command_id: str = "") -> None:
        """What a writing transaction asks for first names the tree that it is about. A poll is about none, but has an id."""
        if self.writes and not self.led:
            self.hold(root or f" {command_id}")
            self.led = bool(root)

    def snapshot(self, subject: Subject, lock: Lock = Lock.TREE) -> SqlSnapshot:
        """The rows of the subject's tree, once the lock is there that the command needs: the tree's, or one row's."""
        if self.writes:
            self.led = True
            if lock is not Lock.TREE and not self.entered and (subject.topic is not None or lock is Lock.ROW):
                self.enter()
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
        if not self.entered:
            self.enter()
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

    def _update_rows(self, plan: Plan) -> None:
        """Each task only while its lease is the one that was read. They are written with their lines of history."""
        presented, run = "handouts" in plan.command.given, plan.tree.run
        self.known |= {(w.id, run): w.prepared for w in plan.workflows}
        self.due = [dict(zip(WORKFLOW, (
            self.keys[w.id, run], w.state, maybe(w.deadline), w.changed, w.paused_by, w.paused_at, w.reason, w.extension,
            *w.counts), strict=True)) for w in plan.workflows], []
        for t in plan.tasks:
            place = self.keys[t.workflow, run], t.no
            was, had, ended = self.leases.get(place, (None, None, None))
            self.due[1].append(dict(zip(TASK, (*place, *columns(t), was, had, ended, presented), strict=True)))
            self.leases[place] = t.state, t.handouts, maybe(t.expires)

    def register(self, definition: Definition, at: int) -> None:
        """Keep a definition; one process at a time."""
        if not self.entered:
            self.enter()
        self.cursor.execute(self.sql["hold_definitions"])
        super().register(definition, at)

    def set_archive_policy(self, policy: ArchivePolicy | None, since: int) -> None:
        """A policy for every definition, from a time on that no commit under way can be of: this waits for all of them."""
        self.rows("hold_alone")
        super().set_archive_policy(policy, since)
