"""The Redis store: one server, or a cluster; Redis from 7.0 on, or Valkey.

One script per commit compares everything that the decision read, then writes everything or nothing. Where somebody was faster
the decision is taken again. A tree lives in one partition, whose keys share a hash tag, and so a slot. The number of partitions
is chosen when the store is made, and stays.
"""

from __future__ import annotations

import re
import secrets
import threading
import zlib
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs
from redis.connection import parse_url
from redis.exceptions import RedisError

from kernel.core.records import Policy, Prepared
from kernel.errors import InvalidInput, NotFound, SchemaMismatch, StoreReadOnly, UnsafeStore, quoted
from kernel.stores.known import Known
from kernel.stores.redis_lately import Lately
from kernel.stores.redis_link import Link
from kernel.stores.redis_rows import loaded
from kernel.stores.redis_span import Span

SCHEMA = 1
LARGEST_TREE, WORKFLOW_TASKS = 10_000, 5
"""Tasks of a tree, and for how many more each of its workflows counts. No script takes more of the server than 132 ms for one,
and 250 ms is what others may have to wait.
"""
PARTITIONS_MAX = 1024
SCHEMES = {"redis": False, "rediss": False, "redis+cluster": True, "rediss+cluster": True}
"""The URLs of this store: whether each means a cluster."""
OPTIONS = frozenset((
    "client_name", "db", "health_check_interval", "max_connections", "socket_connect_timeout", "socket_keepalive",
    "socket_timeout"))
"""What a URL may say to the driver."""
SECURE = frozenset((
    "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"))
"""And that of a connection that is encrypted."""
POSITIVE = ("max_connections", "socket_timeout", "socket_connect_timeout")
LARGEST_OPTION = 1_000_000
OURS = ("namespace", "partitions", "accept", "mode")
ENCODED = "in a name or a password write @ as %40, / as %2F, # as %23 and ? as %3F"
BLOCK = 64
"""Serial numbers that a process takes at a time."""
OLDEST = (7, 0)
FORCES = {
    "always": "a crash of the process or of the server, and a power cut where the disk does what fsync says",
    "everysec": "a crash of the process; a crash of the server or a power cut may take the last two seconds",
    "no": "a crash of the process; a power cut may take what the system had not written yet",
    "": "nothing but the process: the server keeps no log, and was accepted so",
}
FAILOVER = "; a failover may take commits that the replica had not got yet"
TORN = "; half a commit may come back after two starts, where a write to the log was cut off: aof-load-truncated is not no"
"""It writes on behind the half, which waits in the log for an EXEC, and at the next start gets that of another commit."""


class Address(NamedTuple):
    """What a URL says."""

    url: str
    """For the driver."""
    place: str
    """For messages: without user and password."""
    cluster: bool
    namespace: str
    partitions: int
    accepts: frozenset[str]
    must_exist: bool
    """Whether a store that is not there yet is made, or an error."""


def address(text: str) -> Address:
    """Take a URL apart: `mode=rw` takes a store that is there; without it one is made. Raises InvalidInput."""
    try:
        parts = urlsplit(text)
        where = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
        options = parse_qsl(parts.query, strict_parsing=True, keep_blank_values=True) if parts.query else []
    except ValueError:  # what it says of it may hold the password
        raise _wrong(text.partition("://")[0], "its host, its port or its query cannot be read", ENCODED) from None
    if "@" in parts.path + parts.query or parts.fragment:
        raise _wrong(parts.scheme, "it holds a sign that belongs to a password, and means something else in a URL", ENCODED)
    place = f"{parts.scheme}://{where}{parts.path}"
    own = {name: value for name, value in options if name in OURS}
    cluster = SCHEMES[parts.scheme]
    namespace, partitions = own.get("namespace", "kernel"), own.get("partitions", "16" if cluster else "1")
    if not parts.hostname:
        raise _wrong(place, "it names no host")
    if not namespace.isprintable() or not namespace or set(namespace) & set("{}"):
        raise _wrong(place, f"{quoted(namespace)} is no namespace: it must print, and hold no brace")
    if not re.fullmatch("[0-9]{1,4}", partitions) or not 1 <= int(partitions) <= PARTITIONS_MAX:
        raise _wrong(place, f"{quoted(partitions)} is no number of partitions from 1 to {PARTITIONS_MAX}")
    accepts = frozenset(own["accept"].split(",")) if "accept" in own else frozenset()
    if accepts - {"no-aof"}:
        raise _wrong(place, "the one thing that can be accepted is no-aof")
    if own.get("mode", "rw") != "rw":
        raise _wrong(place, "the one mode is rw: take the store that is there, and make none")
    rest = [(name, value) for name, value in options if name not in own]
    if strange := {name for name, _ in rest} - (OPTIONS | SECURE if parts.scheme.startswith("rediss") else OPTIONS):
        raise _wrong(place, f"{quoted(min(strange))} is no option of it")
    if not f"0{parts.path.strip('/')}".isdecimal():
        raise _wrong(place, f"{quoted(parts.path)} is no number of a database")
    url = urlunsplit((parts.scheme.partition("+")[0], parts.netloc, parts.path, urlencode(rest), ""))
    try:
        given = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise _wrong(place, str(error)) from error
    if bad := [name for name in POSITIVE if not 0 < given.get(name, 1) < LARGEST_OPTION]:
        raise _wrong(place, f"{quoted(bad[0])} is not between 0 and {LARGEST_OPTION:,}")
    return Address(url, place, cluster, namespace, int(partitions), accepts, "mode" in own)


def _wrong(place: str, why: str, hint: str = "redis://localhost:6379/0?namespace=orders") -> InvalidInput:
    return InvalidInput(f"the store {quoted(place)}", why=why, hint=hint)


class RedisStore(Known):
    """Keeps trees in Redis. What survives is said by `durability`, as it was found when the store was opened."""

    name = "redis"
    schema = SCHEMA

    def __init__(self, url: str, *, policy: Policy | None = None, patience: float = 10.0) -> None:
        """`url` is redis://, rediss:// or redis+cluster://; `patience` is how long a question waits for an answer, in seconds.

        Raises InvalidInput, NotFound, StoreUnavailable, StoreReadOnly, SchemaMismatch or UnsafeStore.
        """
        super().__init__()
        self.address = address(url)
        self.place = self.address.place
        self.policy = attrs.evolve(policy or Policy(), tree_tasks=LARGEST_TREE, workflow_tasks=WORKFLOW_TASKS)
        self.patience = patience
        self.lately = Lately()
        self._serials: dict[int, list[int]] = {}
        self._lock = threading.Lock()
        self.link = Link(self.address.url, cluster=self.address.cluster, place=self.place, patience=patience)
        try:
            self.durability = self._check_servers()
            self._begin()
        except BaseException:
            self.link.close()
            raise
        self.prefixes = [self.prefix(number) for number in range(self.partitions)]

    # ---- what is promised ------------------------------------------------------------------------------------------------
    def _check_servers(self) -> str:
        """See that each server keeps what it is told; gives what survives."""
        forces, torn = set(), ""
        for client in self.link.primaries():
            try:
                found: dict[str, Any] = client.info("everything")
                settings = self._settings(client) if found.get("aof_enabled") else {"appendfsync": ""}
            except (RedisError, OSError) as error:
                raise self.link.ours(error, "opening") from error
            self._check_server(found)
            late = settings.get("no-appendfsync-on-rewrite") == "yes"
            forces.add("no" if late else settings.get("appendfsync", "no"))
            torn = torn if settings.get("aof-load-truncated") == "no" else TORN
        weakest = next(force for force in ("", "no", "everysec", "always") if force in forces)
        return FORCES[weakest] + (FAILOVER + torn if weakest else "")

    def _settings(self, client: Any) -> dict[str, str]:
        """What a server does with its log; nothing where nobody may ask: then it is taken for the weakest."""
        try:
            found: dict[str, str] = client.config_get("*appendfsync*", "aof-load-truncated")
        except RedisError:
            return {}
        return found

    def _check_server(self, found: dict[str, Any]) -> None:
        asked, version = f"opening {quoted(self.place)}", str(found.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            raise UnsafeStore(asked, stands=f"the server is version {version}", why="scripts of it may stop half way",
                              hint="Redis 7.0 or later, or Valkey")
        if found.get("cluster_enabled") and not self.address.cluster:
            raise InvalidInput(asked, why="its server is a node of a cluster", hint="begin the URL with redis+cluster://")
        if found.get("role") != "master":
            raise StoreReadOnly(asked, stands="this server is a replica", why="a replica takes no writes, and may be behind",
                                hint="name the primary")
        if (policy := found.get("maxmemory_policy")) != "noeviction":
            raise UnsafeStore(asked, stands=f"its maxmemory-policy is {policy}", why="it would drop rows when memory is short",
                              hint="CONFIG SET maxmemory-policy noeviction")
        if not found.get("aof_enabled") and "no-aof" not in self.address.accepts:
            raise UnsafeStore(asked, stands="it keeps no append-only file", why="what it acknowledged would die with it",
                              hint="CONFIG SET appendonly yes, or accept that with ?accept=no-aof in the URL")

    # ---- what there is ---------------------------------------------------------------------------------------------------
    def prefix(self, partition: int) -> str:
        """What the keys of a partition begin with."""
        return f"{{{self.address.namespace}:{partition}}}:"

    def _begin(self) -> None:
        """Make the store where there is none; learn its id and its partitions."""
        key = f"{self.prefix(0)}meta"
        if self.address.must_exist and not self.link.call(key, "EXISTS", key):
            raise NotFound(f"opening {quoted(self.place)}",
                           why=f"there is no store in its namespace {quoted(self.address.namespace)}",
                           hint="kernel start NAME --file FILE.json makes one; ?namespace=NAME names another")
        made = {"schema": SCHEMA, "store": secrets.token_hex(8), "partitions": self.address.partitions}
        for field, value in made.items():
            self.link.call(key, "HSETNX", key, field, value)
        schema, store, partitions = self.link.call(key, "HMGET", key, *made)
        if int(schema) != SCHEMA:
            raise SchemaMismatch(
                f"opening {quoted(self.place)}", stands=f"its schema is number {schema}; this program knows {SCHEMA}",
                why="another version of the program made it", hint="upgrade lifecycle-kernel")
        self.id, self.partitions = str(store), int(partitions)
        for number in range(self.partitions):
            head = f"{self.prefix(number)}head"
            self.link.call(head, "HSETNX", head, "schema", SCHEMA)

    def partition(self, root: str) -> int:
        """Where a tree lives."""
        return zlib.crc32(root.encode()) % self.partitions if self.partitions > 1 else 0

    def serial(self, partition: int) -> int:
        """A number for a new workflow: who was first comes first where times are equal."""
        with self._lock:
            left = self._serials.setdefault(partition, [])
            if not left:
                head = f"{self.prefixes[partition]}head"
                last = int(self.link.call(head, "HINCRBY", head, "serial", BLOCK))
                left += range(last, last - BLOCK, -1)
            return left.pop()

    def prepared(self, key: int) -> Prepared:
        """The definition of a key, ready to run; definitions never change, so each is read once."""
        found = self._prepared.get(key)
        if found is None:
            place = f"{self.prefixes[0]}definitions"
            digest, content = loaded(f"definition number {key}", self.link.call(place, "HGET", place, key))
            found = self.learn(key, digest, content)
        return found

    def all_keys(self) -> list[str]:
        """Every key of the store, in order: for tests, and for whoever removes it. Looks at all keys of the servers."""
        found: set[str] = set()
        for client in self.link.primaries():
            found |= {str(key) for key in client.scan_iter(match=f"{{{self.address.namespace}:*", count=1000)}
        return sorted(found)

    # ---- transactions ----------------------------------------------------------------------------------------------------
    def transaction(self, *, write: bool) -> Span:
        """Begin; commit on leaving, forget everything when an exception leaves."""
        self.check_usable()
        return Span(self, write)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.closed = True
        self.link.close()
