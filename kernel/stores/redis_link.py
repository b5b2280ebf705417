"""The way to the server: one command out, one answer in, and errors of the driver as errors of our tree.

A read is asked again where the connection broke, a few times; and where a cluster is being rearranged, for as long as there is
patience. A commit is sent once; where it may have arrived and no answer came back, nobody knows what became of it.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    ConnectionError,
    MasterDownError,
    MovedError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)
from redis.retry import Retry

from kernel.errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    quoted,
)
from kernel.stores.known import unknown
from kernel.stores.redis_line import Line
from kernel.stores.redis_part import Part

PARTS = {"commit": ("compare", "commit"), "cascade": ("compare", "write", "cascade", "apply")}
"""Scripts that are made of several files."""
BETWEEN = "\x1f"
"""What stands between the arguments of a commit, in one text."""
APART = ["apart"]
"""What a script says that finds more of them, or fewer: then they are sent one by one. Nothing was done."""
LARGEST = 100_000
"""Characters of such a text: what is larger costs more to be taken apart, and a server takes no text of any size."""
PAUSES = (0.005, 0.2)
"""Seconds: the shortest and the longest pause before a question is asked again."""
LOST = (ConnectionError, TimeoutError, OSError)
"""No answer came back."""
ELSEWHERE = (ClusterDownError, MasterDownError, MovedError, TryAgainError, BusyLoadingError)
"""Nothing was done, and soon it may be."""
MEANINGS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("READONLY", StoreReadOnly, "this server is a replica; name the primary"),
    ("OOM", StoreFull, "give the server more memory; reads still work"),
    ("MISCONF", StoreFull, "the server cannot write its files: free some space on its disk"),
    ("WRONGTYPE", StoreCorrupt, "another program wrote a key of this store; restore a backup"),
    ("TRYAGAIN", StoreUnavailable, "the cluster is moving a slot to another node; try again"),
    ("BUSY", StoreUnavailable, "a script of another program blocks the server; try again, or SCRIPT KILL"),
    ("NOPERM", StoreUnavailable, "this user needs all commands on keys of the store, and EVALSHA, EVAL, INFO"),
    ("NOAUTH", StoreUnavailable, "name a user and a password in the URL"),
    ("WRONGPASS", StoreUnavailable, "look at the user and the password in the URL"),
    ("Too many connections", StoreUnavailable, "let fewer threads share a kernel, or say max_connections=NUMBER in the URL"),
    ("", StoreUnavailable, "look at the server and its log"),
)


class Script(NamedTuple):
    """A Lua script: its text, and the name under which a server keeps it."""

    text: str
    sha: str


@cache
def script(name: str, *, reading: bool) -> Script:
    """A script of lua/. One that says that it writes nothing also runs on a full server."""
    folder = files("kernel.stores") / "lua"
    body = "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in PARTS.get(name, (name,)))
    text = f"#!lua{' flags=no-writes' if reading else ''}\n{body}"
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Link:
    """Speaks with one server, or with a cluster. Thread-safe."""

    def __init__(self, url: str, *, cluster: bool, place: str, patience: float) -> None:
        """`place` is what messages call it: without the password. `patience` is in seconds."""
        self.place, self.patience = place, patience
        self.cluster: Any = None
        self.closed = False
        self._scripts: dict[str, Script] = {}
        """Those of commits, by name."""
        self._idle: dict[ConnectionPool, deque[Line]] = {}
        """The connections on which nothing is under way."""
        options: dict[str, Any] = {"protocol": 2, "decode_responses": True, "socket_timeout": patience,
                                   "socket_connect_timeout": patience, "retry": Retry(NoBackoff(), 0)}
        try:
            if cluster:
                self.cluster = RedisCluster.from_url(url, **options)
            else:
                self.client = Redis.from_url(url, **options)
        except (RedisError, RedisClusterException, OSError) as error:
            raise self.ours(error, "opening") from error

    def close(self) -> None:
        """Close the connections that are not in use; one that is, is closed when its command is done."""
        self.closed = True
        for idle in list(self._idle.values()):
            with suppress(IndexError):  # another thread may take the last one
                while True:
                    idle.pop().close()
        clients = [self.client] if self.cluster is None else [node.redis_connection for node in self.cluster.get_nodes()]
        for client in filter(None, clients):
            client.connection_pool.disconnect(inuse_connections=False)

    def _pool(self, key: str, node: Any = None) -> ConnectionPool:
        if self.cluster is None:
            return self.client.connection_pool
        found = node or self.cluster.nodes_manager.get_node_from_slot(key_slot(key.encode()))
        pool: ConnectionPool = self.cluster.get_redis_connection(found).connection_pool
        return pool

    def primaries(self) -> list[Redis]:
        """A client for each server that takes writes."""
        if self.cluster is None:
            return [self.client]
        return [self.cluster.get_redis_connection(node) for node in self.cluster.get_primaries()]

    # ---- asking --------------------------------------------------------------------------------------------------------
    def call(self, key: str, *command: Any) -> Any:
        """The answer to a command that changes nothing, or that may be done twice; `key` says which server is asked."""
        try:
            return self._patiently(key, command, "reading")
        except ResponseError as error:
            raise self.ours(error, "reading") from error

    def run(self, name: str, prefix: str, *arguments: Any, reading: bool = True, keys: Sequence[str] = ()) -> Any:
        """What a script gives that may be run twice; `keys` are those of which a cluster must have all."""
        known = () if self.cluster is None else keys
        return self._script(script(name, reading=reading), prefix, arguments, known, "reading")

    def together(self, name: str, asked: Sequence[tuple[Any, ...]]) -> list[Any]:
        """What a script that may be run twice gives for several partitions, each with its prefix first, asked at once.

        None for those that have to be asked again one by one: the answer was an error, or none came.
        """
        sha, answers = script(name, reading=False).sha, [None] * len(asked)
        places: dict[ConnectionPool, list[int]] = {}
        with suppress(*LOST, RedisError, RedisClusterException):
            for place, arguments in enumerate(asked):
                places.setdefault(self._pool(f"{arguments[0]}head"), []).append(place)
        lines: list[tuple[ConnectionPool, Line, list[int]]] = []
        whole: list[Line] = []
        try:
            for pool, mine in places.items():
                with suppress(*LOST):
                    line = _fit(self._idle.setdefault(pool, deque())) or Line(pool)
                    lines.append((pool, line, mine))
                    line.send(*[("EVALSHA", sha, 1, f"{asked[place][0]}head", *asked[place]) for place in mine])
            for _, line, mine in lines:
                with suppress(*LOST):
                    for place in mine:
                        with suppress(ResponseError):
                            answers[place] = line.read()
                    whole.append(line)
        finally:
            for pool, line, _ in lines:
                if line in whole and not self.closed:
                    self._idle[pool].append(line)
                else:
                    line.close()
        return answers

    def commit(self, part: Part, arguments: list[str], command: tuple[str, str]) -> Any:
        """What the script of a commit gives. Raises CommitUnknown where it may have been run and no answer came.

        `command` is its id, and its workflow's. A cluster is told the keys: it runs no script where some of them are on their
        way to another node. What a server takes apart itself costs less to send than many arguments.
        """
        name = part.script
        found = self._scripts.get(name) or self._scripts.setdefault(name, script(name, reading=False))
        keys = () if self.cluster is None else sorted(part.keys())
        text = BETWEEN.join(arguments)
        if len(text) <= LARGEST:
            told = self._script(found, part.prefix, (text, str(len(arguments))), keys, "writing", command)
            if told != APART:
                return told
        return self._script(found, part.prefix, arguments, keys, "writing", command)

    def _script(self, found: Script, prefix: str, arguments: Sequence[Any], keys: Sequence[str], doing: str,
                command: tuple[str, str] | None = None) -> Any:
        key = f"{prefix}head"
        asked = ("EVALSHA", found.sha, str(1 + len(keys)), key, *keys, prefix, *arguments)
        try:
            return self._patiently(key, asked, doing, command)
        except ResponseError as error:
            if not _code(error).startswith("NOSCRIPT"):
                raise self.ours(error, doing) from error
        try:
            return self._patiently(key, ("EVAL", found.text, *asked[2:]), doing, command)
        except ResponseError as error:
            raise self.ours(error, doing) from error

    def _patiently(self, key: str, command: tuple[Any, ...], doing: str, commit: tuple[str, str] | None = None) -> Any:
        """Ask until there is an answer, or an error that stands; a commit only as long as nothing of it was sent."""
        deadline, tried = time.monotonic() + self.patience, 0
        asking: Any = None
        error: Exception
        while True:
            try:
                return self._exchange(key, command, asking, commit)
            except (AuthenticationError, AuthorizationError) as refused:
                raise self.ours(refused, doing) from refused
            except (*LOST, *ELSEWHERE, ClusterError, RedisClusterException) as lost:
                asking, error = None, lost
            except AskError as moving:
                asking, error = self._node(moving), moving
                if asking is not None:
                    continue
            tried += 1
            if time.monotonic() >= deadline or (self.cluster is None and tried > 3):
                raise self.ours(error, doing) from error
            time.sleep(min(PAUSES[1], PAUSES[0] * 2 ** min(tried, 8)) * random.uniform(0.3, 1.0))
            self._look_around()

    def _exchange(self, key: str, command: tuple[Any, ...], node: Any, commit: tuple[str, str] | None) -> Any:
        """One command on one connection. A connection that broke, or was left in the middle, is closed."""
        pool = self.client.connection_pool if self.cluster is None else self._pool(key, node)
        idle = self._idle.get(pool)
        if idle is None:
            idle = self._idle.setdefault(pool, deque())
        line, whole = None, False
        try:
            line = (_fit(idle) if idle else None) or Line(pool)
            if node is not None:
                line.send(("ASKING",))
                line.read()
            try:
                line.send(command)
                answer = line.read()
            except LOST as lost:
                if commit is None or isinstance(lost, ELSEWHERE):
                    raise
                raise unknown(self.place, *commit, _told(lost)) from lost
            whole = True
            return answer
        except ResponseError:
            whole = True
            raise
        finally:
            if line is not None and whole and not self.closed:
                idle.append(line)
            elif line is not None:
                line.close()

    def _node(self, moving: AskError) -> Any:
        return None if self.cluster is None else self.cluster.get_node(host=moving.host, port=moving.port)

    def _look_around(self) -> None:
        """Learn anew which server has which slots. Where nobody answers now, the question is asked again, or is given up."""
        if self.cluster is not None:
            with suppress(RedisError, RedisClusterException, OSError):
                self.cluster.nodes_manager.initialize()

    # ---- errors ----------------------------------------------------------------------------------------------------------
    def ours(self, error: Exception, doing: str) -> StoreError:
        """An error of the driver as one of our tree, with nothing applied."""
        code = _code(error)
        kind, hint = next((kind, hint) for start, kind, hint in MEANINGS if code.startswith(start))
        if code == "TRYAGAIN" and self.cluster is None:  # no slot moves here
            kind, hint = StoreCorrupt, "kernel audit lists what is inconsistent; restore the store from a copy"
        return kind(f"{doing} {quoted(self.place)}", why=_told(error), stands="nothing was applied", hint=hint)


def _fit(idle: deque[Line]) -> Line | None:
    """One that the server has not closed, and on which nothing is left over; None where there is none."""
    while True:
        try:
            line = idle.pop()
        except IndexError:
            return None
        is_fit = False
        try:
            is_fit = line.is_fit()
        finally:
            if not is_fit:
                line.close()
        if is_fit:
            return line


def _code(error: Exception) -> str:
    """What a server's error begins with. The driver takes the word away where it has a class of its own for it."""
    known = {"ReadOnlyError": "READONLY", "OutOfMemoryError": "OOM", "NoPermissionError": "NOPERM", "NoScriptError": "NOSCRIPT",
             "TryAgainError": "TRYAGAIN",
             "AuthenticationError": "WRONGPASS", "AuthenticationWrongNumberOfArgsError": "NOAUTH"}
    return known.get(type(error).__name__, str(error))


def _told(error: Exception) -> str:
    """The text of an error on one line, without what the server says of the script and its line."""
    return str(error).partition(" script: ")[0].splitlines()[0] if str(error) else type(error).__name__
