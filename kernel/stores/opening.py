"""Opens a kernel on the store that a URL names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kernel.core.archive import ArchivePolicy
from kernel.core.checks import LIMITS
from kernel.core.records import Policy
from kernel.engine import inputs
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.sinks import Sink
from kernel.errors import InvalidInput, quoted
from kernel.stores.memory import MemoryStore
from kernel.stores.sqlite import SqliteStore

SQLITE = "sqlite:///"
POSTGRES = "postgresql://"
REDIS = ("redis", "rediss", "redis+cluster", "rediss+cluster")


def open(
    url: str, *, sinks: Mapping[str, Sink] | None = None, actor: str = "", attempts: int | None = None,
    archive: ArchivePolicy | None = None, **options: Any,
) -> Kernel:
    """Open a kernel on a store: `sqlite:///orders.db` (relative), `sqlite:////var/lib/orders.db` (absolute), `memory://`,
    `postgresql://user@host:5432/database` (its tables are in the schema `kernel`, or `?schema=NAME`), or
    `redis://user@host:6379/0` (`redis+cluster://` for a cluster; its keys begin with `kernel`, or `?namespace=NAME`).

    `sinks` says what this process can deliver, by topic; `actor` stands in the history of what it does. A delivery that a
    commit of this process writes has `attempts`, 100 unless told. `clock`, `chance`, `relay` (RelayOptions) and `faults` can
    be given too. `archive` is kept in the store: an archive policy that holds for every
    definition, whoever opens it, until `Kernel.set_archive_policy` gives another. Raises InvalidInput for a URL that is none
    of these, and StoreError when the store cannot be used.
    """
    policy = Policy() if attempts is None else Policy(sends=inputs.whole(
        attempts, "the attempts of a delivery", 1, LIMITS.whole))
    store = _store(url, policy)
    try:
        kernel = Kernel(store, sinks=sinks, actor=actor, **options)
        if archive is not None:
            kernel.set_archive_policy(archive)
    except BaseException:
        store.close()
        raise
    return kernel


def _store(url: object, policy: Policy) -> Store:
    if url == "memory://":
        return MemoryStore(policy=policy)
    if isinstance(url, str) and url.startswith(SQLITE) and len(url) > len(SQLITE):
        return SqliteStore(url.removeprefix(SQLITE), policy=policy)
    if isinstance(url, str) and url.startswith(POSTGRES):
        return _postgres(url, policy)
    if isinstance(url, str) and url.partition("://")[0] in REDIS:
        return _redis(url, policy)
    shown = url if not isinstance(url, str) or "@" not in url else "with a user in it"  # there may be a password, too
    raise InvalidInput(f"the store {quoted(shown)}", why="no store of this kind exists",
                       allowed=("sqlite:///FILE", "postgresql://USER@HOST/DATABASE", "redis://HOST:PORT/0", "memory://"),
                       hint="sqlite:///orders.db keeps everything in the file orders.db")


@contextmanager
def driver(name: str, extra: str) -> Iterator[None]:
    """The drivers of servers are extras: who does not use one does not need it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InvalidInput(f"opening a {name} store", why=f"the package {error.name} is not installed",
                           hint=f"pip install 'lifecycle-kernel[{extra}]'") from error


def _postgres(url: str, policy: Policy) -> Store:
    with driver("PostgreSQL", "postgres"):
        from kernel.stores.postgres import PostgresStore
    return PostgresStore(url, policy=policy)


def _redis(url: str, policy: Policy) -> Store:
    with driver("Redis", "redis"):
        from kernel.stores.redis import RedisStore
    return RedisStore(url, policy=policy)
