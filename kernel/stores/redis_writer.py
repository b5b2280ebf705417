"""Rows of plans as operations of the script, and the indexes that lead to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from kernel.core.checks import canonical
from kernel.core.plan import Plan
from kernel.core.records import DeliveryRow, TaskRow, WorkflowRow, root_of
from kernel.spec.language import NEVER
from kernel.stores.redis_held import NONE, NOTHING
from kernel.stores.redis_lately import Waits
from kernel.stores.redis_part import Part
from kernel.stores.redis_reader import is_present
from kernel.stores.redis_rows import (
    TEXTS,
    Places,
    counts_field,
    counts_text,
    delivery_member,
    delivery_of,
    delivery_place,
    field_of,
    looked_for,
    member_of,
    packed_delivery,
    packed_task,
    packed_workflow,
    queues_of,
    row_field,
    was_looked_for,
)
from kernel.stores.redis_work import RedisWork

if TYPE_CHECKING:
    from kernel.stores.redis import RedisStore


class RedisWriter(RedisWork):
    """The half of a transaction that writes rows one by one."""

    __slots__ = ("after", "command_id", "latest", "made", "moved", "parts", "workflow_id")

    def __init__(self, store: RedisStore, *, write: bool) -> None:
        super().__init__(store, write=write)
        self.parts: dict[int, Part] = {}
        self.command_id = self.workflow_id = ""
        self.latest: dict[str, Plan] = {}
        """Of each tree that is written: the last plan."""
        self.moved: frozenset[str] = NONE
        """The trees of which the script moves rows that were not read."""
        self.made: set[tuple[str, int]] = set()
        """The workflows that begin to exist."""
        self.after: dict[tuple[str, int], str] = {}
        """The counters of each workflow of which they were moved, as they are then."""

    def part(self, partition: int) -> Part:
        """What is done to a partition."""
        known = self.parts.get(partition)
        if known is None:
            known = self.parts[partition] = Part(self.store.prefixes[partition])
        return known

    # ---- writing hashes, so that later reads of this transaction see it --------------------------------------------------
    def put(self, part: Part, key: str, fields: Mapping[str, str]) -> None:
        """Write fields of a hash."""
        self.note(key, fields)
        part.put(key, *chain.from_iterable(fields.items()))

    def put_tree(self, part: Part, root: str, fields: Mapping[str, str]) -> None:
        """Write fields of a tree that the present plan is on."""
        self.note(f"{part.prefix}t:{root}", fields)
        part.now.tree += chain.from_iterable(fields.items())

    def note(self, key: str, fields: Mapping[str, str | None]) -> None:
        """Remember what is written."""
        held, own = self.held.get(key), self.own.get(key)
        if held is None:
            held = self.held[key] = {}
        held.update(fields)
        if own is None:
            self.own[key] = {*fields}
        else:
            own.update(fields)

    def drop(self, part: Part, key: str, *fields: str) -> None:
        """Take fields out of a hash."""
        self.note(key, dict.fromkeys(fields))
        part.drop(key, *fields)

    # ---- workflows -------------------------------------------------------------------------------------------------------
    def create(self, part: Part, w: WorkflowRow) -> None:
        """Write a new workflow."""
        root, place, prefix = root_of(w.id), (w.id, w.run), part.prefix
        serial = self.store.serial(self.store.partition(root))
        if place not in self.columns:
            self.compare(f"{prefix}t:{root}", row_field(*place), None)
        self.made.add(place)
        self.standing.clear()
        columns = packed_workflow(w, serial, self.store.numbers[w.prepared.registered])
        text, counts = canonical(columns), counts_text(tuple(w.counts))
        self.columns[place], self.counts[place], self.rows[place] = columns, counts, (text, counts, columns, w)
        self.put_tree(part, root, {row_field(*place): text, counts_field(*place): counts})
        self.whole |= {f"{prefix}w:{TEXTS[w.run]}:{w.id}", f"{prefix}v:{TEXTS[w.run]}:{w.id}"}
        self.held.setdefault(f"{prefix}v:{TEXTS[w.run]}:{w.id}", {})
        self.put_queues(part, w)
        part.count("workflows", 1)
        part.enter(f"{prefix}i:{w.state}", field_of(*place), 0)
        if w.deadline < NEVER:
            part.enter(f"{prefix}z", f"c{member_of(serial, None, w.run, w.id)}", w.deadline)

    def put_queues(self, part: Part, w: WorkflowRow) -> None:
        """Where each task of a workflow is looked for, for the scripts."""
        self.put(part, f"{part.prefix}w:{TEXTS[w.run]}:{w.id}", {"y": queues_of(w.prepared)})

    def update(self, part: Part, w: WorkflowRow) -> None:
        """Write a workflow that was read."""
        key, place = f"{part.prefix}t:{root_of(w.id)}", (w.id, w.run)
        if place not in self.columns:
            raise AssertionError(f"workflow {w.id} was not read")
        self.standing.clear()
        old, row = self.columns[place], row_field(*place)
        new, counts = packed_workflow(w, old[13], old[7]), counts_text(tuple(w.counts))
        if new != old:
            self.columns[place] = new
            text, index = canonical(new), field_of(*place)
            self.note(key, {row: text})
            if part.sweeps:
                part.now.rows += ((old[0], new[0], index, text),)
            else:
                part.now.tree += (row, text)
                if old[0] != new[0]:
                    part.leave(f"{part.prefix}i:{old[0]}", index)
                    part.enter(f"{part.prefix}i:{new[0]}", index, 0)
            if old[15] != new[15]:
                self.put_queues(part, w)
            if w.deadline < NEVER and old[9] != new[9]:
                part.enter(f"{part.prefix}z", f"c{member_of(old[13], None, w.run, w.id)}", w.deadline)
        if counts != self.counts[place]:
            name = counts_field(*place)
            self.held[key][name] = self.counts[place] = self.after[place] = counts
            if place in self.made:
                self.put_tree(part, root_of(w.id), {name: counts})
        self.rows[place] = self.held[key][row], counts, self.columns[place], w

    def leave(self, part: Part, workflow_id: str, run: int, until: int) -> None:
        """A row stays behind with the run before the present one."""
        root, place = root_of(workflow_id), field_of(workflow_id, run)
        columns = self.columns[workflow_id, run]
        self.standing.clear()
        if is_present(columns):
            part.leave(f"{part.prefix}i:{columns[0]}", place)
        self.columns[workflow_id, run] = (*columns[:2], str(until), *columns[3:])
        self.put_tree(part, root, {row_field(workflow_id, run): canonical(self.columns[workflow_id, run])})

    # ---- tasks, deliveries, payloads -------------------------------------------------------------------------------------
    def create_tasks(self, part: Part, tasks: Sequence[TaskRow]) -> None:
        """Write new tasks, a hash at a time."""
        rows: dict[str, dict[str, str]] = {}
        for task in tasks:
            rows.setdefault(f"{part.prefix}w:{TEXTS[task.run]}:{task.workflow}", {})[str(task.no)] = text = packed_task(task)
            self.rows[task.workflow, task.run, task.no] = text, self._look_for(part, task, ()), task
        for key, fields in rows.items():
            self.put(part, key, fields)
        if tasks:
            part.count("tasks", len(tasks))

    def update_task(self, part: Part, task: TaskRow) -> None:
        """Write a task that was read, and where it is looked for."""
        key, name = f"{part.prefix}w:{TEXTS[task.run]}:{task.workflow}", str(task.no)
        held, own = self.held.get(key), self.own.get(key)
        if held is None:
            held = self.held[key] = {}
        if own is None:
            own = self.own[key] = set()
        place, text, new = (task.workflow, task.run, task.no), held.get(name), packed_task(task)
        if name not in own and (key, name) not in self.seen:
            self.compare(key, name, text)  # what is written over is what was read
        known = self.rows.get(place)
        if known is not None and known[0] == text:
            before: Places = known[1]
        else:
            before = () if text is None else was_looked_for(text, task.facts)
        held[name] = new
        own.add(name)
        part.put(key, name, new)
        self.rows[place] = new, self._look_for(part, task, before), task

    def _look_for(self, part: Part, task: TaskRow, before: Places) -> Places:
        """Let a task be found where it is looked for now, and not where it was before."""
        now = looked_for(task)
        if now == before:
            return now
        member = member_of(self.columns[task.workflow, task.run][13], task.no, task.run, task.workflow)
        there = dict(now)
        for index, _ in before:
            if index in there:
                continue
            if index[0] == "q":
                part.leave(part.prefix + index, member)
                self.queued.append((index[2:], member, None))
            else:
                part.leave(f"{part.prefix}z", index + member)
        for index, due in now:
            if due >= NEVER:
                continue
            if index[0] == "q":
                part.enter(part.prefix + index, member, due)
                self.queued.append((index[2:], member, Waits(due, member, task.workflow, task.run, task.no)))
            else:
                part.enter(f"{part.prefix}z", index + member, due)
        return now

    def put_delivery(self, part: Part, d: DeliveryRow) -> None:
        """Write a delivery, new or not, and where it is looked for."""
        prefix, key = part.prefix, f"{part.prefix}w:{TEXTS[d.run]}:{d.workflow}"
        place, text = delivery_place(d.workflow, d.run, d.name), self.held.get(key, NOTHING).get(f"d{d.name}")
        before = delivery_of(text, d.workflow, d.run, d.name).state if text is not None else ""
        self.put(part, key, {f"d{d.name}": packed_delivery(d)})
        serial = self.columns[d.workflow, d.run][13]
        member, leased = delivery_member(serial, d), f"d{member_of(serial, None, d.run, d.workflow)}\0{d.name}"
        if before != d.state:
            if before:
                part.leave(f"{prefix}x:{before}", place)
            part.enter(f"{prefix}x:{d.state}", place, 0)
        if d.state == "PENDING":
            part.enter(f"{prefix}o:{d.topic}", member, d.due)
            part.enter(f"{prefix}topics", d.topic, 0)
        elif before == "PENDING":
            part.leave(f"{prefix}o:{d.topic}", member)
        if d.state == "LEASED" and d.expires < NEVER:
            part.enter(f"{prefix}z", leased, d.expires)
        elif before == "LEASED":
            part.leave(f"{prefix}z", leased)
