"""One transaction of the memory store: a plan written row by row, and a journal that undoes it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kernel.core.archive import ArchivePolicy, compiled
from kernel.core.extension import WHAT
from kernel.core.plan import Cascade, Plan, Subject, Tally
from kernel.core.records import Change, TaskRow, WorkflowRow, prepare, root_of
from kernel.core.structure import Definition
from kernel.core.working_set import in_scope
from kernel.engine.ports import HistoryRecord, LateRecord, Recorded
from kernel.engine.reading import registered_otherwise
from kernel.engine.zones import offsets
from kernel.spec.language import NEVER, Lock
from kernel.spec.vocabulary import ABSENT, ENDED
from kernel.stores.memory_outbox import told
from kernel.stores.memory_reader import MemoryReader
from kernel.stores.memory_snapshot import MemorySnapshot

if TYPE_CHECKING:
    from kernel.stores.memory import MemoryStore

_MISSING = object()


class MemoryTransaction(MemoryReader):
    """What happens between BEGIN and COMMIT."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.journal: list[tuple[dict[Any, Any], Any, Any]] = []
        self.appended: list[tuple[str, int]] = []

    # ---- changing, so that it can be undone -----------------------------------------------------------------------------
    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self.journal.append((table, key, table.get(key, _MISSING)))
        table[key] = value

    def _drop(self, table: dict[Any, Any], key: Any) -> None:
        if key in table:
            self.journal.append((table, key, table.pop(key)))

    def undo(self) -> None:
        """Take back everything that was written."""
        for table, key, value in reversed(self.journal):
            if value is _MISSING:
                table.pop(key, None)
            else:
                table[key] = value
        for root, length in reversed(self.appended):
            del self.store.lines[root][length:]

    def _put_task(self, row: TaskRow) -> None:
        rows = self.store.tasks.get((row.workflow, row.run))
        if rows is None:
            self._put(self.store.tasks, (row.workflow, row.run), rows := {})
        kept = row.copy()
        clocks = (kept.expires, kept.attempt_ends, kept.total_ends)
        kept.expires, kept.attempt_ends, kept.total_ends = (min(clock, NEVER) for clock in clocks)
        self._put(rows, row.no, kept)
        key = (row.workflow, row.run, row.no)
        if row.state in ("SCHEDULED", "IN_PROGRESS"):
            if key not in self.store.open:
                self._put(self.store.open, key, None)
        else:
            self._drop(self.store.open, key)

    # ---- what holds for every tree --------------------------------------------------------------------------------------
    def register(self, definition: Definition, at: int) -> None:
        """Keep a definition."""
        key = (definition.source.name, definition.source.version)
        known = self.store.definitions.get(key)
        if known is None:
            self._put(self.store.definitions, key, prepare(definition, offsets))
        elif known.digest != definition.digest:
            raise registered_otherwise(*key)

    def keep_late(self, record: LateRecord, most: int) -> None:
        """Keep a late result."""
        self._put(self.store.late, record[:5], record)
        of_task = [each for each in self.late(record.workflow) if each.no == record.no]
        for old in of_task[:-most]:
            self._drop(self.store.late, old[:5])

    def set_archive_policy(self, policy: ArchivePolicy | None, since: int) -> None:
        """A policy for every definition, or none."""
        clock = max((row.changed + 1 for row in self.store.workflows.values()), default=since)
        hearing = None if policy is None else compiled(policy, offsets)
        self._put(self.store.archive, max([since, clock, *self.store.archive]), (policy, hearing))

    # ---- writing a plan -------------------------------------------------------------------------------------------------
    def snapshot(self, subject: Subject, lock: Lock = Lock.TREE) -> MemorySnapshot:
        """The rows of the subject's tree, for a decision on it."""
        return MemorySnapshot(self.store, root_of(subject.workflow))

    def write(self, plan: Plan) -> Tally:
        """Write everything that a plan holds."""
        store, root, run = self.store, plan.tree.root, plan.tree.run
        if plan.purged is not None:
            for table, key in store.belongings(root):
                self._drop(table, key)
            self._put(store.tombstones, root, plan.purged)
            return Tally()
        moved: list[Change] = self._reopen(plan)
        for cascade in plan.first:
            moved += self._cascade(cascade, run, plan)
        lines = [*moved, *plan.changes]
        for workflow in (*plan.created_workflows, *plan.workflows):
            self._put(store.workflows, (workflow.id, workflow.run), workflow.copy())
        for task in (*plan.created_tasks, *plan.tasks):
            self._put_task(task)
        for delivery in (*plan.created_deliveries, *plan.deliveries):
            self._put(store.outbox, (delivery.workflow, delivery.run, delivery.name), delivery.copy())
        for cascade in plan.last:
            ended = self._cascade(cascade, run, plan)
            moved += ended
            lines += ended
        for payload in plan.payloads:
            place = (payload.workflow, run, payload.no, payload.what)
            if payload.text is None:
                self._drop(store.payloads, place)
            else:
                self._put(store.payloads, place, payload.text)
        self._write_lines(plan, lines)
        tally = Tally(
            ended=sum(c.count for c in moved if c.kind == "workflow" and c.target in ENDED),
            canceled=sum(c.count for c in moved if c.target == "CANCELED"),
            deliveries=sum(c.count for c in moved if c.kind == "delivery"),
        )
        if lines:
            self._put(store.trees, root, plan.tree)
        return tally

    def record(self, root: str, command_id: str, found: Recorded) -> None:
        """Keep what is known of a command, in place of what was kept."""
        self._put(self.store.records, (root, command_id), found)

    def forget(self, before: int, limit: int) -> int:
        """Remove the records of commands that are as old as that, or older, at most `limit`; gives how many."""
        old = sorted((found.at, key) for key, found in self.store.records.items() if found.at <= before)[:limit]
        for _, key in old:
            self._drop(self.store.records, key)
        return len(old)

    def _write_lines(self, plan: Plan, changes: list[Change]) -> None:
        store, command = self.store, plan.command
        lines = store.lines.setdefault(plan.tree.root, [])
        self.appended.append((plan.tree.root, len(lines)))
        for change in changes:
            lines.append(HistoryRecord(
                len(lines) + 1, plan.tree.version, change.run or plan.tree.run, plan.now, change.kind, change.workflow,
                change.subject, change.event, change.source, change.target, change.attempt, change.count, change.by,
                command.actor, change.reason, command.id))

    def _reopen(self, plan: Plan) -> list[Change]:
        """Leave what is set aside to the run before, and take what re-opened workflows keep into the next one."""
        store, run, changes = self.store, plan.tree.run, list[Change]()
        for row in plan.aside:
            self._leave(row.id, row.run, run - 1)
            states = Counter(task.state for task in store.tasks.get((row.id, row.run), {}).values())
            found = [("workflow", row.state, 1), *(("task", state, count) for state, count in states.items())]
            changes += [Change(kind, row.id, "", "SET_ASIDE", state, ABSENT, 0, count, plan.command.name, "")
                        for kind, state, count in found]
        for begun in plan.reopened:
            row = begun.workflow
            self._leave(row.id, begun.was, run - 1)
            self._put(store.workflows, (row.id, row.run), row.copy())
            left, again = frozenset(begun.left), frozenset(begun.again)
            for no, task in store.tasks.get((row.id, begun.was), {}).items():
                if no not in left:
                    copy = task.copy()
                    copy.run = row.run
                    self._put_task(copy)
            for (owner, of, no, what), text in list(store.payloads.items()):
                kept = no not in left or (no in again and what == WHAT)
                if kept and (owner, of) == (row.id, begun.was):
                    self._put(store.payloads, (row.id, row.run, no, what), text)
        return sorted(changes, key=lambda change: (change.kind == "task", change.workflow, change.source))

    def _leave(self, workflow_id: str, run: int, until: int) -> None:
        """A row stays behind with the run before the present one."""
        left = self.store.workflows[workflow_id, run].copy()
        left.until = until
        self._put(self.store.workflows, (workflow_id, run), left)

    def _cascade(self, cascade: Cascade, run: int, plan: Plan) -> list[Change]:
        """Move every row behind the link; one line of history for each workflow and state that rows were in."""
        found: dict[tuple[str, str], int] = {}
        for row in self._scope(cascade, run):
            if row.state not in cascade.line.row.source or not cascade.where(row, cascade.given):
                continue
            copy = row.copy()
            if isinstance(copy, TaskRow):
                copy.wf = row.wf
            values = [(name, read(row, cascade.given)) for name, read in cascade.line.sets]
            for name, value in values:
                setattr(copy, name, value)
            copy.state, copy.changed = cascade.line.target, plan.now
            if row.state != copy.state:
                copy.reason = cascade.reason if isinstance(copy, WorkflowRow) else ""
            owner = copy.id if isinstance(copy, WorkflowRow) else copy.workflow
            found[owner, row.state] = found.get((owner, row.state), 0) + 1
            if isinstance(copy, WorkflowRow):
                self._put(self.store.workflows, (copy.id, run), copy)
            else:
                self._put_task(copy)
        line = cascade.line
        changes = [
            Change(cascade.kind, owner, "", line.event, source, line.target, 0, count, cascade.by, cascade.reason)
            for (owner, source), count in sorted(found.items()) if source != line.target
        ]
        return changes + [line for change in changes if cascade.emits for line in self._tell(change, cascade, plan)]

    def _scope(self, cascade: Cascade, run: int) -> list[Any]:
        owners = [w for (i, r), w in self.store.workflows.items() if r == run and in_scope(
            cascade.link, cascade.workflow, i)]
        if cascade.kind == "workflow":
            return owners
        rows = []
        for owner in owners:
            for row in self.store.tasks.get((owner.id, run), {}).values():
                row.wf = owner
                rows.append(row)
        return rows

    def _tell(self, change: Change, cascade: Cascade, plan: Plan) -> list[Change]:
        rows = told(self.store, change, cascade, plan)
        for row in rows:
            self._put(self.store.outbox, (row.workflow, row.run, row.name), row)
        return [Change("delivery", row.workflow, row.name, "CREATE", ABSENT, row.state, 0, 1, "CREATE", "") for row in rows]
