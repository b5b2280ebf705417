"""What the tests of stores share: stores on the PostgreSQL server of the run, and a small disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.testing.servers import PostgresStores
from tests.stores.disks import small_disk
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
