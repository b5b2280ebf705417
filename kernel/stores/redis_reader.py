"""What can be read of a Redis store in a transaction: the rows of trees; and what was read of them, to be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from kernel.core.extension import WHAT
from kernel.core.outbox import hearing_of
from kernel.core.plan import Subject, Tombstone
from kernel.core.records import DeliveryRow, Prepared, TaskRow, TreeRow, WorkflowRow, root_of
from kernel.core.working_set import in_scope
from kernel.engine.contention import Overtaken
from kernel.engine.ports import HistoryRecord, LateRecord, Recorded
from kernel.engine.reading import damaged
from kernel.errors import quoted
from kernel.spec.language import NEVER
from kernel.stores.redis_held import NOTHING, RedisHeld, Stands, pairs
from kernel.stores.redis_rows import (
    TEXTS,
    Columns,
    columns_of,
    counts_field,
    delivery_of,
    line_of,
    place_of,
    record_of,
    row_field,
    task_of,
    time_of,
    workflow_of,
)

WHOLE = 256
"""Tasks and deliveries of a workflow that are read together with it; of a larger one each is read when it is asked for."""
SMALL = 200
"""Tasks of a tree that who only reads gets as a whole, as it stood at one moment."""
FEW = 16
"""Tasks of a workflow whose payloads are read together by who only reads."""
PAGE = 1000


class RedisReader(RedisHeld):
    """The reading half of a transaction, as far as trees go."""

    __slots__ = ()

    # ---- rows ------------------------------------------------------------------------------------------------------------
    def read_ahead(self, subject: Subject) -> TreeRow | None:
        """Read the tree, the workflow and its tasks in one look; who asks for these rows gets them."""
        root = root_of(subject.workflow)
        if root in self.trees or root in self.absent or not root:
            return None if root in self.absent or not root else self.tree(root)
        prefix = self.store.prefixes[self.store.partition(root)]
        if self.write_too and (tree := self._recall(prefix, root, subject)) is not None:
            return tree
        self.looks += 1
        found = self.link.run("load", prefix, root, subject.workflow, "" if subject.no is None else subject.no, WHOLE,
                              keys=[f"{prefix}{kind}:{root}" for kind in "th"])
        if len(found) < 2:
            self._is_absent(prefix, root, found[0])
            return None
        run, version, clock, tasks, lines = map(int, found[:5])
        self.trees[root] = self.original[root] = run, version, clock, tasks, lines
        if len(found) > 5:
            kept, fixed, counts, whole, flat = found[5:10]
            rows, kept = f"{prefix}w:{kept}:{subject.workflow}", int(kept)
            family = self.held.setdefault(f"{prefix}t:{root}", {})
            family.update({row_field(subject.workflow, each): None for each in range(kept + 1, run + 1)})
            family[row_field(subject.workflow, kept)], family[counts_field(subject.workflow, kept)] = fixed, counts
            self.held.setdefault(rows, {}).update(pairs(flat))
            if whole:
                self.whole.add(rows)
        return TreeRow(root, run, version, clock, tasks)

    def _recall(self, prefix: str, root: str, subject: Subject) -> TreeRow | None:
        """A tree as this process left it, if that tells of the workflow and of the task; the commit compares it."""
        left = self.store.lately.known(root)
        if left is None:
            return None
        run, version, clock, tasks, _ = left.counted
        rows = f"{prefix}w:{TEXTS[run]}:{subject.workflow}"
        if row_field(subject.workflow, run) not in left.held[f"{prefix}t:{root}"] or (
                subject.no is not None and str(subject.no) not in left.held.get(rows, ())):
            return None
        self.recalled |= {self.store.partition(root)}
        self.remembered.add(root)
        self.trees[root] = self.original[root] = left.counted
        if self.held or self.rows:
            self.held.update({key: {**fields, **self.held.get(key, NOTHING)} for key, fields in left.held.items()})
            self.rows.update(left.rows.pop(root, {}))
        else:
            self.held = {key: fields.copy() for key, fields in left.held.items()}
            self.rows = left.rows.pop(root, {})
        self.whole |= left.whole
        return TreeRow(root, run, version, clock, tasks)

    def _guess(self, root: str) -> None:
        """Take a tree for new; the commit compares it."""
        prefix = self.store.prefixes[self.store.partition(root)]
        self.recalled |= {self.store.partition(root)}
        self.guessed |= {root}
        self._is_absent(prefix, root, None)

    def _is_absent(self, prefix: str, root: str, grave: str | None) -> None:
        self.absent |= {root}
        self.held.setdefault(f"{prefix}graves", {})[root] = grave
        self.whole.add(f"{prefix}t:{root}")

    def tree(self, root: str) -> TreeRow | None:
        """A tree."""
        if root in self.absent:
            return None
        if root not in self.trees:
            prefix = self.store.prefixes[self.store.partition(root)]
            self.looks += 1
            counted, *rows = self.link.run("tree", prefix, root, 0 if self.write_too else SMALL,
                                            keys=[f"{prefix}{kind}:{root}" for kind in "th"])
            if counted[0] is None:
                return None
            run, version, clock, tasks, lines = map(int, counted)
            self.trees[root] = self.original[root] = run, version, clock, tasks, lines
            if rows:
                self._take_in(prefix, root, *rows)
        run_, version_, clock_, tasks_, _ = self.trees[root]
        return TreeRow(root, run_, version_, clock_, tasks_)

    def _take_in(self, prefix: str, root: str, rows: list[str], counts: list[str], owned: list[Any]) -> None:
        """Keep a whole tree, which was read in one look."""
        found = [(f"{prefix}t:{root}", letter + name, value)
                 for letter, flat in (("f", rows), ("n", counts)) for name, value in pairs(flat)]
        for place, flat in zip(owned[::2], owned[1::2], strict=True):
            workflow_id, run = place_of(place)
            found += [(f"{prefix}w:{TEXTS[run]}:{workflow_id}", name, value) for name, value in pairs(flat)]
        for key, name, value in found:
            self.held.setdefault(key, {}).setdefault(name, value)
            self.whole.add(key)

    def _stands(self, workflow_id: str, run: int, text: str, key: str) -> Stands:
        """A workflow as it stands in its text; `key` is that of its tree."""
        place, name, held = (workflow_id, run), counts_field(workflow_id, run), self.held[key]
        counts = held[name] if name in held else self.field(key, name, compare=False)
        if counts is None:
            raise damaged(f"workflow {quoted(workflow_id)}", "its counters are gone")
        known = self.rows.get(place)
        if known is not None and known[0] == text:
            columns, prepared = known[2], known[3].prepared
        else:
            try:
                columns = columns_of(text)
            except ValueError as error:
                raise damaged(f"workflow {quoted(workflow_id)}", f"it cannot be read: {error}") from error
            prepared = self.definition_of(workflow_id, run, columns)
        self.columns[place], self.counts[place] = columns, counts
        self.read.setdefault(place, (name, counts))
        return run, columns, counts, prepared, f"{self.prefix(root_of(workflow_id))}w:{TEXTS[run]}:{workflow_id}"

    def definition_of(self, workflow_id: str, run: int, columns: Columns) -> Prepared:
        """The definition of a workflow, with the tasks that it has beyond it."""
        base, extension = self.store.prepared(columns[7]), columns[15]
        if not extension:
            return base
        return self.store.extend(base, extension, lambda: self._spawned(workflow_id, run, columns[14]).items())

    def _spawned(self, workflow_id: str, run: int, end: int) -> dict[int, str]:
        """The texts of the tasks that were spawned in a workflow, by position: those before `end`; others came later."""
        found = {int(name.partition(":")[0]): text for name, text in self.everything(
            self.key(root_of(workflow_id), "v", f"{run}:{workflow_id}")).items() if name.endswith(f":{WHAT}")}
        if end - 1 not in found:  # they were purged meanwhile
            raise damaged(f"workflow {quoted(workflow_id)}", "what was spawned in it is gone")
        return {no: text for no, text in found.items() if no < end}

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run, in which it may be kept from an earlier one."""
        stands = self._part(workflow_id, run)
        return None if stands is None else self._row(workflow_id, stands)

    def _row(self, workflow_id: str, stands: Stands) -> WorkflowRow:
        """A workflow that nobody else has."""
        run, columns, counts, prepared, _ = stands
        known = self.rows.get((workflow_id, run))
        if known is not None and known[1] == counts and known[2] is columns and known[3].view is None and not self.own:
            row: WorkflowRow = known[3]
            return row
        return workflow_of(workflow_id, run, columns, counts, prepared)

    def _part(self, workflow_id: str, run: int) -> Stands | None:
        """How it stands."""
        known = self.standing.get((workflow_id, run))
        if known is not None:
            return known
        if run < 1:
            return None
        root = root_of(workflow_id)
        if self.write_too and not (self.trees or self.absent) and workflow_id == root and self.store.lately.is_new(root):
            self._guess(root)  # who asks for a workflow before anything else is about to start it
        elif root not in self.trees and root not in self.absent:
            if self.write_too:
                self.read_ahead(Subject(workflow_id))
            else:
                self.tree(root)  # all of it at once, unless it is large
        key, of = f"{self.prefix(root)}t:{root}", run
        if run == 1:
            text = self.field(key, row_field(workflow_id, 1))
        else:
            texts = self.fields(key, *[row_field(workflow_id, each) for each in range(run, 0, -1)])
            of, text = next(((run - place, text) for place, text in enumerate(texts) if text is not None), (0, None))
        stands = None if text is None else self._stands(workflow_id, of, text, key)
        if stands is None or time_of(stands[1][2]) < run:
            return None
        self.standing[workflow_id, run] = stands
        return stands

    def _know_all(self, root: str) -> None:
        """Whole sets of a tree are read, and only its version and lines compared: what is remembered may be of a server that
        failed, where another one has come as far.
        """
        if root in self.remembered:
            self.store.lately.forget([root], ())
            raise Overtaken(f"reading {quoted(self.store.place)}", stands="nothing was applied", hint="try again",
                            why=f"all of {quoted(root)} has to be read")
        self.strict.add(root)

    def family(self, root: str) -> list[WorkflowRow]:
        """Every workflow of a tree in each of its runs, by id."""
        self._know_all(root)
        key = self.key(root, "t")
        rows = self.everything(key).items()
        found = [(*place_of(field[1:]), text) for field, text in rows if field[0] == "f" and "\0" in field]
        return [self._row(workflow_id, self._stands(workflow_id, run, text, key)) for workflow_id, run, text in sorted(found)]

    def below(self, workflow_id: str, run: int) -> list[WorkflowRow]:
        """A workflow and all its descendants, by id."""
        return [row for row in self.family(root_of(workflow_id)) if row.run <= run <= row.until
                and in_scope("all_tasks", workflow_id, row.id)]

    def some_tasks(self, workflow_id: str, run: int, nos: Sequence[int], *, compare: bool = True) -> list[TaskRow]:
        """Tasks of a workflow by position, those that there are."""
        stands = self._part(workflow_id, run)
        if stands is None or not nos:
            return []
        of, _, _, prepared, key = stands
        if len(nos) == 1:
            text = self.field(key, str(nos[0]), compare=compare)
            return [] if text is None else [self._task(workflow_id, of, nos[0], prepared, text)]
        found: list[TaskRow] = []
        for place in range(0, len(nos), PAGE):
            part = nos[place:place + PAGE]
            texts = self.fields(key, *map(str, part), compare=compare)
            found += [self._task(workflow_id, of, no, prepared, text) for no, text in zip(part, texts, strict=True)
                      if text is not None]
        return found

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """One task."""
        stands = self._part(workflow_id, run) if no >= 0 else None
        if stands is None:
            return None
        of, _, _, prepared, key = stands
        text = self.field(key, str(no))
        return None if text is None else self._task(workflow_id, of, no, prepared, text)

    def _task(self, workflow_id: str, run: int, no: int, prepared: Prepared, text: str) -> TaskRow:
        """A task that nobody else has."""
        known = self.rows.get((workflow_id, run, no))
        if known is not None and known[0] == text and known[2].view is None and not self.own:
            row: TaskRow = known[2]
            row.facts = prepared.facts[no]
            return row
        return task_of(text, workflow_id, run, no, prepared.facts)

    def tasks(self, workflow_id: str, run: int, after: int = -1, limit: int = 2**31) -> Iterable[TaskRow]:
        """The tasks of a workflow behind a position, by position."""
        stands = self._part(workflow_id, run)
        if stands is None:
            return []
        self._know_all(root_of(workflow_id))
        last = stands[1][14]
        return self.some_tasks(workflow_id, run, range(after + 1, min(last, after + 1 + limit)), compare=False)

    def payload(self, workflow_id: str, run: int, no: int, what: str) -> str | None:
        """A JSON text."""
        stands = self._part(workflow_id, run)
        if stands is None:
            return None
        key = f"{self.prefix(root_of(workflow_id))}v:{stands[0]}:{workflow_id}"
        if not self.write_too and stands[1][14] <= FEW:
            self.everything(key)
        return self.field(key, f"{no}:{what}")

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One outbox entry."""
        root = root_of(workflow_id)
        text = self.field(self.key(root, "w", f"{run}:{workflow_id}"), f"d{name}")
        fixed = self.field(self.key(root, "t"), row_field(workflow_id, run), compare=False)
        if text is None or fixed is None:
            return None
        found, columns = delivery_of(text, workflow_id, run, name), json.loads(fixed)
        self.columns[workflow_id, run] = columns
        found.hearing = hearing_of(self.store.prepared(columns[7]), found.topic, None)
        return found

    def outboxes(self, root: str) -> list[DeliveryRow]:
        """Every delivery of a tree, of each of its runs."""
        found: list[DeliveryRow] = []
        for row in self.family(root):
            rows = self.everything(self.key(root, "w", f"{row.run}:{row.id}"))
            found += [delivery_of(text, row.id, row.run, name[1:]) for name, text in rows.items() if name[0] == "d"]
        return found

    def tombstone(self, root: str) -> Tombstone | None:
        """What stays of a tree that was purged."""
        text = self.field(self.head(self.store.partition(root), "graves"), root)
        return None if text is None else Tombstone(*json.loads(text))

    # ---- what was done -----------------------------------------------------------------------------------------------------
    def history(self, root: str, workflow_id: str | None, run: int | None, after: int, limit: int) -> list[HistoryRecord]:
        """A tree's history behind `after`, in order; who only reads, and has read the tree, gets what led to what was read."""
        key, found, first = self.key(root, "h"), list[HistoryRecord](), after
        last = self.trees[root][4] if root in self.trees and not self.write_too else 2**62
        while len(found) < limit and first < last and (
                texts := self.link.call(key, "LRANGE", key, first, min(first + PAGE, last) - 1)):
            lines = (line_of(first + number, text) for number, text in enumerate(texts, 1))
            found += [line for line in lines if workflow_id in (None, line.workflow) and run in (None, line.run)]
            first += PAGE
        return found[:limit]

    def lines_of(self, root: str, command_id: str) -> list[HistoryRecord]:
        """What a command did, line by line."""
        return [line for line in self.history(root, None, None, 0, 2**62) if line.command_id == command_id]

    def recorded(self, root: str, command_id: str) -> Recorded | None:
        """What is kept of a command. Polls are on no tree: what is known of one may be in any partition."""
        places = [self.key(root, "c")] if root else [self.head(number, "c:") for number in range(self.store.partitions)]
        self.poll = "" if root else command_id
        texts = [text for place in places if (text := self.field(place, command_id)) is not None]
        found = [record_of(text) for text in texts]
        return next((each for each in found if each.outcome), found[0] if found else None)

    def late(self, workflow_id: str) -> list[LateRecord]:
        """The late results of a workflow."""
        found = [LateRecord(*json.loads(name), *json.loads(text))
                 for name, text in self.everything(self.key(root_of(workflow_id), "l")).items()]
        return sorted((each for each in found if each.workflow == workflow_id), key=lambda each: (each.at, each[1:5]))


def is_present(columns: Columns) -> bool:
    """Whether a workflow is part of its tree's present run."""
    return time_of(columns[2]) >= NEVER
