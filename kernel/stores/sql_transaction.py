"""One transaction of a store that speaks SQL: the rows of a tree for a decision, and a plan written with few statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernel.core.archive import ArchivePolicy
from kernel.core.checks import canonical
from kernel.core.content import to_content
from kernel.core.outbox import Swept, emitted, noticed, swept_cause
from kernel.core.plan import Cascade, Plan, Subject, Tally, Tombstone
from kernel.core.program import standard_program
from kernel.core.records import Change, TaskRow, WorkflowRow, root_of
from kernel.core.structure import Definition
from kernel.engine.ports import LateRecord, Recorded
from kernel.engine.reading import registered_otherwise
from kernel.spec.language import NEVER, Lock
from kernel.stores.sql_reader import SqlReader
from kernel.stores.sql_snapshot import SqlSnapshot

OWN_TASKS = ("tasks", "all_tasks")
"""The links that reach a workflow's own tasks."""
BELOW = ("all_tasks", "subs", "children")
"""The links that reach what is below; `children` only one level down."""

PURGES = (
    "purge_delivery", "purge_payload", "purge_task", "purge_workflow", "purge_late", "purge_history", "purge_command",
    "purge_tree",
)
"""What takes a tree away, table by table: rows go before those that they refer to."""

NOTHING = Tally()
"""What plans reach that have no cascades."""
Told = tuple[int, str, str, int, int, str, str, str]
"""What each workflow tells that a cascade moves: definition; name, topic, due, version, status; from which state (empty: from
whichever); cause.
"""


def maybe(value: int, null: Any = None) -> Any:
    """A time as it is stored: never is NULL, or what stands for it."""
    return null if value >= NEVER else value


def columns(t: TaskRow, null: Any = None) -> tuple[Any, ...]:
    """What a store keeps of a task, from the column `queue` on: who looks for it and from when, workers by its type, or the
    clock.
    """
    state, expires, attempt_ends, total_ends, wakes = t.state, t.expires, t.attempt_ends, t.total_ends, t.wakes
    queue, due = "", null
    if state == "SCHEDULED":
        due = t.not_before
        if t.facts.mode == "WORKER":
            queue = t.facts.type
    elif state == "IN_PROGRESS":
        due = maybe(min(expires, wakes), null)
    return (  # a call of maybe for each time would take longer than all else here
        queue, due, state, t.attempt, t.handouts, t.not_before,
        null if expires >= NEVER else expires, null if attempt_ends >= NEVER else attempt_ends,
        null if total_ends >= NEVER else total_ends, null if wakes >= NEVER else wakes,
        t.signalled, t.changed, t.worker, t.reason, *t.counts)


class SqlTransaction(SqlReader):
    """What happens between BEGIN and COMMIT."""

    __slots__ = ()

    def snapshot(self, subject: Subject, lock: Lock = Lock.TREE) -> SqlSnapshot:
        """The rows of the subject's tree, for a decision on it."""
        return SqlSnapshot(self, subject)

    def register(self, definition: Definition, at: int) -> None:
        """Keep a definition."""
        source = definition.source
        known = self.rows("definition_of_version", (source.name, source.version))
        if known and known[0][1] != definition.digest:
            raise registered_otherwise(source.name, source.version)
        if not known:
            self._run("insert_definition", (definition.digest, source.name, source.version, canonical(to_content(source)), at))

    def set_archive_policy(self, policy: ArchivePolicy | None, since: int) -> None:
        """A policy for every definition, or none."""
        content = "" if policy is None else canonical(to_content(policy))
        self._run("put_archive_policy", {"since": since, "content": content})

    # ---- writing a plan ------------------------------------------------------------------------------------------------------
    def record(self, root: str, command_id: str, found: Recorded) -> None:
        """Keep what is known of a command, in place of what was kept."""
        self.command_id, self.workflow_id = command_id, self.workflow_id or root
        self._run("record", (root, command_id, found.request, found.outcome, found.at))

    def forget(self, before: int, limit: int) -> int:
        """Remove the records of commands that are as old as that, or older, at most `limit`; gives how many."""
        self._run("forget", (before, limit))
        return self._changed()

    def keep_late(self, record: LateRecord, most: int) -> None:
        """Keep a late result."""
        self._run("keep_late", record)
        self._run("drop_late", {"workflow": record.workflow, "no": record.no, "most": most})

    def write(self, plan: Plan) -> Tally:
        """Write everything that a plan holds."""
        tree = plan.tree
        self.command_id, self.workflow_id = plan.command.id, plan.command.subject.workflow
        self.wrote = True
        self.store.remember(plan)
        if plan.purged is not None:
            return self._purge(plan.purged)
        if self.store.latest is not None:
            self.store.latest = max(self.store.latest, plan.now)
        run, tasks, self.line = self.stored.get(tree.root, (0, 0, 0))
        if plan.born:
            self._run("insert_tree", (tree.root, tree.run, tree.tasks))
        elif (run, tasks) != (tree.run, tree.tasks):
            self._run("update_tree", (tree.run, tree.tasks, tree.root))
        self.ahead.clear()
        if plan.reopened:
            self._reopen(plan)
        reached = self._cascades(plan.first, plan) if plan.first else NOTHING
        self._write_rows(plan)
        self._write_lines(plan, plan.changes)
        if plan.last:
            reached = Tally(*map(sum, zip(reached, self._cascades(plan.last, plan), strict=True)))
        self.stored[tree.root] = tree.run, tree.tasks, self.line
        return reached

    def _purge(self, tombstone: Tombstone) -> Tally:
        """Take a whole tree away, all its runs."""
        self.ahead.clear()
        for name in PURGES:
            self._run(name, {"root": tombstone.root})
        self._run("insert_tombstone", tombstone)
        return Tally()

    def _write_lines(self, plan: Plan, changes: Sequence[Change]) -> None:
        tree, command = plan.tree, plan.command
        root, version, run, now, actor, name = tree.root, tree.version, tree.run, plan.now, command.actor, command.id
        self._run_many("insert_history", [
            (root, line, version, change.run or run, now, *change[:9], actor, change.reason, name)
            for line, change in enumerate(changes, self.line + 1)])
        self.line += len(changes)

    def _insert_lines(self, name: str, values: dict[str, Any]) -> None:
        """Lines of history that a statement makes."""
        self._run(name, {**values, "line": self.line})
        self.line += self._changed()

    def _write_rows(self, plan: Plan) -> None:
        run = plan.tree.run
        for workflow in plan.created_workflows:
            self.fresh[self._create(workflow)] = {}
        if plan.created_tasks:
            self._run_many("insert_task", map(self._new_task, plan.created_tasks))
        self._update_rows(plan)
        for d in plan.created_deliveries:
            self._run("insert_delivery", (
                self.keys[d.workflow, d.run], d.topic, d.state, d.attempt, d.claims, d.due, maybe(d.expires, self.null),
                d.proof, d.error, d.changed, d.sends, d.lease, d.version, d.status, d.cause))
        for d in plan.deliveries:
            self._run("update_delivery", (
                d.state, d.attempt, d.claims, d.due, maybe(d.expires), d.proof, d.error, d.changed,
                self.keys[d.workflow, d.run], d.topic, d.version, d.status))
        for p in plan.payloads:
            key = self.keys[p.workflow, run]
            texts = self.fresh.get(key, {})
            if p.text is None:
                self._run("drop_payload", (key, p.no, p.what))
                texts.pop((p.no, p.what), None)
            else:
                self._run("put_payload", (key, p.no, p.what, p.text))
                texts[p.no, p.what] = p.text

    def _update_rows(self, plan: Plan) -> None:
        for w in plan.workflows:
            place = w.id, plan.tree.run
            self.known[place] = w.prepared
            rest = (w.changed, w.paused_by, w.paused_at, w.reason, w.extension, *w.counts, self.keys[place])
            if self.indexed.pop(place, None) == (w.state, w.deadline) and not plan.first:
                self._run("update_workflow_in_place", rest)
            else:
                self._run("update_workflow", (w.state, maybe(w.deadline), *rest))
        for t in plan.tasks:
            self._run("update_task", (*columns(t), self.keys[t.workflow, plan.tree.run], t.no))

    def _create(self, w: WorkflowRow) -> int:
        """Write a new workflow; gives its row number."""
        key = self._insert_workflow((
            w.id, w.run, root_of(w.id), w.state, w.parent, w.parent_no, w.slot, w.depth,
            self.store.numbers[w.prepared.registered], w.started, w.changed, maybe(w.deadline, self.null), w.paused_by,
            w.paused_at, w.reason, w.extension, *w.counts))
        self.keys[w.id, w.run], self.known[w.id, w.run] = key, w.prepared
        return key

    def _insert_workflow(self, values: tuple[Any, ...]) -> int:
        ((number,),) = self.rows("insert_workflow", values)
        return int(number)

    def _reopen(self, plan: Plan) -> None:
        """Leave what is set aside to the run before, and take what re-opened workflows keep into the next one.

        A fixed number of statements for each of these workflows, however many tasks it keeps.
        """
        tree, command = plan.tree, plan.command
        if plan.aside:
            keys = canonical([self.keys[row.id, row.run] for row in plan.aside])
            values = {"root": tree.root, "version": tree.version, "run": tree.run, "now": plan.now, "keys": keys,
                      "by": command.name, "actor": command.actor, "command": command.id}
            self._insert_lines("aside_workflow_history", values)
            self._insert_lines("aside_task_history", values)
            self._run("leave", {"keys": keys, "until": tree.run - 1})
        for begun in plan.reopened:
            old = self.keys[begun.workflow.id, begun.was]
            self._run("leave", {"keys": canonical([old]), "until": tree.run - 1})
            places = {"old": old, "new": self._create(begun.workflow), "left": canonical(begun.left),
                      "again": canonical(begun.again)}
            for name in ("keep_tasks", "keep_payloads"):
                self._run(name, places)

    def _new_task(self, t: TaskRow) -> tuple[Any, ...]:
        return (self.keys[t.workflow, t.run], t.no, t.mode, *columns(t, self.null))

    def _cascades(self, cascades: Sequence[Cascade], plan: Plan) -> Tally:
        """Cascades in order; gives what they reached together."""
        return Tally(*map(sum, zip(*(self._cascade(cascade, plan) for cascade in cascades), strict=True)))

    def _cascade(self, cascade: Cascade, plan: Plan) -> tuple[int, int, int]:
        """Move every row behind the link: history, the outbox, then the rows. Gives (ended, canceled, deliveries)."""
        row = cascade.line.row
        kind, special = cascade.kind, f"cascade_{cascade.kind}_{cascade.event.lower()}"
        moved = deliveries = 0
        if special not in self.sql and cascade.link in OWN_TASKS:
            moved = self._cascade_own(cascade, plan)
        if cascade.link in BELOW:
            values = self._values(cascade, plan)
            definitions = self.rows("cascade_workflow_definitions", values) if cascade.emits else []
            if cascade.emits and not definitions:
                return 0, 0, 0  # there is nothing below
            if row.source != (row.target,):
                self._insert_lines(f"cascade_{kind}_history", values)
            if told := self._told(cascade, plan, definitions):
                values["told"] = canonical(told)
                self._insert_lines("cascade_workflow_delivery_history", values)
                self._run("cascade_workflow_deliveries", values)
                deliveries = self._changed()
            self._run(special if special in self.sql else f"cascade_{kind}", values)
            moved += self._changed()
        ended = kind == "workflow" and row.target in standard_program().spec.kinds["workflow"].terminal
        return moved if ended else 0, moved if row.target == "CANCELED" else 0, deliveries

    def _told(self, cascade: Cascade, plan: Plan, definitions: list[Any]) -> list[Told]:
        """What workflows of these definitions tell that a cascade moves."""
        program, of, found = standard_program(), Swept(cascade.line.target), list[Told]()
        archiving = self.archiving(plan.now) if definitions and "outbox" in cascade.emits else None
        for (key,) in definitions:
            prepared = self.prepared(key)
            given = program, of, prepared, ("", plan.tree.run), plan.now, self.store.policy
            if "outbox" in cascade.emits:
                found += [(key, row.name, row.topic, row.due, 0, "", "", "") for row in emitted(*given, archiving)]
            for source in cascade.line.row.source if prepared.notify and "notices" in cascade.emits else ():
                found += [(key, row.name, row.topic, row.due, row.version, row.status, source, row.cause)
                          for row in noticed(*given, plan.tree.version, swept_cause(cascade, source, plan))]
        return found

    def _cascade_own(self, cascade: Cascade, plan: Plan) -> int:
        """Move the anchor's own tasks; gives how many. Each statement looks at all of them, so none is run for nothing."""
        row, key = cascade.line.row, self.keys[cascade.workflow, plan.tree.run]
        lines, moved = list[Change](), 0
        for source in sorted(row.source, reverse=True):
            if moved == cascade.most:
                break
            self._run("cascade_task_own", (row.target, plan.now, key, source))
            count = self._changed()
            if count:
                moved += count
                lines.insert(0, Change("task", cascade.workflow, "", cascade.event, source, row.target, 0, count, cascade.by,
                                       cascade.reason))
        self._write_lines(plan, lines)
        return moved

    def _values(self, cascade: Cascade, plan: Plan) -> dict[str, Any]:
        row, policy = cascade.line.row, self.store.policy
        return {
            "root": plan.tree.root, "version": plan.tree.version, "run": plan.tree.run, "now": plan.now,
            "id": cascade.workflow, "event": cascade.event, "sources": canonical(list(row.source)), "target": row.target,
            "by": cascade.by, "reason": cascade.reason, "actor": plan.command.actor, "command": plan.command.id,
            "origin": cascade.given.get("origin", ""), "sends": policy.sends, "lease": policy.lease,
            "near": cascade.link == "children",
        }
