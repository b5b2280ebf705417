"""What a process knows of a PostgreSQL store from its latest commits: a next decision may begin with it, and need not ask.

It may be of yesterday, or of a server that failed with it. That harms nobody: the commit of who decided on it fails where the
history of the tree ends with another line by now, or where definitions or policies are others; and who would write nothing
looks again. Then it is forgotten.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from attrs import define

from kernel.core.records import TaskRow, TreeRow, WorkflowRow

MOST_TREES = 500
"""Trees that are remembered: those of the latest commits."""
MOST_ROWS = 32
"""Rows of a tree that are remembered; of a larger one nothing is."""


CROWD = 100
"""For how many polls after one that was wrong the first task of a type is asked for."""


class Left(NamedTuple):
    """A tree as a commit left it, as far as it was read or written: rows of its present run, which nobody else has."""

    line: int
    """How many lines of history it has."""
    command: str
    """The command that the last of them is of."""
    tree: TreeRow
    workflows: dict[str, tuple[int, WorkflowRow]]
    """By id, each with its number."""
    tasks: dict[tuple[str, int], TaskRow]

    def ready(self) -> dict[str, TaskRow]:
        """Of each type the first task that workers may be handed, with nothing to be made out for it."""
        found: dict[str, TaskRow] = {}
        for task in self.tasks.values():
            if task.state == "SCHEDULED" and task.facts.mode == "WORKER" and not task.facts.judged:
                known = found.setdefault(task.facts.type, task)
                if (task.not_before, task.no) < (known.not_before, known.no):
                    found[task.facts.type] = task
        return found


@define(eq=False)
class Standing:
    """What is so as long as the store's stamp is this one: every new definition, policy and migration changes it."""

    stamp: str
    names: dict[tuple[str, int | None], int]
    """The number of a definition by name and version, of the latest one by None: those that were asked for."""
    policies: list[Any] | None = None
    """The archive policies of the store, once they were asked for."""


class Lately:
    """What is remembered. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trees: dict[str, Left] = {}
        self._doubted: dict[str, None] = {}
        self._shared: dict[str, None] = {}
        self._ready: dict[str, dict[str, int]] = {}
        """By type the trees that may have a task for workers, in order, and its position."""
        self._crowds: dict[str, int] = {}
        self.standing: Standing | None = None
        """None before anything was written."""
        self.numbers = deque[int]()
        """Numbers of workflows that are not there yet, in order; nobody else has them."""

    def at(self, stamp: str) -> Standing:
        """What is known under a stamp that the server told."""
        standing = self.standing
        if standing is None or standing.stamp != stamp:
            standing = self.standing = Standing(stamp, {})
        return standing

    def keep(self, root: str, left: Left) -> None:
        """Remember a tree."""
        with self._lock:
            _put(self._trees, root, left)
            for type, task in left.ready().items():
                ready = self._ready.setdefault(type, {})
                if task.workflow == root and ready.get(root) != task.no:
                    _put(ready, root, task.no)

    def first(self, type: str) -> tuple[str, int] | None:
        """The first task of a type that is remembered, by its workflow and position: once. None where others were faster."""
        with self._lock:
            ready, crowd = self._ready.get(type), self._crowds.get(type, 0)
            if crowd:
                self._crowds[type] = crowd - 1
            while ready and not crowd:
                root = next(iter(ready))
                no = ready.pop(root)
                if root in self._trees:
                    return root, no
            return None

    def crowd(self, type: str) -> None:
        """The first task of a type was another one."""
        with self._lock:
            self._crowds[type] = CROWD

    def take(self, root: str) -> Left | None:
        """A tree that is remembered: once, since who takes it is about to change it."""
        with self._lock:
            return self._trees.pop(root, None)

    def is_new(self, root: str) -> bool:
        """Whether nothing says that there is such a tree. Who doubted it looks once."""
        with self._lock:
            doubted = root in self._doubted
            self._doubted.pop(root, None)
            return not doubted and root not in self._trees

    def is_shared(self, root: str) -> bool:
        """Whether other processes work on a tree, too: then nothing of it is remembered."""
        return root in self._shared

    def forget(self, root: str, *, shared: bool) -> None:
        """Something was not as it was remembered; `shared`: others have written to the tree."""
        with self._lock:
            self._trees.pop(root, None)
            _put(self._doubted, root, None)
            if shared:
                _put(self._shared, root, None)

    def draw(self, count: int) -> list[int]:
        """So many numbers of workflows; none when there are not as many."""
        with self._lock:
            return [self.numbers.popleft() for _ in range(count)] if len(self.numbers) >= count else []

    def give(self, numbers: Iterable[int]) -> None:
        """More numbers."""
        with self._lock:
            self.numbers.extend(numbers)

    def redraw(self) -> None:
        """A number was used: they may be of a server that failed, and the one in its place gives them again."""
        with self._lock:
            self.numbers.clear()


def _put(kept: dict[str, Any], root: str, value: Any) -> None:
    """The latest only, in order."""
    kept.pop(root, None)
    if len(kept) >= MOST_TREES:
        del kept[next(iter(kept))]
    kept[root] = value
