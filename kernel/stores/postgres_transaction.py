"""What happens between BEGIN and COMMIT on a connection to PostgreSQL: what is locked, and that each row was the one meant.

READ COMMITTED: lock, then read. A statement that waited for a lock sees what was committed meanwhile; the row of the tree is
the lock of all that is in it. What a command locks stands in its row of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from kernel.core.archive import ArchivePolicy
from kernel.core.plan import Plan, Subject, Tally
from kernel.core.records import Prepared, TaskRow, WorkflowRow, entry_of, root_of
from kernel.core.structure import Definition
from kernel.engine.ports import Recorded, Violation
from kernel.spec.language import NEVER, Lock
from kernel.stores.known import outlived
from kernel.stores.postgres_call import FORMS, NULL
from kernel.stores.postgres_errors import OTHER_LINE, OTHER_ROW, changed_meanwhile, is_undecided, told
from kernel.stores.postgres_link import FAILED, Link
from kernel.stores.postgres_recall import MORE, PostgresRecall
from kernel.stores.sql_snapshot import SqlSnapshot
from kernel.stores.sql_transaction import columns, maybe
from kernel.stores.statements import FEW, Dialect, migrations, places, statements

if TYPE_CHECKING:
    from kernel.stores.postgres import PostgresStore

LOCKS = frozenset(("enter", "hold"))
"""Statements that tell the store's stamp."""
AS_COLUMNS = {"insert_task": "insert_tasks", "insert_history": "insert_lines"}
"""The statements that many rows are given to, column by column."""
COMMITTED = b"COMMIT"
"""What a server says to a COMMIT."""
NEXT = 4
"""So many tasks behind the one that a command is on are read with it."""
TOGETHER = 8
"""The payloads of so many tasks are read at once."""


class PostgresTransaction(PostgresRecall):
    """The statements as PostgreSQL runs them."""

    __slots__ = (
        "begun", "count", "drawn", "foreseen", "handed", "held", "scheduled", "texts", "texts_of",
    )

    def __init__(self, store: PostgresStore, link: Link, write: bool) -> None:
        super().__init__(store, statements(Dialect.POSTGRES))
        self.server, self.place, self.link, self.writes = store, store.place, link, write
        self.waiting: list[tuple[str, tuple[Any, ...]]] = [("begin_writing" if write else "begin_reading", ())]
        """Statements that nobody needs the result of yet; they go to the server with the next one."""
        self.heard: list[int] = []
        """Those among them whose answers are kept or checked when they come, by their places."""
        self.begun = False
        self.count = 0
        """How many rows the last statement wrote or gave."""
        self.held: set[str] = set()
        """The trees that this transaction has locked."""
        self.scheduled: set[str] = set()
        """The types of which there are tasks for workers now."""
        self.foreseen: dict[str, tuple[tuple[Any, ...], list[Any] | None]] = {}
        """Questions that went to the server before anybody asked them, and their answers: until something is written."""
        self.handed: dict[tuple[str, int | None], Any] = {}
        """The tasks that may be handed out, each with its workflow and its tree."""
        self.texts_of, self.texts = (0, 0), dict[tuple[int, str], str]()
        """The payloads that were read last, and whose they are."""
        self.drawn: list[int] = []
        """Numbers of workflows that the plan makes."""

    # ---- the driver --------------------------------------------------------------------------------------------------------
    def rows(self, name: str, values: Any = ()) -> list[Any]:
        """The rows that a statement gives."""
        if self.guessed:
            self.doubt()
        names = places()[name]
        bound = tuple(values[each] for each in names) if names else tuple(values)
        known, found = self.foreseen.get(name, (None, None))
        if found is not None and known == bound:
            return found
        self.waiting.append((name, bound))
        return self.link.rows(self._send())

    def _wait(self, name: str, values: Any = ()) -> None:
        """Let a statement go to the server with the next one."""
        names = places()[name]
        self.waiting.append((name, tuple(values[each] for each in names) if names else tuple(values)))

    def _foresee(self, name: str, *values: Any) -> None:
        """Ask with the next question what will be asked soon."""
        self.heard.append(len(self.waiting))
        self.waiting.append((name, values))
        self.foreseen[name] = values, None

    def _send(self) -> PGresult:
        """Send what waits, in one round trip; gives the last result. Raises the error of the first statement that fails."""
        waiting, self.waiting, heard, self.heard = self.waiting, [], self.heard, []
        asked = [(self.sql[name], values) for name, values in waiting]
        results = list[PGresult]()
        try:
            results = self.link.ask(asked)
        except psycopg.OperationalError:
            if self.begun:
                raise
        if not self.begun and self.link.closed:  # it broke while nobody used it: nothing is lost
            self.link = self.server.renewed(self.link)
            results = self.link.ask(asked)
        self.begun = True
        last = results[-1]
        if last.status == FAILED:
            error = error_from_result(last)
            if error.sqlstate == OTHER_ROW:
                changed_meanwhile(self.place)
            if error.sqlstate == OTHER_LINE:
                self.server.lately.redraw()
                changed_meanwhile(self.place, told(error))
            raise error
        for place in heard:
            self._hear(*waiting[place], self.link.rows(results[place]))
        self.count = last.command_tuples or 0
        return last

    def _hear(self, name: str, values: tuple[Any, ...], rows: list[Any]) -> None:
        """Take in an answer that nobody waited for."""
        if name in LOCKS:
            ((stamp,),) = rows
            version = int(stamp.partition(".")[0])
            if version != migrations(Dialect.POSTGRES)[-1][0]:
                raise outlived(self.place, version)
            self.standing = self.server.lately.at(stamp)
        elif name == "new_keys":
            self.server.lately.give(key for (key,) in rows)
        elif name == "some_tasks":
            self._come_next(values[0], rows)
        elif name in self.foreseen:
            self.foreseen[name] = values, rows

    def may_stand(self, error: psycopg.Error) -> bool:
        """Whether what failed so may be committed. What failed before COMMIT leaves a transaction to be undone."""
        if self.call is not None:
            return self.is_open
        return is_undecided(error) and self.link.status != TransactionStatus.INERROR

    def commit(self) -> bytes | None:
        """Send what waits, with COMMIT behind it; gives the server's answer to that."""
        if self.scheduled:
            self._wait("ring", ([*self.scheduled],))
        if self.call is not None:
            self._commit_call(self.call)
            return COMMITTED
        if not self.begun:
            self._send()
        self._wait("commit")
        return self._send().command_status

    def _run(self, name: str, values: Any) -> None:
        self.wrote = True
        if self.call is None:
            if not self.entered:
                self.enter()
            self.foreseen.clear()
            self._wait(name, values)
        elif name in FORMS:
            self.call.add(name, (values,))
        else:  # what the server's function does not know is asked for the usual way
            self.doubt()

    def _run_many(self, name: str, rows: Iterable[Any]) -> None:
        """Few rows one by one, or all in one statement where their types are always the same; many as columns."""
        if self.call is not None:
            self.call.add(name, rows)
            return
        rows = list(rows)
        if len(rows) > FEW:
            self._run(AS_COLUMNS[name], list(map(list, zip(*rows, strict=True))))
        elif f"{name} {len(rows)}" in self.sql:
            self._run(f"{name} {len(rows)}", [*chain.from_iterable(rows)])
        else:
            for row in rows:
                self._run(name, row)

    def _changed(self) -> int:
        if self.waiting:
            self._send()
        return self.count

    def violations(self) -> Iterable[Violation]:
        """Every row that breaks a state invariant. An audit reads whole tables."""
        self._wait("scan")
        return super().violations()

    # ---- locks -------------------------------------------------------------------------------------------------------------
    def hold(self, name: str) -> None:
        """Lock a tree, alone, or the name of one that is not there; waits for whoever has it."""
        self.led = True
        if name not in self.held:
            self.enter("hold", name)
            self.held.add(name)

    def enter(self, name: str = "enter", *values: str) -> None:
        """Hold off migrations, and lock what the statement locks. A process that outlived a migration must not write."""
        self.heard.append(len(self.waiting))
        self._wait(name, values)
        self.entered = True

    def _lead(self, root: str, command_id: str = "") -> None:
        """What a writing transaction asks for first names the tree that it is about. A poll is about none, but has an id."""
        if self.writes and not self.led:
            self.hold(root or f" {command_id}")
            self.led = bool(root)

    def snapshot(self, subject: Subject, lock: Lock = Lock.TREE) -> SqlSnapshot:
        """The rows of the subject's tree, once the lock is there that the command needs: the tree's, or one row's."""
        if self.writes and not self.guessed and not self._recall(subject, lock):
            self.led = True
            if lock is not Lock.TREE and not self.entered and (subject.topic is not None or lock is Lock.ROW):
                self.enter()
            if lock is not Lock.TREE and subject.topic is not None:
                self._wait("hold_delivery", (subject.workflow, subject.run, *entry_of(subject.topic)))
                self._foresee("delivery", subject.workflow, subject.run, *entry_of(subject.topic))
                self._foresee("archive_policies")
            elif lock is Lock.ROW:
                self._wait("hold_task", (subject.workflow, subject.no))
            else:
                self.hold(root_of(subject.workflow))
            if lock is Lock.TREE and subject.no is not None:
                self._foresee("next_tasks", subject.workflow, subject.no + 1, subject.no + NEXT)
                self._foresee("archive_policies")
        self.looked = True
        return SqlSnapshot(self, subject)

    def recorded(self, root: str, command_id: str) -> Recorded | None:
        """What is kept of a command; waits for a twin that is under way."""
        self._lead(root, command_id)
        return super().recorded(root, command_id)

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run. Who asks before there is a decision wants to start it."""
        if self.guessed or self._take_for_new(workflow_id):
            return super().workflow(workflow_id, run)
        self._lead(root_of(workflow_id))
        if self.writes and not self.looked:
            self._foresee("tree", workflow_id)
            self._foresee("tombstone", workflow_id)
            self._foresee("workflow", workflow_id, run)
            if len(self.server.lately.numbers) < FEW:
                self._foresee("new_keys", MORE)
            self._send()
            self.looked = True
        return super().workflow(workflow_id, run)

    def _subject(self, subject: Subject) -> list[Any]:
        found = self.handed.pop((subject.workflow, subject.no), None)
        return super()._subject(subject) if found is None else [found]

    def several(self, workflow_id: str, run: int, nos: Sequence[int]) -> list[TaskRow]:
        """Those of some tasks of a workflow that are there: in one round trip, if any."""
        if self.guessed:
            found_by = (self.task(workflow_id, run, no) for no in nos)
            return [row for row in found_by if row is not None]
        place = workflow_id, run
        rows = {row[1]: row[1:] for row in self.foreseen.get("next_tasks", ((), None))[1] or ()
                if row[0] == self.keys.get(place)}
        if place not in self.known or not rows.keys() >= set(nos):
            found = {row.no: row for row in self.task_rows("some_tasks", workflow_id, run, list(nos))}
            return [found[no] for no in nos if no in found]
        return [self._task(workflow_id, run, self.known[place], rows[no]) for no in nos]

    def _text(self, key: int, no: int, what: str) -> str | None:
        """Who only reads asks for one text after the other: those of a workflow itself, or of a few tasks, come at once."""
        if self.writes:
            return super()._text(key, no, what)
        first = no - no % TOGETHER if no >= 0 else no
        if self.texts_of != (key, first):
            rows = self.rows("payloads", (key, first, first + TOGETHER - 1 if no >= 0 else no))
            self.texts_of, self.texts = (key, first), {(no, what): text for no, what, text in rows}
        return self.texts.get((no, what))

    def pollable(self, type: str, now: int, limit: int) -> list[Subject]:
        """Tasks of a type that could be handed out. A writing transaction gets those in trees that nobody else holds; only
        when there is no other work it waits for one tree.
        """
        if not self.writes:
            return super().pollable(type, now, limit)
        first = self._recall_first(type, now) if limit == 1 else None
        if first is not None:
            return [Subject(first.workflow, first.no)]
        self.led = True
        if not self.entered:
            self.enter()
        self.handed = {(row[8], row[31]): row for row in self._due("hand_out", now, limit, type=type)}
        self.held |= {row[0] for row in self.handed.values()}
        return [Subject(workflow, no) for workflow, no in self.handed]

    # ---- writing -----------------------------------------------------------------------------------------------------------
    def _task(self, workflow_id: str, run: int, prepared: Prepared, row: tuple[Any, ...]) -> TaskRow:
        task = super()._task(workflow_id, run, prepared, row)
        if self.writes:
            self.leases[self.keys[workflow_id, run], task.no] = task.state, task.handouts, task.expires
        return task

    def write(self, plan: Plan) -> Tally:
        """Write everything that a plan holds. One that locked a row only is given its place in the history of the tree now."""
        if self.guessed:
            self._write_guessed(plan)
        elif plan.changes and plan.tree.root not in self.held:
            self.hold(plan.tree.root)
            tree = self.tree(plan.tree.root)
            if tree is None:
                changed_meanwhile(self.place)
            plan.tree, plan.now = tree, max(plan.now, tree.clock)
        if self.server.listens:
            self.scheduled |= {task.facts.type for task in (*plan.tasks, *plan.created_tasks) if task.state == "SCHEDULED"
                               and task.mode == "WORKER" and task.not_before <= plan.now}
        if self.handed:
            self.handed = {place: row for place, row in self.handed.items() if row[0] != plan.tree.root}
        if plan.created_workflows or plan.reopened:
            self._draw(len(plan.created_workflows) + len(plan.reopened))
        before = self.stored.get(plan.tree.root, (0, 0, 0))[2]
        tally = super().write(plan)
        self.leave(plan, before)
        if missing := self.missing(plan):
            self.heard.append(len(self.waiting))
            self._wait("some_tasks", (self.keys[plan.tasks[0].workflow, plan.tree.run], missing))
        return tally

    def _draw(self, coming: int) -> None:
        """Get numbers for new workflows: before their rows are written, so that nobody waits for these."""
        while not (drawn := self.server.lately.draw(coming)):
            if self.guessed:
                self.doubt()
            self._foresee("new_keys", coming + MORE)
            self._send()
        self.drawn = drawn

    def _come_next(self, key: int, rows: list[Any]) -> None:
        """Remember the tasks that come after one that was handed out."""
        for left in self.left.values():
            for number, row in left.workflows.values():
                if number == key:
                    found = [self._task(row.id, row.run, row.prepared, task) for task in rows]
                    left.tasks.update({(task.workflow, task.no): task for task in found})

    def _insert_workflow(self, values: tuple[Any, ...]) -> int:
        """Its number was drawn before."""
        key = self.drawn.pop(0)
        if self.call is None:
            self._run("insert_workflow", (key, *values))
        else:  # a whole row of the table: `until` is NULL
            self.call.add("insert_workflow", [(key, *values[:15], NULL, *values[15:])])
        return key

    def _update_rows(self, plan: Plan) -> None:
        """Each task only while its lease is the one that was read; who presents the lease may end it at any time."""
        presented, run = "handouts" in plan.command.given, plan.tree.run
        for w in plan.workflows:
            place = w.id, run
            self.known[place] = w.prepared
            self._run("update_workflow", (
                w.state, maybe(w.deadline, self.null), w.changed, w.paused_by, w.paused_at, w.reason, w.extension, *w.counts,
                self.keys[place]))
        for t in plan.tasks:
            row = self.keys[t.workflow, run], t.no
            was, had, ended = self.leases.get(row, (None, None, NEVER))
            lease = was, had, presented or was is None, maybe(ended, self.null)
            self._run("update_task", (*columns(t, self.null), *row, *lease))
            self.leases[row] = t.state, t.handouts, t.expires

    def register(self, definition: Definition, at: int) -> None:
        """Keep a definition; one process at a time."""
        if not self.entered:
            self.enter()
        self._wait("hold_definitions")
        super().register(definition, at)

    def set_archive_policy(self, policy: ArchivePolicy | None, since: int) -> None:
        """A policy for every definition, from a time on that no commit under way can be of: this waits for all of them."""
        self._wait("hold_alone")
        super().set_archive_policy(policy, since)
