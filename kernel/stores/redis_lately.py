"""What a process knows of a Redis store from its latest commits: a next decision may begin with it, and need not ask first.

It may be of yesterday. That harms nobody, since a commit compares all that its decision read, from here or from the server; and
who decides on it and writes nothing has it compared, too. Where it was wrong it is forgotten, and the next try asks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

MOST_TREES = 500
"""Trees that are remembered: those of the latest commits."""
MOST_FIELDS = 64
"""Fields of a tree that are remembered; a larger one is read when it is asked for."""
Counted = tuple[int, int, int, int, int]
"""Of a tree: run, version, clock, tasks, lines of history."""
Names = dict[str, dict[int, int]]
"""The number of each definition, by name and version."""


class Left(NamedTuple):
    """A tree as a commit left it, as far as it was read or written."""

    counted: Counted
    held: dict[str, dict[str, str | None]]
    """Fields of hashes, by key; None for one that is not there."""
    whole: frozenset[str]
    """The hashes of which everything is known."""


class Lately:
    """What is remembered. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trees: dict[str, Left] = {}
        self._there: set[str] = set()
        self.names: Names = {}
        """The definitions that are registered."""
        self.policies: dict[str, str | None] = {}
        """The archive policies of the store, by the key that has them."""

    def keep(self, root: str, left: Left | None) -> None:
        """Remember a tree, unless it is large, or unknown; not what it was before."""
        if left is None or sum(map(len, left.held.values())) > MOST_FIELDS:
            self.take(root)
            return
        with self._lock:
            if len(self._trees) >= MOST_TREES and root not in self._trees:
                del self._trees[next(iter(self._trees))]
            self._trees[root] = left

    def take(self, root: str) -> Left | None:
        """A tree that is remembered: once, since who takes it is about to change it."""
        with self._lock:
            return self._trees.pop(root, None)

    def is_new(self, root: str) -> bool:
        """Whether nothing says that there is such a tree."""
        with self._lock:
            known = root in self._there
            self._there.discard(root)
            return not known and root not in self._trees

    def forget(self, guessed: Iterable[str]) -> None:
        """Something was not as it was remembered; `guessed` are trees that were taken for new."""
        with self._lock:
            self._there |= set(guessed)
            self.names, self.policies = {}, {}
