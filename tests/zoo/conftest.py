"""Where the zoo gets stores from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.testing.stores import MemoryStores, SqliteStores, Stores, quick_folder


@pytest.fixture(params=["memory", "sqlite"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Each kind of store; SQLite's files are in memory where the system has such a folder."""
    if request.param == "memory":
        yield MemoryStores()
    else:
        with quick_folder() as folder:
            yield SqliteStores(folder)
