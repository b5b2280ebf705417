"""What can be read of a Redis store in a transaction: the rows of trees; and what was read of them, to be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kernel.core.archive import ArchivePolicy, Hearing
from kernel.core.extension import WHAT
from kernel.core.outbox import hearing_of
from kernel.core.plan import Subject, Tombstone
from kernel.core.records import DeliveryRow, Prepared, TaskRow, TreeRow, WorkflowRow, root_of
from kernel.core.working_set import in_scope
from kernel.engine.ports import HistoryRecord, LateRecord, Recorded
from kernel.engine.reading import damaged
from kernel.errors import quoted
from kernel.spec.language import NEVER
from kernel.stores.redis_rows import (
    Placed,
    delivery_of,
    field_of,
    line_of,
    place_of,
    record_of,
    task_of,
    time_of,
    workflow_of,
)

if TYPE_CHECKING:
    from kernel.stores.redis import RedisStore

WHOLE = 256
"""Tasks and deliveries of a workflow that are read together with it; of a larger one each is read when it is asked for."""
SMALL = 200
"""Tasks of a tree that who only reads gets as a whole, as it stood at one moment."""
FEW = 16
"""Tasks of a workflow whose payloads are read together by who only reads."""
PAGE = 1000


class RedisReader:
    """The reading half of a transaction, as far as trees go."""

    def __init__(self, store: RedisStore, *, write: bool) -> None:
        self.store, self.link, self.write_too = store, store.link, write
        self.held: dict[str, dict[str, str | None]] = {}
        """What is known of each hash, with what this transaction has done to it."""
        self.whole: set[str] = set()
        """The hashes of which everything is known."""
        self.seen: dict[str, dict[str, str | None]] = {}
        """What a decision has read, as it was: the commit compares it."""
        self.own: dict[str, set[str]] = {}
        """What this transaction has written: it reads its own."""
        self.strict: set[str] = set()
        """The trees of which whole sets were read: nothing of them may have happened meanwhile."""
        self.trees: dict[str, tuple[int, int, int, int, int]] = {}
        """Of each tree that was read: run, version, clock, tasks, lines of history."""
        self.original: dict[str, tuple[int, int, int, int, int]] = {}
        """The same, as the server gave it."""
        self.columns: dict[tuple[str, int], list[Any]] = {}
        self.counts: dict[tuple[str, int], list[int]] = {}
        self.read: dict[tuple[str, int], str] = {}
        """The counters of each workflow that was read, as they were."""
        self.looks = 0
        """How often the server was asked for rows."""
        self.absent: set[str] = set()
        """The trees that are not there."""
        self.taking: list[tuple[int, str]] = []
        """The entries of tasks that it is about to hand out, each with its partition, past which others look."""
        self.polled = False
        """Whether it looked for tasks to hand out, and found some."""

    def key(self, root: str, kind: str, rest: str | None = None) -> str:
        """The key of something of a tree."""
        return f"{self.store.prefixes[self.store.partition(root)]}{kind}:{root if rest is None else rest}"

    def head(self, partition: int, name: str) -> str:
        """A key of a partition."""
        return f"{self.store.prefixes[partition]}{name}"

    # ---- fields, remembered ----------------------------------------------------------------------------------------------
    def fields(self, key: str, *names: str, compare: bool = True) -> list[str | None]:
        """Fields of a hash; `compare`: the decision depends on them."""
        held = self.held.setdefault(key, {})
        missing = [] if key in self.whole else [name for name in names if name not in held]
        if missing:
            self.looks += 1
            held.update(zip(missing, self.link.call(key, "HMGET", key, *missing), strict=True))
        found = [held.get(name) for name in names]
        if compare:
            seen, own = self.seen.setdefault(key, {}), self.own.get(key, ())
            for name, value in zip(names, found, strict=True):
                if name not in own:
                    seen.setdefault(name, value)
        return found

    def everything(self, key: str) -> dict[str, str]:
        """All fields of a hash."""
        held = self.held.setdefault(key, {})
        if key not in self.whole:
            self.looks += 1
            flat = self.link.call(key, "HGETALL", key)
            for name, value in _pairs(flat):
                held.setdefault(name, value)
            self.whole.add(key)
        return {name: value for name, value in held.items() if value is not None}

    # ---- rows ------------------------------------------------------------------------------------------------------------
    def read_ahead(self, subject: Subject) -> TreeRow | None:
        """Read the tree, the workflow and its tasks in one look; who asks for these rows gets them."""
        root = root_of(subject.workflow)
        if root in self.trees or root in self.absent or not root:
            return None if root in self.absent or not root else self.tree(root)
        prefix = self.store.prefixes[self.store.partition(root)]
        self.looks += 1
        found = self.link.run("load", prefix, root, subject.workflow, "" if subject.no is None else subject.no, WHOLE,
                              keys=[f"{prefix}{kind}:{root}" for kind in "tfnh"])
        if len(found) < 2:
            self.absent.add(root)
            self.held.setdefault(f"{prefix}graves", {})[root] = found[0]
            self.whole |= {f"{prefix}{kind}:{root}" for kind in "tfn"}
            return None
        run, version, clock, tasks, lines = map(int, found[:5])
        self.trees[root] = self.original[root] = run, version, clock, tasks, lines
        if len(found) > 5:
            kept, fixed, counts, whole, flat = found[5:10]
            place, rows = field_of(subject.workflow, int(kept)), f"{prefix}w:{kept}:{subject.workflow}"
            family = self.held.setdefault(f"{prefix}f:{root}", {})
            family.update({field_of(subject.workflow, each): None for each in range(int(kept) + 1, run + 1)})
            family[place] = fixed
            self.held.setdefault(f"{prefix}n:{root}", {})[place] = counts
            self.held.setdefault(rows, {}).update(_pairs(flat))
            if whole:
                self.whole.add(rows)
        return TreeRow(root, run, version, clock, tasks)

    def tree(self, root: str) -> TreeRow | None:
        """A tree."""
        if root in self.absent:
            return None
        if root not in self.trees:
            prefix = self.store.prefixes[self.store.partition(root)]
            self.looks += 1
            counted, *rows = self.link.run("tree", prefix, root, 0 if self.write_too else SMALL,
                                            keys=[f"{prefix}{kind}:{root}" for kind in "tfnh"])
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
        found = {f"{prefix}f:{root}": rows, f"{prefix}n:{root}": counts}
        for place, flat in zip(owned[::2], owned[1::2], strict=True):
            workflow_id, run = place_of(place)
            found[f"{prefix}w:{run}:{workflow_id}"] = flat
        for key, flat in found.items():
            held = self.held.setdefault(key, {})
            for name, value in _pairs(flat):
                held.setdefault(name, value)
            self.whole.add(key)

    def _workflow(self, workflow_id: str, run: int, text: str) -> WorkflowRow:
        root = root_of(workflow_id)
        place = field_of(workflow_id, run)
        (counts,) = self.fields(self.key(root, "n"), place, compare=False)
        if counts is None:
            raise damaged(f"workflow {quoted(workflow_id)}", "its counters are gone")
        columns = json.loads(text)
        row = workflow_of(workflow_id, run, columns, counts, self.definition_of(workflow_id, run, columns))
        self.columns[workflow_id, run], self.counts[workflow_id, run] = columns, row.counts[:]
        self.read.setdefault((workflow_id, run), counts)
        return row

    def definition_of(self, workflow_id: str, run: int, columns: list[Any]) -> Prepared:
        """The definition of a workflow, with the tasks that it has beyond it."""
        base, extension = self.store.prepared(columns[7]), columns[15]
        if not extension:
            return base
        payloads = self.key(root_of(workflow_id), "v", f"{run}:{workflow_id}")
        return self.store.extend(base, extension, lambda: [
            (int(name.partition(":")[0]), text) for name, text in self.everything(payloads).items()
            if name.endswith(f":{WHAT}")])

    def placed(self, workflow_id: str, run: int) -> Placed:
        """What the store knows of a workflow that was read or made."""
        columns = self.columns[workflow_id, run]
        return Placed(columns[13], columns[7], columns[14])

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run, in which it may be kept from an earlier one."""
        if run < 1:
            return None
        root = root_of(workflow_id)
        if self.write_too:
            self.read_ahead(Subject(workflow_id))
        else:
            self.tree(root)  # all of it at once, unless it is large
        key = self.key(root, "f")
        for of, text in zip(range(run, 0, -1), self.fields(
                key, *(field_of(workflow_id, of) for of in range(run, 0, -1))), strict=True):
            if text is not None:
                row = self._workflow(workflow_id, of, text)
                return row if row.until >= run else None
        return None

    def family(self, root: str) -> list[WorkflowRow]:
        """Every workflow of a tree in each of its runs, by id."""
        self.strict.add(root)
        self.everything(self.key(root, "n"))
        found = [(*place_of(field), text) for field, text in self.everything(self.key(root, "f")).items()]
        return [self._workflow(workflow_id, run, text) for workflow_id, run, text in sorted(found)]

    def below(self, workflow_id: str, run: int) -> list[WorkflowRow]:
        """A workflow and all its descendants, by id."""
        return [row for row in self.family(root_of(workflow_id)) if row.run <= run <= row.until
                and in_scope("all_tasks", workflow_id, row.id)]

    def _own(self, workflow_id: str, run: int) -> tuple[str, WorkflowRow] | None:
        """The hash of a workflow's tasks, and its row."""
        row = self.workflow(workflow_id, run)
        return None if row is None else (self.key(root_of(workflow_id), "w", f"{row.run}:{workflow_id}"), row)

    def some_tasks(self, workflow_id: str, run: int, nos: Sequence[int], *, compare: bool = True) -> list[TaskRow]:
        """Tasks of a workflow by position, those that there are."""
        own = self._own(workflow_id, run)
        if own is None or not nos:
            return []
        key, row = own
        found: list[TaskRow] = []
        for place in range(0, len(nos), PAGE):
            part = nos[place:place + PAGE]
            texts = self.fields(key, *map(str, part), compare=compare)
            found += [task_of(text, workflow_id, row.run, no, row.prepared.facts)
                      for no, text in zip(part, texts, strict=True) if text is not None]
        return found

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """One task."""
        rows = self.some_tasks(workflow_id, run, [no]) if no >= 0 else []
        return rows[0] if rows else None

    def tasks(self, workflow_id: str, run: int, after: int = -1, limit: int = 2**31) -> Iterable[TaskRow]:
        """The tasks of a workflow behind a position, by position."""
        own = self._own(workflow_id, run)
        if own is None:
            return []
        self.strict.add(root_of(workflow_id))
        last = self.placed(workflow_id, own[1].run).tasks
        return self.some_tasks(workflow_id, run, range(after + 1, min(last, after + 1 + limit)), compare=False)

    def payload(self, workflow_id: str, run: int, no: int, what: str) -> str | None:
        """A JSON text."""
        row = self.workflow(workflow_id, run)
        if row is None:
            return None
        key = self.key(root_of(workflow_id), "v", f"{row.run}:{workflow_id}")
        if not self.write_too and self.placed(workflow_id, row.run).tasks <= FEW:
            self.everything(key)
        return self.fields(key, f"{no}:{what}")[0]

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One outbox entry."""
        root = root_of(workflow_id)
        (text,) = self.fields(self.key(root, "w", f"{run}:{workflow_id}"), f"d{name}")
        (fixed,) = self.fields(self.key(root, "f"), field_of(workflow_id, run), compare=False)
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
        (text,) = self.fields(self.head(self.store.partition(root), "graves"), root)
        return None if text is None else Tombstone(*json.loads(text))

    # ---- what was done -----------------------------------------------------------------------------------------------------
    def history(self, root: str, workflow_id: str | None, run: int | None, after: int, limit: int) -> list[HistoryRecord]:
        """A tree's history behind `after`, in order."""
        key, found, first = self.key(root, "h"), list[HistoryRecord](), after
        while len(found) < limit and (texts := self.link.call(key, "LRANGE", key, first, first + PAGE - 1)):
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
        texts = [text for place in places if (text := self.fields(place, command_id)[0]) is not None]
        found = [record_of(text) for text in texts]
        return next((each for each in found if each.outcome), found[0] if found else None)

    def late(self, workflow_id: str) -> list[LateRecord]:
        """The late results of a workflow."""
        found = [LateRecord(*json.loads(name), *json.loads(text))
                 for name, text in self.everything(self.key(root_of(workflow_id), "l")).items()]
        return sorted((each for each in found if each.workflow == workflow_id), key=lambda each: (each.at, each[1:5]))

    # ---- what holds for every tree -----------------------------------------------------------------------------------------
    def policies(self, partition: int) -> list[tuple[int, str]]:
        """The archive policies of the store as a partition has them, each with the time from which it is in force."""
        (text,) = self.fields(self.head(partition, "head"), "policies")
        return [(int(since), content) for since, content in json.loads(text or "[]")]

    def archiving(self, root: str, now: int) -> Hearing | None:
        """What the store itself says of archives at this time."""
        past = [content for since, content in self.policies(self.store.partition(root)) if since <= now]
        return self.store.hearing(past[-1])[1] if past else None

    def archive_policies(self) -> list[tuple[int, ArchivePolicy | None]]:
        """The store's own archive policies, each with the time from which it is in force."""
        return [(since, self.store.hearing(content)[0]) for since, content in self.policies(0)]

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition; the latest one when no version is asked for."""
        if version is None:
            versions = self.names().get(name)
            return None if versions is None else self.definition(name, versions[-1])
        (number,) = self.fields(self.head(0, "names"), field_of(name, version), compare=False)
        return None if number is None else self.store.prepared(int(number))

    def names(self) -> dict[str, tuple[int, ...]]:
        """The registered definitions: name and versions."""
        found: dict[str, tuple[int, ...]] = {}
        for name, version in sorted(place_of(field) for field in self.everything(self.head(0, "names"))):
            found[name] = (*found.get(name, ()), version)
        return found


def is_present(columns: list[Any]) -> bool:
    """Whether a workflow is part of its tree's present run."""
    return time_of(columns[2]) >= NEVER


def _pairs(flat: list[str]) -> Iterable[tuple[str, str]]:
    return zip(flat[::2], flat[1::2], strict=True)
