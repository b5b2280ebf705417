"""What the tests of stores share: stores on the PostgreSQL server of the run, a way to it that breaks, and a small disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernel.testing.servers import PostgresStores
from tests.stores.disks import small_disk
from tests.stores.proxy import Proxy
from tests.stores.servers import RUN


@pytest.fixture
def stores() -> PostgresStores:
    """Stores on the PostgreSQL server of this run."""
    return RUN.postgres()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with 1 MB."""
    with small_disk(tmp_path / "disk", 1) as folder:
        yield folder


@pytest.fixture
def proxy(stores: PostgresStores) -> Iterator[Proxy]:
    """A way to the PostgreSQL server that counts messages, and can break."""
    with closing(Proxy(str(stores.server.folder / ".s.PGSQL.5432"))) as proxy:
        yield proxy
