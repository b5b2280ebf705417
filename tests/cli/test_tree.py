"""The drawn tree: every workflow and task once, under what started it; remarks that tell what one would ask."""

from __future__ import annotations

import random

import pytest

import kernel
from kernel.cli.tree import branches, draw
from kernel.engine.kernel import Kernel
from kernel.stores.memory import MemoryStore
from kernel.testing.clock import ManualClock


@pytest.fixture
def k() -> Kernel:
    """A kernel with a definition that starts a sub-workflow twice over."""
    clock = ManualClock()
    made = Kernel(MemoryStore(), clock=clock, chance=random.Random(1))
    made.register(
        kernel.WorkflowDef("leaf", tasks=[kernel.TaskDef("last")]),
        kernel.WorkflowDef("branch", tasks=[kernel.TaskDef("leaf", workflow="leaf"), kernel.TaskDef("ask", kind="wait")]),
        kernel.WorkflowDef("top", tasks=[
            kernel.TaskDef("one", retries=1, retry_delay=5.0), kernel.TaskDef("down", workflow="branch"),
            kernel.TaskDef("two", after=["one"])]),
    )
    made.start("top", workflow_id="t")
    return made


def test_the_lines_of_a_tree(k: Kernel) -> None:
    """A sub-workflow stands under the task that started it; corners and stems show what belongs to what."""
    assert [(b.stem, b.name) for b in branches(k.tree("t"))] == [
        ("", "t"), ("├─ ", "one"), ("├─ ", "down"), ("│  └─ ", "t/down"), ("│     ├─ ", "leaf"),
        ("│     │  └─ ", "t/down/leaf"), ("│     │     └─ ", "last"), ("│     └─ ", "ask"), ("└─ ", "two"),
    ]


def test_states_and_remarks(k: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    """The drawing lines up, and tells who holds a task and until when, which attempt it is, what it waits for, and why."""
    (lease,) = k.poll("one", worker="w1")
    k.fail(lease, reason="no\nstock")
    k.poll("last", worker="w2")
    k.pause("t/down", reason="lunch")
    draw(k.tree("t"))
    assert capsys.readouterr().out == (
        "t                        ▶ RUNNING      top version 1, run 1, version 3\n"
        "├─ one                   ○ SCHEDULED    attempt 2, type one, not before 2001-09-09 01:46:45, no\\nstock\n"
        "├─ down                  ◐ IN_PROGRESS\n"
        "│  └─ t/down             ‖ PAUSED       branch version 1, lunch\n"
        "│     ├─ leaf            ◐ IN_PROGRESS\n"
        "│     │  └─ t/down/leaf  ‖ PAUSED       leaf version 1, paused by t/down, lunch\n"
        "│     │     └─ last      ◐ IN_PROGRESS  w2 until 2001-09-09 01:47:40\n"
        "│     └─ ask             ◐ IN_PROGRESS  waits for a signal\n"
        "└─ two                   · PENDING\n"
    )


def test_attempts_of_a_sub_workflow_stand_together() -> None:
    """A task that was tried again shows each sub-workflow that it started."""
    k = Kernel(MemoryStore(), clock=ManualClock(), chance=random.Random(1))
    k.register(kernel.WorkflowDef("leaf", tasks=[kernel.TaskDef("work")]),
               kernel.WorkflowDef("top", tasks=[kernel.TaskDef("down", workflow="leaf", retries=1)]))
    k.start("top", workflow_id="t")
    (lease,) = k.poll("work")
    k.fail(lease, retryable=False)
    assert [b.name for b in branches(k.tree("t"))] == ["t", "down", "t/down", "work", "t/down~2", "work"]


def test_a_deep_tree_is_drawn(k: Kernel) -> None:
    """Depth costs no stack: a chain of as many sub-workflows as are allowed is drawn to its end."""
    k.register(*(kernel.WorkflowDef(f"d{n}", tasks=[kernel.TaskDef("t", workflow=f"d{n + 1}")]) for n in range(300)))
    k.start("d0", workflow_id="deep")
    lines = list(branches(k.tree("deep")))
    assert lines[-1].row.state == "FAILED_WITH_TERMINAL_ERROR"
    assert len(lines) >= 40
