"""Work that waits in a Redis store, and what there is by name: what goes over all trees, partition by partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from kernel.core.plan import Subject
from kernel.core.records import DeliveryRow, WorkflowRow, root_of
from kernel.engine.outcomes import LIFE
from kernel.engine.ports import Timer, Violation, Waiting
from kernel.errors import StoreFull, StoreReadOnly
from kernel.spec.vocabulary import ENDED, KINDS, UNSETTLED
from kernel.stores.redis_audit import violations
from kernel.stores.redis_held import NOTHING, pairs
from kernel.stores.redis_reader import PAGE, RedisReader
from kernel.stores.redis_rows import STATES, TEXTS, counts_field, delivery_at, delivery_of, delivery_place, place_of, row_field

WORKFLOW_STATES = tuple(state for state in KINDS["workflow"].states if state in STATES["workflow"])
DELIVERY_STATES = tuple(state for state in KINDS["delivery"].states if state in STATES["delivery"])
HOLD = 300
"""Milliseconds for which others look past what somebody is about to take: longer than a commit takes."""
Due = list[tuple[str, str, int, str, int]]
"""What waits: the command, the workflow, its run, the task or topic, and since when."""


class RedisWork(RedisReader):
    """The reading half of a transaction, over all trees."""

    __slots__ = ()

    def _ask(self, partition: int, name: str, now: int, limit: int, *, sweep: bool = True, hold: Sequence[int] = ()
             ) -> list[list[Any]]:
        """What waits in a sorted set, the earliest first. Entries that say nothing any more are removed, where that may be.

        Without `sweep`, notices are among them that have to wait for others.
        """
        prefix, asked = self.store.prefixes[partition], (name, now, limit)
        try:
            while sweep:
                more, found = self.link.run("due", prefix, *asked, "1", *hold, reading=False)
                if not more or len(found) >= limit:
                    return list(found)
        except (StoreFull, StoreReadOnly):  # then they stay
            pass
        return list(self.link.run("due", prefix, *asked, "stay" if sweep else "all", reading=True)[1])

    def _ask_each(self, name: str, now: int, limit: int, hold: Sequence[int] = ()) -> dict[int, list[list[Any]]]:
        """The same of every partition, asked together."""
        prefixes, told = self.store.prefixes, list[Any]()
        if len(prefixes) > 1:
            told = self.link.together("due", [(prefix, name, now, limit, "1", *hold) for prefix in prefixes])
        return {number: answer[1] if answer and (not answer[0] or len(answer[1]) >= limit) else
                self._ask(number, name, now, limit, hold=hold) for number, answer in enumerate(told or [None])}

    def _due(self, partition: int, name: str, now: int, limit: int, *, sweep: bool = True) -> Due:
        """The same, read."""
        return _read(self._ask(partition, name, now, limit, sweep=sweep))

    def _due_anywhere(self, name: str, now: int, limit: int) -> Due:
        """The same of all partitions."""
        return [each for found in self._ask_each(name, now, limit).values() for each in _read(found)]

    def pollable(self, type: str, now: int, limit: int) -> list[Subject]:
        """Tasks of a type that could be handed out, those due first first; all of one partition, so that one commit takes them.

        Where many poll together, each looks past what another is about to take: a hint, which the commit does not rely on.
        """
        if limit == 1 and (known := self._first(type, now)) is not None:
            return [known]
        hold = (HOLD if self.store.lately.is_crowded(type) else 0,) if self.write_too else ()
        asked = self._ask_each(f"q:{type}", now, limit, hold)
        chosen = min((number for number, each in asked.items() if each), key=lambda number: int(asked[number][0][4]), default=0)
        if self.poll and len(asked) > 1 and asked[chosen]:
            chosen = self._reserved(chosen)
        if any(hold):
            self.taking = [(number, each[15]) for number, found in asked.items() for each in found]
            self.let_go(number for number in asked if number != chosen)
            self.taking = [each for each in self.taking if each[0] == chosen]
        self.polled = type if asked[chosen] else ""
        return [self._look(each) for each in asked[chosen]]

    def _first(self, type: str, now: int) -> Subject | None:
        """The first task of a type, where it is remembered and due: whether it is the first, the commit compares."""
        if self.looks or not self.write_too or self.store.partitions > 1:
            return None
        waits = self.store.lately.first(type, now)
        if waits is None:
            return None
        _, member, workflow, run, no = waits
        prefix, root, subject = self.store.prefixes[0], root_of(workflow), Subject(workflow, no)
        left = self.store.lately.known(root)
        if left is None:
            return None
        row = left.held[f"{prefix}t:{root}"].get(row_field(workflow, run)) or ""
        task = left.held.get(f"{prefix}w:{TEXTS[run]}:{workflow}", NOTHING).get(str(no)) or ""
        if not (row.startswith('["RUNNING"') and task.startswith("SCHEDULED|")):
            return None  # another thread was faster than the one that told of it
        if self._recall(prefix, root, subject) is None:
            return None
        self.polled, self.first = type, (f"{prefix}q:{type}", member)
        return subject

    def _reserved(self, chosen: int) -> int:
        """The partition that a poll of this id takes tasks of, the one that was chosen first: who gives it twice at once is not
        handed tasks of two, since each commit is compared with those of one.
        """
        key = self.key(self.poll, "p")
        return int(self.link.call(key, "SET", key, chosen, "NX", "GET", "PX", LIFE // 1000) or chosen)

    def let_go(self, partitions: Iterable[int]) -> None:
        """Let others see again what this transaction was about to take."""
        for partition in partitions:
            names = [name for number, name in self.taking if number == partition]
            if names:
                self.link.call(self.head(partition, "r"), "ZREM", self.head(partition, "r"), *names)

    def _look(self, found: Sequence[Any]) -> Subject:
        """Take in the rows of a task that is about to be handed out."""
        _, workflow, run, no, _, *rows = found
        root = root_of(workflow)
        if root not in self.trees:
            self.trees[root] = self.original[root] = tuple(map(int, rows[:5]))  # type: ignore[assignment]
        prefix, own, number = self.store.prefixes[self.store.partition(root)], f"{run}:{workflow}", int(run)
        tree, tasks = self.held.setdefault(f"{prefix}t:{root}", {}), self.held.setdefault(f"{prefix}w:{own}", {})
        tree.setdefault(row_field(workflow, number), rows[5])
        tree.setdefault(counts_field(workflow, number), rows[6])
        for field, text in pairs(rows[8]):
            tasks.setdefault(field, text)
        self.held.setdefault(f"{prefix}v:{own}", {}).setdefault(f"{no}:input", rows[9])
        if rows[7]:
            self.whole.add(f"{prefix}w:{own}")
        return Subject(workflow, int(no))

    def claimable(self, topics: Iterable[str], now: int, limit: int) -> list[Subject]:
        """Deliveries of these topics that are due, those due first first."""
        found = [each for topic in sorted(set(topics)) for each in self._due_anywhere(f"o:{topic}", now, limit)]
        found.sort(key=itemgetter(4))
        return [Subject(workflow, topic=topic, run=run) for _, workflow, run, topic, _ in found[:limit]]

    def timers(self, now: int, limit: int) -> list[Timer]:
        """What the clock has to do, earliest first."""
        found = self._due_anywhere("z", now, limit)
        found.sort(key=itemgetter(4))
        return [_timer(*each[:4]) for each in found[:limit]]

    def backlog(self, now: int) -> Waiting:
        """What waits."""
        timers: set[Timer] = set()
        states: dict[str, int] = dict.fromkeys(DELIVERY_STATES, 0)
        due: list[int] = []
        for number in range(self.store.partitions):
            timers |= {_timer(*each[:4]) for each in self._due(number, "z", now, 2**31, sweep=False)}
            for state in states:
                key = self.head(number, f"x:{state}")
                states[state] += self.link.call(key, "ZCARD", key)
            topics = self.head(number, "topics")
            for topic in self.link.call(topics, "ZRANGE", topics, 0, -1):
                due += [each[4] for each in self._due(number, f"o:{topic}", now, 2**31, sweep=False)]
        tasks = {timer.subject for timer in timers if timer.subject.no is not None}
        others = sum(1 for timer in timers if timer.subject.no is None)
        return Waiting(len(tasks) + others, len(due), states["PENDING"], states["LEASED"], states["DEAD"],
                       min(due, default=None))

    # ---- by name ---------------------------------------------------------------------------------------------------------
    def _names(self, kind: str, states: Iterable[str], low: str, high: str, limit: int) -> list[tuple[str, str]]:
        """The members of these indexes between two bounds, in order, each with its state."""
        found: list[tuple[str, str]] = []
        for number in range(self.store.partitions):
            for state in states:
                key = self.head(number, f"{kind}:{state}")
                found += [(name, state) for name in self.link.call(key, "ZRANGEBYLEX", key, low, high, "LIMIT", 0, limit)]
        return sorted(found)[:limit]

    def find(self, state: str | None, name: str | None, after: str, limit: int) -> list[WorkflowRow]:
        """Workflows of their tree's present run, by id."""
        found: list[WorkflowRow] = []
        states, low = WORKFLOW_STATES if state is None else (state,), _behind(after)
        while len(found) < limit:
            part = self._names("i", states, low, "+", min(limit, PAGE))
            for place, stands in part:
                row = self.workflow(*place_of(place))
                if row is not None and row.state == stands and name in (None, row.prepared.definition.source.name):
                    found.append(row)
            if len(part) < min(limit, PAGE):
                break
            low = f"({part[-1][0]}"
        return found[:limit]

    def workflows_of(self, root: str) -> int:
        """How many workflows a tree has in its present run. Whoever adds some compares how many tasks it has."""
        prefix = self.prefix(root)
        return int(self.link.run("workflows", prefix, root, *WORKFLOW_STATES,
                                 keys=[f"{prefix}i:{state}" for state in WORKFLOW_STATES]))

    def roots(self, after: str, limit: int) -> list[str]:
        """The ids of the trees, behind the id `after`."""
        found: list[str] = []
        for number in range(self.store.partitions):
            key = self.head(number, "trees")
            found += self.link.call(key, "ZRANGEBYLEX", key, f"({after}" if after else "-", "+", "LIMIT", 0, limit)
        return sorted(found)[:limit]

    def purgeable(self, before: int, after: str, limit: int) -> list[str]:
        """The ids of roots that ended at this time or earlier, behind the id `after`."""
        found: list[str] = []
        low = _behind(after)
        while len(found) < limit and (part := self._names("i", sorted(ENDED), low, "+", PAGE)):
            low = f"({part[-1][0]}"
            names = [place_of(place) for place, _ in part]
            rows = [self.workflow(name, run) for name, run in names if root_of(name) == name]
            found += [row.id for row in rows if row is not None and row.state in ENDED and row.changed <= before]
        return found[:limit]

    def deliveries(self, state: str | None, workflow_id: str | None, after: tuple[str, int, str], limit: int
                   ) -> list[DeliveryRow]:
        """Outbox entries by (workflow, run, name); those of a topic by version."""
        states, behind = DELIVERY_STATES if state is None else (state,), delivery_place(*after)
        low, high = f"({behind}", "+"
        if workflow_id is not None:
            low, high = (low if behind > f"{workflow_id}\0" else f"[{workflow_id}\0"), f"({workflow_id}\1"
        found = []
        for place, _ in self._names("x", states, low, high, limit):
            owner, run, name = delivery_at(place)
            (text,) = self.fields(self.key(root_of(owner), "w", f"{run}:{owner}"), f"d{name}")
            if text is not None:
                found.append(delivery_of(text, owner, run, name))
        return found

    def earlier(self, row: DeliveryRow) -> list[DeliveryRow]:
        """The open notices of the same workflow that come before a notice."""
        self.strict.add(root_of(row.workflow))
        return [other for state in sorted(UNSETTLED) for other in self.deliveries(state, row.workflow, ("", 0, ""), 2**31)
                if other.topic == row.topic and other.turn < row.turn]

    def has_records(self, before: int) -> bool:
        """Whether a command is recorded that is as old as that, or older."""
        keys = [self.head(number, "ct") for number in range(self.store.partitions)]
        return any(self.link.call(key, "ZRANGEBYSCORE", key, "-inf", before, "LIMIT", 0, 1) for key in keys)

    def sizes(self) -> tuple[int, int, int]:
        """How many workflows, tasks and deliveries there are."""
        names = ("workflows", "tasks", "deliveries")
        parts = [self.fields(self.head(number, "head"), *names, compare=False) for number in range(self.store.partitions)]
        workflows, tasks, deliveries = (sum(int(count or 0) for count in column) for column in zip(*parts, strict=True))
        return workflows, tasks, deliveries

    def violations(self) -> Iterable[Violation]:
        """Every row that breaks a state invariant, tree by tree."""
        return violations(self)


def _read(found: Iterable[list[Any]]) -> Due:
    return [(command, workflow, int(run), rest, int(due)) for command, workflow, run, rest, due, *_ in found]


def _behind(workflow_id: str) -> str:
    """Where the names of workflows begin that come behind this id."""
    return f"({workflow_id}\0\u00ff" if workflow_id else "-"


def _timer(command: str, workflow: str, run: int, rest: str) -> Timer:
    if command == "TIME_OUT":
        return Timer(command, Subject(workflow))
    if command == "RELEASE":
        return Timer(command, Subject(workflow, topic=rest, run=run))
    return Timer(command, Subject(workflow, int(rest)))
