"""The independent checks: silent on what the kernel does, and each of them finds the damage that is planted for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from kernel.spec.vocabulary import CLOSED_WELL
from kernel.spec.vocabulary import LIVE as SPEC_LIVE
from kernel.spec.vocabulary import OPEN as SPEC_OPEN
from kernel.testing import scenes
from kernel.testing.checks import LIVE, OPEN, WELL, Tree, must_end, steps
from kernel.testing.driver import Driver
from kernel.testing.dump import Definitions, DeliveryFacts, TreeDump
from kernel.testing.pool import POOL
from kernel.testing.stores import MemoryStores

Damage = Callable[[TreeDump], None]
NAMES = [definition.name for definition in POOL]


@cache
def told(name: str, moves: tuple[str, ...] = ()) -> tuple[TreeDump, Definitions]:
    """A tree as the kernel leaves it after some moves."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index(name), 0)
    known: dict[str, Callable[[], None]] = {
        "pause": lambda: driver.pause(0), "poll": lambda: driver.poll(0, 3), "terminate": lambda: driver.terminate(0),
        "deliver": lambda: driver.deliver(3), "outage": lambda: scenes.outage(driver, 0),
        "complete": lambda: driver.complete(0)}
    for move in moves:
        known[move]()
    return driver.dump["w1"], driver.definitions


def standing(name: str, *moves: str) -> tuple[TreeDump, Definitions]:
    """The same, of its own."""
    dump, definitions = told(name, moves)
    return dump._replace(workflows=dict(dump.workflows), tasks=dict(dump.tasks), deliveries=dict(dump.deliveries)), definitions


def workflow(name: str, **fields: Any) -> Damage:
    """Damage a workflow."""
    def damage(dump: TreeDump) -> None:
        dump.workflows[name] = dump.workflows[name]._replace(**fields)
    return damage


def task(name: str, no: int, **fields: Any) -> Damage:
    """Damage a task."""
    def damage(dump: TreeDump) -> None:
        dump.tasks[name, no] = dump.tasks[name, no]._replace(**fields)
    return damage


def delivery(name: str, **fields: Any) -> Damage:
    """Damage a delivery, or make one."""
    def damage(dump: TreeDump) -> None:
        facts = dump.deliveries.get((name, 1, "archive"), DeliveryFacts("PENDING", 1, 0, 0, 0, 9, "", "", 0, 3))
        dump.deliveries[name, 1, "archive"] = facts._replace(**fields)
    return damage


def lost(name: str) -> Damage:
    """Lose a delivery."""
    return lambda dump: dump.deliveries.__delitem__((name, 1, "archive"))


MIDDLE, LEAF = "w1/middle", "w1/middle/leaf"
STATES: list[tuple[str, tuple[str, ...], Damage, str]] = [
    ("outer", (), workflow("w1", state="TERMINATED"), "INV-01: w1 is TERMINATED, and its task middle is IN_PROGRESS"),
    ("outer", (), workflow(MIDDLE, state="FAILED"), f"INV-01: {MIDDLE} is FAILED, and its sub-workflow {LEAF} is RUNNING"),
    ("outer", (), workflow(MIDDLE, state="PAUSED", paused_by="w1"), f"INV-07: {LEAF} is RUNNING under {MIDDLE}"),
    ("outer", ("pause",), workflow(MIDDLE, paused_by="w"), f"INV-07: {MIDDLE} is PAUSED by 'w', which is not above it"),
    ("outer", ("pause",), workflow("w1", paused_by=LEAF), f"INV-07: w1 is PAUSED by '{LEAF}', which is not above it"),
    ("outer", (), workflow(LEAF, slot=2), f"INV-13: {LEAF} is live for attempt 2 of a task that is IN_PROGRESS in attempt 1"),
    ("outer", (), task(MIDDLE, 0, state="SCHEDULED"), f"INV-13: {LEAF} is live for attempt 1 of a task that is SCHEDULED"),
    ("outer", (), workflow(LEAF, state="COMPLETED"), f"INV-09: {LEAF} is COMPLETED, and the task that started it is IN_PR"),
    ("outer", (), task(MIDDLE, 0, attempt=2), f"INV-09: {MIDDLE} leaf is IN_PROGRESS, and its sub-workflow is missing"),
    ("outer", (), task(MIDDLE, 0, state="COMPLETED"), f"INV-09: {MIDDLE} leaf is COMPLETED, and its sub-workflow is RUNNING"),
    ("outer", (), task(MIDDLE, 0, state="PENDING"), f"INV-09: {MIDDLE} leaf is PENDING, and its sub-workflow is RUNNING"),
    ("outer", (), task("w1", 0, attempt=5), "INV-13: w1 middle is in attempt 5 of 1"),
    ("leaf", ("poll",), task("w1", 0, handouts=0), "INV-06: w1 x is IN_PROGRESS and was never handed out"),
    ("leaf", (), task("w1", 1, state="FAILED"), "progress: w1 is RUNNING although y is FAILED"),
    ("asks-failed", (), task("w1", 3, state="COMPLETED"), "progress: w1 is RUNNING although end asks for FAILED"),
    ("line", (), task("w1", 0, state="PENDING"), "INV-10: w1 is RUNNING and nothing can move it"),
    ("line", (), task("w1", 0, state="COMPLETED"), "progress: w1 b is still PENDING although its predecessors passed"),
    ("line", (), task("w1", 1, state="SCHEDULED"), "progress: w1 b is SCHEDULED although a predecessor did not pass"),
    ("permissive", (), task("w1", 0, state="FAILED"), "progress: w1 b is still PENDING although its predecessors passed"),
    ("approval", (), task("w1", 2, state="SCHEDULED"), "progress: w1 now is still SCHEDULED although its predecessors passed"),
    ("approval", (), task("w1", 2, signalled=1), "progress: w1 now was signalled and is still IN_PROGRESS"),
    ("leaf", (), delivery("w1"), "INV-03: w1 is RUNNING and has deliveries ['archive'], not []"),
    ("leaf", ("terminate",), lost("w1"), "INV-03: w1 is TERMINATED and has deliveries [], not ['archive']"),
    ("leaf", ("terminate",), delivery("w1", attempt=4), "INV-14: delivery w1 archive is PENDING in attempt 4 of 3"),
    ("leaf", ("terminate",), delivery("w1", state="LEASED"), "INV-14: delivery w1 archive is LEASED in attempt 0 of 3"),
    ("leaf", ("terminate", "deliver"), delivery("w1", proof=""), "INV-04: delivery w1 archive is DELIVERED without a proof"),
    ("leaf", ("terminate", "outage"), delivery("w1", error=""), "INV-14: delivery w1 archive is DEAD after 3 of 3 attempts"),
    ("leaf", ("terminate", "outage"), delivery("w1", attempt=2), "INV-14: delivery w1 archive is DEAD after 2 of 3 attempts"),
]


@pytest.mark.parametrize(("name", "moves", "damage", "problem"), STATES, ids=[entry[3][:60] for entry in STATES])
def test_damage_to_a_state_is_found(name: str, moves: tuple[str, ...], damage: Damage, problem: str) -> None:
    """The tree is right as the kernel leaves it, and the damage is named."""
    dump, definitions = standing(name, *moves)
    assert list(Tree(dump, definitions).problems()) == []
    damage(dump)
    assert any(found.startswith(problem) for found in Tree(dump, definitions).problems())


STEPS: list[tuple[tuple[str, ...], Damage, str]] = [
    ((), lambda dump: dump.workflows.clear(), "INV-05: w1 is gone"),
    ((), lambda dump: dump.tasks.clear(), "INV-05: task 0 of w1 is gone"),
    (("terminate",), workflow("w1", state="RUNNING"), "INV-02: w1 had ended as TERMINATED and was changed"),
    (("terminate",), workflow("w1", reason="another"), "INV-02: w1 had ended as TERMINATED and was changed"),
    (("terminate",), task("w1", 0, state="SCHEDULED"), "INV-02: w1 task 0 was closed as CANCELED and was changed"),
    (("poll",), task("w1", 0, handouts=0), "INV-06: w1 task 0 counts backwards"),
    (("poll",), task("w1", 0, attempt=0), "INV-06: w1 task 0 counts backwards"),
    ((), task("w1", 0, state="IN_PROGRESS"), "INV-06: w1 task 0 was handed out under an old token"),
    (("pause",), task("w1", 0, state="IN_PROGRESS", handouts=1), "INV-07: w1 task 0 was handed out while its workflow was"),
    (("terminate",), lost("w1"), "INV-14: delivery ('w1', 1, 'archive') is lost"),
    (("terminate", "deliver"), delivery("w1", claims=0), "INV-14: delivery ('w1', 1, 'archive') is lost"),
    (("terminate", "deliver"), delivery("w1", state="PENDING"), "INV-04: delivery ('w1', 1, 'archive') was DELIVERED and was"),
]


@pytest.mark.parametrize(("moves", "damage", "problem"), STEPS, ids=[entry[2][:60] for entry in STEPS])
def test_damage_by_a_step_is_found(moves: tuple[str, ...], damage: Damage, problem: str) -> None:
    """Nothing is wrong with a step that changes nothing, and the damage is named."""
    before, definitions = standing("leaf", *moves)
    after, _ = standing("leaf", *moves)
    assert list(steps(before, after, definitions)) == []
    damage(after)
    assert any(found.startswith(problem) for found in steps(before, after, definitions))


def test_a_notice_that_is_claimed_out_of_turn_is_found() -> None:
    """While one before it is open; not after a DEAD one, and not because of what is no notice."""
    before, definitions = standing("heard", "pause", "terminate")
    first, second, last = (("w1", 1, f"notify@{notice}") for notice in ("1.RUNNING", "2.PAUSED", "3.TERMINATED"))
    assert set(before.deliveries) == {first, second, last, ("w1", 1, "archive")}
    for name, state, found in ((first, "PENDING", []), (last, "PENDING", ["notify@1.RUNNING"]), (second, "DEAD", [])):
        after = before._replace(deliveries={**before.deliveries, name: before.deliveries[name]._replace(claims=1)})
        after.deliveries[first] = after.deliveries[first]._replace(state=state)
        assert list(steps(before, after, definitions)) == [
            f"INV-03: notice {name} was claimed while {other} is open" for other in found]


@pytest.mark.parametrize("field", ["version", "clock"])
def test_a_tree_does_not_go_back(field: str) -> None:
    """Neither its version nor its clock."""
    before, definitions = standing("leaf")
    after = before._replace(**{field: getattr(before, field) - 1})
    assert [found[:7] for found in steps(before, after, definitions)] == ["INV-08:"]
    assert list(steps(after, before, definitions)) == []


def test_when_a_workflow_must_end() -> None:
    """A TERMINATE task that was reached, a mandatory task closed badly, or nothing open; else not."""
    asks, leaf = POOL[NAMES.index("asks-completed")], POOL[NAMES.index("leaf")]
    fork, permissive = POOL[NAMES.index("fork")], POOL[NAMES.index("permissive")]
    assert must_end(asks.tasks, ["COMPLETED", "SCHEDULED", "SCHEDULED", "COMPLETED"]) == "end asks for COMPLETED"
    assert must_end(leaf.tasks, ["TIMED_OUT", "SCHEDULED"]) == "x is TIMED_OUT"
    assert must_end(leaf.tasks, ["COMPLETED", "COMPLETED_WITH_ERRORS"]) == "every task is closed"
    assert must_end(permissive.tasks, ["FAILED", "COMPLETED", "FAILED"]) == "every task is closed"
    assert must_end(permissive.tasks, ["FAILED", "PENDING", "SCHEDULED"]) == ""
    assert must_end(fork.tasks, ["COMPLETED", "SCHEDULED", "CANCELED", "SCHEDULED", "PENDING", "PENDING"]) == ""
    assert must_end(leaf.tasks, ["COMPLETED", "IN_PROGRESS"]) == ""


def test_the_words_are_the_same_though_written_twice() -> None:
    """The lists of states that the checks have of their own are those of the specification."""
    assert (set(LIVE), set(OPEN), set(WELL)) == (set(SPEC_LIVE), set(SPEC_OPEN), set(CLOSED_WELL))
