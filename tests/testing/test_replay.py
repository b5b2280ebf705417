"""The replay of histories: it tells the rows from the lines, and no line can be missing, doubled, moved or wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import cache

import attrs
import pytest

from kernel.core.records import prepare
from kernel.core.structure import compile_definition
from kernel.engine import verify
from kernel.engine.entities import HistoryRow
from kernel.engine.kernel import Kernel
from kernel.testing import scenes
from kernel.testing.driver import Driver
from kernel.testing.dump import Definitions, TreeDump
from kernel.testing.pool import POOL
from kernel.testing.replay import Mismatch, Replay, check_history, check_store, pages, replayed
from kernel.testing.stores import MemoryStores

NAMES = [definition.name for definition in POOL]
Lines = list[HistoryRow]


@cache
def lived() -> tuple[Kernel, TreeDump, Definitions, tuple[HistoryRow, ...]]:
    """A tree that was started, paused, resumed, worked on, failed in, waited for, terminated and delivered."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("tower"), 0)
    driver.pause(0)
    driver.resume(0)
    driver.fail(0, 0)
    driver.heartbeat(0)
    driver.work(1)
    scenes.stall(driver, 0, 1)
    driver.terminate(3)
    driver.deliver(3)
    driver.terminate_one("w1")
    driver.deliver(9)
    return driver.kernel, driver.dump["w1"], driver.definitions, tuple(pages(driver.kernel, "w1"))


def renumbered(lines: Lines) -> Lines:
    """The lines as if nothing had been between them."""
    return [attrs.evolve(line, seq=number) for number, line in enumerate(lines, 1)]


def differences(lines: Lines) -> list[str]:
    """What the replay of these lines finds, as one list."""
    _, tree, definitions, _ = lived()
    try:
        return list(replayed(lines, definitions.prepared).differences(tree))
    except Mismatch as mismatch:
        return [str(mismatch)]


def test_the_history_tells_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of a whole life give the rows, whatever the size of the pages."""
    kernel, _, _, lines = lived()
    assert len(lines) > 40
    assert differences(list(lines)) == []
    for size in (1, 7, 1000):
        assert tuple(pages(kernel, "w1", size)) == lines
        monkeypatch.setattr(verify, "PAGE", size)
        assert check_history(kernel, "w1/outer") == check_store(kernel) == len(lines)


def test_no_line_can_be_missing_or_doubled() -> None:
    """Without any one of its lines, or with one of them twice, the history tells something else."""
    lines = lived()[3]
    for place in range(len(lines)):
        for altered in ([*lines[:place], *lines[place + 1:]], [*lines[:place + 1], *lines[place:]]):
            assert differences(renumbered(altered)), lines[place]
            assert differences(altered) != [] or place == len(lines) - 1


EDITS: list[tuple[Callable[[HistoryRow], HistoryRow | None], str]] = [
    (lambda line: attrs.evolve(line, source="SCHEDULED") if line.event == "COMPLETE" and line.kind == "task" else None,
     "no table has this line"),
    (lambda line: attrs.evolve(line, event="SKIP", source="PENDING") if line.event == "SCHEDULE" else None,
     "no table has this line"),
    (lambda line: attrs.evolve(line, workflow_id="w1/outer/middle") if line.event == "PAUSE" and line.seq == 24 else None,
     "it is PAUSED"),
    (lambda line: attrs.evolve(line, subject="y") if (line.event, line.attempt, line.subject) == ("POLL", 2, "x") else None,
     "it is COMPLETED"),
    (lambda line: attrs.evolve(line, count=line.count + 1) if line.count > 1 else None, "it counts "),
    (lambda line: attrs.evolve(line, count=2) if line.kind == "task" and line.subject else None, "it is "),
    (lambda line: attrs.evolve(line, version=line.version + 1) if line.event == "PAUSE" else None, "version|INV-07"),
    (lambda line: attrs.evolve(line, version=line.version + 1) if line.event == "CLAIM" else None, "version"),
    (lambda line: attrs.evolve(line, at=line.at - timedelta(days=1)) if line.event == "RESUME" else None,
     "it is older than what came before it|one version and one time"),
    (lambda line: attrs.evolve(line, at=line.at - timedelta(days=1)) if (line.event, line.attempt) == ("POLL", 2) else None,
     "it is older than what came before it|one version and one time"),
    (lambda line: attrs.evolve(line, seq=1) if line.event == "PAUSE" else None, "the line before it was number"),
    (lambda line: attrs.evolve(line, event="HEARTBEAT", source="IN_PROGRESS", target="IN_PROGRESS")
     if line.event == "POLL" else None, "it changes no state"),
    (lambda line: attrs.evolve(line, attempt=9) if line.event == "COMPLETE" and line.kind == "task" else None,
     "its history tells"),
    (lambda line: attrs.evolve(line, attempt=9) if line.event == "CONFIRM" else None, "its history tells"),
]


@pytest.mark.parametrize(("edit", "why"), EDITS)
def test_a_wrong_line_is_found(edit: Callable[[HistoryRow], HistoryRow | None], why: str) -> None:
    """A line that the tables do not have, of another row, count, version, time or attempt is named."""
    lines = lived()[3]
    edited = [(place, new) for place, line in enumerate(lines) if (new := edit(line)) is not None]
    assert edited
    for place, new in edited:
        found = differences([*lines[:place], new, *lines[place + 1:]])
        assert found
        assert any(re.search(why, problem) for problem in found), found


def test_rows_that_changed_without_a_line_are_found() -> None:
    """A row that differs from what its history tells is named: workflow, task, delivery, and the version."""
    _, tree, definitions, lines = lived()
    replay = replayed(lines, definitions.prepared)
    (task, facts), (place, entry) = next(iter(tree.tasks.items())), next(iter(tree.deliveries.items()))
    changed = tree._replace(
        version=tree.version + 1, workflows={**tree.workflows, "w1": tree.workflows["w1"]._replace(state="RUNNING")},
        tasks={**tree.tasks, task: facts._replace(attempt=7)},
        deliveries={**tree.deliveries, place: entry._replace(state="PENDING")})
    found = [problem.rpartition(": the ")[2].split()[0] for problem in replay.differences(changed)]
    assert found == ["workflow", "task", "delivery", "tree's"]
    fewer = tree._replace(deliveries={})
    assert len(list(replay.differences(fewer))) == len(tree.deliveries)


def test_nothing_starts_in_a_workflow_that_has_to_end() -> None:
    """A start that stands before the end that was due is a mismatch; before it was due it is none."""
    kernel = Kernel(MemoryStores().open())
    kernel.register(*POOL)
    kernel.start("asks-completed", workflow_id="w1")
    kernel.complete(kernel.poll("pick")[0])
    lines = kernel.history("w1", below=True)
    (prepared,) = (prepare(compile_definition(each)) for each in POOL if each.name == "asks-completed")
    replay = Replay(lambda name, run: prepared)
    ending = next(place for place, line in enumerate(lines) if line.kind == "workflow" and line.target == "COMPLETED")
    for line in lines[:ending]:
        replay.feed(line)
    start = attrs.evolve(lines[ending], kind="task", subject="beside", event="LAUNCH", source="SCHEDULED",
                         target="IN_PROGRESS", by="LAUNCH_CHILD")
    with pytest.raises(Mismatch, match="ASKED_COMPLETED comes first"):
        replay.feed(start)


def test_a_tree_without_a_history_is_found() -> None:
    """Rows without any line are no tree."""
    store = MemoryStores().open()
    kernel = Kernel(store)
    kernel.register(*POOL)
    kernel.start("leaf", workflow_id="w1")
    lines = vars(store)["lines"]
    lines["w1"].clear()
    with pytest.raises(Mismatch):
        check_history(kernel, "w1")
