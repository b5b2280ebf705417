"""What one run of the script writes, gathered plan by plan, in the words of the scripts in lua/.

Most commits write only rows that were read, or are new: then all is known here, and `commit.lua` is told it as the commands
that it gives. Where rows are reached that nobody read, `cascade.lua` is told operations, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kernel.core.plan import Plan
from kernel.stores.redis_rows import TEXTS

MOST = 4000
"""Arguments of one command, an even number."""
Commands = dict[str, list[str]]
"""By key: the name of a command, the key, and its arguments."""


class Chunk:
    """What is written together: what is there then, and what is not; nothing is both."""

    __slots__ = ("drops", "lines", "plan", "puts", "records", "rows", "tree")

    def __init__(self, plan: Plan | None) -> None:
        self.plan = plan
        self.tree: list[str] = []
        """Fields of the tree of the plan, or of the one before it, each before its value."""
        self.lines: list[str] = []
        """Its history."""
        self.puts: Commands = {}
        """What is there then: HSET and ZADD."""
        self.drops: Commands = {}
        """What is not: HDEL and ZREM."""
        self.rows: tuple[tuple[str, str, str, str], ...] = ()
        """Workflows that a cascade may have moved before: in which state they were and are without it, place and text."""
        self.records: tuple[tuple[str, ...], ...] = ()
        """Of commands: root, id, time, the version that it tells (empty where the script has no better one), text."""


class Part:
    """What a transaction does to one partition: one run of the script."""

    __slots__ = ("_chunks", "_steps", "commands", "moves", "named", "now", "plans", "prefix", "roots", "sizes")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.plans: list[Plan] = []
        self.roots: dict[str, int] = {}
        """The trees that are written: the earliest time of a decision on each."""
        self.named: frozenset[str] = frozenset()
        """The trees of which a notice names the version."""
        self.commands: dict[tuple[str, str], None] = {}
        """The root and the id of each command that nobody may have used or given up."""
        self.moves: dict[str, int] = {}
        """How many tasks of a workflow may have moved its counters."""
        self.sizes: dict[str, int] = {}
        """By how much more there is in the partition."""
        self.now = Chunk(None)
        """What is written from here on."""
        self._chunks = [self.now]
        self._steps: list[Chunk | tuple[str, ...]] | None = None
        """The chunks, and what reaches rows that were not read, in turn; None where nothing does."""

    @property
    def sweeps(self) -> bool:
        """Whether it reaches rows that were not read."""
        return self._steps is not None

    @property
    def script(self) -> str:
        """The script that does it."""
        return "cascade" if self.sweeps else "commit"

    def begin(self, plan: Plan) -> None:
        """A plan begins to be written."""
        if self.plans or self.sweeps:
            self._next(plan)
        else:
            self.now.plan = plan
        self.plans.append(plan)

    def _next(self, plan: Plan | None) -> None:
        self.now = Chunk(plan)
        self._chunks.append(self.now)
        if self._steps is not None:
            self._steps.append(self.now)

    def sweep(self, *operation: Any) -> None:
        """Reach rows that were not read: after what was written before, and before what is written then."""
        if self._steps is None:
            self._steps = [*self._chunks]
        self._steps.append(tuple(map(str, operation)))
        self._next(None)

    # ---- what is written ---------------------------------------------------------------------------------------------------
    def put(self, key: str, *words: str) -> None:
        """Write fields of a hash, each before its value."""
        puts = self.now.puts
        known = puts.get(key)
        if known is None:
            puts[key] = ["HSET", key, *words]
        else:
            known += words

    def drop(self, key: str, *names: str) -> None:
        """Take fields out of a hash."""
        self.now.drops.setdefault(key, ["HDEL", key]).extend(names)

    def enter(self, key: str, member: str, score: int) -> None:
        """Let a sorted set have a member."""
        puts = self.now.puts
        known = puts.get(key)
        if known is None:
            puts[key] = ["ZADD", key, str(score), member]
        else:
            known += (str(score), member)

    def leave(self, key: str, member: str) -> None:
        """Let it not have one."""
        drops = self.now.drops
        known = drops.get(key)
        if known is None:
            drops[key] = ["ZREM", key, member]
        else:
            known.append(member)

    def count(self, name: str, by: int) -> None:
        """There are so many more in the partition."""
        self.sizes[name] = self.sizes.get(name, 0) + by

    # ---- as the scripts are told ---------------------------------------------------------------------------------------------
    def keys(self) -> set[str]:
        """The keys that are written, as far as they are known before."""
        found = {f"{self.prefix}{kind}:{root}" for root in self.roots for kind in "th"}
        for chunk in self._chunks:
            found |= chunk.puts.keys() | chunk.drops.keys()
            found |= {f"{self.prefix}i:{state}" for row in chunk.rows for state in row[:2]}
            found |= {f"{self.prefix}c:{record[0]}" for record in chunk.records}
            if chunk.records:
                found.add(f"{self.prefix}ct")
        return found

    def told(self, found: list[str]) -> None:
        """Add what `commit.lua` is told of what it writes."""
        records: tuple[tuple[str, ...], ...] = ()
        found.append(TEXTS[len(self.plans)])
        for chunk in self._chunks:
            if (plan := chunk.plan) is not None:
                found += (plan.tree.root, str(plan.now), "1" if plan.raises else "0", TEXTS[len(chunk.tree)])
                found += chunk.tree
                found.append(TEXTS[len(chunk.lines)])
                found += chunk.lines
            if chunk.records:
                records += chunk.records
        found.append(TEXTS[len(self.sizes)])
        for name, by in self.sizes.items():
            found += (name, TEXTS[by])
        found.append(TEXTS[len(records)])
        for record in records:
            found += record
        for chunk in self._chunks:
            for words in (*chunk.puts.values(), *chunk.drops.values()):
                if len(words) > MOST:
                    found += [word for some in _cut(words) for word in (str(len(some)), *some)]
                else:
                    found.append(TEXTS[len(words)])
                    found += words

    def operations(self, found: list[str]) -> None:
        """Add what `cascade.lua` is told."""
        for name, by in self.sizes.items():
            found += ("E", name, str(by))
        for step in self._steps or ():
            if isinstance(step, Chunk):
                self._of(step, found)
            else:
                found += step

    def _of(self, chunk: Chunk, found: list[str]) -> None:
        """A chunk as operations, those of a plan behind its beginning."""
        if (plan := chunk.plan) is not None:
            found += ("G", plan.tree.root, str(plan.now), plan.command.actor, plan.command.id, "1" if plan.raises else "0")
        if chunk.tree:
            found += ("T", TEXTS[len(chunk.tree)], *chunk.tree)
        for words in (*chunk.puts.values(), *chunk.drops.values()):
            for some in _cut(words):
                found += ("C", TEXTS[len(some)], *some)
        for _, _, place, text in chunk.rows:
            found += ("W", place, text)
        if chunk.lines:
            found += ("L", TEXTS[len(chunk.lines)], *chunk.lines)
        for record in chunk.records:
            found += ("R", *record)


def _cut(words: list[str]) -> Iterator[list[str]]:
    """A command as several, none with too many arguments."""
    return ([*words[:2], *words[first:first + MOST]] for first in range(2, len(words), MOST))
