"""Where the stateful tests get stores from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.testing.stores import Stores, quick_folder
from tests.stores.servers import stores_of
from tests.stores.stand import EMBEDDED


@pytest.fixture(params=EMBEDDED)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Each kind of store that needs no server; SQLite's files are in memory where the system has such a folder."""
    with quick_folder() as folder:
        yield stores_of(request.param, folder)
