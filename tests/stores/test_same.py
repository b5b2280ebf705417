"""All stores are one as far as anybody can tell: equal rows after every step, equal answers to every question."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from kernel.core.plan import Subject
from kernel.core.records import root_of
from kernel.errors import KernelError
from kernel.spec import SPEC
from kernel.testing.dump import difference
from kernel.testing.lockstep import LIMIT, Lockstep
from kernel.testing.questions import answers
from tests.stores.stand import STORES, Stand, stand

pytestmark = pytest.mark.server


@pytest.fixture
def stands(tmp_path: Path) -> Iterator[list[Stand]]:
    """A kernel on each store, told the same by their clocks and by chance."""
    with ExitStack() as stack:
        yield [stack.enter_context(stand(kind, tmp_path)) for kind in STORES]


def check_equal(stands: list[Stand], step: str) -> None:
    memory, *others = (each.rows() for each in stands)
    for other in others:
        assert memory == other, f"after {step}: {difference(memory, other)}"


@pytest.mark.parametrize("seed", range(2))
def test_rows_are_equal_after_every_step(stands: list[Stand], seed: int) -> None:
    """Every column of every row, after each of some hundred random commands."""
    driver = Lockstep(stands, seed)
    for number in range(100):
        check_equal(stands, f"step {number}, {driver.step()}")
    assert not [f for each in stands for f in each.k.audit().findings]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 118))
def test_rows_are_equal_in_many_runs(stands: list[Stand], seed: int) -> None:
    """The same for a few thousand steps, and no audit finds anything on the way."""
    driver = Lockstep(stands, seed)
    for number in range(110):
        check_equal(stands, f"step {number}, {driver.step()}")
        for each in stands:
            assert each.k.audit().findings == ()


UNWRITTEN = {"HEARTBEAT", "SHIFT", "DEFER", "PURGE"}
"""No line of history tells of them: they change no state, or leave no history."""
OUT_OF_REACH = {("REJECT", "SCHEDULED"), ("SIGNAL", "SCHEDULED"), ("REOPEN", "SKIPPED"),
                ("REOPEN", "FAILED_WITH_TERMINAL_ERROR")}
"""A waiting task is launched in the commit that schedules it; what was sound is rarely unsound at the next attempt. A task that
was skipped or rejected has no sub-workflow that could go on in place.
"""


RUNS = 200
"""Runs that are made at most, until every row was taken: some fifty are enough by far on most days."""


@pytest.mark.slow
def test_the_runs_go_everywhere(tmp_path: Path) -> None:
    """In runs like those above every row of the tables is taken: what is equal there is equal."""
    missing = {(kind, row.event, source, row.target) for kind, table in SPEC.tables.items() for row in table.rows
               for source in row.source if row.event not in UNWRITTEN and (row.event, source) not in OUT_OF_REACH}
    for seed in range(RUNS):
        with stand("memory", tmp_path) as memory:
            driver = Lockstep([memory], seed)
            for _ in range(170):
                driver.step()
            missing -= {(r["kind"], r["event"], r["source"], r["target"]) for r in memory.rows()["history"].values()}
        if not missing:
            break
    print(f"{seed + 1} runs")  # noqa: T201 - shown with -s
    assert missing == set()


@pytest.mark.parametrize("seed", range(2))
def test_every_question_has_one_answer(stands: list[Stand], seed: int) -> None:
    """Every method that reads gives the same on all stores, whatever the state and whatever is asked."""
    driver = Lockstep(stands, 1_000 + seed)
    for number in range(120):
        driver.step()
        if number % 6 == 0:
            found = []
            for each in stands:
                with each.store.transaction(write=False) as t:
                    found.append(list(answers(t, random.Random(number), each.clock.now())))
            for memory, *others in zip(*found, strict=True):
                assert others == [memory] * len(others)


def test_a_read_copy_is_private(stands: list[Stand]) -> None:
    """Changing a row that was read changes nothing in the store."""
    driver = Lockstep(stands, 5)
    for _ in range(60):
        driver.step()
    before = [each.rows() for each in stands]
    for each in stands:
        with each.store.transaction(write=False) as t:
            for workflow in t.find(None, None, "", LIMIT):
                workflow.state, workflow.counts[0] = "SPOILT", 99
                for task in t.tasks(workflow.id, workflow.run):
                    task.state, task.counts[0] = "SPOILT", 99
                tree = t.tree(root_of(workflow.id))
                assert tree is not None
                tree.version = 99
            for delivery in t.deliveries(None, None, ("", 0, ""), LIMIT):
                delivery.state = "SPOILT"
    assert [each.rows() for each in stands] == before


def test_an_exception_undoes_every_write(stands: list[Stand]) -> None:
    """A transaction that is left with an exception has changed nothing, on any store, whatever it wrote."""
    driver = Lockstep(stands, 11)
    for number in range(60):
        driver.step()
        workflow, broken = driver.workflow(), number % 3
        for each in stands:
            before, k = each.rows(), each.kernel()
            with suppress(ZeroDivisionError), each.store.transaction(write=True) as t:
                for name in ("PAUSE", "TERMINATE")[: broken + 1]:
                    with suppress(KernelError):
                        k.apply(t, k.command(name, Subject(workflow), given={"origin": workflow}))
                raise ZeroDivisionError
            assert each.rows() == before
