"""What the tests of the engine share: a kernel on each store, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.engine.kernel import Kernel
from kernel.testing.clock import ManualClock
from kernel.testing.replay import check_store
from tests.stores.stand import STORES, Stand, stand


@pytest.fixture(params=STORES)
def each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    """A new store of each kind in turn, a kernel on it, and their clock. In the end every history in it is allowed."""
    with stand(request.param, tmp_path) as found:
        yield found
        if request.node.get_closest_marker("unverified") is None:
            check_store(found.k)


@pytest.fixture
def k(each: Stand) -> Kernel:
    """The kernel."""
    return each.k


@pytest.fixture
def clock(each: Stand) -> ManualClock:
    """Its clock."""
    return each.clock
