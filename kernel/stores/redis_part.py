"""What one run of the script writes, gathered: each thing once, in the words of the scripts in lua/.

Most commits write only rows that were read, or are new: then all is known here, and `commit.lua` is told it as the commands
that it gives. Where rows are reached that nobody read, `cascade.lua` is told operations, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kernel.core.plan import Plan

MOST = 4000
"""Arguments of one command."""
Fields = dict[str, str | None]
"""What is written of a key: values by field, scores by member; None takes it away."""


class Chunk:
    """What is written together, in any order."""

    __slots__ = ("counters", "hashes", "lines", "plan", "records", "rows", "sizes", "tree", "zsets")

    def __init__(self, plan: Plan | None) -> None:
        self.plan = plan
        self.tree: Fields = {}
        """Fields of the tree of the plan, or of the one before it."""
        self.lines: list[str] = []
        """Its history."""
        self.hashes: dict[str, Fields] = {}
        self.zsets: dict[str, Fields] = {}
        self.rows: dict[str, tuple[str, str, str]] = {}
        """Workflows that were read, by place: in which state they were and are, and the new text."""
        self.counters: dict[tuple[str, str], tuple[str, str]] = {}
        """Of a workflow, by key and place: as they were, and as they are. `commit.lua` moves them where it compares them."""
        self.sizes: dict[str, int] = {}
        """By how much more there is in the partition."""
        self.records: list[tuple[str, str, int, str, str]] = []
        """Of commands: root, id, time, text, and the version that it tells (empty where the script has no better one)."""

    def take_in(self, other: Chunk) -> None:
        """What another one writes, later; without its plan, which keeps its lines."""
        for mine, others in ((self.hashes, other.hashes), (self.zsets, other.zsets)):
            for key, fields in others.items():
                mine.setdefault(key, {}).update(fields)
        for name, by in other.sizes.items():
            self.sizes[name] = self.sizes.get(name, 0) + by
        self.records += other.records


class Part:
    """What a transaction does to one partition: one run of the script."""

    __slots__ = ("_chunks", "_steps", "_sweeps", "commands", "moves", "named", "now", "plans", "prefix", "roots")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.plans: list[Plan] = []
        self.roots: dict[str, int] = {}
        """The trees that are written: the earliest time of a decision on each."""
        self.named: set[str] = set()
        """The trees of which a notice names the version."""
        self.commands: dict[tuple[str, str], None] = {}
        """The root and the id of each command that nobody may have used or given up."""
        self.moves: dict[str, int] = {}
        """How many tasks of a workflow may have moved its counters."""
        self.now = Chunk(None)
        """What is written from here on."""
        self._chunks = [self.now]
        self._steps: list[Chunk | tuple[Any, ...]] = [self.now]
        self._sweeps = False

    @property
    def script(self) -> str:
        """The script that does it."""
        return "cascade" if self._sweeps else "commit"

    def begin(self, plan: Plan) -> None:
        """A plan begins to be written."""
        self.plans.append(plan)
        if self.now.plan is None and len(self._steps) == 1 and not self._sweeps:
            self.now.plan = plan
        else:
            self._next(plan)

    def _next(self, plan: Plan | None) -> None:
        self.now = Chunk(plan)
        self._chunks.append(self.now)
        self._steps.append(self.now)

    def sweep(self, *operation: Any) -> None:
        """Reach rows that were not read: after what was written before, and before what is written then."""
        self._sweeps = True
        self._steps.append(operation)
        self._next(None)

    # ---- what is written ---------------------------------------------------------------------------------------------------
    def put(self, key: str, fields: Mapping[str, str | None]) -> None:
        """Write fields of a hash, or (None) take them out."""
        known = self.now.hashes.get(key)
        if known is None:
            self.now.hashes[key] = {**fields}
        else:
            known.update(fields)

    def score(self, key: str, member: str, value: int | None) -> None:
        """Write a member of a sorted set, or (None) take it out."""
        known, text = self.now.zsets.get(key), None if value is None else str(value)
        if known is None:
            self.now.zsets[key] = {member: text}
        else:
            known[member] = text

    def count(self, name: str, by: int) -> None:
        """There are so many more in the partition."""
        self.now.sizes[name] = self.now.sizes.get(name, 0) + by

    # ---- as the scripts are told ---------------------------------------------------------------------------------------------
    def keys(self) -> set[str]:
        """The keys that are written, as far as they are known before."""
        found = {f"{self.prefix}{kind}:{root}" for root in self.roots for kind in "th"}
        for step in self._steps:
            if isinstance(step, Chunk):
                found |= step.hashes.keys() | step.zsets.keys()
                found |= {f"{self.prefix}i:{state}" for row in step.rows.values() for state in row[:2]}
                found |= {f"{self.prefix}c:{record[0]}" for record in step.records}
                if step.records:
                    found.add(f"{self.prefix}ct")
        return found

    def told(self, compared: dict[str, Any], found: list[Any]) -> None:
        """Add what `commit.lua` is told of keys that it has not seen (all but `compared`), and of what it writes."""
        whole, *more = self._chunks
        for chunk in self._chunks:
            if chunk.rows or chunk.records:
                self._settle(chunk)
        for chunk in more:
            whole.take_in(chunk)
        kinds: list[Any] = []
        commands: list[Any] = []
        number = 0
        for key, fields in whole.hashes.items():
            if not compared.get(key):
                kinds += ("HLEN", key)
            number += _tell(commands, "HSET", "HDEL", key, fields)
        for key, members in whole.zsets.items():
            kinds += ("ZCARD", key)
            number += _tell(commands, "ZADD", "ZREM", key, members)
        if len(self.plans) > 1:  # of a single one the history is written first
            for plan in self.plans:
                kinds += ("LLEN", f"{self.prefix}h:{plan.tree.root}")
        found += (str(len(kinds) // 2), *kinds, str(len(self.plans)))
        for chunk in self._chunks:
            if (of := chunk.plan) is not None:
                found += (of.tree.root, str(of.now), "1" if of.raises else "0", str(2 * len(chunk.tree)))
                for pair in chunk.tree.items():
                    found += pair
                found += (str(len(chunk.lines)), *chunk.lines)
        found += (str(number), *commands, str(len(whole.sizes)))
        for name, by in whole.sizes.items():
            found += (name, str(by))
        found.append(str(len(whole.records)))
        for root, command_id, _, text, version in whole.records:
            found += (f"{self.prefix}c:{root}", command_id, root, version, text)

    def _settle(self, chunk: Chunk) -> None:
        """Write workflows and the records of commands as what they are to a server."""
        for place, (before, state, text) in chunk.rows.items():
            chunk.tree[f"f{place}"] = text
            if before != state:
                chunk.zsets.setdefault(f"{self.prefix}i:{before}", {})[place] = None
                chunk.zsets.setdefault(f"{self.prefix}i:{state}", {})[place] = "0"
        for root, command_id, at, _, _ in chunk.records:
            chunk.zsets.setdefault(f"{self.prefix}ct", {})[f"{root}\0{command_id}"] = str(at)

    def operations(self) -> list[Any]:
        """What `cascade.lua` is told."""
        found: list[Any] = []
        for step in self._steps:
            found += self._of(step) if isinstance(step, Chunk) else step
        return found

    def _of(self, chunk: Chunk) -> Iterator[Any]:
        """A chunk as operations, those of a plan behind its beginning."""
        if (plan := chunk.plan) is not None:
            yield from ("G", plan.tree.root, plan.now, plan.command.actor, plan.command.id, int(plan.raises))
        if chunk.tree:
            yield from ("T", len(chunk.tree), *_flat(chunk.tree))
        for key, fields in chunk.hashes.items():
            for letter, arguments in zip("HD", _split(fields, first=True), strict=True):
                if arguments:
                    yield from (letter, key, len(arguments) // (2 if letter == "H" else 1), *arguments)
        for key, members in chunk.zsets.items():
            for letter, arguments in zip("Zz", _split(members, first=False), strict=True):
                if arguments:
                    yield from (letter, key, len(arguments) // (2 if letter == "Z" else 1), *arguments)
        for place, (_, _, text) in chunk.rows.items():
            yield from ("W", place, text)
        for (key, place), (before, after) in chunk.counters.items():
            yield from ("B", key, place, before, after)
        for name, by in chunk.sizes.items():
            yield from ("E", name, by)
        if chunk.lines:
            yield from ("L", len(chunk.lines), *chunk.lines)
        for root, command_id, at, text, version in chunk.records:
            yield from ("R", root, command_id, at, "1" if version else "0", text)


def _flat(fields: Fields) -> list[Any]:
    return [each for pair in fields.items() for each in pair]


def _split(fields: Fields, *, first: bool) -> tuple[list[Any], list[Any]]:
    """What is written, name and value or (`first` is false) value and name; and what is taken out."""
    puts, drops = list[Any](), list[Any]()
    for name, value in fields.items():
        if value is None:
            drops.append(name)
        else:
            puts += (name, value) if first else (value, name)
    return puts, drops


def _tell(commands: list[Any], write: str, drop: str, key: str, fields: Fields) -> int:
    """Add the commands that write a key, each with its name, the key, and its arguments behind their number; gives how many."""
    if len(fields) == 1:
        ((name, value),) = fields.items()
        if value is None:
            commands += (drop, key, "1", name)
        else:
            commands += (write, key, "2", name, value) if write == "HSET" else (write, key, "2", value, name)
        return 1
    puts, drops = _split(fields, first=write == "HSET")
    number = 0
    for command, arguments in ((write, puts), (drop, drops)):
        for first in range(0, len(arguments), MOST):
            part = arguments[first:first + MOST]
            commands += (command, key, str(len(part)), *part)
            number += 1
    return number
