"""Stores on a server that somebody else runs, for a fault campaign on it: in a place of their own, beside whatever is there."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from kernel.engine.ports import Store
from kernel.errors import InvalidInput, quoted
from kernel.stores.opening import POSTGRES, REDIS, driver
from kernel.testing.stores import Stores

OWN = "kernel_faults"
"""What the names of schemas and namespaces begin with that are made here."""


@contextmanager
def given_stores(url: str) -> Iterator[Stores]:
    """Stores on the server of a URL, `postgresql://...` or `redis://...`, as long as the context is entered.

    Where the URL names no schema or namespace, they are in one with a name of its own, which is removed in the end. Where it
    does, that must be empty, and it is emptied after each store. On Redis all is in one partition. Raises InvalidInput where
    it holds anything, and what opening a store raises.
    """
    if url.startswith(POSTGRES):
        with driver("PostgreSQL", "postgres"), _postgres(url) as stores:
            yield stores
    elif url.partition("://")[0] in REDIS:
        with driver("Redis", "redis"):
            yield _redis(url)
    else:
        raise InvalidInput("a fault campaign on a server", why="its URL is of no server that holds a store",
                           allowed=(f"{POSTGRES}USER@HOST/DATABASE", "redis://HOST:PORT/0"))


def split(url: str, option: str) -> tuple[str, str | None]:
    """A URL without one of its options, and the value of that; None where it has none."""
    place, _, query = url.partition("?")
    given = [each for each in query.split("&") if each.startswith(f"{option}=")]
    rest = "&".join(each for each in query.split("&") if each and each not in given)
    return f"{place}?{rest}" if rest else place, given[-1].partition("=")[2] if given else None


def insist_on_empty(store: Store, what: str) -> None:
    """Nothing was ever done in it. Raises InvalidInput."""
    with store.transaction(write=False) as transaction:
        used = any(transaction.sizes()) or bool(transaction.names())
    if used:
        raise InvalidInput(
            f"a fault campaign in {what}", why="it holds workflows or definitions, and would be emptied",
            hint=f"leave {what.partition(' ')[0]}= out of the URL: the campaign makes one of its own, and removes it")


@contextmanager
def _postgres(url: str) -> Iterator[Stores]:
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import make_conninfo

    from kernel.stores.postgres import PostgresStore
    from kernel.stores.postgres_url import located
    from kernel.testing.servers import Schemas

    place, named = split(url, "schema")
    server = make_conninfo("", **located(place).server)
    stores = Schemas(lambda schema: f"{place}{'&' if '?' in place else '?'}schema={schema}",
                     lambda: psycopg.connect(server, autocommit=True), prefix=f"{OWN}_{secrets.token_hex(4)}_")
    if named is not None:
        with closing(PostgresStore(url)) as store:
            insist_on_empty(store, f"schema {quoted(named)}")
        stores.clean.append(named)
    with closing(stores):
        try:
            yield stores
        finally:
            with suppress(psycopg.Error):  # of what came before there is an error already
                for schema in {*stores.clean, *stores.schemas.values()} - {named}:
                    statement = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
                    stores.connection().execute(statement)


def _redis(url: str) -> Stores:
    from kernel.stores.redis import RedisStore
    from kernel.testing.redis_stores import RedisStores

    place, named = split(split(url, "partitions")[0], "namespace")
    place += f"{'&' if '?' in place else '?'}partitions=1"
    if named is None:
        token = secrets.token_hex(4)
        return RedisStores(place, names=(f"{OWN}_{token}_{number}" for number in itertools.count(1)))
    stores = RedisStores(place, names=itertools.repeat(named))
    with closing(RedisStore(f"{place}&namespace={named}")) as store:
        insist_on_empty(store, f"namespace {quoted(named)}")
        if store.partitions > 1:
            raise InvalidInput(f"a fault campaign in namespace {quoted(named)}", why=f"it has {store.partitions} partitions",
                               hint="name another one, or none: a poll takes tasks of one partition, the campaign expects all")
    return stores
