"""What the tests of the engine share: a kernel on each store, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.engine.kernel import Kernel
from kernel.testing.clock import ManualClock
from tests.stores.stand import STORES, Stand, stand


@pytest.fixture(params=STORES)
def each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    """A new store of each kind in turn, a kernel on it, and their clock."""
    with stand(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def k(each: Stand) -> Kernel:
    """The kernel."""
    return each.k


@pytest.fixture
def clock(each: Stand) -> ManualClock:
    """Its clock."""
    return each.clock
