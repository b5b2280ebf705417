"""The PostgreSQL server of a test run: started when the first test asks for it, stopped when the last one is over."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir

import pytest

from kernel.testing.redis_stores import RedisStores
from kernel.testing.servers import PostgresStores, postgres_programs, postgres_server
from kernel.testing.stores import MemoryStores, SqliteStores, Stores
from tests.redis_server import cluster, server

PLACE = gettempdir()
"""Found out before a test says otherwise: the user that the server runs as has to come in."""


class Run:
    """What a run of tests has started."""

    def __init__(self) -> None:
        self.started = ExitStack()
        self.stores: PostgresStores | None = None
        self.asked = 0

    def postgres(self) -> PostgresStores:
        """Stores on the server; a test that needs them skips where PostgreSQL is not installed."""
        self.asked += 1
        if self.stores is None:
            if postgres_programs() is None:
                pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
            self.stores = PostgresStores(self.started.enter_context(postgres_server(place=PLACE)))
            self.started.callback(self.stores.close)
        return self.stores

    def stop(self) -> None:
        """Stop what was started."""
        self.stores = None
        self.started.close()


RUN = Run()


def asked() -> int:
    """How often tests of this process asked for a server."""
    infos = [shared.cache_info() for shared in (server, cluster)]
    return RUN.asked + sum(info.hits + info.misses for info in infos)


def stores_of(kind: str, folder: Path) -> Stores:
    """Stores of a kind, one after the other empty; SQLite's files are in the folder."""
    if kind == "memory":
        return MemoryStores()
    if kind == "redis":
        return RedisStores(server().url)
    return SqliteStores(folder) if kind == "sqlite" else RUN.postgres()
