"""The decision in memory against one shared `transitions` Machine: dispatching an event, and deciding a whole command.

The yardstick triggers COMPLETE on the Machine that the dispatch table was compiled from, with the same compiled guards.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from kernel.core.decide import decide
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.plan import Command, Plan, Subject
from kernel.core.program import standard_program
from kernel.core.structure import compile_definition
from kernel.core.view import pick
from kernel.spec import TASK
from kernel.stores.memory import MemoryStore
from tests.benchmarks.common import ratios, show

pytestmark = pytest.mark.bench

SIZES = (3, 10, 10_000)
NOW = 1_000_000
Call = Callable[[], object]


def applied(store: MemoryStore, name: str, subject: Subject, **given: Any) -> None:
    """Decide and write one command."""
    written = {key: given.pop(key) for key in ("prepared", "input", "payload") if key in given}
    with store.transaction(write=True) as transaction:
        plan = decide(standard_program(), transaction.snapshot(subject), Command(name, subject, given, **written), NOW)
        assert isinstance(plan, Plan), plan
        transaction.write(plan)


def chain(size: int, *, polled: bool) -> tuple[MemoryStore, Subject]:
    """A store with a chain of tasks, the middle one SCHEDULED or held by a worker; and that task.

    The tasks before it are closed by writing them so, which is how they would be.
    """
    store = MemoryStore()
    tasks = [TaskDef(f"t{no}", after=[f"t{no - 1}"] if no else []) for no in range(size)]
    with store.transaction(write=True) as transaction:
        transaction.register(compile_definition(WorkflowDef("w", tasks=tasks)), NOW)
        prepared = transaction.definition("w", None)
    applied(store, "START", Subject("w"), prepared=prepared, input="{}")
    for no in range(size // 2):
        applied(store, "POLL", Subject("w", no))
        applied(store, "COMPLETE", Subject("w", no), run=1, handouts=1)
    middle = Subject("w", size // 2)
    if polled:
        applied(store, "POLL", middle)
    return store, middle


def deciding(store: MemoryStore, command: Command) -> Call:
    """A whole decision: snapshot, private copies, guards, fields, counters, progress, plan. Nothing is written."""
    program = standard_program()
    with store.transaction(write=False) as transaction:
        snapshot, subject = transaction.snapshot, command.subject
    return lambda: decide(program, snapshot(subject), command, NOW)


def decisions(size: int) -> dict[str, Call]:
    """Deciding to poll and to complete the middle task of a chain."""
    store, middle = chain(size, polled=False)
    poll = deciding(store, Command("POLL", middle, worker="w1"))
    store, middle = chain(size, polled=True)
    complete = deciding(store, Command("COMPLETE", middle, {"run": 1, "handouts": 1}, payload='{"n":1}'))
    return {f"poll, {size:,} tasks": poll, f"complete, {size:,} tasks": complete}


def moving() -> dict[str, Call]:
    """Moving one linked row by COMPLETE: by the Machine, and by the dispatch table compiled from it."""
    store, middle = chain(3, polled=True)
    with store.transaction(write=False) as transaction:
        snapshot = transaction.snapshot(middle)
        row, workflow = snapshot.task("w", 1), snapshot.workflow("w")
    assert row is not None
    assert workflow is not None
    row.wf = workflow
    trigger, program, given = TASK.machine().events["COMPLETE"].trigger, standard_program(), {"run": 1, "handouts": 1}

    def triggered() -> None:
        row.state = "IN_PROGRESS"
        trigger(row, run=1, handouts=1)

    def dispatched() -> None:
        row.state = "IN_PROGRESS"
        line = pick(program, row, "COMPLETE", given)
        if line is not None:
            row.state = line.target

    return {"transitions Machine, trigger": triggered, "dispatch table": dispatched}


def test_decision() -> None:
    """Dispatch at least 10 times, a whole decision at least 0.7 times the rate of the Machine's trigger."""
    subjects = moving() | decisions(SIZES[0])
    yardstick = next(iter(subjects))
    sys.stdout.write("\n" + show(f"rate / {yardstick}", ratios(yardstick, subjects, clock=time.thread_time)))


def test_size() -> None:
    """At 10,000 tasks a decision takes at most 1.3 times its time at 10: its rate is at least 0.77 of that."""
    small, large = decisions(SIZES[1]), decisions(SIZES[2])
    for (name, few), (other, many) in zip(small.items(), large.items(), strict=True):
        measured = ratios(name, {name: few, other: many}, clock=time.thread_time)
        sys.stdout.write("\n" + show(f"rate / {name}", measured))
