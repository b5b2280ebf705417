"""Verifying histories: lines and transitions a second, of many small trees and of one of 10,000 tasks, in memory and
on SQLite.

The goal is 25,000 lines a second, whatever the size of a workflow.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.formal.known import standard_knowledge
from kernel.stores.memory import MemoryStore
from kernel.stores.sqlite import SqliteStore

pytestmark = pytest.mark.bench

SIZES = ((10, 200), (10_000, 1))
"""Tasks of a workflow, and how many of these."""
AGAIN = 5


def lived(store: Store, size: int, trees: int) -> Kernel:
    """Workflows of chains of ten tasks, all of them done."""
    k = Kernel(store)
    tasks = [TaskDef(f"t{n}", type="t", after=[f"t{n - 1}"] if n % 10 else []) for n in range(size)]
    k.register(WorkflowDef("w", tasks=tasks, topics=("archive",)))
    for number in range(trees):
        k.start("w", workflow_id=f"w{number}")
    while leases := k.poll("t", limit=1_000):
        for lease in leases:
            k.complete(lease)
    return k


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(("size", "trees"), SIZES)
def test_verify(kind: str, size: int, trees: int, tmp_path: Path) -> None:
    """On the clock of the thread, so that other programs take nothing from it; the best of some rounds."""
    standard_knowledge()
    with lived(MemoryStore() if kind == "memory" else SqliteStore(str(tmp_path / "kernel.db")), size, trees) as k:
        found, best = k.verify(), float("inf")
        for _ in range(AGAIN):
            begun = time.thread_time()
            assert k.verify() == found
            best = min(best, time.thread_time() - begun)
    assert found.clean
    sys.stdout.write(f"\n{kind}, {trees} x {size:,} tasks: {found.lines:,} lines, {found.lines / best:,.0f} lines a second, "
                     f"{found.transitions / best:,.0f} transitions a second\n")
