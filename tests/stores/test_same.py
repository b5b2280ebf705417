"""Memory and SQLite are one store as far as anybody can tell: equal rows after every step, equal answers to every question."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kernel.core.plan import Subject
from kernel.core.records import OWN, root_of
from kernel.engine.ports import Transaction
from kernel.errors import KernelError
from kernel.spec import SPEC
from kernel.testing.dump import difference
from tests.stores.driver import LIMIT, Driver, placed
from tests.stores.stand import Stand, delivery_columns, stand, task_columns, workflow_columns


@pytest.fixture
def stands(tmp_path: Path) -> Iterator[list[Stand]]:
    """A kernel on each store, told the same by their clocks and by chance."""
    with stand("memory", tmp_path) as memory, stand("sqlite", tmp_path) as sqlite:
        yield [memory, sqlite]


def check_equal(stands: list[Stand], step: str) -> None:
    memory, sqlite = (each.rows() for each in stands)
    assert memory == sqlite, f"after {step}: {difference(memory, sqlite)}"


@pytest.mark.parametrize("seed", range(2))
def test_rows_are_equal_after_every_step(stands: list[Stand], seed: int) -> None:
    """Every column of every row, after each of some hundred random commands."""
    driver = Driver(stands, seed)
    for number in range(100):
        check_equal(stands, f"step {number}, {driver.step()}")
    assert not [f for each in stands for f in each.k.audit().findings]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 122))
def test_rows_are_equal_in_many_runs(stands: list[Stand], seed: int) -> None:
    """The same for a few thousand steps, and no audit finds anything on the way."""
    driver = Driver(stands, seed)
    for number in range(110):
        check_equal(stands, f"step {number}, {driver.step()}")
        for each in stands:
            assert each.k.audit().findings == ()


NOT_YET = {"PURGE"}
UNWRITTEN = {"HEARTBEAT", "SHIFT", "DEFER"}
"""They change no state, so no line of history tells of them."""
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
               for source in row.source if row.event not in NOT_YET | UNWRITTEN and (row.event, source) not in OUT_OF_REACH}
    for seed in range(RUNS):
        with stand("memory", tmp_path) as memory:
            driver = Driver([memory], seed)
            for _ in range(170):
                driver.step()
            missing -= {(r["kind"], r["event"], r["source"], r["target"]) for r in memory.rows()["history"].values()}
        if not missing:
            break
    print(f"{seed + 1} runs")  # noqa: T201 - shown with -s
    assert missing == set()


# ---- every question ---------------------------------------------------------------------------------------------------------
def plain(answer: Any) -> Any:
    """An answer as values that can be compared."""
    if isinstance(answer, list | tuple) and type(answer) in (list, tuple):
        return [plain(each) for each in answer]
    for columns, name in ((workflow_columns, "WorkflowRow"), (task_columns, "TaskRow"), (delivery_columns, "DeliveryRow")):
        if type(answer).__name__ == name:
            return {column: value for column, value in columns(answer).items() if column != "until"}  # for the audit alone
    if type(answer).__name__ == "TreeRow":
        return [answer.root, answer.run, answer.version, answer.clock, answer.tasks]
    return answer.digest if type(answer).__name__ == "Prepared" else answer


def unordered(rows: Any) -> list[Any]:
    """Rows whose order is not promised."""
    return sorted((plain(row) for row in rows), key=repr)


def answers(t: Transaction, chance: random.Random, now: int) -> Iterator[tuple[str, Any]]:
    """Every method that reads, about rows that are there and about some that are not."""
    workflows = t.find(None, None, "", LIMIT)
    yield "find", plain(workflows)
    ids = [w.id for w in workflows]
    for state in (None, "RUNNING", "PAUSED", "COMPLETED", "TERMINATED"):
        for name in (None, "leaf", "tower", "nothing"):
            after = chance.choice([*ids, "", "w1~"])
            yield f"find {state} {name} {after}", plain(t.find(state, name, after, chance.choice((1, 3, LIMIT))))
    for type in ("pick", "pack", "nothing"):
        yield f"pollable {type}", sorted(t.pollable(type, now, LIMIT), key=placed)
    for topics in (("archive",), ("mail", "archive"), ()):
        yield f"claimable {topics}", sorted(t.claimable(topics, now, LIMIT), key=placed)
    timers = t.timers(now + 40_000_000, LIMIT)
    yield "timers", sorted((timer.command, placed(timer.subject)) for timer in timers)
    yield "names", t.names()
    for workflow in [*ids, "nobody"]:
        yield f"late {workflow}", t.late(workflow)
    yield "sizes", t.sizes()
    yield "violations", sorted(t.violations())
    for name, version in (("leaf", None), ("leaf", 1), ("leaf", 9), ("nobody", None)):
        yield f"definition {name} {version}", plain(t.definition(name, version))
    for id in [*chance.sample(ids, min(len(ids), 4)), "nobody", "nobody/child"]:
        yield from of_workflow(t, chance, id)
    for state, behind in ((None, ("", 0, "")), ("PENDING", ("w1", 1, "archive")), ("DEAD", ("", 0, "")), (None, ("w2", 0, ""))):
        yield f"deliveries {state}", plain(t.deliveries(state, None, behind, chance.choice((1, LIMIT))))


def of_workflow(t: Transaction, chance: random.Random, id: str) -> Iterator[tuple[str, Any]]:
    """What can be asked about one workflow."""
    root, run = root_of(id), chance.choice((1, 1, 1, 2))
    yield f"tree {id}", plain(t.tree(root))
    yield f"workflow {id}", plain(t.workflow(id, run))
    yield f"below {id}", plain(t.below(id, run))
    tasks = list(t.tasks(id, run))
    yield f"tasks {id}", plain(tasks)
    yield f"tasks behind {id}", plain(list(t.tasks(id, run, chance.randrange(-1, 3), chance.randrange(1, 3))))
    yield f"task {id}", [plain(t.task(id, run, no)) for no in range(-1, 4)]
    for no, what in ((OWN, "input"), (0, "input"), (0, "output"), (1, "output"), (99, "input")):
        yield f"payload {id} {no} {what}", t.payload(id, run, no, what)
    for only, of in ((None, None), (id, None), (id, 1), (None, 2)):
        yield f"history {id} {only}", t.history(root, only, of, chance.randrange(4), chance.choice((1, 5, LIMIT)))
    yield f"deliveries {id}", plain(t.deliveries(None, id, ("", 0, ""), LIMIT))
    yield f"delivery {id}", [plain(t.delivery(id, run, topic)) for topic in ("archive", "mail", "")]
    yield f"recorded {id}", [t.recorded(root, f"c{n}") for n in range(12)]
    yield from of_snapshot(t, id, [task.no for task in tasks])


def of_snapshot(t: Transaction, id: str, nos: list[int]) -> Iterator[tuple[str, Any]]:
    """What a decision can ask, from three kinds of subject."""
    for subject in (Subject(id), Subject(id, 0), Subject(id, topic="archive", run=1)):
        s = t.snapshot(subject)
        yield f"snapshot {subject} tree", plain(s.tree())
        yield f"snapshot {subject} task", [plain(s.task(id, no)) for no in (0, 1, 99)]
        yield f"snapshot {subject} workflow", [plain(s.workflow(id)), plain(s.workflow(root_of(id))), plain(s.workflow("?"))]
        yield f"snapshot {subject} tasks", unordered(s.tasks(id, nos))
        yield f"snapshot {subject} ready", unordered(s.ready(id))
        yield f"snapshot {subject} paused_by", unordered(s.paused_by(id))
        yield f"snapshot {subject} delivery", plain(s.delivery(id, 1, "archive"))
        yield f"snapshot {subject} payload", [s.payload(id, no, "input") for no in (OWN, 0, 99)]
        yield f"snapshot {subject} definition", plain(s.definition("leaf", None))
        yield f"snapshot {subject} policy", s.policy


@pytest.mark.parametrize("seed", range(2))
def test_every_question_has_one_answer(stands: list[Stand], seed: int) -> None:
    """Every method that reads gives the same on both stores, whatever the state and whatever is asked."""
    driver = Driver(stands, 1_000 + seed)
    for number in range(120):
        driver.step()
        if number % 6 == 0:
            found = []
            for each in stands:
                with each.store.transaction(write=False) as t:
                    found.append(list(answers(t, random.Random(number), each.clock.now())))
            for memory, sqlite in zip(*found, strict=True):
                assert memory == sqlite


def test_a_read_copy_is_private(stands: list[Stand]) -> None:
    """Changing a row that was read changes nothing in the store."""
    driver = Driver(stands, 5)
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
    """A transaction that is left with an exception has changed nothing, on either store, whatever it wrote."""
    driver = Driver(stands, 11)
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
