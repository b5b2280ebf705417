"""What a transaction knows of the hashes of a Redis store: read once, remembered, written; and what holds for every tree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kernel.core.archive import ArchivePolicy, Hearing
from kernel.core.records import Prepared
from kernel.stores.redis_lately import Counted, Names, Rows, Waits
from kernel.stores.redis_rows import Columns, place_of

if TYPE_CHECKING:
    from kernel.stores.redis import RedisStore

LONGEST = 200
"""Characters of a value that is sent along to be compared; of a longer one the digest is."""
MARKS = ("-", "#")
"""What the expectation of nothing, and of a digest, begins with."""
NOTHING: Mapping[str, str | None] = {}
NONE: frozenset[Any] = frozenset()
"""What most transactions have of some things, of which none has many: nothing is made for it."""
Stands = tuple[int, Columns, str, Prepared, str]
"""Of a workflow: the run that it is kept from, its columns and its counters, its definition, and the hash of its tasks."""


class RedisHeld:
    """What was read, what was decided on, and what was written, hash by hash."""

    __slots__ = (
        "absent", "columns", "compared", "counts", "first", "guessed", "held", "link", "looks", "original", "own", "poll",
        "polled", "queued", "read", "recalled", "remembered", "rows", "seen", "standing", "store", "strict", "taking", "trees",
        "whole", "write_too")

    def __init__(self, store: RedisStore, *, write: bool) -> None:
        self.store, self.link, self.write_too = store, store.link, write
        self.held: dict[str, dict[str, str | None]] = {}
        """What is known of each hash, with what this transaction has done to it."""
        self.whole: set[str] = set()
        """The hashes of which everything is known."""
        self.compared: list[str | None] = []
        """What a decision has read, as it was: key, field, value. The commit compares it."""
        self.seen: set[tuple[str, str]] = set()
        """The same without the values."""
        self.own: dict[str, set[str]] = {}
        """What this transaction has written: it reads its own."""
        self.strict: set[str] = set()
        """The trees of which whole sets were read: nothing of them may have happened meanwhile."""
        self.trees: dict[str, Counted] = {}
        """Of each tree that was read: run, version, clock, tasks, lines of history."""
        self.original: dict[str, Counted] = {}
        """The same, as the server gave it."""
        self.standing: dict[tuple[str, int], Stands] = {}
        """The workflows that were read, each as part of a run, until this transaction writes one."""
        self.columns: dict[tuple[str, int], Columns] = {}
        self.counts: dict[tuple[str, int], str] = {}
        self.read: dict[tuple[str, int], tuple[str, str]] = {}
        """Of each workflow that was read: where its counters are, and how they were."""
        self.looks = 0
        """How often the server was asked for rows."""
        self.recalled: frozenset[int] = NONE
        """The partitions of which something is remembered, not read."""
        self.remembered: set[str] = set()
        """The trees of which something is."""
        self.rows: Rows = {}
        """The rows that nobody has to unpack: those that were remembered, and those that were written."""
        self.guessed: frozenset[str] = NONE
        """The trees that were taken for new."""
        self.absent: frozenset[str] = NONE
        """The trees that are not there."""
        self.taking: Sequence[tuple[int, str]] = ()
        """The entries of tasks that it is about to hand out, each with its partition, past which others look."""
        self.poll = ""
        """The id of a poll, if its caller chose one."""
        self.polled = ""
        """The type of which it looked for tasks to hand out, and found some."""
        self.first: tuple[str, ...] = ()
        """A queue, and what is taken for its first entry."""
        self.queued: list[tuple[str, str, Waits | None]] = []
        """What this transaction writes into queues, and takes out: type, entry, and the task or nothing."""

    def key(self, root: str, kind: str, rest: str | None = None) -> str:
        """The key of something of a tree."""
        return f"{self.prefix(root)}{kind}:{root if rest is None else rest}"

    def prefix(self, root: str) -> str:
        """What the keys of a tree begin with."""
        prefixes = self.store.prefixes
        return prefixes[0] if len(prefixes) == 1 else prefixes[self.store.partition(root)]

    def head(self, partition: int, name: str) -> str:
        """A key of a partition."""
        return f"{self.store.prefixes[partition]}{name}"

    # ---- fields, remembered ----------------------------------------------------------------------------------------------
    def field(self, key: str, name: str, *, compare: bool = True) -> str | None:
        """A field of a hash; `compare`: the decision depends on it."""
        held = self.held.get(key)
        if held is None:
            held = self.held[key] = {}
        if name in held:
            value = held[name]
        elif key in self.whole:
            value = None
        else:
            self.looks += 1
            value = held[name] = self.link.call(key, "HGET", key, name)
        if compare:
            at = key, name
            if at not in self.seen and not (self.own and key in self.own and name in self.own[key]):
                self.seen.add(at)
                self.compared += (key, name, value)
        return value

    def compare(self, key: str, name: str, value: str | None) -> None:
        """Let the commit compare a field that was read, unless this transaction has written it, or it is compared already."""
        at = key, name
        if at not in self.seen and not (self.own and key in self.own and name in self.own[key]):
            self.seen.add(at)
            self.compared += (key, name, value)

    def fields(self, key: str, *names: str, compare: bool = True) -> list[str | None]:
        """Fields of a hash; `compare`: the decision depends on them."""
        held = self.held.setdefault(key, {})
        if key not in self.whole and (missing := [name for name in names if name not in held]):
            self.looks += 1
            held.update(zip(missing, self.link.call(key, "HMGET", key, *missing), strict=True))
        found = [held.get(name) for name in names]
        if compare:
            for name, value in zip(names, found, strict=True):
                self.compare(key, name, value)
        return found

    def everything(self, key: str) -> dict[str, str]:
        """All fields of a hash."""
        held = self.held.setdefault(key, {})
        if key not in self.whole:
            self.looks += 1
            flat = self.link.call(key, "HGETALL", key)
            for name, value in pairs(flat):
                held.setdefault(name, value)
            self.whole.add(key)
        return {name: value for name, value in held.items() if value is not None}

    # ---- what holds for every tree -----------------------------------------------------------------------------------------
    def policies(self, partition: int) -> list[tuple[int, str]]:
        """The archive policies of the store as a partition has them, each with the time from which it is in force."""
        head, known = self.head(partition, "head"), self.store.lately.policies
        if self.write_too and head in known:
            self.held.setdefault(head, {}).setdefault("policies", known[head])
            self.recalled |= {partition}
        text = self.field(head, "policies")
        if "policies" not in self.own.get(head, ()):
            known[head] = text
        return [(int(since), content) for since, content in json.loads(text)] if text else []

    def archiving(self, root: str, now: int) -> Hearing | None:
        """What the store itself says of archives at this time."""
        past = [content for since, content in self.policies(self.store.partition(root)) if since <= now]
        return self.store.hearing(past[-1])[1] if past else None

    def archive_policies(self, root: str = "") -> list[tuple[int, ArchivePolicy | None]]:
        """The store's own archive policies, each with the time from which it is in force: for a tree, or (none) for all."""
        partition = self.store.partition(root) if root else 0
        return [(since, self.store.hearing(content)[0]) for since, content in self.policies(partition)]

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition; the latest one when no version is asked for."""
        number = None if self._compares_names else self.store.lately.registered[1].get(name, {}).get(version or 0)
        if number is None:
            versions = self._registered().get(name, {})
            number = versions.get(max(versions, default=0) if version is None else version)
        return None if number is None else self.store.prepared(number)

    def names(self) -> dict[str, tuple[int, ...]]:
        """The registered definitions: name and versions."""
        return {name: tuple(versions) for name, versions in self._registered().items()}

    @property
    def _compares_names(self) -> bool:
        """Whether the commit can compare that the definitions are those that are remembered: they are in its partition."""
        return self.write_too and self.store.partitions == 1

    def _registered(self) -> Names:
        """The number of each definition. That they are those that are remembered, the commit compares where it can."""
        names, head = self.head(0, "names"), self.head(0, "head")
        mark, known = self.store.lately.registered
        asks_first = self._compares_names and names not in self.held
        if asks_first:
            if known:
                self.recalled |= {0}
                self.held.setdefault(head, {}).setdefault("registered", mark)
            mark = self.field(head, "registered") or ""
            if known:
                return known
        found: Names = {}
        for (name, version), number in sorted((place_of(field), number) for field, number in self.everything(names).items()):
            found.setdefault(name, {})[version] = int(number)
        if asks_first or (self.store.partitions > 1 and names not in self.own):
            self.store.lately.registered = mark, found
        return found


def mark(value: str | None) -> str:
    """What a field is compared with: its value, or what stands for nothing, or for a long value."""
    if value is None:
        return "-"
    if len(value) <= LONGEST and value[:1] not in MARKS:
        return value
    return f"#{hashlib.sha1(value.encode(), usedforsecurity=False).hexdigest()}"


def pairs(flat: Sequence[str]) -> Iterable[tuple[str, str]]:
    """The fields of a hash, as the server lists them."""
    return zip(flat[::2], flat[1::2], strict=True)
