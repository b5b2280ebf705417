"""What a process knows of a Redis store from its latest commits: a next decision may begin with it, and need not ask first.

It may be of yesterday. That harms nobody, since a commit compares all that its decision read, from here or from the server; and
who decides on it and writes nothing has it compared, too. Where it was wrong it is forgotten, and the next try asks. So does
who has to know all of a tree.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any, NamedTuple

MOST_TREES = 500
"""Trees that are remembered: those of the latest commits."""
MOST_FIELDS = 64
"""Fields of a tree that are remembered; a larger one is read when it is asked for."""
MOST_WAITING = 500
"""Tasks of a type that are remembered to wait for workers, and types of which some are."""
CROWD = 100
"""For how many polls after one that was overtaken the server is asked, and tasks are held for who is about to take them."""
Counted = tuple[int, int, int, int, int]
"""Of a tree: run, version, clock, tasks, lines of history."""
Rows = dict[tuple[Any, ...], tuple[Any, ...]]
"""Rows, each behind the texts that it stands in: of a task, by workflow, run and position, its text and where it
is looked for; of a workflow, by id and run, its text, its counters and its columns.
"""
Names = dict[str, dict[int, int]]
"""The number of each definition, by name and version."""


UNSURE = -1
"""Lines of history that no tree has: a decision that must know all of one is overtaken, and the next try asks."""


class Left(NamedTuple):
    """A tree as a commit left it, as far as it was read or written."""

    counted: Counted
    held: dict[str, dict[str, str | None]]
    """Fields of hashes, by key; None for one that is not there."""
    whole: frozenset[str]
    """The hashes of which everything is known."""
    lines: int
    """How long its history was then."""
    rows: dict[str, Rows]
    """Its rows, by its root, for the first who takes them: a decision changes them. They count while the texts are these."""


class Waits(NamedTuple):
    """A task that waits for a worker."""

    due: int
    member: str
    """What its entry in the queue of its type is called; of those due together the first is the first of these."""
    workflow: str
    run: int
    no: int


class Queue:
    """The tasks of a type that this process left in its queue."""

    __slots__ = ("order", "there")

    def __init__(self) -> None:
        self.order: list[Waits] = []
        """A heap, also of some that are there no longer."""
        self.there: dict[str, Waits] = {}

    def first(self, now: int) -> Waits | None:
        """The first one that is due: once, since it is about to be taken."""
        while self.order and self.order[0] is not self.there.get(self.order[0].member):
            heappop(self.order)
        return self.there.pop(heappop(self.order).member) if self.order and self.order[0].due <= now else None


class Lately:
    """What is remembered. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trees: dict[str, Left] = {}
        self._there: set[str] = set()
        self._queues: dict[str, Queue] = {}
        self._crowds: dict[str, int] = {}
        self.registered: tuple[str, Names] = "", {}
        """The definitions that are registered, and by what the store knows them from all others that it may have had."""
        self.policies: dict[str, str | None] = {}
        """The archive policies of the store, by the key that has them."""

    def keep(self, root: str, left: Left, began: int, sure: Callable[[str], Iterable[str]]) -> None:
        """Remember a tree, unless it is large. `began` is how long its history was when it was read; `sure` are the fields of
        which it is known that nobody else wrote them since.
        """
        with self._lock:
            known = self._trees.pop(root, None)
            if left.counted[4] == UNSURE or (known is not None and known.lines > began):
                left = _joined(known or Left(left.counted, {}, frozenset(), 0, {}), left, sure)
            if sum(map(len, left.held.values())) > MOST_FIELDS:
                return
            if len(self._trees) >= MOST_TREES:
                del self._trees[next(iter(self._trees))]
            self._trees[root] = left

    def known(self, root: str) -> Left | None:
        """A tree that is remembered, not to be changed."""
        return self._trees.get(root)

    def is_new(self, root: str) -> bool:
        """Whether nothing says that there is such a tree."""
        with self._lock:
            known = root in self._there
            self._there.discard(root)
            return not known and root not in self._trees

    def forget(self, roots: Iterable[str], guessed: Iterable[str]) -> None:
        """Something was not as it was remembered of these trees; `guessed` are those that were taken for new."""
        with self._lock:
            for root in roots:
                self._trees.pop(root, None)
            self._there |= set(guessed)
            self.registered, self.policies = ("", {}), {}

    # ---- what waits for workers ------------------------------------------------------------------------------------------
    def queue(self, changes: Iterable[tuple[str, str, Waits | None]]) -> None:
        """What a commit left in queues, and what it took out: type, entry, and the task or nothing."""
        with self._lock:
            for type, member, waits in changes:
                queue = self._queues.get(type)
                if waits is None:
                    if queue is not None:
                        queue.there.pop(member, None)
                    continue
                if type in self._crowds:
                    continue
                if queue is None:
                    if len(self._queues) >= MOST_WAITING:
                        del self._queues[next(iter(self._queues))]
                    queue = self._queues[type] = Queue()
                if len(queue.order) < MOST_WAITING:
                    queue.there[member] = waits
                    heappush(queue.order, waits)

    def first(self, type: str, now: int) -> Waits | None:
        """The first task of a type that is due, of those that this process knows of; none where others were faster."""
        with self._lock:
            queue = self._queues.get(type)
            return None if queue is None or type in self._crowds else queue.first(now)

    def is_crowded(self, type: str) -> bool:
        """Whether others poll for tasks of a type at the same time."""
        return type in self._crowds

    def polled(self, type: str, *, overtaken: bool) -> None:
        """Tasks of a type were taken, or (`overtaken`) others took them."""
        if overtaken or type in self._crowds:
            with self._lock:
                left = CROWD if overtaken else self._crowds.pop(type, 0) - 1
                if left > 0:
                    self._crowds[type] = left
                    self._queues.pop(type, None)


def _joined(known: Left, left: Left, sure: Callable[[str], Iterable[str]]) -> Left:
    """What two commits left of a tree, neither of which knew of the other; the later one has the counters."""
    last, held = max(known, left, key=lambda each: each.lines), dict[str, dict[str, str | None]]()
    for key in {**known.held, **left.held}:
        fields, counters = left.held.get(key, {}), last.held.get(key, {})
        held[key] = {**known.held.get(key, {}), **{name: fields[name] for name in sure(key) if name in fields},
                     **{name: text for name, text in counters.items() if name[0] == "n"}}
    run, version, clock, tasks, _ = last.counted
    return Left((run, version, clock, tasks, UNSURE), held, known.whole, last.lines, left.rows)
