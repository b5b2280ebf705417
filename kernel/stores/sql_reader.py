"""What can be read of a store that speaks SQL, in a transaction: rows, definitions, and the work that waits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from kernel.core.archive import NOTIFY, ArchivePolicy, Hearing
from kernel.core.outbox import hearing_of
from kernel.core.plan import Subject, Tombstone
from kernel.core.records import DeliveryRow, Prepared, TaskRow, TreeRow, WorkflowRow, entry_of, root_of
from kernel.engine.contention import Overtaken
from kernel.engine.ports import HistoryRecord, LateRecord, Recorded, Timer, Violation, Waiting
from kernel.engine.reading import damaged
from kernel.errors import quoted
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ABSENT, KINDS
from kernel.stores.audit import violations

if TYPE_CHECKING:
    from kernel.stores.sql_store import SqlStore

STATES = {kind.name: frozenset(kind.states) - {ABSENT} for kind in KINDS.values()}


def _never(value: int | None) -> int:
    return NEVER if value is None else value


class SqlReader(ABC):
    """The reading half of a transaction. What a driver does is left to the store: four methods.

    Slotted, as each store's whole transaction is: one is made for every command.
    """

    __slots__ = (
        "ahead", "command_id", "fresh", "indexed", "kept", "keys", "known", "line", "null", "sql", "store", "stored",
        "workflow_id", "wrote",
    )

    def __init__(self, store: SqlStore[Any], sql: Mapping[str, str]) -> None:
        self.store, self.sql = store, sql
        self.keys: dict[tuple[str, int], int] = {}
        self.known: dict[tuple[str, int], Prepared] = {}
        self.kept: dict[tuple[str, int], int] = {}
        """Of each workflow that was asked for as part of a run: the run that it is kept from, when that is an earlier one."""
        self.indexed: dict[tuple[str, int], tuple[str, int]] = {}
        """Of each workflow that was read: what an index holds of it, its state and its deadline."""
        self.ahead: dict[tuple[Any, ...], WorkflowRow | TaskRow] = {}
        self.stored: dict[str, tuple[int, int, int]] = {}
        """Of each tree that was read: its run, its number of tasks and of lines of history, as they stand in the store."""
        self.fresh: dict[int, dict[tuple[int, str], str]] = {}
        """The payloads of the workflows that this transaction made, by position and name: nobody else can have written any."""
        self.line = 0
        self.null: str | None = None
        """What stands for NULL where a statement is given a number that may be NULL."""
        self.wrote = False
        self.command_id = self.workflow_id = ""

    # ---- the driver --------------------------------------------------------------------------------------------------------
    @abstractmethod
    def rows(self, name: str, values: Any = ()) -> list[Any]:
        """The rows that a statement gives."""

    @abstractmethod
    def _run(self, name: str, values: Any) -> None:
        """Run a statement that writes."""

    @abstractmethod
    def _run_many(self, name: str, rows: Iterable[Any]) -> None:
        """Run a statement that writes, for each of these rows of values."""

    @abstractmethod
    def _changed(self) -> int:
        """How many rows the last statement wrote."""

    def damage(self) -> Iterable[Violation]:
        """What the engine itself finds wrong with its tables."""
        return ()

    def store_id(self) -> str:
        """What was chosen at random when the store was made."""
        rows = self.rows("store_id")
        if not rows:
            raise damaged("the id of the store", "it is gone")
        return str(rows[0][0])

    def prepared(self, key: int) -> Prepared:
        """The definition of a key, ready to run."""
        return self.store.prepared(self, key)

    # ---- rows from the database ------------------------------------------------------------------------------------------
    def read_ahead(self, subject: Subject) -> TreeRow | None:
        """Read a task, its workflow and its tree with one statement; the first who asks for these rows gets them."""
        self.ahead.clear()
        if subject.no is None:
            return None
        rows = self._subject(subject)
        if not rows:
            return None
        row = rows[0]
        workflow = self.workflow_of(row[6:31])
        self.ahead[workflow.id, workflow.run] = workflow
        self.ahead[workflow.id, workflow.run, subject.no] = self._task(workflow.id, workflow.run, workflow.prepared, row[31:45])
        return self._tree(row)

    def _subject(self, subject: Subject) -> list[Any]:
        """A task, its workflow and its tree, as one row; none where one of them is not there."""
        return self.rows("subject", (subject.workflow, subject.no, root_of(subject.workflow)))

    def _tree(self, row: tuple[Any, ...]) -> TreeRow:
        root, run, version, clock, tasks, line = row[:6]
        if line is None:
            raise damaged(f"workflow {quoted(root)}", "it has no history")
        self.stored[root] = run, tasks, line
        return TreeRow(root, run, version, clock, tasks)

    def workflow_of(self, row: tuple[Any, ...]) -> WorkflowRow:
        """A workflow from its columns. Raises StoreCorrupt."""
        key, definition, id, run, state, parent, parent_no, slot, depth, started, changed, deadline, paused_by = row[:13]
        prepared = self.prepared(definition)
        if row[15]:
            place = key, len(prepared.facts), row[15]
            prepared = self.store.extend(prepared, row[15], lambda: self._spawned(*place))
        self.keys[id, run], self.known[id, run] = key, prepared
        self.indexed[id, run] = state, _never(deadline)
        if state not in STATES["workflow"]:
            raise damaged(f"workflow {quoted(id)}", f"its state is {quoted(state)}")
        return WorkflowRow(id, run, state, parent, parent_no, slot, depth, prepared, started, changed, _never(deadline),
                           paused_by, row[13], row[14], list(row[16:]), extension=row[15])

    def _spawned(self, key: int, first: int, extension: str) -> Iterator[tuple[int, str]]:
        """The positions and texts of the tasks that an extension names. Raises Overtaken where it is another one by now."""
        for named, no, text in self.rows("spawned", (first, key)):
            if named != extension:
                raise Overtaken("reading what was spawned", stands="nothing was applied",
                                why="more was spawned meanwhile", hint="try again")
            if no is not None:
                yield no, text

    def workflow_rows(self, name: str, values: Any) -> list[WorkflowRow]:
        """The workflows that a statement finds."""
        return [self.workflow_of(row) for row in self.rows(name, values)]

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run, in which it may be kept from an earlier one."""
        ahead = self.ahead.pop((workflow_id, run), None)
        if ahead is not None:
            return cast(WorkflowRow, ahead)
        rows = self.rows("workflow", {"id": workflow_id, "run": run})
        row = self.workflow_of(rows[0]) if rows else None
        if row is not None and row.run != run:
            self.keys[workflow_id, run], self.kept[workflow_id, run] = self.keys[workflow_id, row.run], row.run
            self.known[workflow_id, run] = row.prepared
        return row

    def task_rows(self, name: str, workflow_id: str, run: int, *values: Any) -> list[TaskRow]:
        """The tasks of a workflow that a statement finds."""
        place = workflow_id, run
        if place not in self.known and self.workflow(workflow_id, run) is None:
            return []
        rows, run = self.rows(name, (self.keys[place], *values)), self.kept.get(place, run)
        return [self._task(workflow_id, run, self.known[place], row) for row in rows]

    def _task(self, workflow_id: str, run: int, prepared: Prepared, row: tuple[Any, ...]) -> TaskRow:
        no, state, attempt, handouts, not_before, expires, attempt_ends, total_ends, wakes, signalled, changed, *rest = row
        worker, reason, missing = rest
        if state not in STATES["task"] or not 0 <= no < len(prepared.facts):
            raise damaged(f"task number {no} of workflow {quoted(workflow_id)}", f"its state is {quoted(state)}")
        return TaskRow(
            workflow_id, no, run, state, attempt, handouts, not_before, _never(expires), _never(attempt_ends),
            _never(total_ends), _never(wakes), signalled, changed, worker, reason, [missing], prepared.facts[no])

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """One task."""
        ahead = self.ahead.pop((workflow_id, run, no), None)
        if ahead is not None:
            return cast(TaskRow, ahead)
        rows = self.task_rows("task", workflow_id, run, no)
        return rows[0] if rows else None

    def several(self, workflow_id: str, run: int, nos: Sequence[int]) -> list[TaskRow]:
        """Those of some tasks of a workflow that are there."""
        found = (self.task(workflow_id, run, no) for no in nos)
        return [row for row in found if row is not None]

    def tasks(self, workflow_id: str, run: int, after: int = -1, limit: int = 2**31) -> Iterable[TaskRow]:
        """The tasks of a workflow behind a position, by position."""
        return self.task_rows("tasks", workflow_id, run, after, limit)

    def _delivery(self, row: tuple[Any, ...]) -> DeliveryRow:
        topic, state, attempt, claims, due, expires, proof, error, changed, sends, lease, version, status, cause = row[:14]
        key, id, run = row[14:17]
        if state not in STATES["delivery"]:
            raise damaged(f"delivery {quoted(topic)} of workflow {quoted(id)}", f"its state is {quoted(state)}")
        self.keys[id, run] = key
        return DeliveryRow(id, run, topic, state, attempt, claims, due, _never(expires), proof, error, changed, sends, lease,
                           version=version, status=status, cause=cause)

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One outbox entry."""
        rows = self.rows("delivery", (workflow_id, run, *entry_of(name)))
        if not rows:
            return None
        found = self._delivery(rows[0])
        found.hearing = hearing_of(self.prepared(rows[0][17]), found.topic, None)
        return found

    def earlier(self, row: DeliveryRow) -> list[DeliveryRow]:
        """The open notices of the same workflow that come before a notice."""
        values = {"id": row.workflow, "topic": row.topic, "version": row.version, "status": row.status}
        return [self._delivery(found) for found in self.rows("earlier", values)]

    def policies(self) -> list[Any]:
        """The store's own archive policies, as they are kept: since when, and what."""
        return self.rows("archive_policies")

    def archiving(self, now: int) -> Hearing | None:
        """What the store itself says of archives at this time."""
        past = [content for since, content in self.policies() if since <= now]
        return self.store.hearing(past[-1])[1] if past else None

    def archive_policies(self, root: str = "") -> list[tuple[int, ArchivePolicy | None]]:
        """The store's own archive policies, each with the time from which it is in force."""
        return [(since, self.store.hearing(content)[0]) for since, content in self.policies()]

    def deliveries(self, state: str | None, workflow_id: str | None, after: tuple[str, int, str], limit: int
                   ) -> list[DeliveryRow]:
        """Outbox entries by (workflow, run, name); those of a topic by version."""
        topic, version, status = entry_of(after[2])
        values = {"state": state, "id": after[0], "run": after[1], "topic": topic, "version": version, "status": status,
                  "limit": limit}
        found = self.rows("deliveries", values) if workflow_id is None else self.rows(
            "deliveries_of", {**values, "workflow": workflow_id})
        return [self._delivery(row) for row in found]

    def outboxes(self, root: str) -> list[DeliveryRow]:
        """Every delivery of a tree, of each of its runs."""
        return [self._delivery(row) for row in self.rows("outboxes", {"root": root})]

    def tombstone(self, root: str) -> Tombstone | None:
        """What stays of a tree that was purged."""
        rows = self.rows("tombstone", (root,))
        return Tombstone(*rows[0]) if rows else None

    def purgeable(self, before: int, after: str, limit: int) -> list[str]:
        """The ids of roots that ended at this time or earlier, behind the id `after`."""
        return [root for (root,) in self.rows("purgeable", {"before": before, "after": after, "limit": limit})]

    def roots(self, after: str, limit: int) -> list[str]:
        """The ids of the trees that have a row or a history, behind the id `after`."""
        return [root for (root,) in self.rows("roots", {"after": after, "limit": limit})]

    def tree(self, root: str) -> TreeRow | None:
        """A tree."""
        rows = self.rows("tree", (root,))
        return self._tree(rows[0]) if rows else None

    def below(self, workflow_id: str, run: int) -> list[WorkflowRow]:
        """A workflow and all its descendants, by id."""
        return self.workflow_rows("below", {"id": workflow_id, "run": run})

    def payload(self, workflow_id: str, run: int, no: int, what: str) -> str | None:
        """A JSON text."""
        place = workflow_id, run
        if place not in self.keys and self.workflow(workflow_id, run) is None:
            return None
        if (texts := self.fresh.get(self.keys[place])) is not None:
            return texts.get((no, what))
        return self._text(self.keys[place], no, what)

    def _text(self, key: int, no: int, what: str) -> str | None:
        rows = self.rows("payload", (key, no, what))
        return str(rows[0][0]) if rows else None

    def history(self, root: str, workflow_id: str | None, run: int | None, after: int, limit: int) -> list[HistoryRecord]:
        """A tree's history behind `after`, in order."""
        values = {"root": root, "workflow": workflow_id, "run": run, "after": after, "limit": limit}
        return [HistoryRecord(*row) for row in self.rows("history", values)]

    def lines_of(self, root: str, command_id: str) -> list[HistoryRecord]:
        """What a command did, line by line."""
        return [HistoryRecord(*row) for row in self.rows("lines_of", (root, command_id))]

    def recorded(self, root: str, command_id: str) -> Recorded | None:
        """What is kept of a command."""
        rows = self.rows("recorded", (root, command_id))
        return Recorded(*rows[0]) if rows else None

    def has_records(self, before: int) -> bool:
        """Whether a command is recorded that is as old as that, or older."""
        return bool(self.rows("has_records", (before,)))

    def find(self, state: str | None, name: str | None, after: str, limit: int) -> list[WorkflowRow]:
        """Workflows of their tree's present run, by id."""
        values = {"after": after, "name": name, "limit": limit}
        if state is None:
            return self.workflow_rows("find", values)
        return self.workflow_rows("find_in_state", {**values, "state": state})

    def sizes(self) -> tuple[int, int, int]:
        """How many workflows, tasks and deliveries there are."""
        workflows, tasks, deliveries = self.rows("sizes")[0]
        return workflows, tasks, deliveries

    def late(self, workflow_id: str) -> list[LateRecord]:
        """The late results of a workflow."""
        return [LateRecord(*row) for row in self.rows("late", (workflow_id,))]

    def backlog(self, now: int) -> Waiting:
        """What waits."""
        return Waiting(*self._due("backlog", now, 1)[0])

    def violations(self) -> Iterable[Violation]:
        """Every row that breaks a state invariant, found set by set."""
        return violations(self)

    # ---- definitions -----------------------------------------------------------------------------------------------------
    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition; the latest one when no version is asked for."""
        rows = self.rows("latest_definition", (name,)) if version is None else self.rows(
            "definition_of_version", (name, version))
        return self.prepared(rows[0][0]) if rows else None

    def names(self) -> dict[str, tuple[int, ...]]:
        """The registered definitions: name and versions."""
        found: dict[str, tuple[int, ...]] = {}
        for name, version in self.rows("names"):
            found[name] = (*found.get(name, ()), version)
        return found

    def _due(self, name: str, now: int, limit: int, **values: Any) -> list[Any]:
        """What a statement finds due, by the clock or by its tree's last time."""
        if self.store.latest is None:
            ((self.store.latest,),) = self.rows("latest_time")
        self.store.latest = max(self.store.latest, now)
        return self.rows(name, {"now": now, "horizon": self.store.latest, "limit": limit, **values})

    # ---- work --------------------------------------------------------------------------------------------------------------
    def pollable(self, type: str, now: int, limit: int) -> list[Subject]:
        """Tasks of a type that could be handed out, those due first first."""
        return [Subject(workflow, no) for workflow, no in self._due("pollable", now, limit, type=type)]

    def claimable(self, topics: Iterable[str], now: int, limit: int) -> list[Subject]:
        """Deliveries of these topics that are due, those due first first."""
        found = [row for topic in sorted(set(topics))
                 for row in self._due("claimable_notices" if topic == NOTIFY else "claimable", now, limit, topic=topic)]
        found.sort(key=lambda row: row[0])
        return [Subject(workflow, topic=name, run=run) for _, workflow, run, name in found[:limit]]

    def timers(self, now: int, limit: int) -> list[Timer]:
        """What the clock has to do, earliest first."""
        found = [(at, Timer(command, Subject(w, no))) for name in ("due_tasks", "unpolled_tasks")
                 for at, command, w, no in self._due(name, now, limit)]
        found += [(at, Timer("TIME_OUT", Subject(w))) for at, w in self._due("passed_deadlines", now, limit)]
        found += [(at, Timer("RELEASE", Subject(w, topic=topic, run=run)))
                  for at, w, run, topic in self._due("lost_deliveries", now, limit)]
        found.sort(key=lambda entry: entry[0])
        return [timer for _, timer in found[:limit]]
