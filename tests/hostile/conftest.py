"""What the tests of hostile input share: a kernel on each store, with work under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kernel
from kernel.testing.replay import check_store
from tests.stores.stand import EMBEDDED, Stand, stand

LEAF = kernel.WorkflowDef("leaf", tasks=[kernel.TaskDef("x")], topics=("archive",))
ROOT = kernel.WorkflowDef("root", topics=("archive",), tasks=[
    kernel.TaskDef("sub", workflow="leaf"), kernel.TaskDef("a", retries=1), kernel.TaskDef("ok", kind="wait"),
    kernel.TaskDef("b")])


@pytest.fixture(params=EMBEDDED)
def each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    """Two workflows of two levels: 'v' terminated, 'w' running. In the end every history is allowed, whatever was tried."""
    with stand(request.param, tmp_path) as found:
        found.k.register(LEAF, ROOT)
        for name in ("v", "w"):
            found.k.start("root", workflow_id=name)
        found.k.terminate("v")
        yield found
        if request.node.get_closest_marker("unverified") is None:
            check_store(found.k)


@pytest.fixture
def lease(each: Stand) -> kernel.Lease:
    """The lease of a task of 'w'."""
    (lease,) = each.k.poll("a", worker="w1")
    return lease
