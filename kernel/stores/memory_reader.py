"""What can be read of the memory store in a transaction: rows, definitions, and the work that waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kernel.core.archive import ArchivePolicy
from kernel.core.plan import Subject, Tombstone
from kernel.core.records import DeliveryRow, Prepared, TaskRow, TreeRow, WorkflowRow, root_of
from kernel.engine.ports import HistoryRecord, LateRecord, Recorded, Timer, Violation, Waiting
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import LIVE
from kernel.stores.memory_outbox import DeliveryKey, in_order, waits
from kernel.stores.memory_snapshot import MemorySnapshot, definition_of

if TYPE_CHECKING:
    from kernel.stores.memory import MemoryStore


class MemoryReader:
    """The reading half of a transaction."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def recorded(self, root: str, command_id: str) -> Recorded | None:
        """What is kept of a command."""
        return self.store.records.get((root, command_id))

    def lines_of(self, root: str, command_id: str) -> list[HistoryRecord]:
        """What a command did, line by line."""
        return [line for line in self.store.lines.get(root, ()) if line.command_id == command_id]

    def has_records(self, before: int) -> bool:
        """Whether a command is recorded that is as old as that, or older."""
        return any(found.at <= before for found in self.store.records.values())

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition; the latest one when no version is asked for."""
        return definition_of(self.store, name, version)

    def names(self) -> dict[str, tuple[int, ...]]:
        """The registered definitions: name and versions."""
        found: dict[str, tuple[int, ...]] = {}
        for name, version in sorted(self.store.definitions):
            found[name] = (*found.get(name, ()), version)
        return found

    def _places(self) -> dict[tuple[str, int], int]:
        """Workflows in the order in which they were started: who was first comes first where times are equal."""
        return {key: number for number, key in enumerate(self.store.workflows)}

    def _opened(self) -> Iterator[TaskRow]:
        """The tasks that have a clock, by workflow and position."""
        place, tasks = self._places(), self.store.tasks
        yield from (tasks[w, run][no] for w, run, no in sorted(self.store.open, key=lambda key: (place[key[:2]], key[2])))

    def _running(self, row: TaskRow) -> bool:
        return self.store.workflows[row.workflow, row.run].state == "RUNNING"

    def _come(self, time: int, now: int, workflow: str) -> bool:  # the clock, or the last time of the tree, has reached it
        return time <= now or time <= self.store.trees[root_of(workflow)].clock

    def pollable(self, type: str, now: int, limit: int) -> list[Subject]:
        """Tasks of a type that could be handed out."""
        rows = [
            row for row in self._opened()
            if row.state == "SCHEDULED" and row.facts.type == type and row.mode == "WORKER"
            and self._come(row.not_before, now, row.workflow) and self._running(row)
        ]
        rows.sort(key=lambda row: row.not_before)
        return [Subject(row.workflow, row.no) for row in rows[:limit]]

    def claimable(self, topics: Iterable[str], now: int, limit: int) -> list[Subject]:
        """Deliveries of these topics that are due."""
        asked = set(topics)
        rows = [r for r in self.store.outbox.values() if r.state == "PENDING" and r.topic in asked
                and self._come(r.due, now, r.workflow) and not waits(self.store, r)]
        place = self._places()
        rows.sort(key=lambda row: (row.due, row.topic, place[row.workflow, row.run]))
        return [Subject(row.workflow, topic=row.name, run=row.run) for row in rows[:limit]]

    def timers(self, now: int, limit: int) -> list[Timer]:
        """What the clock has to do, earliest first."""
        found: list[tuple[int, Timer]] = []
        for row in self._opened():
            elapses = row.state == "IN_PROGRESS" and row.wakes <= row.expires
            at = row.wakes if elapses else row.expires
            if self._come(at, now, row.workflow) and (row.state == "IN_PROGRESS" or self._running(row)):
                found.append((at, Timer("ELAPSE" if elapses else "EXPIRE", Subject(row.workflow, row.no))))
            elif row.state == "SCHEDULED" and row.mode != "WORKER" and self._running(row) and self._come(
                    row.not_before, now, row.workflow):
                found.append((row.not_before, Timer("WAKE", Subject(row.workflow, row.no))))
        found += [(w.deadline, Timer("TIME_OUT", Subject(w.id))) for w in self.store.workflows.values()
                  if w.state in LIVE and self._come(w.deadline, now, w.id)]
        found += [(d.expires, Timer("RELEASE", Subject(d.workflow, topic=d.name, run=d.run)))
                  for d in self.store.outbox.values() if d.state == "LEASED" and self._come(d.expires, now, d.workflow)]
        found.sort(key=lambda entry: entry[0])
        return [timer for _, timer in found[:limit]]

    def late(self, workflow_id: str) -> list[LateRecord]:
        """The late results of a workflow."""
        found = [each for each in self.store.late.values() if each.workflow == workflow_id]
        return sorted(found, key=lambda each: (each.at, each[1:5]))

    def backlog(self, now: int) -> Waiting:
        """What waits."""
        states = Counter(row.state for row in self.store.outbox.values())
        due = [row.due for row in self.store.outbox.values()
               if row.state == "PENDING" and self._come(row.due, now, row.workflow)]
        return Waiting(len(self.timers(now, 2**31)), len(due), states["PENDING"], states["LEASED"], states["DEAD"],
                       min(due, default=None))

    def tombstone(self, root: str) -> Tombstone | None:
        """What stays of a tree that was purged."""
        return self.store.tombstones.get(root)

    def purgeable(self, before: int, after: str, limit: int) -> list[str]:
        """The ids of roots that ended at this time or earlier, behind the id `after`."""
        return self.store.purgeable(before, after)[:limit]

    def roots(self, after: str, limit: int) -> list[str]:
        """The ids of the trees that there are, behind the id `after`."""
        told = (root for root, lines in self.store.lines.items() if lines)
        return sorted(root for root in {*self.store.trees, *told} if root > after)[:limit]

    def tree(self, root: str) -> TreeRow | None:
        """A tree."""
        return MemorySnapshot(self.store, root).tree()

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run, in which it may be kept from an earlier one."""
        row = self.store.find(workflow_id, run)
        return row.copy() if row is not None else None

    def below(self, workflow_id: str, run: int) -> list[WorkflowRow]:
        """A workflow and all its descendants, by id."""
        return [row.copy() for row in self.store.below(workflow_id, run)]

    def tasks(self, workflow_id: str, run: int, after: int = -1, limit: int = 2**31) -> Iterable[TaskRow]:
        """The tasks of a workflow behind a position, by position."""
        rows = self.store.own(workflow_id, run)
        return [rows[no].copy() for no in sorted(rows) if no > after][:limit]

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """One task."""
        row = self.store.own(workflow_id, run).get(no)
        return row.copy() if row is not None else None

    def payload(self, workflow_id: str, run: int, no: int, what: str) -> str | None:
        """A JSON text."""
        row = self.store.find(workflow_id, run)
        return None if row is None else self.store.payloads.get((workflow_id, row.run, no, what))

    def history(self, root: str, workflow_id: str | None, run: int | None, after: int, limit: int) -> list[HistoryRecord]:
        """A tree's history behind `after`, in order."""
        return [
            line for line in self.store.lines.get(root, ())
            if line.seq > after and workflow_id in (None, line.workflow) and run in (None, line.run)
        ][:limit]

    def find(self, state: str | None, name: str | None, after: str, limit: int) -> list[WorkflowRow]:
        """Workflows of their tree's present run, by id."""
        rows = [
            row for (i, run), row in self.store.workflows.items()
            if i > after and row.until == NEVER and state in (None, row.state)
            and name in (None, row.prepared.definition.source.name)
        ]
        return [row.copy() for row in sorted(rows, key=lambda row: row.id)[:limit]]

    def deliveries(self, state: str | None, workflow_id: str | None, after: DeliveryKey, limit: int) -> list[DeliveryRow]:
        """Outbox entries by (workflow, run, name); those of a topic by version."""
        rows = sorted(((in_order(key), row) for key, row in self.store.outbox.items()
                       if state in (None, row.state) and workflow_id in (None, row.workflow)), key=lambda entry: entry[0])
        return [row.copy() for key, row in rows if key > in_order(after)][:limit]

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One outbox entry."""
        return MemorySnapshot(self.store, root_of(workflow_id)).delivery(workflow_id, run, name)

    def violations(self) -> Iterable[Violation]:
        """Every row that breaks a state invariant."""
        return self.store.violations()

    def archive_policies(self, root: str = "") -> list[tuple[int, ArchivePolicy | None]]:
        """The store's own archive policies, each with the time from which it is in force."""
        return [(since, policy) for since, (policy, _) in sorted(self.store.archive.items())]

    def sizes(self) -> tuple[int, int, int]:
        """How many workflows, tasks and deliveries there are."""
        return len(self.store.workflows), sum(map(len, self.store.tasks.values())), len(self.store.outbox)
