"""One SQLite transaction: the rows of a tree for a decision, and a plan written with a fixed number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import apsw

from kernel.core.checks import canonical
from kernel.core.definitions import Definition, to_content
from kernel.core.plan import Cascade, Plan, Subject, Tally
from kernel.core.program import standard_program
from kernel.core.records import Change, DeliveryRow, Prepared, TaskRow, TreeRow, WorkflowRow, root_of
from kernel.engine.ports import HistoryRecord, Recorded, Timer, Violation
from kernel.engine.reading import damaged
from kernel.errors import InvalidDefinition, quoted
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ABSENT, KINDS
from kernel.stores.audit import violations
from kernel.stores.sqlite_snapshot import SqliteSnapshot
from kernel.stores.statements import statements

if TYPE_CHECKING:
    from kernel.stores.sqlite import SqliteStore

OWN_TASKS = ("tasks", "all_tasks")
"""The links that reach a workflow's own tasks."""
BELOW = ("all_tasks", "subs", "children")
"""The links that reach what is below; `children` only one level down."""


STATES = {kind.name: frozenset(kind.states) - {ABSENT} for kind in KINDS.values()}


def _maybe(value: int) -> int | None:
    return None if value >= NEVER else value


def _never(value: int | None) -> int:
    return NEVER if value is None else value


class SqliteTransaction:
    """What happens between BEGIN and COMMIT."""

    def __init__(self, store: SqliteStore, connection: apsw.Connection) -> None:
        self.store, self.connection, self.sql = store, connection, statements()
        self.keys: dict[tuple[str, int], tuple[int, Prepared]] = {}
        self.ahead: dict[tuple[Any, ...], WorkflowRow | TaskRow] = {}
        self.line = 0
        self.wrote = False
        self.command_id = ""

    def _rows(self, name: str, values: Any = ()) -> list[Any]:
        return self.connection.execute(self.sql[name], values).fetchall()

    def _run(self, name: str, values: Any) -> None:
        self.wrote = True
        self.connection.execute(self.sql[name], values)

    def _run_many(self, name: str, rows: Iterable[Any]) -> None:
        self.wrote = True
        self.connection.executemany(self.sql[name], rows)

    def store_id(self) -> str:
        """What was chosen at random when the store was made."""
        ((value,),) = self.connection.execute("SELECT value FROM meta WHERE name = 'store'").fetchall()
        return str(value)

    # ---- rows from the database ------------------------------------------------------------------------------------------
    def snapshot(self, subject: Subject) -> SqliteSnapshot:
        """The rows of the subject's tree, for a decision on it."""
        return SqliteSnapshot(self, subject)

    def read_ahead(self, subject: Subject) -> TreeRow | None:
        """Read a task, its workflow and its tree with one statement; the first who asks for these rows gets them."""
        self.ahead.clear()
        if subject.no is None:
            return None
        rows = self._rows("subject", (subject.workflow, subject.no, root_of(subject.workflow)))
        if not rows:
            return None
        row = rows[0]
        workflow = self._workflow(row[5:29])
        self.ahead[workflow.id, workflow.run] = workflow
        self.ahead[workflow.id, workflow.run, subject.no] = self._task(workflow.id, workflow.run, workflow.prepared, row[29:])
        return TreeRow(*row[:5])

    def _workflow(self, row: tuple[Any, ...]) -> WorkflowRow:
        key, definition, id, run, state, parent, parent_no, slot, depth, started, changed, deadline, paused_by = row[:13]
        prepared = self.store.prepared(self.connection, definition)
        self.keys[id, run] = key, prepared
        if state not in STATES["workflow"]:
            raise damaged(f"workflow {quoted(id)}", f"its state is {quoted(state)}")
        return WorkflowRow(id, run, state, parent, parent_no, slot, depth, prepared, started, changed, _never(deadline),
                           paused_by, row[13], row[14], list(row[15:]))

    def workflow_rows(self, name: str, values: Any) -> list[WorkflowRow]:
        """The workflows that a statement finds."""
        return [self._workflow(row) for row in self._rows(name, values)]

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow of a run."""
        ahead = self.ahead.pop((workflow_id, run), None)
        if ahead is not None:
            return cast(WorkflowRow, ahead)
        rows = self._rows("workflow", (workflow_id, run))
        return self._workflow(rows[0]) if rows else None

    def _key(self, workflow_id: str, run: int) -> tuple[int, Prepared] | None:
        """The row number and the definition of a workflow."""
        known = self.keys.get((workflow_id, run))
        if known is None and self.workflow(workflow_id, run) is not None:
            known = self.keys[workflow_id, run]
        return known

    def task_rows(self, name: str, workflow_id: str, run: int, *values: Any) -> list[TaskRow]:
        """The tasks of a workflow that a statement finds."""
        known = self._key(workflow_id, run)
        if known is None:
            return []
        key, prepared = known
        return [self._task(workflow_id, run, prepared, row) for row in self._rows(name, (key, *values))]

    def _task(self, workflow_id: str, run: int, prepared: Prepared, row: tuple[Any, ...]) -> TaskRow:
        no, state, attempt, handouts, not_before, expires, signalled, changed, worker, reason, missing = row
        if state not in STATES["task"] or not 0 <= no < len(prepared.facts):
            raise damaged(f"task number {no} of workflow {quoted(workflow_id)}", f"its state is {quoted(state)}")
        return TaskRow(workflow_id, no, run, state, attempt, handouts, not_before, _never(expires), signalled, changed, worker,
                       reason, [missing], prepared.facts[no])

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """One task."""
        ahead = self.ahead.pop((workflow_id, run, no), None)
        if ahead is not None:
            return cast(TaskRow, ahead)
        rows = self.task_rows("task", workflow_id, run, no)
        return rows[0] if rows else None

    def tasks(self, workflow_id: str, run: int, after: int = -1, limit: int = 2**31) -> Iterable[TaskRow]:
        """The tasks of a workflow behind a position, by position."""
        return self.task_rows("tasks", workflow_id, run, after, limit)

    def _delivery(self, row: tuple[Any, ...]) -> DeliveryRow:
        topic, state, attempt, claims, due, expires, proof, error, changed, sends, lease, key, id, run = row
        if state not in STATES["delivery"]:
            raise damaged(f"delivery {quoted(topic)} of workflow {quoted(id)}", f"its state is {quoted(state)}")
        self.keys.setdefault((id, run), (key, None))  # type: ignore[arg-type]
        return DeliveryRow(id, run, topic, state, attempt, claims, due, _never(expires), proof, error, changed, sends, lease)

    def delivery(self, workflow_id: str, run: int, topic: str) -> DeliveryRow | None:
        """One outbox entry."""
        rows = self._rows("delivery", (workflow_id, run, topic))
        return self._delivery(rows[0]) if rows else None

    def deliveries(self, state: str | None, workflow_id: str | None, after: tuple[str, int, str], limit: int
                   ) -> list[DeliveryRow]:
        """Outbox entries by (workflow, run, topic)."""
        values = {"state": state, "id": after[0], "run": after[1], "topic": after[2], "limit": limit}
        found = self._rows("deliveries", values) if workflow_id is None else self._rows(
            "deliveries_of", {**values, "workflow": workflow_id})
        return [self._delivery(row) for row in found]

    def tree(self, root: str) -> TreeRow | None:
        """A tree."""
        rows = self._rows("tree", (root,))
        return TreeRow(*rows[0]) if rows else None

    def below(self, workflow_id: str, run: int) -> list[WorkflowRow]:
        """A workflow and all its descendants, by id."""
        return self.workflow_rows("below", {"id": workflow_id, "run": run})

    def payload(self, workflow_id: str, run: int, no: int, what: str) -> str | None:
        """A JSON text."""
        known = self._key(workflow_id, run)
        rows = self._rows("payload", (known[0], no, what)) if known is not None else []
        return str(rows[0][0]) if rows else None

    def history(self, root: str, workflow_id: str | None, run: int | None, after: int, limit: int) -> list[HistoryRecord]:
        """A tree's history behind `after`, in order."""
        values = {"root": root, "workflow": workflow_id, "run": run, "after": after, "limit": limit}
        return [HistoryRecord(*row) for row in self._rows("history", values)]

    def find(self, state: str | None, name: str | None, after: str, limit: int) -> list[WorkflowRow]:
        """Workflows of their tree's present run, by id."""
        values = {"after": after, "name": name, "limit": limit}
        if state is None:
            return self.workflow_rows("find", values)
        return self.workflow_rows("find_in_state", {**values, "state": state})

    def sizes(self) -> tuple[int, int, int]:
        """How many workflows, tasks and deliveries there are."""
        workflows, tasks, deliveries = self._rows("sizes")[0]
        return workflows, tasks, deliveries

    def violations(self) -> Iterable[Violation]:
        """Every row that breaks a state invariant, found set by set."""
        return violations(self)

    # ---- definitions -----------------------------------------------------------------------------------------------------
    def register(self, definition: Definition, at: int) -> None:
        """Keep a definition."""
        source = definition.source
        known = self._rows("definition_of_version", (source.name, source.version))
        if known and known[0][1] != definition.digest:
            raise InvalidDefinition(
                f"registering {quoted(source.name)} version {source.version}",
                stands="this version is registered with other content",
                why="a running workflow keeps the definition that it started with",
                hint=f"register version {source.version + 1}")
        if not known:
            self._run("insert_definition", (definition.digest, source.name, source.version, canonical(to_content(source)), at))
            key = self.connection.last_insert_rowid()
            self._run_many("insert_topic", [(key, topic) for topic in source.topics])

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition; the latest one when no version is asked for."""
        rows = self._rows("latest_definition", (name,)) if version is None else self._rows(
            "definition_of_version", (name, version))
        return self.store.prepared(self.connection, rows[0][0]) if rows else None

    def names(self) -> dict[str, tuple[int, ...]]:
        """The registered definitions: name and versions."""
        found: dict[str, tuple[int, ...]] = {}
        for name, version in self._rows("names"):
            found[name] = (*found.get(name, ()), version)
        return found

    # ---- work --------------------------------------------------------------------------------------------------------------
    def pollable(self, type: str, now: int, limit: int) -> list[Subject]:
        """Tasks of a type that could be handed out, those due first first."""
        return [Subject(workflow, no) for workflow, no in self._rows("pollable", (type, now, limit))]

    def claimable(self, topics: Iterable[str], now: int, limit: int) -> list[Subject]:
        """Deliveries of these topics that are due, those due first first."""
        found = [row for topic in sorted(set(topics)) for row in self._rows("claimable", (topic, now, limit))]
        found.sort(key=lambda row: row[0])
        return [Subject(workflow, topic=topic, run=run) for _, workflow, run, topic in found[:limit]]

    def timers(self, now: int, limit: int) -> list[Timer]:
        """What the clock has to do, earliest first."""
        found = [(at, Timer("EXPIRE", Subject(w, no))) for at, w, no in self._rows("expired_tasks", (now, limit))]
        found += [(at, Timer("WAKE", Subject(w, no))) for at, w, no in self._rows("due_tasks", (now, limit))]
        found += [(at, Timer("TIME_OUT", Subject(w))) for at, w in self._rows("passed_deadlines", (now, limit))]
        found += [(at, Timer("RELEASE", Subject(w, topic=topic, run=run)))
                  for at, w, run, topic in self._rows("lost_deliveries", (now, limit))]
        found.sort(key=lambda entry: entry[0])
        return [timer for _, timer in found[:limit]]

    # ---- writing a plan ------------------------------------------------------------------------------------------------------
    def recorded(self, root: str, command_id: str) -> Recorded | None:
        """The first outcome of a command."""
        rows = self._rows("recorded", (root, command_id))
        return Recorded(*rows[0]) if rows else None

    def record(self, root: str, command_id: str, outcome: Recorded) -> None:
        """Keep the outcome of a command whose id the caller chose."""
        tree = self.tree(root)
        self._run("record", (root, command_id, outcome.digest, outcome.version, outcome.ended, outcome.canceled,
                             outcome.deliveries, outcome.no_op, tree.clock if tree else 0))

    def write(self, plan: Plan) -> Tally:
        """Write everything that a plan holds."""
        tree = plan.tree
        self.command_id = plan.command.id
        self.wrote = True
        if plan.born:
            self._run("insert_tree", (tree.root, tree.run, tree.version, tree.clock, tree.tasks))
        elif plan.raises:
            self._run("update_tree", (tree.run, tree.version, tree.clock, tree.tasks, tree.root))
        self.ahead.clear()
        ((self.line,),) = self._rows("last_line", (tree.root,)) if plan.changes or plan.first else ((0,),)
        tallies = [self._cascade(cascade, plan) for cascade in plan.first]
        self._write_rows(plan)
        self._write_lines(plan, plan.changes)
        tallies += [self._cascade(cascade, plan) for cascade in plan.last]
        return Tally(*(sum(column) for column in zip(*tallies, strict=True))) if tallies else Tally()

    def _write_lines(self, plan: Plan, changes: Sequence[Change]) -> None:
        tree, command = plan.tree, plan.command
        root, version, run, now, actor, name = tree.root, tree.version, tree.run, plan.now, command.actor, command.id
        self._run_many("insert_history", [
            (root, line, version, run, now, *change[:9], actor, change.reason, name)
            for line, change in enumerate(changes, self.line + 1)])
        self.line += len(changes)

    def _insert_lines(self, name: str, values: dict[str, Any]) -> None:
        """Lines of history that a statement makes."""
        self._run(name, {**values, "line": self.line})
        self.line += self.connection.changes()

    def _write_rows(self, plan: Plan) -> None:
        run = plan.tree.run
        for workflow in plan.created_workflows:
            self._create(workflow)
        if plan.created_tasks:
            self._run_many("insert_task", (self._new_task(task) for task in plan.created_tasks))
        for w in plan.workflows:
            self._run("update_workflow", (w.state, w.changed, _maybe(w.deadline), w.paused_by, w.paused_at, w.reason,
                                          *w.counts, self.keys[w.id, run][0]))
        for t in plan.tasks:
            self._run("update_task", (
                t.state, t.attempt, t.handouts, t.not_before, _maybe(t.expires), t.signalled, t.changed, t.worker, t.reason,
                *t.counts, self.keys[t.workflow, run][0], t.no))
        for d in plan.created_deliveries:
            self._run("insert_delivery", (self.keys[d.workflow, d.run][0], d.topic, d.state, d.attempt, d.claims, d.due,
                                          _maybe(d.expires), d.proof, d.error, d.changed, d.sends, d.lease))
        for d in plan.deliveries:
            self._run("update_delivery", (d.state, d.attempt, d.claims, d.due, _maybe(d.expires), d.proof, d.error, d.changed,
                                          self.keys[d.workflow, d.run][0], d.topic))
        for p in plan.payloads:
            self._run("put_payload", (self.keys[p.workflow, run][0], p.no, p.what, p.text))

    def _create(self, w: WorkflowRow) -> None:
        source = w.prepared.definition.source
        ((definition, _),) = self._rows("definition_of_version", (source.name, source.version))
        self._run("insert_workflow", (
            w.id, w.run, root_of(w.id), w.state, w.parent, w.parent_no, w.slot, w.depth, definition, w.started, w.changed,
            _maybe(w.deadline), w.paused_by, w.paused_at, w.reason, *w.counts))
        self.keys[w.id, w.run] = self.connection.last_insert_rowid(), w.prepared

    def _new_task(self, t: TaskRow) -> tuple[Any, ...]:
        facts = t.facts
        return (self.keys[t.workflow, t.run][0], t.no, facts.mode, facts.type if facts.mode == "WORKER" else "", t.state,
                t.attempt, t.handouts, t.not_before, _maybe(t.expires), t.signalled, t.changed, t.worker, t.reason, *t.counts)

    def _cascade(self, cascade: Cascade, plan: Plan) -> tuple[int, int, int]:
        """Move every row behind the link: history, the outbox, then the rows. Gives (ended, canceled, deliveries)."""
        row = cascade.line.row
        kind, special = cascade.kind, f"cascade_{cascade.kind}_{cascade.event.lower()}"
        moved = deliveries = 0
        if special not in self.sql and cascade.link in OWN_TASKS:
            moved = self._cascade_own(cascade, plan)
        if cascade.link in BELOW:
            values = self._values(cascade, plan)
            if row.source != (row.target,):
                self._insert_lines(f"cascade_{kind}_history", values)
            if cascade.emits:
                self._insert_lines("cascade_workflow_delivery_history", values)
                self._run("cascade_workflow_deliveries", values)
                deliveries = self.connection.changes()
            self._run(special if special in self.sql else f"cascade_{kind}", values)
            moved += self.connection.changes()
        ended = kind == "workflow" and row.target in standard_program().spec.kinds["workflow"].terminal
        return moved if ended else 0, moved if row.target == "CANCELED" else 0, deliveries

    def _cascade_own(self, cascade: Cascade, plan: Plan) -> int:
        """Move the anchor's own tasks; gives how many."""
        row, key = cascade.line.row, self.keys[cascade.workflow, plan.tree.run][0]
        lines = []
        for source in sorted(row.source):
            self._run("cascade_task_own", (row.target, plan.now, key, source))
            count = self.connection.changes()
            if count:
                lines.append(Change("task", cascade.workflow, "", cascade.event, source, row.target, 0, count, cascade.by,
                                    cascade.reason))
        self._write_lines(plan, lines)
        return sum(line.count for line in lines)

    def _values(self, cascade: Cascade, plan: Plan) -> dict[str, Any]:
        row, policy = cascade.line.row, self.store.policy
        return {
            "root": plan.tree.root, "version": plan.tree.version, "run": plan.tree.run, "now": plan.now,
            "id": cascade.workflow, "event": cascade.event, "sources": canonical(list(row.source)), "target": row.target,
            "by": cascade.by, "reason": cascade.reason, "actor": plan.command.actor, "command": plan.command.id,
            "origin": cascade.given.get("origin", ""), "sends": policy.sends, "lease": policy.lease,
            "near": cascade.link == "children",
        }
