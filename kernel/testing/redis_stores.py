"""Redis stores for the tests: each a namespace of its own on one server."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator

from kernel.engine.ports import Store
from kernel.stores.redis import RedisStore
from kernel.testing.stores import POLICY


class RedisStores:
    """Redis stores on the server or cluster of a URL, which holds a query of its own or none."""

    name = "redis"

    def __init__(self, url: str, *, names: Iterator[str] | None = None) -> None:
        """`names` are those of the namespaces; made up when not given."""
        self.url = f"{url}{'&' if '?' in url else '?'}namespace="
        self._names = names or (f"{secrets.token_hex(4)}-{number}" for number in itertools.count())
        self._urls: dict[str, str] = {}

    def open(self) -> Store:
        """A new namespace."""
        url = self.url + next(self._names)
        store = RedisStore(url, policy=POLICY)
        self._urls[store.id] = url
        return store

    def reopen(self, store: Store) -> Store:
        """The same namespace through new connections."""
        store.close()
        return self.beside(store)

    def beside(self, store: Store) -> Store:
        """The same namespace through connections of its own."""
        return RedisStore(self._urls[store.id], policy=POLICY)

    def remove(self, store: Store) -> None:
        """Remove every key of the namespace."""
        if not isinstance(store, RedisStore):
            raise TypeError(f"{type(store).__name__} is not a store of this kind")
        for key in store.all_keys():
            store.link.call(key, "DEL", key)
        store.close()
